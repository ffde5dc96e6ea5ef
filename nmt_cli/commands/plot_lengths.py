"""nmt plot lengths: how well several systems translate sentences of different lengths."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from nmt_cli.commands.score import ScoringOptions, suggest_tokenizer
from nmt_cli.errors import DataError, UserError, pluralize
from nmt_cli.evaluation.by_length import LengthScores, LengthUnit, score_by_length, text_lengths
from nmt_cli.evaluation.metrics import (
    MetricName,
    check_line_count,
    default_bleu_tokenizer,
    read_references,
    read_texts,
    unsegmented_language,
)
from nmt_cli.plots.lengths import draw_lengths
from nmt_cli.reporting import Reporter

METRICS: tuple[MetricName, ...] = ("bleu", "chrf")
UNITS: tuple[LengthUnit, ...] = ("words", "characters")
Choice = TypeVar("Choice")

LINES_PER_PROGRESS_STEP = 512  # lines between two movements of the progress bar


def plot_lengths(
    runs: Mapping[str, Path],
    source: Path,
    references: Sequence[Path],
    reporter: Reporter,
    *,
    out: Path | None = None,
    hypotheses: Mapping[str, Path] | None = None,
    metric: str = "bleu",
    buckets: str | None = None,
    unit: str = "words",
    samples: int = 1000,
    tokenize: str | None = None,
    language: str | None = None,
    device: str = "auto",
    overrides: Sequence[str] = (),
    engine: str = "auto",
) -> LengthScores:
    """Translate the source with each run, score by length, and draw it where `out` is given.

    `runs` and `hypotheses` (files of translations made elsewhere) are paths by the names of the systems.
    `buckets` are the upper ends of the buckets, divided by commas. BLEU is tokenised for
    `language`, or that of the first run, unless `tokenize` says how. UserError and DataError say
    what does not fit, before anything is translated. `overrides` are settings of the search of all runs, and `engine`
    computes it: see `TranslatorSpec`.
    """
    metric_name, length_unit = _choose("--metric", metric, METRICS), _choose("--unit", unit, UNITS)
    bucket_ends = None if buckets is None else _parse_bucket_ends(buckets)
    options = ScoringOptions(metric_name, tokenize=tokenize, language=language)
    tokenize = options.bleu_tokenizer()
    files = hypotheses or {}
    if not files and not runs:
        raise UserError("name a run, or a file of translations with --hypotheses")
    sources = read_texts(source)
    if not sources:
        raise DataError(f"{source}: no sentences to score")
    targets = read_references(references, sources, str(source))
    file_texts = {label: read_texts(path) for label, path in files.items()}
    for label, path in files.items():
        check_line_count(path, file_texts[label], str(source), sources)
    if runs and tokenize is None and metric_name == "bleu":
        tokenize = _bleu_tokenizer_of_run(next(iter(runs.values())))
    suggest_tokenizer(references[0], targets[0], options, tokenize, reporter)
    if length_unit == "words" and unsegmented_language(sources) not in (None, "ko"):
        reporter.info(f"hint: {source} has no spaces between words: use --unit characters")
    spec = {"overrides": tuple(overrides), "device": device, "engine": engine}
    run_texts = {label: _translate(path, sources, reporter, label, spec) for label, path in runs.items()}
    scores = score_by_length(
        text_lengths(sources, length_unit), targets, run_texts | file_texts, metric_name,
        ends=bucket_ends, unit=length_unit, tokenize=tokenize if metric_name == "bleu" else None, samples=samples,
    )  # fmt: skip
    if out is not None:
        draw_lengths(out, scores)
    return scores


def _choose(option: str, text: str, choices: tuple[Choice, ...]) -> Choice:
    """The choice that a text names; UserError if it names none."""
    if text not in choices:
        raise UserError(f"{option} {text}: use {' or '.join(map(str, choices))}")
    return choices[choices.index(text)]


def _parse_bucket_ends(text: str) -> list[int]:
    """The upper ends of the buckets; UserError where they do not rise from 1."""
    fields = [field.strip() for field in text.split(",")]
    ends = [int(field) if field.isdecimal() else 0 for field in fields]
    if ends[0] < 1 or any(b <= a for a, b in pairwise(ends)):
        raise UserError(f"--buckets {text}: write rising whole numbers, as in 10,20,30")
    return ends


def _bleu_tokenizer_of_run(path: Path) -> str | None:
    """sacreBLEU's tokenizer for the run's target language; None where there is no such run."""
    from nmt_cli.recipe.loader import load_run_recipe

    if not (path / "recipe.yaml").is_file():
        return None
    recipe = load_run_recipe(path / "recipe.yaml", checked_sections=())
    return recipe.training.metric_tokenize or default_bleu_tokenizer(recipe.corpus.target)


def _translate(path: Path, sources: list[str], reporter: Reporter, label: str, options: dict[str, Any]) -> list[str]:
    """A run's translations of all lines, with these options of `TranslatorSpec`."""
    from nmt_cli.translation.opening import TranslatorSpec  # torch, only where there is a run

    quiet = Reporter(quiet=True)
    spec, choice = TranslatorSpec((str(path),), rescore_canonical=False, **options).resolve(quiet)
    translator = spec.open(quiet)
    texts: list[str] = []
    with reporter.progress(label, len(sources)) as bar:
        for start in range(0, len(sources), LINES_PER_PROGRESS_STEP):
            block = sources[start : start + LINES_PER_PROGRESS_STEP]
            texts += [translation.text for translation in translator.translate(block)]
            bar.advance(len(block))
    reporter.info(f"{label}: {pluralize(len(texts), 'line')} translated, {choice.text}")
    return texts
