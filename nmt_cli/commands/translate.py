"""nmt translate: lines in, translations out, as they arrive."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from nmt_cli.commands.runs import Run, open_run
from nmt_cli.data.files import read_lines
from nmt_cli.decoding.ensemble import Ensemble
from nmt_cli.decoding.hypothesis import SearchConfig
from nmt_cli.decoding.stream import InputLine, arriving_blocks
from nmt_cli.decoding.translator import Translation, Translator
from nmt_cli.device import find_device, keep_memory
from nmt_cli.enclosed import own_file
from nmt_cli.errors import DataError, RunError, UserError
from nmt_cli.models.contract import Autoregressive
from nmt_cli.recipe import load_recipe


@dataclass(frozen=True)
class TranslatedLine:
    """A line of input, its translation, and what the user should know about it."""

    line: InputLine
    translation: Translation

    @property
    def warnings(self) -> list[str]:
        """What had to be replaced or cut."""
        damaged = ["bytes that are not UTF-8 became U+FFFD"] if self.line.damaged else []
        return damaged + self.translation.warnings

    def record(self) -> dict[str, Any]:
        """The line as an object for --jsonl."""
        best = self.translation.candidates[0] if self.translation.candidates else None
        record: dict[str, Any] = {
            "line": self.line.number,
            "source": self.line.text,
            "translation": self.translation.text,
            "score": None if best is None else best.score,
            "log_probability": None if best is None else best.log_probability,
        }
        if best is not None and best.alignment is not None:
            record["alignment"] = best.alignment
        if len(self.translation.candidates) > 1:
            record["candidates"] = [
                {"text": one.text, "score": one.score, "log_probability": one.log_probability}
                for one in self.translation.candidates
            ]
        if self.warnings:
            record["warnings"] = self.warnings
        return record


def open_translator(
    runs: list[Path], settings: list[str], device: str = "auto", *, align: bool = False
) -> Translator:
    """A translator of one run, or of several with the same tokenizer as an ensemble.

    `settings` are `search.key=value`. UserError for other settings; RunError for runs that cannot
    be opened or do not go together.
    """
    odd = [one for one in settings if not one.startswith("search.")]
    if odd:
        raise UserError(f"--set {odd[0]}: a finished run can only be given search.* settings")
    place = find_device(device)
    keep_memory(256 << 20)
    if not runs[0].is_dir():
        raise RunError(f"{runs[0]}: no such run folder; nmt train RECIPE makes one")
    search = _search_settings(runs[0], settings)
    opened = [open_run(path, place, search.precision) for path in runs]
    for other in opened[1:]:
        _agree(opened[0], other)
    if align and not opened[0].model.has_attention:
        raise UserError(f"{runs[0]}: --alignments needs a model with attention")
    model = opened[0].model if len(opened) == 1 else _ensemble(opened)
    return Translator(model, opened[0].tokenizers, search, align=align)


def _ensemble(runs: list[Run]) -> Ensemble:
    """The runs' models as one; RunError where one does not write from left to right."""
    members = [run.model for run in runs if isinstance(run.model, Autoregressive)]
    if len(members) < len(runs):
        raise RunError("an ensemble needs models that write from left to right, not ctc")
    return Ensemble(members).eval()


def _search_settings(run: Path, settings: list[str]) -> SearchConfig:
    if not (run / "recipe.yaml").is_file():
        raise RunError(f"{run}: not a run folder: it has no recipe.yaml")
    return load_recipe(own_file(run, "recipe.yaml"), settings).search


def _agree(first: Run, other: Run) -> None:
    """RunError where two runs have different tokenizers."""
    sides = ("source", "target")
    texts = [[getattr(run.tokenizers, s).backend.to_str() for s in sides] for run in (first, other)]
    if texts[0] != texts[1]:
        raise RunError(
            f"{other.folder.path} has another tokenizer than {first.folder.path}: "
            "an ensemble needs the same one"
        )


def translate_stream(
    translator: Translator, stream: BinaryIO, prefixes: Path | None = None
) -> Iterator[TranslatedLine]:
    """Translate lines in their order, each block of lines as soon as it has arrived.

    `prefixes` is a file with the beginning of each translation; DataError where it is shorter than
    the input.
    """
    starts = None if prefixes is None else _texts(prefixes)
    for block in arriving_blocks(stream):
        texts = [line.text for line in block]
        some = None if starts is None else list(islice(starts, len(block)))
        if some is not None and len(some) < len(block):
            raise DataError(f"{prefixes}: fewer lines than the input")
        for line, translation in zip(block, translator.translate(texts, some), strict=True):
            yield TranslatedLine(line, translation)


def _texts(path: Path) -> Iterator[str]:
    for number, raw in enumerate(read_lines(path), 1):
        try:
            yield raw.decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}:{number}: not UTF-8 text") from error
