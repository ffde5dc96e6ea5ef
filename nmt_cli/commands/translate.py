"""nmt translate: lines in, translations out, as they arrive."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal

from nmt_cli.commands.engines import ENGINES, open_engine
from nmt_cli.commands.runs import Run, open_run
from nmt_cli.data.files import read_lines
from nmt_cli.data.prepared import Tokenizers
from nmt_cli.decoding.blocks import Division
from nmt_cli.decoding.ensemble import Ensemble
from nmt_cli.decoding.stream import InputLine, arriving_blocks
from nmt_cli.decoding.translation import Candidate, Translation
from nmt_cli.decoding.translator import Translator
from nmt_cli.device import find_device, keep_memory, limit_kernels
from nmt_cli.errors import DataError, RunError, UserError
from nmt_cli.models.contract import Autoregressive
from nmt_cli.recipe import Recipe, load_recipe
from nmt_cli.reporting import Reporter

KEPT = 64 << 20  # bytes of freed memory; 256 MiB saved no more page faults
Form = Literal["text", "candidates", "alignments", "jsonl"]


@dataclass(frozen=True)
class TranslatedLine:
    """A line of input, its translation, and what the user should know about it."""

    line: InputLine
    translation: Translation
    unknown_words: list[str] = field(default_factory=list)
    """Those that the training text did not have, where that was asked for."""

    @property
    def warnings(self) -> list[str]:
        """What had to be replaced or cut."""
        damaged = ["bytes that are not UTF-8 became U+FFFD"] if self.line.damaged else []
        return damaged + self.translation.warnings

    def output(self, form: Form) -> list[str]:
        """The line as it is printed; only `candidates` can be several lines."""
        found = self.translation.candidates
        if form == "jsonl":
            return [json.dumps(self.record(), ensure_ascii=False)]
        if form == "candidates":
            scored = [f"{self.line.number} ||| {one.text} ||| {one.score:.4f}" for one in found]
            return scored or [f"{self.line.number} |||  ||| "]
        if form == "alignments":
            pairs = (found[0].alignment or []) if found else []
            return [f"{self.translation.text} ||| {' '.join(f'{s}-{t}' for s, t in pairs)}"]
        return [self.translation.text]

    def record(self) -> dict[str, Any]:
        """The line as an object for --jsonl."""
        best = self.translation.candidates[0] if self.translation.candidates else None
        record: dict[str, Any] = {
            "line": self.line.number,
            "source": self.line.text,
            "translation": self.translation.text,
            "score": None,
            "log_probability": None,
        }
        if best is not None:
            record |= _numbers(best)
        if len(self.translation.candidates) > 1:
            record["candidates"] = [
                {"text": one.text, **_numbers(one)} for one in self.translation.candidates
            ]
        record |= self.translation.notes()
        if self.unknown_words:
            record["unknown_words"] = self.unknown_words
        if self.warnings:
            record["warnings"] = self.warnings
        return record


def _numbers(one: Candidate) -> dict[str, Any]:
    """What --jsonl has of a candidate beside its text."""
    found = {"score": one.score, "log_probability": _finite(one.log_probability)}
    return found if one.alignment is None else {**found, "alignment": one.alignment}


def _finite(value: float) -> float | None:
    """JSON knows no infinity."""
    return value if math.isfinite(value) else None


def open_translator(
    runs: list[Path],
    settings: list[str],
    device: str = "auto",
    *,
    align: bool = False,
    respell: bool = True,
    engine: str = "torch",
    quantization: str | None = None,
    reporter: Reporter | None = None,
) -> Translator:
    """A translator of one run, or of several with the same tokenizer as an ensemble.

    `settings` are `search.key=value`. UserError for other settings; RunError for runs that cannot
    be opened or do not go together. `engine` is one of ENGINES; `quantization` is for the others
    than torch, which are made from the run first and say so to `reporter`. `align` and
    `respell` are those of Translator.
    """
    odd = [one for one in settings if not one.startswith("search.")]
    if odd:
        raise UserError(f"--set {odd[0]}: a finished run can only be given search.* settings")
    limit_kernels()
    place = find_device(device)
    if not runs[0].is_dir():
        raise RunError(f"{runs[0]}: no such run folder; nmt train RECIPE makes one")
    recipe = _recipe(runs[0], settings)
    search = recipe.search
    if engine != "torch":
        keep_memory(KEPT)
        _only_torch(engine, runs, align=align)
        quiet = reporter or Reporter(quiet=True)
        return Translator(
            open_engine(engine, runs[0], recipe, quiet, quantization=quantization, device=device),
            Tokenizers.load(runs[0]),
            search,
            respell=respell,
        )
    if quantization is not None:
        raise UserError("--quantization: only with --engine ctranslate2; see search.precision")
    opened = [open_run(path, place, search.precision) for path in runs]
    for other in opened[1:]:
        _agree(opened[0], other)
    if align and not opened[0].model.has_attention:
        raise UserError(f"{runs[0]}: --alignments needs a model with attention")
    model = opened[0].model if len(opened) == 1 else _ensemble(opened)
    keep_memory(KEPT)  # what loading took and freed is given back
    return Translator(model, opened[0].tokenizers, search, align=align, respell=respell)


def _only_torch(engine: str, runs: list[Path], *, align: bool) -> None:
    """UserError for what no other engine than our own does."""
    if engine not in ENGINES:
        raise UserError(f"--engine {engine}: there are {', '.join(ENGINES)}")
    if len(runs) > 1:
        raise UserError(f"--engine {engine}: an ensemble needs --engine torch")
    if align:
        raise UserError(f"--engine {engine}: --alignments needs --engine torch")


def _ensemble(runs: list[Run]) -> Ensemble:
    """The runs' models as one; RunError where one does not write from left to right."""
    members = [run.model for run in runs if isinstance(run.model, Autoregressive)]
    if len(members) < len(runs):
        raise RunError("an ensemble needs models that write from left to right, not ctc")
    return Ensemble(members).eval()


