"""Translation of lines by several processes: blocks handed out, translations in order.

What crosses between processes is text and numbers in plain lists.
"""

import os
import stat
import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from nmt_cli.errors import DataError
from nmt_cli.inference.blocks import BlockPartitioner
from nmt_cli.inference.degeneration import Diagnosis
from nmt_cli.inference.lines import InputLine, NonblockingReader
from nmt_cli.inference.translation import Candidate, Translation
from nmt_cli.inference.translator import Translator
from nmt_cli.workers import MAX_TASKS_PER_WORKER, WorkerPool

TranslationTuple = tuple[list[tuple[Any, ...]], list[str], tuple[Any, ...] | None, int]
"""Of a line: candidates, warnings, the guard's verdict, and how many pieces were not read."""


class LineBlock(NamedTuple):
    """Neighbouring lines and, perhaps, the beginnings of their translations."""

    first_line: int  # line number, from 1
    texts: list[str]
    prefixes: list[str] | None


class BlockTranslator:
    """What a worker does with a block."""

    def __init__(self, translator: Translator) -> None:
        self.translator = translator

    def __call__(self, block: LineBlock) -> list[TranslationTuple]:
        """The translations of the block's lines, as plain values."""
        translations = self.translator.translate(block.texts, block.prefixes)
        return [_to_tuple(translation) for translation in translations]


def _to_tuple(translation: Translation) -> TranslationTuple:
    candidates = [
        (candidate.text, candidate.score, candidate.log_probability, candidate.alignment)
        for candidate in translation.candidates
    ]
    diagnosis = translation.diagnosis
    diagnosis_tuple = None if diagnosis is None else (diagnosis.issues, diagnosis.remaining_issues, diagnosis.replaced)
    return candidates, translation.warnings, diagnosis_tuple, translation.truncated_tokens


def _from_tuple(candidates: list[Any], warnings: list[str], diagnosis_tuple: Any, truncated_tokens: int) -> Translation:
    diagnosis = None if diagnosis_tuple is None else Diagnosis(*diagnosis_tuple)
    return Translation([Candidate(*fields) for fields in candidates], warnings, diagnosis, truncated_tokens)


def describe_block(block: LineBlock) -> str:
    """The lines of a block, for a message."""
    last_line = block.first_line + len(block.texts) - 1
    return f"line {last_line}" if last_line == block.first_line else f"lines {block.first_line} to {last_line}"


def available_bytes(stream: BinaryIO) -> int:
    """How much can be read at once: the rest of a file, what a pipe holds; 0 where unknown."""
    try:
        status = os.fstat(stream.fileno())
        if stat.S_ISREG(status.st_mode):
            return status.st_size - os.lseek(stream.fileno(), 0, os.SEEK_CUR)
        import fcntl  # not on every system
        import termios

        reply = fcntl.ioctl(stream.fileno(), termios.FIONREAD, struct.pack("i", 0))
    except (ImportError, OSError, ValueError, AttributeError):
        return 0
    return int(struct.unpack("i", reply)[0])


def translate_in_order(
    workers: WorkerPool[LineBlock, list[TranslationTuple]],
    stream: BinaryIO,
    prefixes: Iterator[str] | None,
    missing_prefixes_error: DataError,
    partitioner: BlockPartitioner,
) -> Iterator[tuple[InputLine, Translation]]:
    """Each line with its translation, in order, as soon as it and all before it are done.

    `starts` are the beginnings of the translations; where they are too few, `short` is raised after
    all lines that have one.
    At most `AHEAD` blocks a worker are held.
    """
    reader = NonblockingReader(stream)
    pending_blocks: dict[int, list[InputLine]] = {}
    next_submitted = next_yielded = 0
    prefixes_exhausted = False
    while True:
        while next_yielded in workers.results:
            results = workers.results.pop(next_yielded)
            for line, translation_tuple in zip(pending_blocks.pop(next_yielded), results, strict=True):
                yield line, _from_tuple(*translation_tuple)
            next_yielded += 1
        can_submit = workers.idle_count and next_submitted - next_yielded < MAX_TASKS_PER_WORKER * len(workers)
        if can_submit and len(reader) and not prefixes_exhausted:
            if len(reader) < partitioner.lookahead_lines and _read_or_collect(workers, reader, 0):
                continue  # more has arrived
            block = reader.pop_lines(partitioner.next_block_size(min(len(reader), partitioner.lookahead_lines)))
            block_prefixes = None if prefixes is None else list(islice(prefixes, len(block)))
            if block_prefixes is not None and len(block_prefixes) < len(block):
                block, prefixes_exhausted = block[: len(block_prefixes)], True
            if block:
                pending_blocks[next_submitted] = block
                workers.submit(
                    next_submitted,
                    LineBlock(block[0].number, [input_line.text for input_line in block], block_prefixes),
                )
                next_submitted += 1
        elif prefixes_exhausted and next_yielded == next_submitted:
            raise missing_prefixes_error
        elif prefixes_exhausted:
            workers.wait_for_results(timeout=None)
        elif reader.at_eof and not len(reader) and next_yielded == next_submitted:
            return
        else:
            _read_or_collect(workers, reader, None)


def _read_or_collect(
    workers: WorkerPool[LineBlock, list[TranslationTuple]], reader: NonblockingReader, timeout: float | None
) -> bool:
    """Wait for input or a result, at most `timeout` seconds; whether input came."""
    if not reader.should_read:
        workers.wait_for_results(timeout=timeout)
    elif reader.fd is None or workers.wait_for_results([reader.fd], timeout):
        reader.read()
        return True
    return False
