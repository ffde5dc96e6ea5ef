"""Which words a training text had, so that a word that it did not have can be told.

What is compared is a run of letters and marks, NFC-normalised and case-folded: what stands between
them, such as the apostrophe of l'homme, joins two. Figures are not words. Scripts without spaces
(Chinese, Japanese, Thai, ...) have no words that could be found, so nothing is said of them.
"""

import re
import struct
import unicodedata
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import chain
from pathlib import Path

from nmt_cli.errors import DataError

LARGEST = 1 << 20  # bytes of the file
TOLD = 200_000  # stretches of text that are known to be told; then all are forgotten
JOINING = "'’׳״·‐‑\u00ad\u200c\u200d-"  # between letters they are inside a word
SPACELESS = re.compile(
    r"\b(CJK|IDEOGRAPH\w*|HIRAGANA|KATAKANA|BOPOMOFO|NUSHU|TANGUT|YI|THAI|LAO|KHMER|MYANMAR|TIBETAN"
    r"|JAVANESE|BALINESE|TAI)\b"
)  # in the names of letters
MARK = "\0"  # stands for a letter of such a script


class _Letters(dict[int, int | str]):
    """For str.translate: letters and marks stay, all other characters become spaces."""

    def __missing__(self, code: int) -> int | str:
        character = chr(code)
        self[code] = code if unicodedata.category(character)[0] in "LM" else " "
        return self[code]


class _ComparedLetters(_Letters):
    """The same, with `MARK` for letters of scripts without spaces."""

    def __missing__(self, code: int) -> int | str:
        kept = super().__missing__(code)
        if kept == code and SPACELESS.search(unicodedata.name(chr(code), "")):
            self[code] = MARK
        return self[code]


_COMPARED = _ComparedLetters()
_SHOWN = _Letters({ord(character): character for character in JOINING})
_WORD = re.compile(f"[^ {JOINING}]+(?:[{JOINING}][^ {JOINING}]+)*")


def compared_words(text: str) -> list[str]:
    """The words of a text in the form in which they are compared, each as often as it stands."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    runs = [run for run in folded.translate(_COMPARED).split() if MARK not in run]
    return [word for word in map(_from_first_letter, runs) if word]


def _from_first_letter(run: str) -> str:
    """A run without the marks before its first letter, which belong to what stood before it."""
    while run and not run[0].isalpha():
        run = run[1:]
    return run


class Words:
    """The words of a text; a word that is not in it was certainly not in the text.

    All of them while their list takes at most `LARGEST` bytes, and a Bloom filter (Bloom 1970) of
    so many from then on, which takes some words for known that are not.
    """

    def __init__(self, words: Iterable[str] = ()) -> None:
        self._exact: set[str] = set()
        self._size = 0  # bytes that they take, a line feed behind each
        self._filter: _Filter | None = None
        self.add(words)

    def __contains__(self, word: str) -> bool:
        return word in self._exact if self._filter is None else word in self._filter

    def add(self, words: Iterable[str]) -> None:
        """Add words as `compared_words` gives them; neither their order nor repetitions matter."""
        for word in words:
            if self._filter is not None:
                self._filter.add(word)
            elif word not in self._exact:
                self._exact.add(word)
                self._size += len(word.encode()) + 1
                if self._size > LARGEST:
                    self._become_filter()

    def _become_filter(self) -> "_Filter":
        if self._filter is None:
            self._filter = _Filter(bytes(LARGEST))
            self.add(self._exact)
            self._exact = set()
        return self._filter

    def joined(self, other: "Words") -> "Words":
        """The words of both texts."""
        both = Words(chain(self._exact, other._exact))
        for one in (self._filter, other._filter):
            if one is not None:
                both._become_filter().add_all(one)
        return both

    def save(self, folder: Path) -> None:
        """Write words.source.txt, a word a line, or words.source.bloom, in place of either."""
        for path in _places(folder):
            path.unlink(missing_ok=True)
        exact, bloom = _places(folder)
        if self._filter is None:
            exact.write_bytes("".join(f"{word}\n" for word in sorted(self._exact)).encode())
        else:
            bloom.write_bytes(self._filter.bits)

    @classmethod
    def load(cls, folder: Path) -> "Words | None":
        """What `save` wrote; None where there is nothing, DataError where it is damaged."""
        exact, bloom = _places(folder)
        if exact.exists():
            content = _read(exact)
            if len(content) > LARGEST:
                raise _damaged(exact, f"more than {LARGEST:,} bytes")
            try:
                return cls(content.decode().split("\n")[:-1])
            except UnicodeDecodeError as error:
                raise _damaged(exact, "not UTF-8 text") from error
        if bloom.exists():
            content = _read(bloom)
            if len(content) != LARGEST:
                raise _damaged(bloom, f"not {LARGEST:,} bytes")
            words = cls()
            words._filter = _Filter(content)
            return words
        return None


class _Filter:
    """A Bloom filter: a word that was added is in it, and so are some others.

    With three bits a word 900,000 words take 2 % of all others for known, 3,000,000 take 29 %.
    """

    def __init__(self, bits: bytes) -> None:
        self.bits = bytearray(bits)

    def __contains__(self, word: str) -> bool:
        return all(self.bits[place >> 3] & 1 << (place & 7) for place in self._bits_of(word))

    def add(self, word: str) -> None:
        """Add a word."""
        for place in self._bits_of(word):
            self.bits[place >> 3] |= 1 << (place & 7)

    def add_all(self, other: "_Filter") -> None:
        """Add all words of another filter."""
        both = (int.from_bytes(one.bits, "little") for one in (self, other))
        self.bits = bytearray((next(both) | next(both)).to_bytes(LARGEST, "little"))

    def _bits_of(self, word: str) -> list[int]:
        digest = blake2b(word.encode(), digest_size=12).digest()
        return [number % (8 * LARGEST) for number in struct.unpack("<3I", digest)]


class NewWords:
    """The words of lines that come block by block, each given once or, seldom, again."""

    def __init__(self, most: int = TOLD) -> None:
        self.most = most
        self._told: set[str] = set()

    def __call__(self, lines: Iterable[str]) -> list[str]:
        """Words that these lines have, as `compared_words` gives them."""
        new = set(chain.from_iterable(map(str.split, lines))) - self._told
        if len(self._told) > self.most:
            self._told = set()
        self._told |= new
        return list(set(compared_words(" ".join(new))))


def unknown_words(line: str, known: Sequence[Words]) -> list[str]:
    """The words of a line that none of the texts had, as they stand in it, each once.

    A word with a hyphen or an apostrophe inside it is unknown where one of its parts is.
    """
    found: dict[tuple[str, ...], str] = {}
    for word in _WORD.findall(line.translate(_SHOWN)):
        parts = tuple(compared_words(word))
        if not all(any(part in one for one in known) for part in parts):
            found.setdefault(parts, word)
    return list(found.values())


def word_files(folder: Path) -> list[Path]:
    """The file that `Words.save` wrote into a folder; empty where there is none."""
    return [path for path in _places(folder) if path.exists()]


def _places(folder: Path) -> tuple[Path, Path]:
    return folder / "words.source.txt", folder / "words.source.bloom"


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise _damaged(path, error.strerror or "cannot be read") from error


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"{path}: damaged: {what}; delete it to do without")
