"""Translation memories (TMX 1.4), read as a stream: memory does not depend on their size.

No document type is fetched, and a file that declares entities of its own is refused.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

from nmt_cli.data.known_words import SPACELESS_SCRIPTS
from nmt_cli.data.language_codes import normal_code
from nmt_cli.data.sources.bad_rows import CONVERSION, BadRows
from nmt_cli.data.sources.base import Languages, RawPair
from nmt_cli.data.sources.compression import open_decompressed
from nmt_cli.errors import DataError

CHUNK_BYTES = 1 << 16
MAX_CHARACTER_BYTES = 4  # in UTF-8
CODE_ELEMENTS = frozenset(("bpt", "ept", "it", "ph", "ut"))  # what they hold is markup of the original document
STANDALONE_ELEMENTS = frozenset(("it", "ph", "ut"))  # of these, what stands alone, as a line break does
REMOVED_CODE = "\0"  # what stands for such an element until the segment ends; XML has no such character
REMOVED_CODES_PATTERN = re.compile(f"{REMOVED_CODE}+")
WITHOUT_LANGUAGE = "without one of the languages"
ENTITY_KIND = "unknown entity"
SECOND_TEXT = "second text in a language"
ADVICE = {
    expat.errors.XML_ERROR_BAD_CHAR_REF: "; XML has no such character; this takes control characters out:"
    " sed -E 's/&#(0*([0-8]|1[124-9]|2[0-9]|3[01])|x0*([0-8bcefBCEF]|1[0-9a-fA-F]));//g' FILE > NEW",
    expat.errors.XML_ERROR_INCORRECT_ENCODING: "; where it was converted to UTF-8, this makes the declaration say so:"
    " sed -E '1s/encoding=[^ ?]+/encoding=\"UTF-8\"/' FILE > NEW",
}


def read_tmx(path: Path, bad_rows: BadRows, languages: Languages, *, keep_inline: bool = False) -> Iterator[RawPair]:
    """The pairs of the units that have both languages; line feeds become spaces.

    en-GB serves for en where a unit has no en itself; of several texts in a language the first is read. The codes that
    inline elements hold are dropped unless `keep_inline`, with a space in their place where words would join. DataError
    for what is not TMX, and where no unit has both languages.
    """
    reader = _TmxReader(path, bad_rows, languages, keep_inline)
    pair_count = 0
    try:
        with open_decompressed(path) as file:
            while chunk := file.read(CHUNK_BYTES):
                for pair in reader.feed(chunk):
                    pair_count += 1
                    yield pair
            yield from reader.feed(b"", is_last=True)
    except expat.ExpatError as error:
        raise DataError(f"{path}: not TMX: {error}{reader.advice(error)}") from error
    if reader.unit_count and not pair_count:
        counts = ", ".join(language for language, _ in reader.language_counts.most_common(20))
        raise DataError(
            f"{path}: no unit has both {languages.source} and {languages.target}; it has {counts or 'none'}"
        )
    bad_rows.check(path, reader.unit_count, f"units need a text in {languages.source} and in {languages.target}")


class _TmxReader:
    """Collects the pairs of a TMX file as its pieces are fed."""

    def __init__(self, path: Path, bad_rows: BadRows, languages: Languages, keep_inline: bool) -> None:
        self.path, self.bad_rows, self.keep_inline = path, bad_rows, keep_inline
        self.unit_count = 0
        self.language_counts: Counter[str] = Counter()
        self._own_codes = [normal_code(language) for language in languages]
        self._ranks: dict[str, list[int]] = {}  # by code in the file: for each side 2 if it is its code, 1 if it serves
        self._pairs: list[RawPair] = []
        self._texts: list[str | None] = [None, None]
        self._text_ranks = [0, 0]
        self._current_ranks = [0, 0]
        self._line_number = self._code_depth = 0
        self._segment: list[str] | None = None
        self._has_unknown_entity = False
        self._fed_bytes, self._recent = 0, b""
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.EntityDeclHandler = self._refuse_entity
        self._parser.SkippedEntityHandler = self._skip_entity

    def feed(self, chunk: bytes, *, is_last: bool = False) -> list[RawPair]:
        """The pairs that end in the next piece of the file."""
        self._fed_bytes, self._recent = self._fed_bytes + len(chunk), self._recent[-MAX_CHARACTER_BYTES:] + chunk
        self._parser.Parse(chunk, is_last)
        pairs, self._pairs = self._pairs, []
        return pairs

    def advice(self, error: expat.ExpatError) -> str:
        """What to do about what could not be parsed."""
        start = self._parser.ErrorByteIndex - self._fed_bytes + len(self._recent)
        if self._recent[start : start + MAX_CHARACTER_BYTES].decode(errors="replace").startswith("\ufffd"):
            return f"; that is not UTF-8: {CONVERSION}"
        return ADVICE.get(expat.errors.messages[error.code], "")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._segment is not None:
            if name in STANDALONE_ELEMENTS and not self._code_depth and not self.keep_inline:
                self._segment.append(REMOVED_CODE)
            self._code_depth += name in CODE_ELEMENTS or self._code_depth > 0
        elif name == "tu":
            self._texts, self._text_ranks = [None, None], [0, 0]
            self._has_unknown_entity = False
            self._line_number = self._parser.CurrentLineNumber
        elif name == "tuv":
            self._current_ranks = self._rank(attributes.get("xml:lang") or attributes.get("lang") or "")
        elif name == "seg" and any(self._current_ranks):
            self._segment, self._code_depth = [], 0

    def _end(self, name: str) -> None:
        if name == "seg" and self._segment is not None:
            text = REMOVED_CODES_PATTERN.sub(_gap, "".join(self._segment))
            self._segment = None
            self._add_text(" ".join(text.split()))
        elif self._segment is not None:
            self._code_depth -= self._code_depth > 0
        elif name == "tu":
            self._finish_unit()
        elif name == "tuv":
            self._current_ranks = [0, 0]

    def _characters(self, text: str) -> None:
        if self._segment is not None and (self.keep_inline or not self._code_depth):
            self._segment.append(text)

    def _add_text(self, text: str) -> None:
        for side, rank in enumerate(self._current_ranks):
            if rank > self._text_ranks[side]:
                self._texts[side], self._text_ranks[side] = text, rank
            elif rank and rank == self._text_ranks[side] and text != self._texts[side]:
                self.bad_rows.add(SECOND_TEXT, self.path, self._line_number, text.encode(), is_harmless=True)

    def _finish_unit(self) -> None:
        self.unit_count += 1
        source, target = self._texts
        if source is None or target is None:
            shown = (source or target or "").encode()
            self.bad_rows.add(WITHOUT_LANGUAGE, self.path, self._line_number, shown, is_harmless=True)
        elif self._has_unknown_entity:
            self.bad_rows.add(ENTITY_KIND, self.path, self._line_number, f"{source} ||| {target}".encode())
        else:
            self._pairs.append(RawPair(source.encode(), target.encode(), self._line_number))

    def _rank(self, code: str) -> list[int]:
        self.language_counts[code] += 1
        if code not in self._ranks:
            normal = normal_code(code)
            self._ranks[code] = [2 if normal == own else int(normal.startswith(f"{own}-")) for own in self._own_codes]
        return self._ranks[code]

    def _refuse_entity(self, name: str, *_: object) -> None:
        raise DataError(f"{self.path}: declares the entity {name[:40]}: refused; write its text where it is used")

    def _skip_entity(self, name: str, _: bool) -> None:
        self._has_unknown_entity = True


def _gap(removed_codes: re.Match[str]) -> str:
    """A space between letters or digits of scripts that have spaces, nothing elsewhere."""
    text, (start, end) = removed_codes.string, removed_codes.span()
    neighbours = text[max(start - 1, 0) : start] + text[end : end + 1]
    is_inside = len(neighbours) == 2 and all(unicodedata.category(character)[0] in "LMN" for character in neighbours)
    has_spaces = not any(SPACELESS_SCRIPTS.search(unicodedata.name(character, "")) for character in neighbours)
    return " " if is_inside and has_spaces else ""
