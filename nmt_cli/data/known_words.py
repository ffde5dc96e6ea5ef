"""The words of a training text, so that words that are not in it can be reported.

A word is a run of letters and marks, NFC-normalised and case-folded; the apostrophe of l'homme separates two. Numbers
are not words. Scripts without spaces (Chinese, Japanese, Thai, ...) have no words that can be told apart, so nothing is
reported about them.
"""

import re
import struct
import unicodedata
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import chain
from pathlib import Path

from nmt_cli.data.apostrophes import PUNCTUATION_APOSTROPHES
from nmt_cli.errors import DataError, error_reason
from nmt_cli.fs import read_text

MAX_FILE_BYTES = 1 << 20
MAX_REMEMBERED_TOKENS = 200_000  # tokens whose words were reported; a full cache is cleared
WORD_JOINERS = f"{PUNCTUATION_APOSTROPHES}״·‐‑\u00ad\u200c\u200d-"  # between letters they are inside a word
SPACELESS_SCRIPTS = re.compile(
    r"\b(CJK|IDEOGRAPH\w*|HIRAGANA|KATAKANA|BOPOMOFO|NUSHU|TANGUT|YI|THAI|LAO|KHMER|MYANMAR|TIBETAN"
    r"|JAVANESE|BALINESE|TAI)\b"
)  # in the names of letters
SPACELESS_MARK = "\0"  # stands for a letter of such a script


class _Letters(dict[int, int | str]):
    """Table for str.translate: letters and marks stay, all other characters become spaces."""

    def __missing__(self, code: int) -> int | str:
        character = chr(code)
        self[code] = code if unicodedata.category(character)[0] in "LM" else " "
        return self[code]


class _ComparedLetters(_Letters):
    """The same table, with SPACELESS_MARK in place of letters of scripts without spaces."""

    def __missing__(self, code: int) -> int | str:
        replacement = super().__missing__(code)
        if replacement == code and SPACELESS_SCRIPTS.search(unicodedata.name(chr(code), "")):
            self[code] = SPACELESS_MARK
        return self[code]


_COMPARISON_TABLE = _ComparedLetters()
_DISPLAY_TABLE = _Letters({ord(character): character for character in WORD_JOINERS})
_WORD_PATTERN = re.compile(f"[^ {WORD_JOINERS}]+(?:[{WORD_JOINERS}][^ {WORD_JOINERS}]+)*")


