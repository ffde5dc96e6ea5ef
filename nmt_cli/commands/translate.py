"""nmt translate: lines in, translations out, as they arrive."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal

from nmt_cli.data.prepared.store import Tokenizers
from nmt_cli.data.sources.files import read_lines
from nmt_cli.decoding.ensemble import Ensemble
from nmt_cli.device import find_device, keep_freed_memory, limit_kernel_cache
from nmt_cli.errors import DataError, RunError, UserError
from nmt_cli.inference.blocks import BlockPartitioner
from nmt_cli.inference.lines import InputLine, read_blocks
from nmt_cli.inference.translation import Candidate, Translation
from nmt_cli.inference.translator import Translator
from nmt_cli.models.contract import Autoregressive
from nmt_cli.recipe.loader import Recipe, load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.exports import ENGINES, open_engine
from nmt_cli.runs.loading import LoadedRun, open_run

ALLOCATOR_CACHE_BYTES = 64 << 20  # bytes of freed memory; 256 MiB saved no more page faults
OutputFormat = Literal["text", "candidates", "alignments", "jsonl"]


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
        encoding_warnings = ["bytes that are not UTF-8 became U+FFFD"] if self.line.invalid_utf8 else []
        return encoding_warnings + self.translation.warnings

    def output_lines(self, output_format: OutputFormat) -> list[str]:
        """The line as it is printed; only `candidates` can be several lines."""
        candidates = self.translation.candidates
        if output_format == "jsonl":
            return [json.dumps(self.record(), ensure_ascii=False)]
        if output_format == "candidates":
            candidate_lines = [
                f"{self.line.number} ||| {candidate.text} ||| {candidate.score:.4f}" for candidate in candidates
            ]
            return candidate_lines or [f"{self.line.number} |||  ||| "]
        if output_format == "alignments":
            pairs = (candidates[0].alignment or []) if candidates else []
            return [
                f"{self.translation.text} ||| {' '.join(f'{source_word}-{target_word}' for source_word, target_word in pairs)}"
            ]
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
            record |= _candidate_scores(best)
        if len(self.translation.candidates) > 1:
            record["candidates"] = [
                {"text": candidate.text, **_candidate_scores(candidate)} for candidate in self.translation.candidates
            ]
        record |= self.translation.annotations()
        if self.unknown_words:
            record["unknown_words"] = self.unknown_words
        if self.warnings:
            record["warnings"] = self.warnings
        return record


def _candidate_scores(candidate: Candidate) -> dict[str, Any]:
    """What --jsonl has of a candidate beside its text."""
    scores = {"score": candidate.score, "log_probability": _finite_or_none(candidate.log_probability)}
    return scores if candidate.alignment is None else {**scores, "alignment": candidate.alignment}


def _finite_or_none(value: float) -> float | None:
    """JSON knows no infinity."""
    return value if math.isfinite(value) else None


def open_translator(
    runs: list[Path],
    overrides: list[str],
    device: str = "auto",
    *,
    align: bool = False,
    rescore_canonical: bool = True,
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
    invalid_overrides = [override for override in overrides if not override.startswith("search.")]
    if invalid_overrides:
        raise UserError(f"--set {invalid_overrides[0]}: a finished run can only be given search.* settings")
    limit_kernel_cache()
    torch_device = find_device(device)
    if not runs[0].is_dir():
        raise RunError(f"{runs[0]}: no such run folder; nmt train RECIPE makes one")
    recipe = _load_run_recipe(runs[0], overrides)
    search = recipe.search
    if engine != "torch":
        keep_freed_memory(ALLOCATOR_CACHE_BYTES)
        _check_engine_support(engine, runs, align=align)
        engine_reporter = reporter or Reporter(quiet=True)
        return Translator(
            open_engine(engine, runs[0], recipe, engine_reporter, quantization=quantization, device=device),
            Tokenizers.load(runs[0]),
            search,
            rescore_canonical=rescore_canonical,
        )
    if quantization is not None:
        raise UserError("--quantization: only with --engine ctranslate2; see search.precision")
    opened_runs = [open_run(path, torch_device, search.precision) for path in runs]
    for other in opened_runs[1:]:
        _check_same_tokenizers(opened_runs[0], other)
    if align and not opened_runs[0].model.has_attention:
        raise UserError(f"{runs[0]}: --alignments needs a model with attention")
    model = opened_runs[0].model if len(opened_runs) == 1 else _ensemble(opened_runs)
    keep_freed_memory(ALLOCATOR_CACHE_BYTES)  # what loading took and freed is given back
    return Translator(model, opened_runs[0].tokenizers, search, align=align, rescore_canonical=rescore_canonical)


def _check_engine_support(engine: str, runs: list[Path], *, align: bool) -> None:
    """UserError for what no other engine than our own does."""
    if engine not in ENGINES:
        raise UserError(f"--engine {engine}: there are {', '.join(ENGINES)}")
    if len(runs) > 1:
        raise UserError(f"--engine {engine}: an ensemble needs --engine torch")
    if align:
        raise UserError(f"--engine {engine}: --alignments needs --engine torch")


def _ensemble(runs: list[LoadedRun]) -> Ensemble:
    """The runs' models as one; RunError where one does not write from left to right."""
    members = [run.model for run in runs if isinstance(run.model, Autoregressive)]
    if len(members) < len(runs):
        raise RunError("an ensemble needs models that write from left to right, not all positions at once")
    return Ensemble(members).eval()


