"""Lines into pairs: two files, TSV, JSON lines. What cannot be used is dropped, counted by kind, and shown once."""

import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from nmt_cli.data.language_codes import base_code, normal_code
from nmt_cli.data.sources.bad_rows import HEADER, QUOTED, BadRows
from nmt_cli.data.sources.base import Languages, RawPair
from nmt_cli.data.sources.files import read_lines
from nmt_cli.errors import DataError, pluralize

HEADER_WORDS = re.compile(
    "(source|target|src|tgt|trg|text|translation|reference)([ _-]?(text|sentence|segment|lang|language))?|sentence[12]"
    "|arabic|chinese|czech|danish|dutch|english|estonian|finnish|french|german|greek|hebrew|hindi|hungarian|italian"
    "|japanese|korean|latvian|lithuanian|norwegian|persian|polish|portuguese|romanian|russian|slovak|spanish|swedish"
    "|turkish|ukrainian|vietnamese"
)
# a cell in quotes, what stands between them and the next tab (nothing, as a rule), or else a cell without quotes
CELL_PATTERN = re.compile(rb'"([^"]*+(?:""[^"]*+)*+)(?:"([^\t]*)|\Z)|[^\t]*')
MAX_ROW_LINES = 100  # of a row whose cells in quotes hold line ends
UNCLOSED_QUOTE = "unclosed quote"

Columns = Sequence[int | str]
NumberedLines = Iterator[tuple[int, bytes]]


def pair_lines(
    source_lines: Iterator[bytes], target_lines: Iterator[bytes], labels: tuple[object, object]
) -> Iterator[RawPair]:
    """Line i of one text with line i of the other; DataError if one has more lines, a blank last line apart."""
    for number, (source, target) in enumerate(zip_longest(source_lines, target_lines), 1):
        if source is None or target is None:
            longer_lines, first_left = (target_lines, target) if source is None else (source_lines, source)
            left_count = sum(1 for _ in longer_lines) + 1
            if left_count == 1 and not (first_left or b"").strip():
                return
            counts = [number - 1, number - 1]
            counts[source is None] += left_count
            raise DataError(
                f"{labels[0]} has {pluralize(counts[0], 'line')} and {labels[1]} has {counts[1]:,}: "
                "line i of one must be the translation of line i of the other"
            )
        yield RawPair(source, target, number)


def read_two_files(source: Path, target: Path) -> Iterator[RawPair]:
    """Pairs of lines; DataError if one file has more lines than the other."""
    return pair_lines(read_lines(source), read_lines(target), (source, target))


def read_tsv(
    path: Path,
    bad_rows: BadRows,
    languages: Languages,
    *,
    columns: Columns | None = None,
    header: bool | None = None,
    quotes: bool = False,
) -> Iterator[RawPair]:
    """Pairs from two tab-separated columns.

    `columns` are their numbers from 1, or their names in a header; without them a row must have two columns. Without
    `header`, a first row is dropped that looks like one. DataError if the header lacks a name, or if there are too many
    bad rows.
    """
    has_names = columns is not None and isinstance(columns[0], str)
    indices = (0,) if has_names else tuple(int(column) - 1 for column in columns or (1, 2))

    def problem_of(cells: list[bytes]) -> str | None:
        return _row_problem(cells, indices, takes_all=columns is None)

    rows = _quoted_rows(path, bad_rows, problem_of) if quotes else _plain_rows(path, bad_rows)
    if columns is not None and has_names:
        _, header_cells = next(rows, (0, []))
        indices = _named_columns(path, columns, header_cells)
    elif header:
        next(rows, None)
    bad_rows.has_header = has_names or header is True
    row_count = 0
    for line_number, cells in rows:
        row_count += 1
        problem = problem_of(cells)
        if problem is None and not quotes and any(map(_is_quoted, cells)):
            problem = QUOTED
        if problem is not None:
            bad_rows.add(problem, path, line_number, b"\t".join(cells))
        elif row_count == 1 and header is None and _looks_like_header([cells[index] for index in indices], languages):
            bad_rows.has_header = True
            bad_rows.add(HEADER, path, line_number, b"\t".join(cells), is_harmless=True)
        else:
            yield RawPair(cells[indices[0]], cells[indices[1]], line_number)
    advice = "columns: [NUMBER, NUMBER] or [NAME, NAME] chooses columns"
    if ".csv" in (suffix.lower() for suffix in path.suffixes):
        advice = "columns must be separated by tabs, not by commas: save the table as tab-separated text"
    bad_rows.check(path, row_count + bad_rows.counts["blank"] + bad_rows.counts[UNCLOSED_QUOTE], advice)


