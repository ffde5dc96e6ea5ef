"""Readers of the formats in which public corpora are distributed.

The name of a file tells its format: .sgm and .xml have their text in <seg>, train.tags.* have lines of tags between
lines of text, .tmx has both languages, and any other file has plain lines.
"""

import re
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, iterparse

from nmt_cli.data.sources.files import open_decompressed, read_lines
from nmt_cli.errors import DataError

SEGMENT_PATTERN = re.compile(r"<seg\b[^>]*>(.*)</seg>", re.IGNORECASE)
SPACES_PATTERN = re.compile(r"\s+")
LANGUAGE_ATTRIBUTES = ("{http://www.w3.org/XML/1998/namespace}lang", "lang")


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
            text = SPACES_PATTERN.sub(" ", match[1]).strip()
            yield text.encode("utf-8", "surrogateescape")


def read_between_tags(path: Path) -> Iterator[bytes]:
    """Lines that do not begin with a tag: the talks of IWSLT without titles and keywords."""
    for line in read_lines(path):
        text = line.strip()
        if not text.startswith(b"<"):
            yield text


def read_tmx(path: Path, first: str, second: str) -> Iterator[tuple[bytes, bytes]]:
    """Pairs of a translation memory (TMX 1.4) that have both languages; line feeds become spaces."""
    try:
        with open_decompressed(path) as file:
            for _, element in iterparse(file):
                if element.tag == "tu":
                    texts = dict(_unit_texts(element))
                    if first in texts and second in texts:
                        yield texts[first], texts[second]
                    element.clear()
    except ParseError as error:
        raise DataError(f"{path}: not TMX: {error}") from error


def _unit_texts(unit: Element) -> Iterator[tuple[str, bytes]]:
    for variant in unit.iter("tuv"):
        language = next((variant.get(key, "") for key in LANGUAGE_ATTRIBUTES if variant.get(key)), "")
        segment = variant.find("seg")
        if segment is not None:
            text = SPACES_PATTERN.sub(" ", "".join(segment.itertext())).strip()
            yield language.lower().partition("-")[0], text.encode()


def pair_lines(
    first_lines: Iterator[bytes], second_lines: Iterator[bytes], names: tuple[str, str]
) -> Iterator[tuple[bytes, bytes]]:
    """Line i of one text with line i of the other; DataError if one is shorter."""
    for number, (first_line, second_line) in enumerate(zip_longest(first_lines, second_lines), 1):
        if first_line is None or second_line is None:
            shorter = names[0 if first_line is None else 1]
            raise DataError(f"{shorter} ends after {number - 1:,} lines, before its other side")
        yield first_line, second_line
