"""Readers of the formats in which public corpora are distributed.

The name of a file tells its format: .sgm and .xml have their text in <seg>, train.tags.* have lines of tags between
lines of text, and any other file has plain lines.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from nmt_cli.data.sources.files import read_lines

SEGMENT_PATTERN = re.compile(r"<seg\b[^>]*>(.*)</seg>", re.IGNORECASE)


def line_reader(name: str) -> Callable[[Path], Iterator[bytes]]:
    """The reader for a text of this name."""
    base_name = name.removesuffix(".gz").rpartition("/")[2]
    if base_name.endswith((".sgm", ".sgml", ".xml")):
        return read_segments
    return read_between_tags if base_name.startswith("train.tags.") else read_lines


def read_segments(path: Path) -> Iterator[bytes]:
    """The content of each <seg>, as sacreBLEU reads it: runs of spaces become one space, entities stay.

    These files are SGML or almost XML; XML parsers reject some of them.
    """
    for line in read_lines(path):
        match = SEGMENT_PATTERN.search(line.decode("utf-8", "surrogateescape"))
        if match:
            yield " ".join(match[1].split()).encode("utf-8", "surrogateescape")


def read_between_tags(path: Path) -> Iterator[bytes]:
    """Lines that do not begin with a tag: the talks of IWSLT without titles and keywords."""
    for line in read_lines(path):
        text = line.strip()
        if not text.startswith(b"<"):
            yield text
