"""Translating a stream of lines in order, in this process or in several."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from nmt_cli.data.known_words import unknown_share, unknown_words
from nmt_cli.errors import DataError, UserError
from nmt_cli.inference.lines import (
    MIN_PARALLEL_INPUT_BYTES,
    BlockPartitioner,
    BlockReader,
    InputLine,
    LineBlock,
    available_bytes,
)
from nmt_cli.inference.output import OutputFormat, TranslatedLine, Translation
from nmt_cli.inference.translator import Translator
from nmt_cli.reporting import Reporter
from nmt_cli.translation.opening import TranslatorSpec
from nmt_cli.workers import (
    MAX_TASKS_PER_WORKER,
    TOKENIZERS_PARALLELISM_VARIABLE,
    WorkerPool,
    WorkFactory,
    environment_variable,
    is_single_threaded,
    parse_process_count,
)

Workers = WorkerPool[LineBlock, list[Translation]]


class ParallelTranslator:
    """A translator, and how many processes it may use: a number, or `auto`.

    With our own search on a CPU each process has one thread, and `auto` means one process per thread that PyTorch would
    use, if at least 8 KiB of input are waiting at the start; on GPUs it means one process per GPU, under the same
    condition, unless a GPU is named. CTranslate2 has one process, and so many threads that share the weights.
    UserError where onnx is given several. Raises the errors of `TranslatorSpec.open`.
    """

    def __init__(self, spec: TranslatorSpec, processes: str, reporter: Reporter) -> None:
        self.reporter = reporter
        self.requested_processes = parse_process_count(processes)
        self.gpu_count, self._thread_count = 0, 1
        self.spec, self.engine_choice = spec.resolve(reporter)
        if self.spec.engine == "torch":
            with _threads_disabled() as self._thread_count:
                self.translator = self.spec.open(reporter)
            self.gpu_count = _count_gpus(self.spec.device)
        else:
            if self.spec.engine == "onnx" and self.requested_processes not in (None, 1):
                raise UserError("engine onnx: uses all cores in one process", hint="leave out --processes")
            self.translator = replace(self.spec, workers=self.requested_processes).open(reporter)
            self.requested_processes = 1
        self.known_words = self.spec.load_known_words()

    @property
    def max_processes(self) -> int:
        """Processes used where there is enough input."""
        return self.requested_processes or self.gpu_count or self._thread_count

    @property
    def partitioner(self) -> BlockPartitioner | None:
        """How the input is cut: for as many workers as this machine has by default, however many are used.

        None for engines that make the batches themselves.
        """
        if self.spec.engine != "torch":
            return None
        return BlockPartitioner(self.gpu_count or self._thread_count, self.translator.config.beam_size)

    def output_format(self, *, jsonl: bool = False) -> OutputFormat:
        """The format of the output; UserError for alignments of several candidates as text."""
        if jsonl:
            return "jsonl"
        if self.translator.config.n_best > 1:
            if self.spec.align:
                raise UserError("--alignments: with n_best above 1 only in --jsonl")
            return "candidates"
        return "alignments" if self.spec.align else "text"

    def translate(
        self,
        stream: BinaryIO,
        prefix_path: Path | None = None,
        *,
        assume_long_input: bool = False,
        skipped_lines: int = 0,
        before_waiting: Callable[[], None] = lambda: None,
    ) -> Iterator[TranslatedLine]:
        """Translate lines in their order, each block of them as soon as it has arrived.

        `prefix_path` is a file with the beginning of each translation; DataError where it has more or fewer lines than
        the input, after all lines that have one, or where a line is not as `spec.strict` demands.
        `assume_long_input`: the stream is long, though its size cannot be determined. `skipped_lines`: how many lines
        stand before the first one, which count. `before_waiting` is called when all lines that are translated have been
        taken. WorkerError where a block of lines has killed two workers.
        """
        blocks = BlockReader(
            stream, self.partitioner, prefix_path, strict=self.spec.strict, skipped_lines=skipped_lines
        )
        is_short_input = (
            self.requested_processes is None
            and not assume_long_input
            and available_bytes(stream) < MIN_PARALLEL_INPUT_BYTES
        )
        if is_short_input or self.max_processes == 1:
            translated_lines = translate_blocks(self.translator, blocks, before_waiting)
        else:
            translated_lines = self._translate_in_workers(blocks, before_waiting)
        for translated in translated_lines:
            if self.spec.abstention is not None:
                translated = self.spec.abstention.apply(translated)
            yield self._mark_unfamiliar(translated)

    def _mark_unfamiliar(self, translated: TranslatedLine) -> TranslatedLine:
        """The line with its unknown words, of what is translated of it, and with the signs that it is unfamiliar."""
        translation = translated.translation
        unknown, share = [], 0.0
        if self.known_words:
            text = " ".join(self.translator.planner.translated_texts(translated.line.text))
            unknown = unknown_words(text, self.known_words)
            share = unknown_share(text, self.known_words) if unknown else 0.0
        signs = self.translator.limits.signs(share, translation.unknown_tokens, translation.token_probability)
        return replace(translated, unknown_words=unknown, unfamiliar=signs) if unknown or signs else translated

    def _translate_in_workers(
        self, blocks: BlockReader, before_waiting: Callable[[], None]
    ) -> Iterator[TranslatedLine]:
        with self._start_workers() as workers:
            yield from translate_in_order(workers, blocks, before_waiting)

    def _start_workers(self) -> Workers:
        warn = self.reporter.warning
        if not self.gpu_count and is_single_threaded():
            translator = self.translator
            return WorkerPool(self.max_processes, lambda _: _block_translator(translator), str, warn, fork=True)
        open_worker: WorkFactory = partial(_open_worker, self.spec, self.gpu_count)
        return WorkerPool(self.max_processes, open_worker, str, warn, fork=False)


def translate_blocks(
    translator: Translator, blocks: BlockReader, before_waiting: Callable[[], None] = lambda: None
) -> Iterator[TranslatedLine]:
    """Translate blocks in order, as many at a time as the engine can use, each as soon as it has arrived.

    So an engine with threads of its own has work while lines are tokenized, searched again or joined.
    """
    limit = translator.engine.concurrent_searches
    pool = ThreadPoolExecutor(limit) if limit > 1 else None
    started: deque[tuple[LineBlock, Callable[[], list[Translation]]]] = deque()
    is_done = False
    try:
        while True:
            block = blocks.next_ready_block(wait=not started) if len(started) < limit else None
            if block is not None:
                translate = partial(translator.translate, block.texts, block.prefixes)
                started.append((block, translate if pool is None else pool.submit(translate).result))
                continue
            if not started:
                break
            block, finish = started.popleft()
            before_waiting()
            for line, translation in zip(block.lines, finish(), strict=True):
                yield _checked(line, translation, strict=blocks.strict)
        is_done = True
    finally:
        if pool is not None:
            pool.shutdown(wait=is_done, cancel_futures=True)  # after an error nobody waits for what goes on
    blocks.raise_error()


def translate_in_order(
    workers: Workers, blocks: BlockReader, before_waiting: Callable[[], None] = lambda: None
) -> Iterator[TranslatedLine]:
    """Translate the blocks in workers; each line in order, as soon as it and all lines before it are done.

    At most MAX_TASKS_PER_WORKER blocks per worker are held.
    """
    reader = blocks.lines
    pending: dict[int, LineBlock] = {}
    submitted_count = yielded_count = 0
    while True:
        while yielded_count in workers.results:
            translations = workers.results.pop(yielded_count)
            for line, translation in zip(pending.pop(yielded_count).lines, translations, strict=True):
                yield _checked(line, translation, strict=blocks.strict)
            yielded_count += 1
        can_submit = workers.idle_count and submitted_count - yielded_count < MAX_TASKS_PER_WORKER * len(workers)
        if blocks.finished:
            if yielded_count == submitted_count:
                break
            before_waiting()
            workers.wait_for_results()
        elif can_submit and len(reader):
            if len(reader) < blocks.lookahead_lines and _read_or_collect(workers, blocks, timeout=0):
                continue  # more has arrived
            block = blocks.next_block()
            if block is not None:
                pending[submitted_count] = block
                workers.submit(submitted_count, block)
                submitted_count += 1
        else:
            before_waiting()
            _read_or_collect(workers, blocks, timeout=None)
    blocks.raise_error()


def _read_or_collect(workers: Workers, blocks: BlockReader, timeout: float | None) -> bool:
    """Wait for input or a result, at most `timeout` seconds; whether input has arrived."""
    reader = blocks.lines
    if not reader.should_read:
        workers.wait_for_results(timeout=timeout)
        return False
    if reader.can_be_awaited:
        is_readable = workers.wait_for_results([reader.fd], timeout)
    else:  # results first: reading may take long
        are_idle = workers.idle_count == len(workers)
        is_readable = reader.readable(timeout if are_idle else 0)
        if not is_readable and not are_idle:
            workers.wait_for_results(timeout=timeout)
    if is_readable:
        reader.read()
    return is_readable


def _checked(line: InputLine, translation: Translation, *, strict: bool) -> TranslatedLine:
    """The translated line; DataError where it was not read whole and `strict` forbids that."""
    if strict and translation.truncated_tokens:
        raise DataError(f"line {line.number}: longer than the model reads (--strict)")
    return TranslatedLine(line, translation)


def _block_translator(translator: Translator) -> Callable[[LineBlock], list[Translation]]:
    """The work of a worker, which has one thread."""
    import torch

    torch.set_num_threads(1)
    return lambda block: translator.translate(block.texts, block.prefixes)


def _open_worker(spec: TranslatorSpec, gpu_count: int, worker_index: int) -> Callable[[LineBlock], list[Translation]]:
    """The work of a spawned worker: on the GPUs in turn, or with one thread."""
    import torch

    torch.set_num_threads(1)
    device = f"cuda:{worker_index % gpu_count}" if gpu_count > 1 else spec.device
    return _block_translator(replace(spec, device=device).open(Reporter(quiet=True)))


def _count_gpus(device: str) -> int:
    """GPUs that may be used: all, or the one that is named; 0 on a CPU."""
    import torch

    from nmt_cli.device import find_device

    if find_device(device).type != "cuda":
        return 0
    return torch.cuda.device_count() if device in ("auto", "cuda") else 1


@contextmanager
def _threads_disabled() -> Iterator[int]:
    """Keep PyTorch and the tokenizers from starting threads, since a process with threads must not be forked.

    Yields the number of threads that PyTorch uses otherwise.
    """
    import torch

    from nmt_cli.device import limit_threads

    limit_threads()
    thread_count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with environment_variable(TOKENIZERS_PARALLELISM_VARIABLE, "false"):
            yield thread_count
    finally:
        torch.set_num_threads(thread_count)
