"""nmt translate --processes N: the same lines, shared out among processes of this machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import torch

from nmt_cli.commands.translate import (
    OutputFormat,
    TranslatedLine,
    check_strict,
    open_translator,
    read_prefixes,
    translate_stream,
)
from nmt_cli.data.known_words import WordSet, unknown_words
from nmt_cli.device import find_device
from nmt_cli.errors import DataError, UserError
from nmt_cli.inference.blocks import MIN_PARALLEL_INPUT_BYTES, BlockPartitioner
from nmt_cli.inference.parallel import (
    BlockTranslator,
    LineBlock,
    TranslationTuple,
    available_bytes,
    describe_block,
    translate_in_order,
)
from nmt_cli.inference.translator import Translator
from nmt_cli.reporting import Reporter
from nmt_cli.workers import (
    TOKENIZERS_PARALLELISM_VARIABLE,
    WorkerPool,
    WorkFactory,
    is_single_threaded,
    parse_process_count,
)


@dataclass(frozen=True)
class TranslatorSpec:
    """How a translator is opened, in plain values, so that another process can open the same.

    `strict`: it refuses lines that are not UTF-8 or cannot be read whole. `unknown`: lines tell
    their words that no run's training text had, where all runs have a list of its words.
    """

    runs: tuple[str, ...]
    overrides: tuple[str, ...] = ()
    device: str = "auto"
    align: bool = False
    engine: str = "torch"
    quantization: str | None = None
    rescore_canonical: bool = True
    strict: bool = False
    report_unknown_words: bool = False

    def open(self, reporter: Reporter) -> Translator:
        """See `open_translator`."""
        return open_translator(
            [Path(run) for run in self.runs],
            list(self.overrides),
            self.device,
            align=self.align,
            rescore_canonical=self.rescore_canonical,
            engine=self.engine,
            quantization=self.quantization,
            reporter=reporter,
        )

    def load_known_words(self) -> list[WordSet]:
        """The words of each run's training text; none where nothing is told of unknown ones."""
        vocabularies = [WordSet.load(Path(run)) for run in self.runs] if self.report_unknown_words else []
        available = [words for words in vocabularies if words is not None]
        return available if len(available) == len(vocabularies) else []


