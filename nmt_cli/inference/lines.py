"""Reading lines of text as they arrive, and cutting them into the blocks that are translated together.

Nothing here starts a thread, since a process with several threads must not be forked; a caller that waits for
something else too asks `LineReader.readable` whether there is more to read.
"""

import io
import os
import re
import select
import stat
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from nmt_cli.data.sources.files import BOM, decoded_lines, read_lines, reject_wide_encodings
from nmt_cli.errors import DataError

LINE_BREAKS = "\n\r\u2028\u2029"
SURROGATES_REPLACED = "half a surrogate pair was replaced by U+FFFD"
_SURROGATE = re.compile("[\ud800-\udfff]")
MAX_LINES_PER_READ = 4096  # lines per block where no partitioner decides
FIRST_BLOCK_LINES = 256  # lines of the first one; each is twice as long as the last, so that work begins at once
READ_SIZE_BYTES = 1 << 16  # bytes read at a time
MAX_BLOCK_BYTES = 1 << 18  # bytes of the lines of one block
MAX_BUFFERED_BYTES = 1 << 20  # bytes buffered before reading pauses, unless they are all one line
MAX_BLOCK_LINES = 1024  # lines per block: enough to sort by length
MIN_PARALLEL_INPUT_BYTES = 8 << 10  # bytes waiting at the start that make several processes worthwhile
MIN_BLOCK_HYPOTHESES = 384  # hypotheses that a block should start with; smaller blocks are less efficient


@dataclass(frozen=True)
class InputLine:
    """A decoded line of input."""

    number: int  # from 1
    text: str
    invalid_utf8: bool  # bytes that are not UTF-8 were replaced by U+FFFD
    ending: str = ""  # of a line that ends with CR LF, the CR


class LineReader:
    """A buffer of the lines of a stream that have arrived and have not been taken yet."""

    def __init__(self, stream: BinaryIO, skipped_lines: int = 0) -> None:
        """`skipped_lines` stand before the stream, which then has no beginning of a text, and are counted."""
        self.stream = stream
        try:
            self.fd: int | None = stream.fileno()
        except (io.UnsupportedOperation, AttributeError):  # bytes in memory
            self.fd = None
        self.can_be_awaited = self.fd is not None and _can_select(self.fd)
        """Whether the system can tell when there is more to read."""
        self.at_eof = False
        # To be raised once the lines before it have been taken: an error of the stream, or its encoding.
        self.error: OSError | DataError | None = None
        self._lines: deque[bytes] = deque()
        self._partial_line: list[bytes] = []  # of a line whose end has not arrived
        self._buffered_bytes = 0
        self._first_line_checked = skipped_lines > 0
        self.line_count = skipped_lines  # the number of the line that was taken last

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def should_read(self) -> bool:
        """Whether to read more: the stream has not ended, and the buffer is not full."""
        return not self.at_eof and (self._buffered_bytes < MAX_BUFFERED_BYTES or not self._lines)

    def readable(self, timeout: float | None = 0) -> bool:
        """Whether reading would not block, after waiting for that for at most `timeout` seconds; None: until then.

        Of what cannot be awaited: whether it is bytes in memory or a file; with None, reading itself waits.
        """
        if self.fd is None or not self.can_be_awaited:
            return self.fd is None or timeout is None or remaining_file_bytes(self.stream) is not None
        return bool(select.select([self.fd], [], [], timeout)[0])

    def fill(self, line_count: int, *, wait: bool = True) -> None:
        """Read until this many lines are buffered or no more have arrived; with `wait`, block for the first one."""
        while self.should_read and len(self) < line_count and ((wait and not len(self)) or self.readable()):
            self.read()

    def read(self) -> None:
        """Read what has arrived, blocking where nothing has; an error of the stream or UTF-16 in it ends it."""
        self._read_available()
        if self._lines and not self._first_line_checked:
            self._first_line_checked = True
            try:
                reject_wide_encodings(self._lines[0], "input", binary=False)
            except DataError as error:
                self._lines.clear()
                self.at_eof, self.error = True, error

    def _read_available(self) -> None:
        try:
            data = self._read_once()
        except BlockingIOError:  # who opened the stream made it non-blocking, and nothing has arrived
            self.readable(None)
            return self._read_available()
        except OSError as error:
            self.at_eof, self.error = True, error
            return
        if not data:
            self.at_eof = True
            last_line = b"".join(self._partial_line)
            self._lines.extend([last_line] if last_line else [])
            self._partial_line = []
            return
        self._buffered_bytes += len(data)
        line_end, *following_lines = data.split(b"\n")
        self._partial_line.append(line_end)
        if following_lines:
            self._lines.append(b"".join(self._partial_line))
            self._lines.extend(following_lines[:-1])
            self._partial_line = [following_lines[-1]]

    def _read_once(self) -> bytes:
        if self.fd is None:
            return self.stream.read(READ_SIZE_BYTES)
        if self.can_be_awaited:
            return os.read(self.fd, READ_SIZE_BYTES)
        stream: Any = self.stream  # of a console of Windows, Python's stream gives UTF-8
        return bytes(getattr(stream, "read1", stream.read)(READ_SIZE_BYTES))

    def take(self, max_lines: int) -> list[InputLine]:
        """The next lines, at most `max_lines`, and at most MAX_BLOCK_BYTES of them unless it is a single one."""
        lines: list[InputLine] = []
        byte_count = 0
        while self._lines and len(lines) < max_lines:
            byte_count += len(self._lines[0]) + 1
            if lines and byte_count > MAX_BLOCK_BYTES:
                break
            raw = self._lines.popleft()
            self._buffered_bytes -= len(raw) + 1
            self.line_count += 1
            lines.append(decode_line(raw, self.line_count))
        return lines


