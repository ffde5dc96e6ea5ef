"""The Python API: prepare, train, load, translate and score. Import its names from `nmt_cli`.

Mistakes that the caller can fix are raised as `nmt_cli.errors.UserError`.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nmt_cli.errors import DataError, RecipeError, UserError
from nmt_cli.reporting import Reporter

if TYPE_CHECKING:
    from nmt_cli.commands.train import TrainingResult
    from nmt_cli.data.prepared.store import PreparedData
    from nmt_cli.evaluation.metrics import MetricName, Score
    from nmt_cli.inference.output import Translation
    from nmt_cli.inference.translator import Translator
    from nmt_cli.recipe.loader import Recipe

T = TypeVar("T")


def prepare(recipe: str | Path, overrides: Mapping[str, Any] | None = None, *, quiet: bool = True) -> "PreparedData":
    """Clean, tokenise and store a recipe's corpus under prepared/, or open it there if nothing changed.

    `recipe` is a path or the name of a shipped recipe; `overrides` maps `section.key` to values.

    >>> data = nmt_cli.prepare("mine.yaml", {"corpus.max_length": 100})
    >>> data.manifest["train"]  # number of training pairs
    """
    from nmt_cli.runs.preparation import prepare_recipe

    reporter = Reporter(quiet)
    return prepare_recipe(_load_recipe(recipe, overrides, reporter), reporter).data


def train(
    recipe: str | Path,
    run: str | Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    resume: bool = False,
    device: str = "auto",
    quiet: bool = True,
) -> "TrainingResult":
    """Train a recipe into a run folder, preparing its data if needed, and score its test text.

    With `resume`, an interrupted run continues from its last checkpoint; without, the folder must not exist.
    `device` is auto, cpu, cuda, cuda:N or mps.

    >>> result = nmt_cli.train("mine.yaml", "runs/mine", {"training.updates": 10})
    >>> [(score.name, score.score) for score in result.scores]
    """
    from nmt_cli.commands.train import train as train_recipe

    reporter = Reporter(quiet)
    return train_recipe(_load_recipe(recipe, overrides, reporter), Path(run), reporter, resume=resume, device=device)


def load_run(
    *runs: str | Path,
    search: Mapping[str, Any] | None = None,
    device: str = "auto",
    alignments: bool = False,
    engine: str = "auto",
) -> "Translator":
    """Open a run, or several as an ensemble, to translate with.

    `search` overrides keys of the recipe's search section. With `alignments`, translations have word alignments.
    `engine` is auto, torch (nmt's own search), ctranslate2 or onnx; for the latter two the run is exported if it was
    not at the end of its training. `auto` is ctranslate2 where its translations are as good, else torch.

    >>> translator = nmt_cli.load_run("runs/mine", search={"beam": 4})
    >>> [translation.text for translation in translator.translate(["The dog sleeps."])]
    """
    from nmt_cli.translation.opening import TranslatorSpec

    if not runs:
        raise UserError("load_run: needs at least one run folder")
    overrides = _override_texts(search, "search", "search.")
    spec = TranslatorSpec(tuple(map(str, runs)), tuple(overrides), device, alignments, engine)
    return _with_plain_errors(lambda: spec.open(Reporter(quiet=True)))


def translate(
    run: str | Path, lines: Iterable[str], *, search: Mapping[str, Any] | None = None, device: str = "auto"
) -> "list[Translation]":
    """Translate lines with a run: one translation per line, in order. To translate often, use `load_run`.

    >>> nmt_cli.translate("runs/mine", ["The dog sleeps.", "The sun shines."])[0].text
    """
    return load_run(run, search=search, device=device).translate(lines)


def score(
    hypotheses: Iterable[str],
    *references: Iterable[str],
    metrics: "str | Sequence[MetricName]" = ("bleu", "chrf", "ter"),
    tokenize: str | None = None,
) -> "list[Score]":
    """Corpus scores by sacreBLEU, with signatures; each of `references` is as long as `hypotheses`.

    `metrics` are some of bleu, chrf, chrf++ and ter, in a list or separated by commas; UserError for others.
    `tokenize` is sacreBLEU's tokenizer for BLEU; None for its default, 13a.

    >>> nmt_cli.score(["Der Hund schläft."], ["Der Hund schläft gerade."], metrics=["chrf"])[0].score
    """
    from nmt_cli.evaluation.metrics import METRICS, corpus_scores, tokenizer_error
    from nmt_cli.inference.lines import list_of_lines

    hypothesis_lines, *reference_lines = [list_of_lines(lines, "score") for lines in (hypotheses, *references)]
    names = [name.strip() for name in metrics.split(",")] if isinstance(metrics, str) else list(metrics)
    metric_names: dict[str, MetricName] = {name: name for name in METRICS}
    for name in names:
        if name not in metric_names:
            raise UserError(f"{name or repr(name)}: no such metric; there are {', '.join(METRICS)}")
    if not reference_lines or not hypothesis_lines:
        raise DataError("score: needs hypotheses and at least one list of references")
    for lines in reference_lines:
        if len(lines) != len(hypothesis_lines):
            raise DataError(f"score: {len(hypothesis_lines):,} hypotheses, but {len(lines):,} references")
    reason = None if tokenize is None else tokenizer_error(tokenize)
    if reason is not None:
        raise UserError(f"tokenize {tokenize}: {reason}")
    return corpus_scores(hypothesis_lines, reference_lines, [metric_names[name] for name in names], tokenize=tokenize)


def _load_recipe(recipe: str | Path, overrides: Mapping[str, Any] | None, reporter: Reporter) -> "Recipe":
    from nmt_cli.recipe.loader import load_recipe

    if not isinstance(recipe, (str, Path)):
        raise UserError("recipe: needs a path or a name; put changes into overrides, a dictionary")
    texts = _override_texts(overrides, "overrides")
    return _with_plain_errors(lambda: load_recipe(recipe, texts, reporter))


def _override_texts(overrides: Mapping[str, Any] | None, parameter: str, prefix: str = "") -> list[str]:
    """Overrides as `section.key=value`, with JSON values, which YAML reads as they are."""
    from nmt_cli.recipe.overrides import plain_value

    if overrides is None:
        return []
    if not isinstance(overrides, Mapping):
        raise UserError(f"{parameter}: needs a dictionary of keys and values, not {type(overrides).__name__}")
    return [
        f"{prefix}{key}={json.dumps(value, default=plain_value, ensure_ascii=False)}"
        for key, value in overrides.items()
    ]


def _with_plain_errors(call: Callable[[], T]) -> T:
    """Call a function that takes overrides, and leave the command line's word for them out of its errors."""
    try:
        return call()
    except RecipeError as error:
        raise RecipeError([message.removeprefix("--set ") for message in error.errors]) from error