class ParallelTranslator:
    """A translator, and how many processes it may use: a number, or `auto`.

    On a CPU each process has one thread, and `auto` is a process for each thread that PyTorch would
    use, where at least 8 KiB of input are waiting at the start; on GPUs it is a process for each
    GPU, under the same condition, unless one is named. Other engines than torch use all cores in
    one process; UserError where they are given several. Raises as `open_translator` does.
    """

    def __init__(self, spec: TranslatorSpec, processes: str, reporter: Reporter) -> None:
        self.spec, self.reporter = spec, reporter
        self.requested_processes = parse_process_count(processes)
        if spec.engine != "torch":
            if self.requested_processes not in (None, 1):
                raise UserError(f"--engine {spec.engine}: uses all cores without --processes")
            self.requested_processes = 1
        with _threads_disabled() as self._thread_count:
            self.translator = spec.open(reporter)
        self.known_words = spec.load_known_words()
        on_gpu = find_device(spec.device).type == "cuda"
        self.gpu_count = _count_gpus(spec.device) if on_gpu else 0

    @property
    def max_processes(self) -> int:
        """How many processes it will use where there is enough input."""
        return self.requested_processes or max(1, self.gpu_count or self._thread_count)

    @property
    def partitioner(self) -> BlockPartitioner:
        """How the input is cut: as for all workers that this machine would have unasked."""
        return BlockPartitioner(max(1, self.gpu_count or self._thread_count), self.translator.config.beam_size)

    def output_format(self, *, jsonl: bool = False) -> OutputFormat:
        """What is printed for a line; UserError for alignments of several candidates as text."""
        if jsonl:
            return "jsonl"
        if self.translator.config.n_best > 1:
            if self.spec.align:
                raise UserError("--alignments: with n_best above 1 only in --jsonl")
            return "candidates"
        return "alignments" if self.spec.align else "text"

    def translate(
        self, stream: BinaryIO, prefix_path: Path | None = None, *, assume_long_input: bool = False
    ) -> Iterator[TranslatedLine]:
        """Translate lines in their order; see `translate_stream`.

        `much` says that the stream is long where it cannot be asked. WorkerError where a block of
        lines has killed two workers.
        """
        for translated_line in self._translate_lines(stream, prefix_path, assume_long_input=assume_long_input):
            unknown = unknown_words(translated_line.line.text, self.known_words) if self.known_words else []
            yield replace(translated_line, unknown_words=unknown)

    def _translate_lines(
        self, stream: BinaryIO, prefix_path: Path | None, *, assume_long_input: bool
    ) -> Iterator[TranslatedLine]:
        strict = self.spec.strict
        is_short_input = (
            self.requested_processes is None
            and not assume_long_input
            and available_bytes(stream) < MIN_PARALLEL_INPUT_BYTES
        )
        if is_short_input or self.max_processes == 1:
            partitioner = self.partitioner if self.spec.engine == "torch" else None
            yield from translate_stream(self.translator, stream, prefix_path, strict=strict, partitioner=partitioner)
            return
        prefix_lines = None if prefix_path is None else read_prefixes(prefix_path)
        missing_prefixes_error = DataError(f"{prefix_path}: fewer lines than the input")
        with self._start_workers() as workers:
            translated = translate_in_order(workers, stream, prefix_lines, missing_prefixes_error, self.partitioner)
            for line, translation in translated:
                if strict:
                    check_strict(line, translation)
                yield TranslatedLine(line, translation)
        if prefix_lines is not None and next(prefix_lines, None) is not None:
            raise DataError(f"{prefix_path}: more lines than the input")

    def _start_workers(self) -> WorkerPool[LineBlock, list[TranslationTuple]]:
        warn = self.reporter.warning
        if not self.gpu_count and is_single_threaded():
            translator = self.translator
            return WorkerPool(
                self.max_processes,
                lambda _: _single_threaded_block_translator(translator),
                describe_block,
                warn,
                fork=True,
            )
        opener: WorkFactory = partial(_open_block_translator, self.spec, self.gpu_count)
        return WorkerPool(self.max_processes, opener, describe_block, warn, fork=False)


def _open_block_translator(spec: TranslatorSpec, gpu_count: int, worker_index: int) -> BlockTranslator:
    """The work of a spawned worker: on a GPU in turn, or with one thread."""
    torch.set_num_threads(1)
    device = f"cuda:{worker_index % gpu_count}" if gpu_count > 1 else spec.device
    return BlockTranslator(replace(spec, device=device).open(Reporter(quiet=True)))


def _single_threaded_block_translator(translator: Translator) -> BlockTranslator:
    """The work of a forked worker."""
    torch.set_num_threads(1)
    return BlockTranslator(translator)


def _count_gpus(device: str) -> int:
    """GPUs that may be used: all, or the one that is named."""
    return torch.cuda.device_count() if device in ("auto", "cuda") else 1


@contextmanager
def _threads_disabled() -> Iterator[int]:
    """Let PyTorch and the tokenizers start none inside: a process that has some is not forked.

    Gives the number of threads that PyTorch uses outside.
    """
    thread_count, previous_setting = (torch.get_num_threads(), os.environ.get(TOKENIZERS_PARALLELISM_VARIABLE))
    torch.set_num_threads(1)
    os.environ[TOKENIZERS_PARALLELISM_VARIABLE] = "false"
    try:
        yield thread_count
    finally:
        torch.set_num_threads(thread_count)
        if previous_setting is None:
            del os.environ[TOKENIZERS_PARALLELISM_VARIABLE]
        else:
            os.environ[TOKENIZERS_PARALLELISM_VARIABLE] = previous_setting