def normalized_words(text: str) -> list[str]:
    """The words of a text as they are compared, in order, with repetitions."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    runs = [run for run in folded.translate(_COMPARISON_TABLE).split() if SPACELESS_MARK not in run]
    return [word for word in map(_strip_leading_marks, runs) if word]


def _strip_leading_marks(run: str) -> str:
    """The run without leading marks, which belong to the character before it."""
    while run and not run[0].isalpha():
        run = run[1:]
    return run


class WordSet:
    """The words of a text; a word that is not in it was certainly not in the text.

    It is a list as long as that takes at most MAX_FILE_BYTES, then a Bloom filter (Bloom 1970) of that size, which also
    contains some words that were not in the text.
    """

    def __init__(self, words: Iterable[str] = ()) -> None:
        self._words: set[str] = set()
        self._byte_count = 0  # bytes that they take, a line feed behind each
        self._bloom_filter: _BloomFilter | None = None
        self.add(words)

    def __contains__(self, word: str) -> bool:
        return word in self._words if self._bloom_filter is None else word in self._bloom_filter

    def add(self, words: Iterable[str]) -> None:
        """Add words as `normalized_words` gives them, in any order."""
        for word in words:
            if self._bloom_filter is not None:
                self._bloom_filter.add(word)
            elif word not in self._words:
                self._words.add(word)
                self._byte_count += len(word.encode()) + 1
                if self._byte_count > MAX_FILE_BYTES:
                    self._convert_to_bloom_filter()

    def _convert_to_bloom_filter(self) -> "_BloomFilter":
        if self._bloom_filter is None:
            self._bloom_filter = _BloomFilter(bytes(MAX_FILE_BYTES))
            self.add(self._words)
            self._words = set()
        return self._bloom_filter

    def union(self, other: "WordSet") -> "WordSet":
        """The words of both texts."""
        merged = WordSet(chain(self._words, other._words))
        for bloom_filter in (self._bloom_filter, other._bloom_filter):
            if bloom_filter is not None:
                merged._convert_to_bloom_filter().update(bloom_filter)
        return merged

    def save(self, folder: Path) -> None:
        """Write words.source.txt, one word per line, or words.source.bloom, and delete the other."""
        for path in _file_paths(folder):
            path.unlink(missing_ok=True)
        list_path, bloom_path = _file_paths(folder)
        if self._bloom_filter is None:
            list_path.write_bytes("".join(f"{word}\n" for word in sorted(self._words)).encode())
        else:
            bloom_path.write_bytes(self._bloom_filter.bits)

    @classmethod
    def load(cls, folder: Path) -> "WordSet | None":
        """Read what `save` wrote; None if there is nothing, DataError if it is damaged."""
        path = next(iter(word_files(folder)), None)
        if path is None:
            return None
        try:
            if path.suffix == ".txt":
                return cls(read_text(path, MAX_FILE_BYTES).split("\n")[:-1])
            with open(path, "rb") as file:
                bits = file.read(MAX_FILE_BYTES + 1)
            if len(bits) != MAX_FILE_BYTES:
                raise ValueError(f"not {MAX_FILE_BYTES:,} bytes")
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: damaged: {error_reason(error)}; delete it to do without") from error
        words = cls()
        words._bloom_filter = _BloomFilter(bits)
        return words


class _BloomFilter:
    """A Bloom filter: contains every word that was added, and some others.

    With three bits per word, it contains 2 % of all other words after 900,000 words, and 29 % after 3,000,000.
    """

    def __init__(self, bits: bytes) -> None:
        self.bits = bytearray(bits)

    def __contains__(self, word: str) -> bool:
        return all(self.bits[bit >> 3] & 1 << (bit & 7) for bit in self._bit_indices(word))

    def add(self, word: str) -> None:
        for bit in self._bit_indices(word):
            self.bits[bit >> 3] |= 1 << (bit & 7)

    def update(self, other: "_BloomFilter") -> None:
        bits = int.from_bytes(self.bits, "little") | int.from_bytes(other.bits, "little")
        self.bits = bytearray(bits.to_bytes(MAX_FILE_BYTES, "little"))

    def _bit_indices(self, word: str) -> list[int]:
        digest = blake2b(word.encode(), digest_size=12).digest()
        return [number % (8 * MAX_FILE_BYTES) for number in struct.unpack("<3I", digest)]


class NewWordCollector:
    """The words of successive blocks of lines, each reported once or, rarely, again."""

    def __init__(self, max_remembered: int = MAX_REMEMBERED_TOKENS) -> None:
        self.max_remembered = max_remembered
        self._seen_tokens: set[str] = set()

    def __call__(self, lines: Iterable[str]) -> list[str]:
        """Words of these lines, as `normalized_words` gives them."""
        new_tokens = set(chain.from_iterable(map(str.split, lines))) - self._seen_tokens
        if len(self._seen_tokens) > self.max_remembered:
            self._seen_tokens = set()
        self._seen_tokens |= new_tokens
        return list(set(normalized_words(" ".join(new_tokens))))


def unknown_words(line: str, word_sets: Sequence[WordSet]) -> list[str]:
    """The words of a line that none of the texts had, as they are spelled in it, each once.

    A word with a hyphen or an apostrophe inside is unknown if one of its parts is.
    """
    unknown: dict[tuple[str, ...], str] = {}
    for word in _WORD_PATTERN.findall(line.translate(_DISPLAY_TABLE)):
        parts = tuple(normalized_words(word))
        if not all(any(part in word_set for word_set in word_sets) for part in parts):
            unknown.setdefault(parts, word)
    return list(unknown.values())


def unknown_share(line: str, word_sets: Sequence[WordSet]) -> float:
    """The share of the words of a line, with repetitions, that none of the texts had."""
    words = normalized_words(line)
    unknown = sum(not any(word in word_set for word_set in word_sets) for word in words)
    return unknown / len(words) if words else 0.0


def word_files(folder: Path) -> list[Path]:
    """The file that `WordSet.save` wrote into a folder; empty if there is none."""
    return [path for path in _file_paths(folder) if path.exists()]


def _file_paths(folder: Path) -> tuple[Path, Path]:
    return folder / "words.source.txt", folder / "words.source.bloom"