def _row_problem(cells: list[bytes], indices: tuple[int, ...], *, takes_all: bool) -> str | None:
    """Why a row cannot be used, if so."""
    if len(cells) == 1:
        return "no tab"
    if len(cells) <= max(indices):
        return "too few columns"
    if takes_all and any(cell.strip() for cell in cells[2:]):
        return "more than two columns"
    return None


def _is_quoted(cell: bytes) -> bool:
    """Whether a cell is surely in quotes as spreadsheets write them: those inside are doubled."""
    if not (cell[:1] == cell[-1:] == b'"'):
        return False
    unpaired = cell[1:-1].replace(b'""', b"")
    return len(unpaired) < len(cell) - 2 and b'"' not in unpaired


def _named_columns(path: Path, names: Columns, cells: list[bytes]) -> tuple[int, ...]:
    header = [cell.decode(errors="replace").strip() for cell in cells]
    lower_header = [name.casefold() for name in header]
    for name in names:
        if str(name).casefold() not in lower_header:
            raise DataError(f"{path}: columns: no column {name!r} in its header: {', '.join(header)[:200]}")
    return tuple(header.index(str(n)) if n in header else lower_header.index(str(n).casefold()) for n in names)


def _looks_like_header(cells: list[bytes], languages: Languages) -> bool:
    codes = {code for language in languages for code in (normal_code(language), base_code(language))}
    names = [normal_code(cell.decode(errors="replace").strip()) for cell in cells]
    return all(name in codes or HEADER_WORDS.fullmatch(name) is not None for name in names)


def _numbered_lines(path: Path, bad_rows: BadRows) -> NumberedLines:
    for line_number, line in enumerate(read_lines(path), 1):
        bad_rows.last_line_number = line_number
        yield line_number, line.removesuffix(b"\r")


def _without_blank_lines(lines: NumberedLines, path: Path, bad_rows: BadRows) -> NumberedLines:
    """The lines with their numbers; blank ones are bad rows, except at the end."""
    blank_numbers: list[int] = []
    for line_number, line in lines:
        if not line.strip(b" \r"):
            blank_numbers.append(line_number)
            continue
        for number in blank_numbers:
            bad_rows.add("blank", path, number)
        blank_numbers.clear()
        yield line_number, line


def _plain_rows(path: Path, bad_rows: BadRows) -> Iterator[tuple[int, list[bytes]]]:
    for line_number, line in _without_blank_lines(_numbered_lines(path, bad_rows), path, bad_rows):
        yield line_number, line.split(b"\t")


def _quoted_rows(
    path: Path, bad_rows: BadRows, problem_of: Callable[[list[bytes]], str | None]
) -> Iterator[tuple[int, list[bytes]]]:
    """Rows whose cells may be in quotes, with tabs, line ends and doubled quotes inside, as spreadsheets write them.

    A quote that is never closed costs its own line and no more.
    """
    lines = _joined_lines(_numbered_lines(path, bad_rows), problem_of)
    for line_number, line in _without_blank_lines(lines, path, bad_rows):
        cells = _quoted_cells(line)
        if cells is None:
            bad_rows.add(UNCLOSED_QUOTE, path, line_number, line)
        else:
            yield line_number, cells


def _joined_lines(lines: NumberedLines, problem_of: Callable[[list[bytes]], str | None]) -> NumberedLines:
    """The lines, those of one row joined, with the number of the first.

    Where the cells of the joined lines have a problem, it was a stray quote that joined them, and they stay apart.
    """
    ahead: deque[tuple[int, bytes]] = deque()
    while (numbered_line := ahead.popleft() if ahead else next(lines, None)) is not None:
        number, row = numbered_line
        if _quoted_cells(row) is None:
            ahead.extend(islice(lines, MAX_ROW_LINES - 1 - len(ahead)))
            following = [line for _, line in ahead]
            count = _continuation_count(following)
            joined = b"\n".join([row, *following[:count]])
            cells = _quoted_cells(joined)
            if cells is not None and problem_of(cells) is None:
                row = joined
                for _ in range(count):
                    ahead.popleft()
        yield number, row