def _can_select(fd: int) -> bool:
    try:
        select.select([fd], [], [], 0)
    except (OSError, ValueError):  # on Windows it knows sockets alone
        return False
    return True


def decode_line(raw: bytes, number: int) -> InputLine:
    """A line without its end; a byte order mark at the very beginning of the input is dropped."""
    raw = raw.removesuffix(b"\n")
    if number == 1:
        raw = raw.removeprefix(BOM)
    text = raw.removesuffix(b"\r")
    ending = "\r" if text != raw else ""
    try:
        return InputLine(number, text.decode(), False, ending)
    except UnicodeDecodeError:
        return InputLine(number, text.decode(errors="replace"), True, ending)


def read_blocks(stream: BinaryIO, max_lines: int = MAX_LINES_PER_READ) -> Iterator[list[InputLine]]:
    """Lists of at most `max_lines` lines that have arrived, blocking only for the first line of each list."""
    reader = LineReader(stream)
    while True:
        reader.fill(max_lines)
        if not len(reader):
            break
        yield reader.take(max_lines)
    if reader.error is not None:
        raise reader.error


class BlockPartitioner:
    """How an input is cut into blocks for `worker_count` workers, with `beam_size` hypotheses per line.

    In bfloat16 the numerical results of a line depend on the batch it is in. So the cut depends only on the lines
    and on the machine, never on the number of processes or on which of them is idle; training translates the test
    text in the same blocks as `nmt translate`.
    """

    def __init__(self, worker_count: int, beam_size: int) -> None:
        self.worker_count, self.min_efficient_lines = (worker_count, -(-MIN_BLOCK_HYPOTHESES // beam_size))
        self.lookahead_lines = MAX_BLOCK_LINES * worker_count  # lines to buffer, if available, before a block is cut
        self._final_sizes: list[int] = []  # sizes of the last blocks, once decided

    def next_block_size(self, available_lines: int) -> int:
        """Lines of the next block, where `available_lines` (at most `lookahead_lines`) are buffered.

        A block is one worker's share of them, so blocks become smaller towards the end and all workers finish
        together. What remains for a few blocks of efficient size is divided evenly.
        """
        if not self._final_sizes and round(available_lines / self.min_efficient_lines) >= 2 * self.worker_count:
            return max(-(-available_lines // self.worker_count), self.min_efficient_lines)
        if not self._final_sizes:
            boundaries = [available_lines * worker // self.worker_count for worker in range(self.worker_count + 1)]
            self._final_sizes = [end - start for start, end in pairwise(boundaries) if end > start]
        return min(available_lines, self._final_sizes.pop())


class LineBlock(NamedTuple):
    """Neighbouring lines that are translated together."""

    lines: list[InputLine]
    prefixes: list[str] | None = None  # of the lines' translations

    @property
    def texts(self) -> list[str]:
        """The text of each line."""
        return [line.text for line in self.lines]

    def __str__(self) -> str:
        first, last = self.lines[0].number, self.lines[-1].number
        return f"line {last}" if first == last else f"lines {first} to {last}"


class BlockReader:
    """The blocks of a stream, with the prefixes of their lines from a file; None as partitioner: whatever has arrived.

    Where the input must not be translated any further, reading ends early and `error` says why: the stream could
    not be read or is UTF-16, the prefix file cannot be read or has more or fewer lines than the input, or, with
    `strict`, a line is not UTF-8. `skipped_lines` stand before the stream and are counted.
    """

    def __init__(
        self,
        stream: BinaryIO,
        partitioner: BlockPartitioner | None = None,
        prefix_path: Path | None = None,
        *,
        strict: bool = False,
        skipped_lines: int = 0,
    ) -> None:
        self.lines = LineReader(stream, skipped_lines)
        self.partitioner, self.prefix_path, self.strict = partitioner, prefix_path, strict
        self.lookahead_lines = MAX_LINES_PER_READ if partitioner is None else partitioner.lookahead_lines
        self._prefixes = None if prefix_path is None else decoded_lines(read_lines(prefix_path), prefix_path)
        self._error: DataError | None = None
        self.block_lines = FIRST_BLOCK_LINES  # of the next block, where no partitioner decides

    def __iter__(self) -> Iterator[LineBlock]:
        """All blocks, waiting for input; the error, if any, is raised after the last one."""
        while (block := self.next_ready_block(wait=True)) is not None:
            yield block
        self.raise_error()

    def next_ready_block(self, *, wait: bool) -> LineBlock | None:
        """A block of the lines that have arrived; None after the last one, or where nothing has and `wait` is off."""
        while not self.finished:
            self.lines.fill(self.lookahead_lines, wait=wait)
            block = self.next_block()
            if block is not None or not wait:
                return block
        return None

    @property
    def finished(self) -> bool:
        """Whether there are no further blocks."""
        return self._error is not None or (self.lines.at_eof and not len(self.lines))

    def next_block(self) -> LineBlock | None:
        """A block of the lines that have been read; None where none of them can be translated."""
        available = min(len(self.lines), self.lookahead_lines)
        if not available:
            return None
        if self.partitioner is None:
            lines = self.lines.take(min(available, self.block_lines))
            self.block_lines = min(2 * self.block_lines, MAX_LINES_PER_READ)
        else:
            lines = self.lines.take(self.partitioner.next_block_size(available))
        if self.strict:
            lines = self._valid_lines(lines)
        if self._prefixes is None:
            return LineBlock(lines) if lines else None
        prefixes = self._take_prefixes(self._prefixes, len(lines))
        lines = lines[: len(prefixes)]
        return LineBlock(lines, prefixes) if lines else None

    def _take_prefixes(self, available: Iterator[str], count: int) -> list[str]:
        """The next prefixes; fewer than `count` where the file ends before, or cannot be read any further."""
        prefixes: list[str] = []
        try:
            for prefix in islice(available, count):
                prefixes.append(prefix)
        except DataError as error:
            self._error = error
        else:
            if len(prefixes) < count:
                self._error = DataError(f"{self.prefix_path}: fewer lines than the input")
        return prefixes

    def _valid_lines(self, lines: list[InputLine]) -> list[InputLine]:
        """The lines before the first that is not UTF-8."""
        for index, line in enumerate(lines):
            if line.invalid_utf8:
                self._error = DataError(f"line {line.number}: not UTF-8 text (--strict)")
                return lines[:index]
        return lines

    def raise_error(self) -> None:
        """Raise what ended the input before its time, if anything; to be called after the last block."""
        error = self._error or self.lines.error
        if error is None and self._prefixes is not None and next(self._prefixes, None) is not None:
            line_count = self.lines.line_count
            error = DataError(f"{self.prefix_path}: more lines than the input, which has {line_count:,}")
        if error is not None:
            raise error


def remaining_file_bytes(stream: BinaryIO) -> int | None:
    """Bytes of a file from here to its end; None where the stream is no file."""
    try:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            return None
        return status.st_size - os.lseek(stream.fileno(), 0, os.SEEK_CUR)
    except (OSError, ValueError, AttributeError):
        return None


def available_bytes(stream: BinaryIO) -> int:
    """Bytes that can be read without waiting: the rest of a file, what a pipe holds; 0 where unknown."""
    file_bytes = remaining_file_bytes(stream)
    if file_bytes is not None:
        return file_bytes
    try:
        import fcntl  # not on every system
        import termios

        reply = fcntl.ioctl(stream.fileno(), termios.FIONREAD, struct.pack("i", 0))
    except (ImportError, OSError, ValueError, AttributeError):
        return 0
    return int(struct.unpack("i", reply)[0])


def to_single_line(text: str) -> str:
    """Line feeds, which byte tokens can spell, become spaces: one line in, one line out."""
    return text.replace("\n", " ")


def replace_surrogates(text: str) -> str:
    """The text without halves of surrogate pairs, which strings and JSON can hold and UTF-8 cannot."""
    return _SURROGATE.sub("\ufffd", text)


def list_of_lines(lines: Iterable[str], label: str) -> list[str]:
    """The lines of any iterable, such as an open file; DataError, which begins with `label`, for anything else."""
    if isinstance(lines, Iterable) and not isinstance(lines, str):
        listed = list(lines)
        if all(isinstance(line, str) for line in listed):
            return listed
    raise DataError(f"{label}: needs a list of lines, each a text")
