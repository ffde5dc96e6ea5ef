"""nmt plot lengths: how well several systems translate sentences of different lengths."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from nmt_cli.commands.named_paths import named_paths
from nmt_cli.commands.score import check_tokenizer, read_texts
from nmt_cli.errors import DataError, UserError
from nmt_cli.evaluation.by_length import LengthScores, Unit, lengths_of, score_by_length
from nmt_cli.evaluation.metrics import MetricName, bleu_tokenizer
from nmt_cli.plots.lengths import draw_lengths
from nmt_cli.reporting import Reporter

TOGETHER = 512  # lines between two movements of the progress bar


def plot_lengths(
    runs: Sequence[str],
    source: Path,
    references: Sequence[Path],
    reporter: Reporter,
    *,
    out: Path | None = None,
    hypotheses: Sequence[str] = (),
    metric: str = "bleu",
    buckets: str | None = None,
    unit: str = "words",
    samples: int = 1000,
    tokenize: str | None = None,
    device: str = "auto",
) -> LengthScores:
    """Translate the source with each run, score by length, and draw it where `out` is given.

    `runs` and `hypotheses` (files of translations made elsewhere) are paths or NAME=PATH.
    `buckets` are the upper ends of the buckets, divided by commas. BLEU is tokenised for the
    language of the first run. UserError and DataError say what does not fit, before anything is
    translated.
    """
    name, by = _metric_name(metric), _unit(unit)
    ends = None if buckets is None else _ends(buckets)
    if tokenize is not None:
        check_tokenizer(tokenize)
    files = named_paths(hypotheses)
    folders = named_paths(runs, already=list(files))
    if not files and not folders:
        raise UserError("name a run, or a file of translations with --hypotheses")
    sources, targets = _parallel(source, references)
    given = {label: read_texts(path, str(path)) for label, path in files.items()}
    for label, path in files.items():
        _same_length(path, given[label], source, sources)
    if folders and tokenize is None and name == "bleu":
        tokenize = _run_tokenizer(next(iter(folders.values())))
    made = {
        label: _translated(path, sources, reporter, device, label)
        for label, path in folders.items()
    }
    found = score_by_length(
        lengths_of(sources, by), targets, made | given, name,
        ends=ends, unit=by, tokenize=tokenize if name == "bleu" else None, samples=samples,
    )  # fmt: skip
    if out is not None:
        draw_lengths(out, found)
    return found


def _metric_name(text: str) -> MetricName:
    known: dict[str, MetricName] = {"bleu": "bleu", "chrf": "chrf"}
    if text not in known:
        raise UserError(f"--metric {text}: use bleu or chrf")
    return known[text]


def _unit(text: str) -> Unit:
    known: dict[str, Unit] = {"words": "words", "characters": "characters"}
    if text not in known:
        raise UserError(f"--unit {text}: use words or characters")
    return known[text]


def _ends(text: str) -> list[int]:
    """The upper ends of the buckets; UserError where they do not rise from 1."""
    parts = [part.strip() for part in text.split(",")]
    ends = [int(part) if part.isdecimal() else 0 for part in parts]
    if ends[0] < 1 or any(b <= a for a, b in pairwise(ends)):
        raise UserError(f"--buckets {text}: write rising whole numbers, as in 10,20,30")
    return ends


def _parallel(source: Path, references: Sequence[Path]) -> tuple[list[str], list[list[str]]]:
    sources = read_texts(source, str(source))
    if not sources:
        raise DataError(f"{source}: no sentences to score")
    targets = []
    for path in references:
        targets.append(read_texts(path, str(path)))
        _same_length(path, targets[-1], source, sources)
    return sources, targets


def _same_length(path: Path, lines: list[str], source: Path, sources: list[str]) -> None:
    if len(lines) != len(sources):
        raise DataError(f"{path} has {len(lines):,} lines and {source} has {len(sources):,}")


def _run_tokenizer(path: Path) -> str | None:
    """sacreBLEU's tokenizer for the run's target language; None where there is no such run."""
    from nmt_cli.recipe import load_recipe

    if not (path / "recipe.yaml").is_file():
        return None
    recipe = load_recipe(path / "recipe.yaml")
    return recipe.training.metric_tokenize or bleu_tokenizer(recipe.corpus.target)


def _translated(
    path: Path, sources: list[str], reporter: Reporter, device: str, label: str
) -> list[str]:
    """A run's translations of all lines."""
    from nmt_cli.commands.translate import open_translator  # torch, only where there is a run

    translator = open_translator([path], [], device, respell=False)
    texts: list[str] = []
    with reporter.progress(label, len(sources)) as bar:
        for first in range(0, len(sources), TOGETHER):
            block = sources[first : first + TOGETHER]
            texts += [one.text for one in translator.translate(block)]
            bar.advance(len(block))
    reporter.say(f"{label}: {len(texts):,} lines translated")
    return texts