def _load_run_recipe(run: Path, overrides: list[str]) -> Recipe:
    if not (run / "recipe.yaml").is_file():
        raise RunError(f"{run}: not a run folder: it has no recipe.yaml")
    return load_recipe(run / "recipe.yaml", overrides)


def _check_same_tokenizers(first: LoadedRun, other: LoadedRun) -> None:
    """RunError where two runs have different tokenizers."""
    if first.tokenizers.digest() != other.tokenizers.digest():
        raise RunError(
            f"{other.folder.path} has another tokenizer than {first.folder.path}: an ensemble needs the same one"
        )


def translate_stream(
    translator: Translator,
    stream: BinaryIO,
    prefix_path: Path | None = None,
    *,
    strict: bool = False,
    partitioner: BlockPartitioner | None = None,
) -> Iterator[TranslatedLine]:
    """Translate lines in their order, each block of lines as soon as it has arrived.

    `prefixes` is a file with the beginning of each translation; DataError where it has more or
    fewer lines than the input, after all lines that have one. With `strict`, DataError in place of
    a line that is not UTF-8 or cannot be read whole. `division` says which lines are translated
    together; None: all that have arrived, up to MOST.
    """
    prefix_lines = None if prefix_path is None else read_prefixes(prefix_path)
    line_count = 0
    for block in read_blocks(stream) if partitioner is None else partitioner.read_blocks(stream):
        lines, error_message = _split_at_invalid_line(block) if strict else (block, None)
        block_prefixes = None if prefix_lines is None else list(islice(prefix_lines, len(lines)))
        if block_prefixes is not None and len(block_prefixes) < len(lines):
            lines = lines[: len(block_prefixes)]
            error_message = f"{prefix_path}: fewer lines than the input"
        texts = [line.text for line in lines]
        for line, translation in zip(lines, translator.translate(texts, block_prefixes), strict=True):
            if strict:
                check_strict(line, translation)
            yield TranslatedLine(line, translation)
        if error_message is not None:
            raise DataError(error_message)
        line_count += len(block)
    if prefix_lines is not None and next(prefix_lines, None) is not None:
        raise DataError(f"{prefix_path}: more lines than the input, which has {line_count:,}")


def check_strict(line: InputLine, translation: Translation) -> None:
    """DataError for a line that was not text, or not read whole."""
    if line.invalid_utf8:
        raise DataError(f"line {line.number}: not UTF-8 text (--strict)")
    if translation.truncated_tokens:
        raise DataError(f"line {line.number}: longer than the model reads (--strict)")


def _split_at_invalid_line(block: list[InputLine]) -> tuple[list[InputLine], str | None]:
    """The lines before the first that is not UTF-8, and what is wrong with that one."""
    for index, line in enumerate(block):
        if line.invalid_utf8:
            return block[:index], f"line {line.number}: not UTF-8 text (--strict)"
    return block, None


def read_prefixes(path: Path) -> Iterator[str]:
    """The lines of a prefix file; DataError for one that is not UTF-8."""
    for number, raw in enumerate(read_lines(path), 1):
        try:
            yield raw.decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}:{number}: not UTF-8 text") from error