def _recipe(run: Path, settings: list[str]) -> Recipe:
    if not (run / "recipe.yaml").is_file():
        raise RunError(f"{run}: not a run folder: it has no recipe.yaml")
    return load_recipe(run / "recipe.yaml", settings)


def _agree(first: Run, other: Run) -> None:
    """RunError where two runs have different tokenizers."""
    if first.tokenizers.digest() != other.tokenizers.digest():
        raise RunError(
            f"{other.folder.path} has another tokenizer than {first.folder.path}: "
            "an ensemble needs the same one"
        )


def translate_stream(
    translator: Translator,
    stream: BinaryIO,
    prefixes: Path | None = None,
    *,
    strict: bool = False,
    division: Division | None = None,
) -> Iterator[TranslatedLine]:
    """Translate lines in their order, each block of lines as soon as it has arrived.

    `prefixes` is a file with the beginning of each translation; DataError where it has more or
    fewer lines than the input, after all lines that have one. With `strict`, DataError in place of
    a line that is not UTF-8 or cannot be read whole. `division` says which lines are translated
    together; None: all that have arrived, up to MOST.
    """
    starts = None if prefixes is None else read_prefixes(prefixes)
    count = 0
    for block in arriving_blocks(stream) if division is None else division.blocks(stream):
        lines, problem = _sound(block) if strict else (block, None)
        some = None if starts is None else list(islice(starts, len(lines)))
        if some is not None and len(some) < len(lines):
            lines = lines[: len(some)]
            problem = f"{prefixes}: fewer lines than the input"
        texts = [line.text for line in lines]
        for line, translation in zip(lines, translator.translate(texts, some), strict=True):
            if strict:
                check_strictly(line, translation)
            yield TranslatedLine(line, translation)
        if problem is not None:
            raise DataError(problem)
        count += len(block)
    if starts is not None and next(starts, None) is not None:
        raise DataError(f"{prefixes}: more lines than the input, which has {count:,}")


def check_strictly(line: InputLine, translation: Translation) -> None:
    """DataError for a line that was not text, or not read whole."""
    if line.damaged:
        raise DataError(f"line {line.number}: not UTF-8 text (--strict)")
    if translation.lost:
        raise DataError(f"line {line.number}: longer than the model reads (--strict)")


def _sound(block: list[InputLine]) -> tuple[list[InputLine], str | None]:
    """The lines before the first that is not UTF-8, and what is wrong with that one."""
    for place, line in enumerate(block):
        if line.damaged:
            return block[:place], f"line {line.number}: not UTF-8 text (--strict)"
    return block, None


def read_prefixes(path: Path) -> Iterator[str]:
    """The lines of a prefix file; DataError for one that is not UTF-8."""
    for number, raw in enumerate(read_lines(path), 1):
        try:
            yield raw.decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}:{number}: not UTF-8 text") from error
