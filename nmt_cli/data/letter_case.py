"""Capitals: texts in capitals, with a capital on every word or with none to begin with, and the usual case of words.

The usual form of a word is the one that the training text has most often inside a sentence (truecasing, Lita et al.
2003). Nothing here changes text in scripts without case.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Literal, NamedTuple

from nmt_cli.data.apostrophes import APOSTROPHES, LETTER_APOSTROPHES
from nmt_cli.data.final_marks import FINAL_MARKS
from nmt_cli.data.language_codes import base_code
from nmt_cli.fs import atomic_write_text, damaged_file

LetterCase = Literal["upper", "title", "lower"]

MARKS = (  # on letters of scripts with case: Latin, Greek, Cyrillic, Coptic, Glagolitic and Adlam
    "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u2cef-\u2cf1\u2de0-\u2dff\ua66f-\ua672\ua674-\ua67d\ua69e"
    "\ua69f\ufe20-\ufe2f\U0001e000-\U0001e02a\U0001e08f\U0001e944-\U0001e94a"
)
LETTERS = rf"[^\W\d_](?:[^\W\d_]++|[{MARKS}])*+"
WORD = re.compile(rf"{LETTERS}(?:[{APOSTROPHES}-]{LETTERS})*")
MAX_FORMS = 30_000  # most frequent words whose form is kept
MIN_FORM_COUNT = 3  # a rarer word may be part of a headline
MAX_OTHER_SHARE = 0.1  # of the letters of a text in capitals: those of 'iPHONE', and letters without case
MIN_SINGLE_WORD = 5  # letters; a shorter word alone in capitals is rather an acronym
MIN_TITLE_WORDS = 4
MAX_SMALL_LETTERS = 4  # of a word that may be without a capital inside a title: of, in, with
MIN_RAISED_WORDS = 3  # that a title with such words has
MIN_CAPITALS_COUNT = 10  # sentences in capitals teach nothing of a rarer word
_TOKEN = re.compile(r"\S+")
_LITERAL = re.compile(r"[@/\\{}<>=%$_~]|\w\.\w")  # in what is no word: addresses, placeholders, paths
_OPENING = r"[\"'“„”‘‚«»‹›(\[¿¡]*"
_START = re.compile(rf"{_OPENING}[^\W\d_]")
_NO_LITERAL = re.compile(  # and/or, e.g.
    rf"{_OPENING}(?:{LETTERS}(?:[{APOSTROPHES}/-]{LETTERS})*|(?:[^\W\d_]{{1,2}}\.){{2,}})[\"'“”‘’«»‹›)\].,;:!?…]*"
)
_JOINED = re.compile(r"\w[./]\w")
_INNER_PERIOD = re.compile(r"\w\.\w")
_SLIP = re.compile("AA+a+|aAA+")
_SENTENCE_START = re.compile(rf"(?:\A|[{FINAL_MARKS}]\s+){_OPENING}[^\W\d_]")
_TITLED_LANGUAGES = ("en", "eng")
_DOTTED_I_LANGUAGES = ("tr", "az", "tur", "aze", "azj", "crh", "gag", "zza", "diq", "kiu")  # that have ı, too
_CAPITALS_ALONE = frozenset(map(chr, range(0x13A0, 0x13F6)))  # Cherokee, hardly ever written with its small letters
_IJ_LANGUAGES = ("nl", "nld", "dut")  # IJ is one letter


def is_titled(language: str | None) -> bool:
    """Whether a language writes headlines with a capital on every word."""
    return base_code(language) in _TITLED_LANGUAGES


def upper_case(text: str, language: str | None = None) -> str:
    """The words of a text in capitals, as the language writes them; addresses and placeholders stay as they are."""
    return map_tokens(text, lambda token: _upper(token, language))


def capitalize_words(text: str) -> str:
    """A capital at the beginning of every word; addresses, placeholders and abbreviations stay as they are."""

    def capitalize(token: str) -> str:
        return token if _INNER_PERIOD.search(token) else WORD.sub(lambda word: capitalize_word(word[0]), token)

    return map_tokens(text, capitalize)


def capitalize_word(word: str) -> str:
    """A word with a capital at its beginning, or behind the okina there."""
    first = _okina_length(word)
    return word[:first] + word[first].upper() + word[first + 1 :]


def _okina_length(word: str) -> int:
    """How many letters without case, such as the okina of ʻāina, stand before the one that may be a capital."""
    return min(len(word) - 1, len(word) - len(word.lstrip(LETTER_APOSTROPHES)))


def capitalize_start(text: str, language: str | None = None) -> str:
    """A capital at the beginning of a text, as the language writes it."""
    word = _first_word(text)
    if word is None:
        return text
    position = word.start() + _okina_length(word[0])
    letters = "ij" if base_code(language) in _IJ_LANGUAGES and text.startswith("ij", position) else text[position]
    # not `_upper` for all: it takes the tonos from a Greek letter
    capital = _upper(letters, language) if letters in ("i", "ij") else letters.title()
    return text[:position] + capital + text[position + len(letters) :]


def _first_word(text: str) -> re.Match[str] | None:
    """The word that a text begins with, perhaps in quotation marks; None where something else stands there."""
    start = _START.match(text)
    if start is None or _is_literal(text.split(maxsplit=1)[0]):
        return None
    return WORD.match(text, start.end() - 1)


def _has_slip(word: str) -> bool:
    """Whether a word has several capitals before small letters, or behind a first small one; not as 'McDonald'."""
    letters = word[_okina_length(word) :]
    return _SLIP.fullmatch("".join("A" if letter.isupper() else "a" for letter in letters)) is not None


def _is_capital(letter: str) -> bool:
    """Whether a letter is one of two forms, and the greater of them."""
    return letter.isupper() and letter not in _CAPITALS_ALONE


def is_upper(text: str) -> bool:
    """Whether a text is written in capitals: two words, or one that is too long for an acronym."""
    if sum(map(str.isupper, text)) < 4:
        return False  # at once, for most texts
    words = list(_words(text))
    letters = "".join(words)
    capital_count = sum(map(_is_capital, letters))
    other_count = sum(
        letter.islower() or unicodedata.category(letter) == "Lo" or letter in _CAPITALS_ALONE for letter in letters
    )
    if not capital_count or other_count > MAX_OTHER_SHARE * len(letters):
        return False
    return sum(len(word) > 1 for word in words) > 1 or len(letters) >= MIN_SINGLE_WORD


def learn_capitals_words(
    lines: Iterable[str], split: Callable[[str], Sequence[str]], language: str | None = None
) -> tuple[str, ...]:
    """The words, in capitals, that a text has more often in sentences in capitals than in others; sorted.

    `split` gives the sentences of a line.
    """
    in_capitals: Counter[str] = Counter()
    elsewhere: Counter[str] = Counter()
    for line in lines:
        for sentence in [line] if is_upper(line) else split(line):
            if is_upper(sentence):
                in_capitals.update(_words(sentence))
            else:
                elsewhere.update(_lower(word, language) for word in _words(sentence))
    return tuple(
        sorted(
            word
            for word, count in in_capitals.items()
            if count >= MIN_CAPITALS_COUNT and count > elsewhere[_lower(word, language)]
        )
    )


def share_of_words(text: str, words: Set[str]) -> float:
    """The share of the words of a text that are among `words`."""
    all_words = list(_words(text))
    return sum(word in words for word in all_words) / max(1, len(all_words))


class CaseShares(NamedTuple):
    """Shares of the lines of a text that are written otherwise than usual."""

    upper: float = 0.0
    """In capitals."""
    title: float = 0.0
    """With a capital on every word."""
    lower: float = 1.0
    """With a small letter at the beginning; 1 where that was not measured."""


class Truecaser:
    """The usual form of the words of a language; without any form, words are in lower case and no text is titled."""

    def __init__(self, forms: Mapping[str, str] | None = None, *, has_capitals: bool | None = None) -> None:
        """`forms` are the usual forms of words by their lower case.

        A model of text without capitals gets none. Whether a text `has_capitals` is seen from the forms where it is not
        known (None).
        """
        self.forms = dict(forms or {})
        if has_capitals is None:
            has_capitals = not self.forms or any(not form.islower() for form in self.forms.values())
        self.has_capitals = has_capitals

    @classmethod
    def learn(cls, lines: Iterable[str], language: str | None = None) -> "Truecaser":
        """The usual forms in a text: of first words of sentences only the capitals are counted, lines in capitals say
        nothing."""
        form_counts, first_words = Counter[str](), Counter[str]()
        for line in lines:
            if is_upper(line):
                continue
            starts = {match.end() - 1 for match in _SENTENCE_START.finditer(line)}
            words = list(WORD.finditer(line))
            form_counts.update([match[0] for match in words if match.start() not in starts])
            first_words.update([match[0] for match in words if match.start() in starts])
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for form, count in form_counts.items():
            counts[_lower(form, language)][form] = count
        capitals_at_start = 0  # less the small letters
        for word, count in first_words.items():
            first = word[_okina_length(word)]
            capitals_at_start += count * (_is_capital(first) - first.islower())
        frequent = sorted(counts.items(), key=lambda entry: (-entry[1].total(), entry[0]))[:MAX_FORMS]
        usual_forms = {
            word: max(forms.items(), key=lambda entry: (entry[1], entry[0]))[0]
            for word, forms in frequent
            if forms.total() >= MIN_FORM_COUNT
        }
        has_capitals = capitals_at_start >= 0 or any(
            _is_capital(letter) for form in usual_forms.values() for letter in form
        )
        return cls(usual_forms, has_capitals=has_capitals)

    def union(self, other: "Truecaser") -> "Truecaser":
        """Both, with the forms of this one where they differ."""
        forms = {**self.forms, **{word: form for word, form in other.forms.items() if word not in self.forms}}
        has_capitals = [truecaser.has_capitals for truecaser in (self, other) if truecaser.forms]
        return Truecaser(forms, has_capitals=any(has_capitals) if has_capitals else None)

    def lacks(self, word: str, language: str | None = None) -> bool:
        """Whether a word is not among those whose form is known, if any are."""
        return bool(self.forms) and _lower(word, language) not in self.forms

    def case_of(self, text: str) -> LetterCase | None:
        """How a text is written, if otherwise than usual."""
        if is_upper(text):
            return "upper"
        if self._is_title(text):
            return "title"
        return "lower" if self.has_capitals and (word := _first_word(text)) and word[0].islower() else None

    def _is_title(self, text: str) -> bool:
        """Whether every word has a capital, one at least that is usually written without: names alone are no title.

        Short words inside it may be without, as headlines have them (A Man in a Red Shirt), if three have a capital
        that are usually written without.
        """
        if not self.forms:
            return False
        if any(len(token) > MAX_SMALL_LETTERS for token in text.split() if token[0].islower()):
            return False
        words = list(_words(text))
        small = [word for word in words if word[0].islower()]
        if len(words) < MIN_TITLE_WORDS or words[0] in small or words[-1] in small:
            return False
        if any(len(word) > MAX_SMALL_LETTERS for word in small):
            return False
        raised = sum(self.forms.get(word.lower(), word) == word.lower() != word for word in words[1:])
        return raised >= (MIN_RAISED_WORDS if small else 1)

    def usual_case(self, text: str, language: str | None = None) -> str:
        """A sentence whose capitals say nothing as it is usually written, with a capital at its beginning."""

        def usual_form(match: re.Match[str]) -> str:
            word = _lower(match[0], language)
            if len(word) == 1 and word == match[0] and (word, base_code(language)) != ("i", "en"):
                return word  # a variable, or 'u' in a chat
            is_joined = bool(self.forms) and _JOINED.search(match.string) is not None  # AC/DC, J.R.R.
            return self.forms.get(word, match[0] if is_joined else word)

        text = map_tokens(text, lambda token: WORD.sub(usual_form, token))
        return capitalize_start(text, language) if self.has_capitals else text

    def without_slips(self, text: str) -> str:
        """A text in which a known word that was typed with a slip of the shift key (TOmorrow, tOMORROW) is written as
        usual."""
        if sum(map(str.isupper, text)) < 2:
            return text

        def usual_form(match: re.Match[str]) -> str:
            word = match[0]
            form = self.forms.get(word.lower()) if _has_slip(word) else None
            return word if form is None else capitalize_word(form) if match.start() == 0 else form

        return WORD.sub(usual_form, text)

    def lower_start(self, text: str, language: str | None = None) -> str:
        """A text without the capital at its beginning, unless its first word is known to have one inside a sentence."""
        match = _first_word(text)
        if match is None:
            return text
        word = match[0]
        position, letters = match.start() + _okina_length(word), word[_okina_length(word) :]
        lower = _lower(word, language)
        is_letter = len(word) == 1 and (lower, base_code(language)) != ("i", "en")
        if not self.forms.get(lower, lower if is_letter else word).islower():
            return text
        capitals = 2 if base_code(language) in _IJ_LANGUAGES and letters.startswith("IJ") else 1
        end = position + capitals
        is_name = letters[capitals:] != letters[capitals:].lower()
        return text if is_name else text[:position] + _lower(letters[:capitals], language) + text[end:]

    def shares(self, lines: Iterable[str]) -> CaseShares:
        """How many lines of a text are written otherwise than usual."""
        cases = Counter(self.case_of(line) for line in lines)
        total = max(1, cases.total())
        return CaseShares(cases["upper"] / total, cases["title"] / total, cases["lower"] / total)

    def save(self, path: Path) -> None:
        """Write the forms, one per line, the most frequent first."""
        atomic_write_text(path, "".join(f"{form}\n" for form in self.forms.values()))

    @classmethod
    def load(cls, path: Path, language: str | None = None, *, has_capitals: bool | None = None) -> "Truecaser":
        """What `save` wrote; without forms where there is no such file, DataError where it is damaged."""
        if not path.is_file():
            return cls()
        try:
            forms = path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise damaged_file(path, error) from error
        return cls({_lower(form, language): form for form in forms if form}, has_capitals=has_capitals)


def _words(text: str) -> Iterator[str]:
    """The words of a text, but not those in addresses and placeholders, nor what 'AC/DC' and 'U.S.' are made of."""
    for token in text.split():
        if not _LITERAL.search(token):
            yield from WORD.findall(token)


def map_tokens(text: str, change: Callable[[str], str]) -> str:
    """The text with what is between spaces changed, but for addresses and placeholders."""
    return _TOKEN.sub(lambda match: match[0] if _is_literal(match[0]) else change(match[0]), text)


def _is_literal(token: str) -> bool:
    """Whether what stands between spaces is an address, a placeholder or the like."""
    return _LITERAL.search(token) is not None and _NO_LITERAL.fullmatch(token) is None


def _upper(text: str, language: str | None) -> str:
    if base_code(language) in _DOTTED_I_LANGUAGES:
        text = text.replace("i", "İ")
    if base_code(language) in ("el", "ell", "gre"):  # capitals have no tonos
        text = unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).replace("\u0301", ""))
    return text.upper()


def _lower(text: str, language: str | None) -> str:
    if base_code(language) in _DOTTED_I_LANGUAGES:
        text = text.replace("I", "ı").replace("İ", "i")
    if _CAPITALS_ALONE.isdisjoint(text):
        return text.lower()
    return "".join(letter if letter in _CAPITALS_ALONE else letter.lower() for letter in text)
