"""Where sentences end in a line: by rules, a list of abbreviations, and those that a training text teaches.

A stop with white space after it may end a sentence; what stands around it decides. The stops of Chinese and
Japanese, Hindi and its neighbours, Amharic, Burmese, Khmer and Javanese need no white space. Thai has no stops: its
spaces part phrases, too, so that nothing is cut there but after a question or an exclamation mark.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

from nmt_cli.data.final_marks import OWN_MARKS, SPACED_TYPED, TYPED_STOP, UNSPACED_MARKS, UNSPACED_TYPED
from nmt_cli.data.language_codes import base_code
from nmt_cli.data.scripts import OTHER_IDEOGRAPHS
from nmt_cli.data.sentences.abbreviations import AbbreviationKind, LearnedWords, list_of
from nmt_cli.vocabulary import SPAN_MARK

_NextKind = Literal["upper", "digit", "uncased", "symbol"]
"""What a sentence begins with."""
_PeriodKind = AbbreviationKind | Literal["initial"]
"""The kind of abbreviation before a period."""

_CJK = rf"\u2e80-\u2fff\u3040-\ua4cf{OTHER_IDEOGRAPHS}\uff21-\uff3a\uff41-\uff5a\uff66-\uff9f"
_CLOSERS = "\"'”’»›)\\]}“‘«‹」』）】》〉〕*_"
_EMOJI = "\u2600-\u27bf\ufe0f\u200d\U0001f000-\U0001faff"
_GREEK = "\u0370-\u03ff\u1f00-\u1fff"
_GREEK_QUESTION = rf"""(?<=[{_GREEK}»”"')])[;\u037e] | [;\u037e](?=\s+[{_GREEK}])"""

STOPS = re.compile(rf"[.!?…;:|．\u037e{OWN_MARKS}{UNSPACED_MARKS}{TYPED_STOP}]+")
CANDIDATE = re.compile(  # a stop, what is closed behind it, and the white space before the next sentence
    rf"""
    (?P<stop> (?: \.(?:[ \xa0]?\.){{1,20}}+ | [.!?…{OWN_MARKS}] | {_GREEK_QUESTION} | {SPACED_TYPED} )
              (?: [.!?…{OWN_MARKS}] | [ \xa0\u202f]?[!?](?=[\s!?]) )*+ )
    (?P<close> (?: [{_CLOSERS}] | \[\^?\w{{1,20}}\] | {SPAN_MARK} | [¹²³⁰-⁹]
                  | ,(?=(?:\s[\"“„‘«][^\"“”„‘’«»]*[.!?…][\"“”’»],?)+\s*\Z)
                  | [ \xa0\u202f]+[»›](?![^\W_]) | [ ]?[{_EMOJI}] )*+ )
    (?: \s+ (?=\S) | (?![{_CJK}])(?=[^\W\d_]) )
    |
    (?P<wide> (?: [{UNSPACED_MARKS}] | {UNSPACED_TYPED} ) [{UNSPACED_MARKS}{TYPED_STOP}.!?…]*+
              | (?<=[{_CJK}])(?:[!?．]++|\.(?=\s)) )
    (?P<wide_close> (?: [」』）”’》】〉〕\])"'»] | [ ]?[{_EMOJI}] )*+ )
    \s* (?=\S)
    """,
    re.VERBOSE,
)
_LETTER, _ALPHANUMERIC = re.compile(r"[^\W\d_]"), re.compile(r"[^\W_]")
_OPENERS = re.compile(r"(?:[\"'“”„‟‘’‚«»‹›(\[{¿¡*_「『（《〈【]++[ \xa0\u202f]?|[—–―-]++\s*+)*+")
_OPENING_CHARACTERS = "\"'“”„‘’‚«»‹›([{¿¡*_—–-「『（$€£¥~≈"
_MARKED = re.compile(rf"(?:{SPAN_MARK}[\s)\].:]*)+")  # what is protected: the number of an item, a note
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_WHOLE_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*(?=[\s,;:!?…]|\.(?!\w)|\Z)")  # no call: items.First()
_MIXED_CASE = re.compile(r"[^\W\d_]{1,3}[A-Z]")  # iPhone
_LIST_ITEM = re.compile(r"(?:[a-z]|[ivx]+)\)\s")
_DUTCH_START = re.compile(r"['’][stnkmr]\s+[A-Z]")  # 's Avonds
_WEB = re.compile(r"https?://|www\.")
_LIST_MARK = re.compile(r"\s*(?:[•*·–-]\s*)?[(\[]?(?:\d{1,3}(?:\.\d{1,3})*|[^\W\d_]|[ivx]{1,5}|[IVX]{1,5})[.)]+")
_HEADING = re.compile(r"\s*([^\W\d_]{1,20})\.?\s+(?:\d{1,3}(?:\.\d+)*|[IVXL]+|[^\W\d_])\.")
_ACRONYM = re.compile(r"(?:[^\W\d_]\.-?)+[^\W\d_]")
_LAST_LETTER = re.compile(r"[^\W\d_]\.?\s*$")  # annex B.
_INITIAL = re.compile(r"[^\W\d_]\.")
_NUMBER = re.compile(r"[+-]?\d[\d.,:/'’-]*")
_PARTS_OF_WORD = re.compile("['’–—/]")
_ROMAN, _ROMAN_WORD = re.compile(r"[IVXLC]+"), re.compile(r"[IVXLC]+\b")
_DATE_REST = re.compile(r"\d{1,2}\.\s?\d{1,4}\b")
_DAY_BEFORE = re.compile(r"(?:^|\D)\d{1,2}\.\s?\d{1,2}\.$")
_CLAUSE_END = re.compile(  # not after a title of two to four letters
    r"[!?,;:।。，：！？؟]|(?<!\b[A-Z])(?<!\b[DM][rs])(?<!\b(?:Mrs|Sgt|Col|Gen|Rev|Sen|Rep))(?<!\b(?:Prof|Capt))\."
)
_JAPANESE_PARTICLE = re.compile(
    r"と(?![こてに])|って|は(?![いじるな])|が|を|に(?![わほ])|の(?!ち)|も(?![うしっ])|で(?![もはき])|など|だ(?![がかけ])"
)
_BRACKETS = (("(", ")"), ("[", "]"), ("（", "）"))
_WIDE_BRACKETS = {"「": "」", "『": "』", "（": "）", "《": "》", "〈": "〉", "【": "】"}
_WIDE_QUOTES = {"「": "」", "『": "』", "“": "”"}
_QUOTES = (("“", "”"), ("«", "»"), ("„", "“"), ("„", "”"), ('"', '"'))
_QUOTE_STARTS = ("“", '"', "'", "‘", "«", "„", "「", "『")
_CLAUSE_MARKS = frozenset("，、；：,;:）」』”’》】〉…。！？")
_MATH = frozenset("+=<>&/%|~^")
_INTERJECTIONS = frozenset(("hm", "hmm", "mhm", "mmm", "pst", "psst", "sh", "shh", "pff", "brr", "хм", "гм", "тсс"))
_VOWELS = frozenset("aeiouyаеёиоуыэюяіїєαεηιουω")
_NOUN_LANGUAGES = frozenset(("de", "lb"))  # they write nouns with capitals
_COMPOUND_LANGUAGES = frozenset(("de", "lb", "nl"))
_UNSPACED_LANGUAGES = frozenset(("zh", "ja", "ko", "th"))  # or with other endings of a verb: it is looked for anywhere
_GERMAN_MONTHS = frozenset(("januar", "februar", "märz", "mai", "juni", "juli", "oktober", "dezember"))
_ORDINAL_LANGUAGES = frozenset(
    ("de", "lb", "cs", "sk", "pl", "da", "no", "nb", "nn", "fi", "hu", "et", "lv", "sl", "hr", "sr", "bs", "tr", "is")
)  # a number with a period after it is an ordinal
_SYLLABIC_CONSONANTS = frozenset(("cs", "sk", "hr", "sr", "sl", "bs", "mk"))  # words without vowels
_BEFORE_I = frozenset(
    (
        "and", "am", "do", "did", "can", "will", "than", "was", "as", "or", "have", "would", "could", "should", "nor",
        "so", "but",
    )
)  # fmt: skip # so am I
_TAIL_CHARACTERS = 48  # before a stop, enough for an abbreviation of several parts
_MAX_STOPS = 8  # in a row that are looked at one by one, as …。 needs it
_MAX_BRACKETED = 500  # characters from a bracket or quotation mark to the stop inside, and from there to its end


class _Line:
    """A line, and what holds for all of it."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def is_lower(self) -> bool:
        return self.text.islower()

    @cached_property
    def is_one_case(self) -> bool:
        return self.is_lower or self.text.isupper()


@dataclass(slots=True)
class _Period:
    """A period that may end a sentence, and what is around it."""

    at: int
    words: list[str]
    """Of the sentence before it, at most those of `_TAIL_CHARACTERS` characters."""
    token: str
    """The last of them without quotation marks and the like."""
    next_kind: _NextKind
    next_at: int
    next_word: str
    """In lower case."""
    starts_often: bool
    """The next word has a capital and often begins sentences."""


class SentenceSplitter:
    """Splits lines of a language into their sentences.

    `language` is a code as `de` or `de_AT`; without one, or with one that the list doesn't have, the rules and what
    was learned do the work. A splitter is not changed by its use; it can be pickled.
    """

    def __init__(self, language: str | None = None, learned: LearnedWords | None = None) -> None:
        self.language = base_code(language)
        words = list_of(self.language)
        learned = learned or LearnedWords()
        self._abbreviations: dict[str, AbbreviationKind] = {
            **dict.fromkeys(learned.abbreviations, "middle"),
            **words.abbreviations,
        }
        self._starters = words.sets["starter"] | frozenset(learned.starters)
        self._sets = words.sets

    @property
    def has_ordinals(self) -> bool:
        """Whether a number with a period is an ordinal in the language."""
        return self.language in _ORDINAL_LANGUAGES

    def split(self, line: str) -> list[str]:
        """The sentences of a line, each with the white space after it: joined, they are the line again."""
        return [line[start:end] for start, end in pairwise([0, *self.find_starts(line), len(line)])]

    def find_starts(self, line: str) -> list[int]:
        """Where the second sentence of a line starts, and those after it."""
        stop = STOPS.search(line)
        if stop is None or not _ALPHANUMERIC.search(line, stop.end()) or not _LETTER.search(line):
            return []
        starts: list[int] = []
        start, whole = 0, _Line(line)
        content = _ALPHANUMERIC.search(line)
        while stop:
            match = CANDIDATE.match(line, stop.start())
            if match and content and content.start() < stop.start() and self._ends_sentence(whole, start, match):
                start = match.end()
                starts.append(start)
                content = _ALPHANUMERIC.search(line, start)
            at = match.end() if match else stop.end() if len(stop[0]) > _MAX_STOPS else stop.start() + 1
            stop = STOPS.search(line, at)
        return starts

    def is_abbreviation(self, word: str) -> bool:
        """Whether a word, without its period, is a single letter, or listed or learned as an abbreviation."""
        word = word.lstrip(_OPENING_CHARACTERS)
        return len(word) == 1 or word in self._abbreviations or word.lower() in self._abbreviations

    # Any stop

    def _ends_sentence(self, line: _Line, start: int, match: re.Match[str]) -> bool:
        text = line.text
        wide, stop = match["wide"], match["stop"]
        stop_at, stop_end = match.span("wide" if wide else "stop")
        if stop_end - start < 40:
            if _LIST_MARK.fullmatch(text, start, stop_end):
                return False
            heading = _HEADING.fullmatch(text, start, stop_end)
            if heading and heading[1].lower() in self._sets["heading"]:
                return False
        if wide:
            return self._ends_wide(line, start, match)
        next_kind, next_at = self._find_next(line, match.end())
        close_end = match.end("close")
        if match.end() == close_end and not self._is_missing_space(text, start, match):
            return False
        if SPAN_MARK in match["close"] and not text[next_at : next_at + 1].isupper():
            return False
        if (
            next_kind is None
            or _is_in_brackets(text, start, close_end)
            or _is_in_embedded_quote(text, start, close_end)
            or (stop == "." and _LAST_LETTER.match(text, next_at))
        ):
            return False
        if stop == ".":
            return self._period_ends(line, start, stop_at, next_kind, next_at)
        if set(stop) <= {".", "…", " ", "\xa0"}:
            return self._ellipsis_ends(text[max(start, stop_at - _TAIL_CHARACTERS) : stop_at], text, next_kind, next_at)
        return not (match["close"] and self._is_attributed(text, start, next_kind, next_at))

    def _is_missing_space(self, text: str, start: int, match: re.Match[str]) -> bool:
        """Whether a sentence ends where no white space is: behind a word in small letters, before one that often begins
        sentences ("it rains.The street is wet")."""
        words = text[max(start, match.start() - _TAIL_CHARACTERS) : match.start()].split()
        word = words[-1].lstrip(_OPENING_CHARACTERS) if words else ""
        is_word = len(word) > 1 and word.isalpha() and word.islower()
        next_word = _word_at(text, match.end()) if _WHOLE_WORD.match(text, match.end()) else ""
        return is_word and not match["close"] and text[match.end()].isupper() and next_word in self._starters

    def _find_next(self, line: _Line, at: int) -> tuple[_NextKind | None, int]:
        """What a text begins with behind quotation marks and dashes, and where."""
        text = line.text
        opened = _OPENERS.match(text, at)
        assert opened is not None
        begin = opened.end()
        if begin >= len(text):
            return None, begin
        if marked := _MARKED.match(text, begin):
            begin = marked.end()
            may_start = self.language not in _NOUN_LANGUAGES or any(mark in marked[0] for mark in ")].:")
            return ("upper" if may_start and text[begin : begin + 1].isupper() else None), begin
        character = text[begin]
        if character.isupper() or character.istitle():
            return "upper", begin
        if character.islower() and character.title() != character:  # the letters of Georgian have no capitals
            is_start = _MIXED_CASE.match(text, begin) or _LIST_ITEM.match(text, begin) or _WEB.match(text, begin)
            is_start = is_start or _DUTCH_START.match(text, at)
            return ("upper" if is_start or line.is_lower else None), begin
        if character.isdigit():
            return "digit", begin
        if character.isalpha():
            return "uncased", begin
        if character in "#@§•·" or (character not in _MATH and unicodedata.category(character)[0] == "S"):
            return "symbol", begin
        return None, begin

    def _ellipsis_ends(self, before: str, text: str, next_kind: _NextKind, next_at: int) -> bool:
        before = before.rstrip()
        if next_kind == "uncased" or before[-1:] in ("[", "("):
            return False
        words = [word.lower().lstrip(_OPENING_CHARACTERS) for word in before.split()]
        next_word = _word_at(text, next_at)
        if len(words) == 1 and self.language == "en" and next_word == "i":  # Well... I don't know
            return False
        return not next_word or words[-1:] != [next_word]  # I ... I don't know

    def _is_attributed(self, text: str, start: int, next_kind: _NextKind, next_at: int) -> bool:
        """Whether what follows says who asked or cried out what stands in quotation marks from the start."""
        speech = self._sets["speech"]
        if not speech or not text[start : start + 8].lstrip().startswith(_QUOTE_STARTS):
            return False
        clause = _CLAUSE_END.split(text[next_at : next_at + 60], maxsplit=1)[0]
        if next_kind == "upper":
            words = clause.lower().split()[:5]
            is_name = bool(words) and (words[0] == "i" or words[0] not in self._starters)
            return is_name and not speech.isdisjoint(words)
        if self.language in _UNSPACED_LANGUAGES:
            return any(verb in clause[:20] for verb in speech)
        return not speech.isdisjoint(clause.split()[:5])

    def _ends_wide(self, line: _Line, start: int, match: re.Match[str]) -> bool:
        """Whether a stop that needs no white space ends a sentence."""
        text, end = line.text, match.end()
        if text[end] in _CLAUSE_MARKS:
            return False
        closed = match["wide_close"]
        before = text[max(start, match.end("wide") - _MAX_BRACKETED) : match.end("wide_close")]
        if any(before.rfind(left) > before.rfind(right) for left, right in _WIDE_BRACKETS.items()):
            return False
        if not closed:
            return True
        opener = {"）": "（", "”": "“"}.get(closed[0])
        if opener and before[: max(before.rfind(opener), 0)].strip()[-1:].isalnum():
            return False  # what is in them is a part of the sentence
        after = _skip_quotes(text, end)
        if before[-1] in "」』）" and _JAPANESE_PARTICLE.match(text, after):
            return False
        return not self._is_attributed(text, start, "uncased", after)

    # A period

    def _period_ends(self, line: _Line, start: int, at: int, next_kind: _NextKind, next_at: int) -> bool:
        text = line.text
        words = text[max(start, at - _TAIL_CHARACTERS) : at].split()
        token = words[-1].lstrip(_OPENING_CHARACTERS) if words and text[at - 1] not in " \xa0\u202f" else ""
        if not token or not (token[-1].isalnum() or unicodedata.category(token[-1])[0] == "M"):
            return True
        next_word = _word_at(text, next_at)
        starts_often = (
            next_kind == "upper"
            and next_word in self._starters
            and not line.is_one_case
            and not _INITIAL.match(text, next_at)  # А. В. Сомов
        )
        period = _Period(at, words, token, next_kind, next_at, next_word, starts_often)
        if token[0].isdigit() and _NUMBER.fullmatch(token):
            return self._number_ends(text, period)
        kind = self._find_kind(period)
        if kind is not None:
            return self._abbreviation_ends(line, period, kind)
        if len(token) >= 2 and _ROMAN.fullmatch(token):
            return starts_often or not self.has_ordinals
        last = token[-1]
        return last.isdigit() or last.islower() or last.isupper() or _uncased_word_ends(token)

    def _abbreviation_ends(self, line: _Line, period: _Period, kind: _PeriodKind) -> bool:
        """Whether an abbreviation is the last word of a sentence."""
        words, next_word = period.words, period.next_word
        if kind == "end":
            if line.is_lower:
                return False
            if next_word in self._sets["continuing"] or (
                next_word not in self._starters and _ROMAN_WORD.match(line.text, period.next_at)
            ):
                return False
            is_adverbial = 1 < len(words) <= 3 and _is_number(words[-2])  # At 5 a.m. Mr. Smith came.
            return period.next_kind != "digit" and (period.starts_often or not is_adverbial)
        if kind == "initial":
            before = words[-2] if len(words) > 1 else ""
            if period.token == "I" and self.language == "en" and before.lower() in _BEFORE_I:
                return True
            if before.lower() in self._sets["lettered"] or (before[:1].isdigit() and before[-1] in "ºª"):
                return True
            return period.starts_often and bool(before) and not _INITIAL.fullmatch(before)
        if kind == "word":
            is_numeral = len(next_word) == 1 or bool(_ROMAN.fullmatch(next_word.upper()))
            return period.next_kind != "digit" and (period.starts_often or not is_numeral)
        return kind in ("number", "middle") and period.starts_often

    def _find_kind(self, period: _Period) -> _PeriodKind | None:
        """The kind of abbreviation that a period follows; None for other words."""
        words, token = period.words, period.token
        last_part = _PARTS_OF_WORD.split(token)[-1]
        parts = [last_part if len(last_part) > 1 else token]  # l'art., Mo.–Fr., but not McDonald's
        for word in reversed(words[-4:-1]):
            if len(word) > 5 or not (word.endswith(".") or (word.isalpha() and len(word) <= 3)):
                break
            parts.insert(0, word.rstrip(".").lstrip(_OPENING_CHARACTERS) + ".")
            if not word.endswith("."):  # and others
                break
        is_capitals = len(token) >= 3 and token.isalpha() and token.isupper() and not "".join(words[-3:-1]).isupper()
        for first in range(len(parts)):
            joined = "".join(parts[first:])
            kind = self._abbreviations.get(joined)
            if kind is None and first == len(parts) - 1 and len(token) == 1 and token.isupper():
                return "initial"
            if kind is None and not is_capitals and (len(token) > 1 or token.islower() or joined.isupper()):
                kind = self._abbreviations.get(joined.lower())  # but min isn't MIN
            if kind == "unit":
                return "end" if self._is_counted(period) else "title" if len(token) == 1 or token[0].isupper() else None
            if kind is not None:
                return kind
        return self._guess_kind(period)

    def _guess_kind(self, period: _Period) -> AbbreviationKind | None:
        """The kind of a word that isn't listed, by its shape."""
        words, token = period.words, period.token
        if len(token) == 1 and token.islower():
            if self._is_counted(period):
                return "end"
            return "title" if len(words) > 1 and words[-2].endswith(".") else "middle"
        if _ACRONYM.fullmatch(token):
            return "middle"
        if _INITIAL.match(token) and token[2].isupper() and self._lacks_vowels(token[2:]):  # D.Lgs, but a.txt
            return "middle"
        is_compound = len(token) > 4 and self.language in _COMPOUND_LANGUAGES and token.endswith(("str", "nr", "pl"))
        if ".-" in token or is_compound:  # Dipl.-Ing., Hauptstr.
            return "number"
        if token[0] == "و" and token[1:] in self._abbreviations:  # Arabic "and", written together
            return self._abbreviations[token[1:]]
        if not self._lacks_vowels(token):
            return None
        return "end" if self._is_counted(period) else "middle"

    def _is_counted(self, period: _Period) -> bool:
        """Whether a number stands before the last word, or before a unit that does: 5 km, 5 sq. km."""
        number = len(period.words) - 2
        unit = period.words[number] if number > 0 else ""
        if unit.endswith(".") and self._abbreviations.get(unit[:-1].lower()) in ("unit", "end"):
            number -= 1
        return number >= 0 and _is_number(period.words[number])

    def _lacks_vowels(self, token: str) -> bool:
        if self.language in _SYLLABIC_CONSONANTS or not 2 <= len(token) <= 5 or token.isupper() or not token.isalpha():
            return False
        letters = unicodedata.normalize("NFD", token.lower())
        is_known = all("a" <= letter <= "z" or "а" <= letter <= "я" or "α" <= letter <= "ω" for letter in letters)
        return is_known and _VOWELS.isdisjoint(letters) and letters not in _INTERJECTIONS

    def _number_ends(self, text: str, period: _Period) -> bool:
        token, next_word, next_at = period.token, period.next_word, period.next_at
        may_be_ordinal = token.isdigit() and len(token) <= 3 and self.has_ordinals
        if period.next_kind == "digit":
            if token.isdigit() and len(token) <= 2 and _DATE_REST.match(text, next_at):
                return False
            if _DAY_BEFORE.search(text[max(0, period.at - 10) : period.at + 1]) or self.language == "ko":
                return False
            return not (may_be_ordinal and len(token) <= 2)
        if self.language == "ko":  # 2024. 5. 12. is a date
            return False
        if self.language == "hu" and text[next_at] == "§":  # a paragraph, with its number before the sign
            return False
        if token.isdigit() and len(token) <= 2 and next_word in _GERMAN_MONTHS:  # in a text of another language, too
            return False
        if not may_be_ordinal or period.next_kind != "upper" or next_word in self._starters:
            return True
        if text[next_at : next_at + 2].isupper():  # 1. FC
            return False
        before = period.words[-2].lower().strip('("„»,') if len(period.words) > 1 else ""
        return before not in self._sets["ordinal"] and next_word not in self._sets["counted"]


def _word_at(text: str, at: int) -> str:
    """In lower case; l'ami is a word of its own before the apostrophe."""
    word = _WORD.match(text, at)
    return word[0].lower() if word else ""


def _is_number(word: str) -> bool:
    word = word.lstrip("([\"'„«~≈$€£")
    return bool(word) and word[-1] != "," and (word[0].isdigit() or bool(_ROMAN.fullmatch(word)))


def _uncased_word_ends(token: str) -> bool:
    """Whether a word of a script without capitals is none that is abbreviated: it is too long for that."""
    word, last = token.split(".")[-1], token[-1]
    letters = sum(unicodedata.category(character)[0] == "L" for character in word)
    if "\u0e00" <= last <= "\u0eff":  # Thai and Lao: words aren't parted
        return letters >= 8 and "." not in token
    if "\u0900" <= last <= "\u0dff":  # those of India: vowel signs count, so that a letter's name has two
        return len(word) > 2
    return letters > 1


def _skip_quotes(text: str, at: int) -> int:
    """Where quotations that follow one another in Chinese or Japanese end."""
    while text[at] in _WIDE_QUOTES:
        closing = text.find(_WIDE_QUOTES[text[at]], at, at + _MAX_BRACKETED)
        if closing < 0 or closing + 1 == len(text):
            break
        at = closing + 1
    return at


def _is_in_brackets(text: str, start: int, end: int) -> bool:
    """Whether a bracket that was opened inside the sentence is closed only later."""
    for left, right in _BRACKETS:
        opened = text.rfind(left, max(start, end - _MAX_BRACKETED), end)
        if opened > start and text.rfind(right, opened, end) < 0 and _ALPHANUMERIC.search(text, start, opened):
            return text.find(right, end, end + _MAX_BRACKETED) >= 0
    return False


def _is_in_embedded_quote(text: str, start: int, end: int) -> bool:
    """Whether a stop is in quotation marks that stand, as a title does, behind a word without a comma or a colon."""
    if end - start > _MAX_BRACKETED:
        return False
    for left, right in _QUOTES:
        opened = text.rfind(left, start, end)
        if opened <= start:
            continue
        is_open = text.count(left, start, end) % 2 == 1 if left == right else text.rfind(right, opened + 1, end) < 0
        if is_open and text.find(right, end, end + _MAX_BRACKETED) >= 0:
            return text[start:opened].rstrip()[-1:].isalnum()
    return False
