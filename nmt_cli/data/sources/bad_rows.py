"""Rows of a text that cannot be used: dropped, counted by kind, the first of each kind kept."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nmt_cli.data.sources.files import read_lines
from nmt_cli.errors import DataError, pluralize

MAX_BAD_ROWS, MAX_BAD_ROW_FRACTION = 10, 0.01  # the larger of them is allowed
MAX_SHOWN_CHARS = 120
HEADER = "header"  # the kind of a first row that names columns
QUOTED = "cells in quotes"  # the kind of a row that is read with `quotes: true` only
CONVERSION = "save it as UTF-8, or iconv -f CP1252 -t UTF-8 FILE > NEW converts Western European text"
ADVICE = {HEADER: "header: true in its entry says that there is one", QUOTED: "quotes: true in its entry reads them"}


@dataclass
class BadRows:
    """The rows of one text that cannot be used: how many of each kind, and the first of each kind."""

    max_fraction: float = MAX_BAD_ROW_FRACTION
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    harmless: Counter[str] = field(default_factory=Counter)
    """Of `counts`, what says nothing against the text, such as its header."""
    last_line_number: int = 0
    """The last line that was read, where the text is in rows; a bad one or a blank one counts, too."""
    has_header: bool = False
    """Whether the first row was taken as one that names columns."""

    def add(self, kind: str, label: object, line_number: int, text: bytes = b"", *, is_harmless: bool = False) -> None:
        """Count a row, and keep it as an example if it is the first of its kind."""
        self.counts[kind] += 1
        self.harmless[kind] += is_harmless
        if kind not in self.examples:
            shown = " ".join(text[: 4 * MAX_SHOWN_CHARS].decode(errors="replace").replace("\t", " ⇥ ").split())
            shown = shown if len(shown) <= MAX_SHOWN_CHARS else shown[:MAX_SHOWN_CHARS] + "…"
            self.examples[kind] = f"{label}:{line_number}" + (f": {shown}" if shown else "")

    def check(self, label: object, row_count: int, advice: str) -> None:
        """DataError with the first of each kind if too many of so many rows cannot be used."""
        bad_counts = self.counts - self.harmless
        if not is_too_many(bad_counts.total(), row_count, self.max_fraction):
            return
        kinds = "; ".join(
            f"{count:,} {kind} ({self.examples[kind]})" + (f": {ADVICE[kind]}" if kind in ADVICE else "")
            for kind, count in bad_counts.items()
        )
        raise DataError(
            f"{label}: {bad_counts.total():,} of {row_count:,} rows cannot be used: {kinds}; {advice}, "
            f"corpus.max_bad_rows (now {self.max_fraction:g}) allows a larger share"
        )


def is_too_many(count: int, total: int, max_fraction: float) -> bool:
    """Whether so many bad ones of `total` are more than a corpus may have."""
    return count > max(MAX_BAD_ROWS, max_fraction * total)


def other_encoding(label: str, files: Sequence[Path], count: int, total: int) -> str:
    """What to say of a text with too many pairs that are not UTF-8; of one in two files, that it is in these."""
    wrong_files = [path.name for path in files if not _is_utf8(path)] if len(files) > 1 else []
    name = " and ".join(dict.fromkeys(wrong_files)) or label
    return (
        f"{name}: {count:,} of {total:,} pairs are not UTF-8: the text is in another encoding, as files from Excel"
        f" often are; {CONVERSION}; corpus.max_bad_rows allows a larger share"
    )


def _is_utf8(path: Path) -> bool:
    try:
        for line in read_lines(path):
            line.decode()
    except UnicodeDecodeError:
        return False
    except DataError:  # a format that is not read in lines
        return True
    return True


def dropped_rows(kind: str, count: int, example: str) -> str:
    """What was dropped, for a message."""
    advice = f"; {ADVICE[kind]}" if kind in ADVICE else ""
    return f"{pluralize(count, 'row')} dropped: {kind}, as in {example}{advice}"
