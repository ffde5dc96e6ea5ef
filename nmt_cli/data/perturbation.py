"""Text as people type it: capitals, typos, missing stops. For augmenting training text and measuring.

Every change is drawn from a seed and the number of the line, so that a line changes in the same way
whatever is read with it. A language tag, such as <2de>, stays as it is.
"""

import random
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

from nmt_cli.data.final_marks import CLOSERS, FINAL_MARK
from nmt_cli.data.letter_case import MARKS, WORD, capitalize_word

FINAL_PUNCTUATION = re.compile(rf"{FINAL_MARK}+(?=[{CLOSERS}]*\s*\Z)")
# In canonical decomposition: marks on Latin and Greek letters, and those of stress and ё; й and ї are letters.
_ACCENTS = re.compile(
    rf"(?<=[A-Za-z\u00c0-\u02af\u0370-\u03ff\u1e00-\u1fff])[{MARKS}]+|"
    r"(?<=[АаЕеИиІіЄєОоУуЫыЭэЮюЯя])[\u0300\u0301]+|(?<=[Ее])\u0308[\u0300\u0301]*"
)
TYPO_RATE = 0.1  # of the words
MIN_TYPO_LETTERS = 3  # a shorter word would become another one
_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS = {
    letter: "".join(row[max(0, column - 1) : column] + row[column + 1 : column + 2])
    for row in _KEYBOARD
    for column, letter in enumerate(row)
}

Perturb = Callable[[str, random.Random], str]


def add_typos(text: str, rng: random.Random) -> str:
    """In a tenth of the words, drawn one by one, a letter swapped, dropped, doubled or mistyped."""

    def mistype(match: re.Match[str]) -> str:
        word = match[0]
        return _mistyped(word, rng) if rng.random() < TYPO_RATE and len(word) >= MIN_TYPO_LETTERS else word

    return WORD.sub(mistype, text)


def double_spaces(text: str, rng: random.Random) -> str:
    """A quarter of the spaces twice, at least one of them."""
    spaces = [index for index, character in enumerate(text) if character == " "]
    if not spaces:
        return text
    doubled = {index for index in spaces if rng.random() < 0.25} or {rng.choice(spaces)}
    return "".join("  " if index in doubled else character for index, character in enumerate(text))


def strip_accents(text: str, rng: random.Random) -> str:
    """Latin, Greek and Cyrillic letters without their accents."""
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", text)))


def insert_address(text: str, rng: random.Random) -> str:
    """An address between two words in the middle; none on a blank line."""
    if not text.strip():
        return text
    words = text.split(" ")
    name = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(6))
    address = rng.choice((f"https://{name}.example.org/{rng.randrange(1000)}", f"{name}@example.org"))
    middle = len(words) // 2
    return " ".join([*words[:middle], address, *words[middle:]])


KINDS: dict[str, Perturb] = {
    "upper": lambda text, _: text.upper(),
    "title": lambda text, _: WORD.sub(lambda match: capitalize_word(match[0]), text),
    "lower": lambda text, _: text.lower(),
    "no-stop": lambda text, _: FINAL_PUNCTUATION.sub("", text) or text,
    "typos": add_typos,
    "spaces": double_spaces,
    "no-accents": strip_accents,
    "address": insert_address,
}


def perturb_lines(lines: Iterable[str], kind: str, seed: int = 1) -> Iterator[str]:
    """Each line, changed in the way that `kind`, a key of KINDS, names."""
    from nmt_cli.data.language_tags import leading_tag  # not where the command line asks for KINDS

    for number, line in enumerate(lines, 1):
        tag = leading_tag(line)
        yield tag + KINDS[kind](line.removeprefix(tag), random.Random(f"{seed}:{kind}:{number}"))


def _mistyped(word: str, rng: random.Random) -> str:
    position = rng.randrange(len(word) - 1)
    way = rng.choice(("swap", "drop", "double", "neighbour"))
    before, letter, after = word[:position], word[position], word[position + 1 :]
    if way == "swap":
        return before + after[0] + letter + after[1:]
    if way == "drop":
        return before + after
    neighbours = _NEIGHBOURS.get(letter.lower(), "")
    if way == "double" or not neighbours:
        return before + letter + letter + after
    neighbour = rng.choice(neighbours)
    return before + (neighbour.upper() if letter.isupper() else neighbour) + after