def _continuation_count(lines: Iterable[bytes]) -> int:
    """How many lines continue a row with an open quote; 0 if it is not closed there, or inside a cell."""
    for count, line in enumerate(lines, 1):
        continuation = b'"' + line
        cell = CELL_PATTERN.match(continuation)
        if cell is not None and cell[2]:
            return 0
        if _quoted_cells(continuation) is not None:
            return count
    return 0


def _quoted_cells(row: bytes) -> list[bytes] | None:
    """The cells of a row, without their quotes; None if a quote is not closed."""
    cells = []
    position = 0
    while (cell := CELL_PATTERN.match(row, position)) is not None:
        quoted, rest = cell.groups()
        if quoted is None:
            cells.append(cell[0])
        elif rest is None:
            return None
        else:
            cells.append(quoted.replace(b'""', b'"') + rest)
        position = cell.end() + 1
        if position > len(row):
            break
    return cells


def read_jsonl(
    path: Path, bad_rows: BadRows, languages: Languages, *, columns: Columns | None = None
) -> Iterator[RawPair]:
    """Pairs from JSON objects with two languages as keys, or else "source" and "target".

    The object may also be the value of the key "translation". `columns` are other keys, with a dot between those of
    nested objects. As in the other readers, invalid UTF-8 is passed on unchanged. DataError for too many bad rows.
    """
    row_count = 0
    for line_number, line in _without_blank_lines(_numbered_lines(path, bad_rows), path, bad_rows):
        row_count += 1
        text, error_handler = _decode_json_line(line)
        try:
            item = json.loads(text)
        except (ValueError, RecursionError) as error:
            bad_rows.add("not JSON", path, line_number, f"{error} in ".encode() + line)
            continue
        texts = _chosen_values(item, columns) if columns else usual_values(item, languages)
        problem = value_problem(texts)
        if problem is None:
            source, target = (_encode_text(str(text), error_handler) for text in texts)
            yield RawPair(source, target, line_number)
        else:
            bad_rows.add(problem, path, line_number, line)
    needed = " and ".join(f'"{name}"' for name in columns or languages)
    alternative = "" if columns else ' (or "source" and "target")'
    advice = f"rows need the texts {needed}{alternative}; columns: [KEY, KEY] chooses other keys"
    bad_rows.check(path, row_count + bad_rows.counts["blank"], advice)


_MISSING = object()


def usual_values(item: Any, languages: Languages) -> list[Any]:
    """The values of the two languages, or else of "source" and "target", in a row or in its "translation"."""
    if isinstance(item, dict) and isinstance(item.get("translation"), dict):
        item = item["translation"]
    item = item if isinstance(item, dict) else {}
    keys = languages if any(language in item for language in languages) else ("source", "target")
    return [item.get(key, _MISSING) for key in keys]


def _chosen_values(item: Any, keys: Columns) -> list[Any]:
    values = []
    for key in map(str, keys):
        value = item
        for name in [key] if isinstance(item, dict) and key in item else key.split("."):
            value = value.get(name, _MISSING) if isinstance(value, dict) else _MISSING
        values.append(value)
    return values


def value_problem(values: list[Any]) -> str | None:
    """Why a row cannot be used, if so."""
    if any(value is _MISSING for value in values):
        return "missing key"
    if any(value is None for value in values):
        return "null"
    return None if all(isinstance(value, str) for value in values) else "not text"


def _decode_json_line(line: bytes) -> tuple[str, str]:
    """A decoded line, and the error handler with which `encode` restores its bytes."""
    try:
        return line.decode(), "surrogatepass"
    except UnicodeDecodeError:
        return line.decode("utf-8", "surrogateescape"), "surrogateescape"


def _encode_text(text: str, error_handler: str) -> bytes:
    try:
        return text.encode("utf-8", error_handler)
    except UnicodeEncodeError:  # an escaped lone surrogate
        return text.encode("utf-8", "surrogatepass")
