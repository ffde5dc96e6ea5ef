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
    Form,
    TranslatedLine,
    check_strictly,
    open_translator,
    read_prefixes,
    translate_stream,
)
from nmt_cli.data.words import Words, unknown_words
from nmt_cli.decoding.blocks import WORTHWHILE, Division
from nmt_cli.decoding.parallel import (
    Block,
    Plain,
    Work,
    describe,
    translate_in_order,
    waiting_bytes,
)
from nmt_cli.decoding.translator import Translator
from nmt_cli.device import find_device
from nmt_cli.errors import DataError, UserError
from nmt_cli.reporting import Reporter
from nmt_cli.workers import TOKENIZER_THREADS, Opener, Workers, parse_processes, single_threaded


@dataclass(frozen=True)
class Opening:
    """How a translator is opened, in plain values, so that another process can open the same.

    `strict`: it refuses lines that are not UTF-8 or cannot be read whole. `unknown`: lines tell
    their words that no run's training text had, where all runs have a list of its words.
    """

    runs: tuple[str, ...]
    settings: tuple[str, ...] = ()
    device: str = "auto"
    align: bool = False
    engine: str = "torch"
    quantization: str | None = None
    respell: bool = True
    strict: bool = False
    unknown: bool = False

    def open(self, reporter: Reporter) -> Translator:
        """See `open_translator`."""
        return open_translator(
            [Path(run) for run in self.runs],
            list(self.settings),
            self.device,
            align=self.align,
            respell=self.respell,
            engine=self.engine,
            quantization=self.quantization,
            reporter=reporter,
        )

    def known_words(self) -> list[Words]:
        """The words of each run's training text; none where nothing is told of unknown ones."""
        found = [Words.load(Path(run)) for run in self.runs] if self.unknown else []
        known = [one for one in found if one is not None]
        return known if len(known) == len(found) else []


class ParallelTranslator:
    """A translator, and how many processes it may use: a number, or `auto`.

    On a CPU each process has one thread, and `auto` is a process for each thread that PyTorch would
    use, where at least 8 KiB of input are waiting at the start; on GPUs it is a process for each
    GPU, under the same condition, unless one is named. Other engines than torch use all cores in
    one process; UserError where they are given several. Raises as `open_translator` does.
    """

    def __init__(self, opening: Opening, processes: str, reporter: Reporter) -> None:
        self.opening, self.reporter = opening, reporter
        self.wanted = parse_processes(processes)
        if opening.engine != "torch":
            if self.wanted not in (None, 1):
                raise UserError(f"--engine {opening.engine}: uses all cores without --processes")
            self.wanted = 1
        with _no_threads() as self._threads:
            self.translator = opening.open(reporter)
        self.known_words = opening.known_words()
        on_gpu = find_device(opening.device).type == "cuda"
        self.gpus = _gpus(opening.device) if on_gpu else 0

    @property
    def most(self) -> int:
        """How many processes it will use where there is enough input."""
        return self.wanted or max(1, self.gpus or self._threads)

    @property
    def division(self) -> Division:
        """How the input is cut: as for all workers that this machine would have unasked."""
        return Division(max(1, self.gpus or self._threads), self.translator.config.width)

    def form(self, *, jsonl: bool = False) -> Form:
        """What is printed for a line; UserError for alignments of several candidates as text."""
        if jsonl:
            return "jsonl"
        if self.translator.config.n_best > 1:
            if self.opening.align:
                raise UserError("--alignments: with n_best above 1 only in --jsonl")
            return "candidates"
        return "alignments" if self.opening.align else "text"

    def translate(
        self,
        stream: BinaryIO,
        prefixes: Path | None = None,
        *,
        much: bool = False,
    ) -> Iterator[TranslatedLine]:
        """Translate lines in their order; see `translate_stream`.

        `much` says that the stream is long where it cannot be asked. WorkerError where a block of
        lines has killed two workers.
        """
        for one in self._translated(stream, prefixes, much=much):
            unknown = unknown_words(one.line.text, self.known_words) if self.known_words else []
            yield replace(one, unknown_words=unknown)

    def _translated(
        self, stream: BinaryIO, prefixes: Path | None, *, much: bool
    ) -> Iterator[TranslatedLine]:
        strict = self.opening.strict
        small = self.wanted is None and not much and waiting_bytes(stream) < WORTHWHILE
        if small or self.most == 1:
            division = self.division if self.opening.engine == "torch" else None
            yield from translate_stream(
                self.translator, stream, prefixes, strict=strict, division=division
            )
            return
        starts = None if prefixes is None else read_prefixes(prefixes)
        short = DataError(f"{prefixes}: fewer lines than the input")
        with self._workers() as workers:
            lines = translate_in_order(workers, stream, starts, short, self.division)
            for line, translation in lines:
                if strict:
                    check_strictly(line, translation)
                yield TranslatedLine(line, translation)
        if starts is not None and next(starts, None) is not None:
            raise DataError(f"{prefixes}: more lines than the input")

    def _workers(self) -> Workers[Block, list[Plain]]:
        warn = self.reporter.warn
        if not self.gpus and single_threaded():
            translator = self.translator
            return Workers(self.most, lambda _: _single(translator), describe, warn, fork=True)
        opener: Opener = partial(_open_work, self.opening, self.gpus)
        return Workers(self.most, opener, describe, warn, fork=False)


def _open_work(opening: Opening, gpus: int, number: int) -> Work:
    """The work of a spawned worker: on a GPU in turn, or with one thread."""
    torch.set_num_threads(1)
    device = f"cuda:{number % gpus}" if gpus > 1 else opening.device
    return Work(replace(opening, device=device).open(Reporter(quiet=True)))


def _single(translator: Translator) -> Work:
    """The work of a forked worker."""
    torch.set_num_threads(1)
    return Work(translator)


def _gpus(device: str) -> int:
    """GPUs that may be used: all, or the one that is named."""
    return torch.cuda.device_count() if device in ("auto", "cuda") else 1


@contextmanager
def _no_threads() -> Iterator[int]:
    """Let PyTorch and the tokenizers start none inside: a process that has some is not forked.

    Gives the number of threads that PyTorch uses outside.
    """
    threads, before = torch.get_num_threads(), os.environ.get(TOKENIZER_THREADS)
    torch.set_num_threads(1)
    os.environ[TOKENIZER_THREADS] = "false"
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)
        if before is None:
            del os.environ[TOKENIZER_THREADS]
        else:
            os.environ[TOKENIZER_THREADS] = before
