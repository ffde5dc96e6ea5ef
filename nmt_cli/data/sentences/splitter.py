"""Where sentences end in a line: by rules, a list of abbreviations, and those that a training text teaches.

A stop with white space after it may end a sentence; what stands around it decides. The stops of Chinese and
Japanese, Hindi and its neighbours, Amharic, Burmese and Khmer need no white space. Thai has no stops: its spaces
part phrases, too, so that nothing is cut there.
"""

import re
import unicodedata

from nmt_cli.data.sentences.abbreviations import (
    CONTINUING,
    COUNTED,
    END,
    HEADING,
    LETTERED,
    MIDDLE,
    NUMBER,
    ORDINAL,
    SPEECH,
    STARTER,
    TITLE,
    UNIT,
    WORD,
    LearnedWords,
    list_of,
)

_CJK = "\u2e80-\u2fff\u3040-\ua4cf\uf900-\ufaff\uff21-\uff3a\uff41-\uff5a\uff66-\uff9f\U00020000-\U0003347f"
_OWN_STOPS = "؟۔։՞՜꓿᠃᠉‼⁇⁈⁉⸮"  # surer than a period, with white space after them
_UNSPACED_STOPS = "。！？｡︒।॥။។៕።፧"
_CLOSERS = "\"'”’»›)\\]}“‘«‹」』）】》〉〕*_"
_EMOJI = "\u2600-\u27bf\ufe0f\u200d\U0001f000-\U0001faff"
_GREEK, _ARMENIAN = "\u0370-\u03ff\u1f00-\u1fff", "\u0531-\u0587"

CANDIDATE = re.compile(
    rf"""
    (?: (?P<stop> (?: \.(?:[ \xa0]?\.)+ | [.!?…{_OWN_STOPS}] | (?<=[{_GREEK}»”"')])[;\u037e] | (?<=[{_ARMENIAN}]): )
                  (?: [.!?…{_OWN_STOPS}] | [ \xa0\u202f]?[!?](?=[\s!?]) )* )
        (?P<close> (?: [{_CLOSERS}] | \[\d{{1,3}}\] | [¹²³⁰-⁹] | [ \xa0\u202f]+[»›](?![^\W_]) | [ ]?[{_EMOJI}]+ )*+ )
        \s+ (?=\S)
    |   (?P<wide> [{_UNSPACED_STOPS}][{_UNSPACED_STOPS}.!?…]* | (?<=[{_CJK}])(?:[!?．]+|\.(?=\s)) )
        (?P<wide_close> (?: [」』）”’》】〉〕\])"'»] | [ ]?[{_EMOJI}]+ )*+ )
        \s* (?=\S)
    )
    """,
    re.VERBOSE,
)
STOP = re.compile(rf"[.!?…;:．\u037e{_OWN_STOPS}{_UNSPACED_STOPS}]")
INNER_STOP = re.compile(rf"{STOP.pattern}[^\w\s]*+\s*+\S")  # most lines have none: the quick way out
_LETTER = re.compile(r"[^\W\d_]")
_OPENERS = re.compile(r"(?:[\"'“”„‟‘’‚«»‹›(\[{¿¡*_「『（《〈【]+[ \xa0\u202f]?|[—–―-]+\s*)*")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_MIXED_CASE = re.compile(r"[^\W\d_]{1,3}[A-Z]")
_LIST_ITEM = re.compile(r"(?:[a-z]|[ivx]+)\)\s")
_DUTCH_START = re.compile(r"['’](?:[stnkmr])\s+[A-Z]")
_WEB = re.compile(r"https?://|www\.")
_LIST_MARK = re.compile(r"[(\[]?(?:\d{1,3}(?:\.\d{1,3})*|[^\W\d_]|[ivx]{1,5}|[IVX]{1,5})[.)]+")
_HEADING = re.compile(r"([^\W\d_]+)\.?\s+(?:\d{1,3}(?:\.\d+)*|[IVXL]+|[^\W\d_])\.")
_ALPHANUMERIC = re.compile(r"[^\W_]")
_ACRONYM = re.compile(r"(?:[^\W\d_]\.-?)+[^\W\d_]")
_INITIAL = re.compile(r"[^\W\d_]\.")
_NUMBER = re.compile(r"[+-]?\d[\d.,:/'’ -]*")
_ROMAN = re.compile(r"[IVXLC]+")
_ROMAN_WORD = re.compile(r"[IVXLC]+\b")
_DATE_REST = re.compile(r"\d{1,2}\.\s?\d{1,4}\b")
_DAY_BEFORE = re.compile(r"(?:^|\D)\d{1,2}\.\s?\d{1,2}\.$")
_BRACKETS = {"「": "」", "『": "』", "（": "）", "《": "》", "〈": "〉", "【": "】"}
_JAPANESE_PARTICLE = re.compile(
    r"と(?![こてに])|って|は(?![いじるな])|が|を|に(?![わほ])|の(?!ち)|も(?![うしっ])|で(?![もはき])|など|だ(?![がかけ])"
)
_CLAUSE_MARKS = frozenset("，、；：,;:）」』”’》】〉…。！？")
_NO_START = frozenset("+=<>&/%|~^")
_VOWELS = frozenset("aeiouyаеёиоуыэюяіїєαεηιουω")
_NOUN_LANGUAGES = frozenset(("de", "lb"))  # they write nouns with capitals
_COMPOUND_LANGUAGES = frozenset(("de", "lb", "nl"))
_ORDINAL_LANGUAGES = frozenset(
    ("de", "lb", "cs", "sk", "pl", "da", "no", "nb", "nn", "fi", "hu", "et", "lv", "sl", "hr", "sr", "bs", "tr", "is")
)  # a number with a period after it is an ordinal
_SYLLABIC_CONSONANTS = frozenset(("cs", "sk", "hr", "sr", "sl", "bs", "mk"))  # words without vowels
_UPPER, _LOWER, _DIGIT, _UNCASED, _SYMBOL, _NONE = "upper", "lower", "digit", "uncased", "symbol", "none"
_STARTS = (_UPPER, _DIGIT, _UNCASED, _SYMBOL)
_TAIL_CHARACTERS = 48  # before a stop, enough for an abbreviation of several parts
_ENGLISH_BEFORE_I = frozenset("and am do did can will than was as or have would could should nor so but".split())


class SentenceSplitter:
    """Splits lines of a language into their sentences.

    `language` is a code as `de` or `de_AT`; without one, or with one that the list doesn't have, the rules and what
    was learned do the work. A splitter is not changed by its use; it can be pickled.
    """

    def __init__(self, language: str | None = None, learned: LearnedWords | None = None) -> None:
        self.language = re.split(r"[-_]", language)[0].lower() if language else None
        words = list_of(self.language)
        learned = learned or LearnedWords()
        self._abbreviations = {**dict.fromkeys(learned.abbreviations, MIDDLE), **words.abbreviations}
        self._starters = words.sets[STARTER] | frozenset(learned.starters)
        self._speech, self._headings = words.sets[SPEECH], words.sets[HEADING]
        self._lettered, self._continuing = words.sets[LETTERED], words.sets[CONTINUING]
        self._before_ordinal, self._counted = words.sets[ORDINAL], words.sets[COUNTED]

    def split(self, line: str) -> list[str]:
        """The sentences of a line, each with the white space after it: joined, they are the line again."""
        starts = self.find_starts(line)
        if not starts:
            return [line]
        return [line[start:end] for start, end in zip([0, *starts], [*starts, len(line)], strict=True)]

    def find_starts(self, line: str) -> list[int]:
        """Where the second sentence of a line starts, and those after it."""
        starts: list[int] = []
        if not INNER_STOP.search(line) or not _LETTER.search(line):
            return starts
        start = 0
        stop = STOP.search(line)
        while stop:
            match = CANDIDATE.match(line, stop.start())
            if match and self._ends_sentence(line, start, match):
                start = match.end()
                starts.append(start)
            stop = STOP.search(line, (match or stop).end())
        return starts

    # One stop

    def _ends_sentence(self, line: str, start: int, match: re.Match[str]) -> bool:
        wide = match["stop"] is None
        stop_end = match.end("wide" if wide else "stop")
        sentence = line[start:stop_end].strip()
        if not _ALPHANUMERIC.search(sentence) or _LIST_MARK.fullmatch(sentence):
            return False
        if wide:
            return self._ends_wide(line, start, match)
        heading = _HEADING.fullmatch(sentence)
        if heading and heading[1].lower() in self._headings:
            return False
        close_end = match.end("close")
        if _in_brackets(line, start, close_end) or _in_embedded_quote(line, start, close_end):
            return False
        next_kind, next_at = self._find_next(line, match.end())
        stop = match["stop"]
        if next_kind not in _STARTS:
            return False
        if stop == ".":
            next_word = _word_at(line, next_at)
            return self._period_ends(line, start, match.start("stop"), next_kind, next_word, next_at)
        if set(stop) <= {".", "…", " ", "\xa0"}:  # an ellipsis
            before = line[start : match.start("stop")].rstrip()
            if next_kind == _UNCASED or before[-1] in "[(":
                return False
            return before.split()[-1].lower().lstrip("\"'“„«‘") != _word_at(line, next_at)  # I ... I don't know
        return not (match["close"] and self._is_attributed(line, start, next_kind, next_at))

    def _find_next(self, line: str, at: int) -> tuple[str, int]:
        """What a text begins with behind quotation marks and dashes, and where."""
        opened = _OPENERS.match(line, at)
        assert opened is not None
        begin = opened.end()
        if _DUTCH_START.match(line, at):
            return _UPPER, at
        if begin >= len(line):
            return _NONE, begin
        character = line[begin]
        if character.isdigit():
            return _DIGIT, begin
        if character.isalpha():
            if character.islower():
                capital = _MIXED_CASE.match(line, begin) or _LIST_ITEM.match(line, begin) or _WEB.match(line, begin)
                return (_UPPER if capital or line == line.lower() else _LOWER), begin
            return (_UPPER if character.isupper() or character.istitle() else _UNCASED), begin
        if character in "#@§•·" or (character not in _NO_START and unicodedata.category(character)[0] == "S"):
            return _SYMBOL, begin
        return _NONE, begin

    def _is_attributed(self, line: str, start: int, next_kind: str, next_at: int) -> bool:
        """Whether what follows says who asked or cried out what stands in quotation marks from the start."""
        if not self._speech or not line[start:].lstrip().startswith(("“", '"', "'", "‘", "«", "„", "「", "『")):
            return False
        clause = re.split(r"[.!?,;:।。，：！？؟]", line[next_at : next_at + 60], maxsplit=1)[0]
        if next_kind == _UPPER:
            words = clause.lower().split()[:4]
            return (
                bool(words)
                and (words[0] == "i" or words[0] not in self._starters)
                and not (self._speech.isdisjoint(words))
            )
        if self.language in ("zh", "ja", "ko", "th"):
            return any(verb in clause[:20] for verb in self._speech)
        return not self._speech.isdisjoint(clause.split()[:5])

    def _ends_wide(self, line: str, start: int, match: re.Match[str]) -> bool:
        """Whether a stop that needs no white space ends a sentence."""
        end = match.end()
        if line[end] in _CLAUSE_MARKS:
            return False
        before = line[start : match.end("wide_close")]
        if any(before.rfind(left) > before.rfind(right) for left, right in _BRACKETS.items()):
            return False
        if not match["wide_close"]:
            return True
        opener = {"）": "（", "”": "“"}.get(match["wide_close"][0])
        if opener and before[: before.rfind(opener)].strip()[-1:].isalnum():
            return False  # what is in them is a part of the sentence
        after = end
        while line[after : after + 1] in ("「", "『"):  # 「…」「…」と
            closing = line.find(_BRACKETS[line[after]], after)
            if closing < 0:
                break
            after = closing + 1
        if before[-1] in "」』）" and _JAPANESE_PARTICLE.match(line, after):
            return False
        return not self._is_attributed(line, start, _UNCASED, end)

    # A period

    def _period_ends(self, line: str, start: int, at: int, next_kind: str, next_word: str, next_at: int) -> bool:
        words = line[max(start, at - _TAIL_CHARACTERS) : at].split()
        token = words[-1].lstrip("\"'“”„‘’‚«»‹›([{¿¡*_—–-「『（$€£¥~≈") if words else ""
        if not token or not _ALPHANUMERIC.match(token[-1]) and unicodedata.category(token[-1])[0] != "M":
            return True
        starts_often = next_kind == _UPPER and next_word in self._starters and not _is_one_case(line)
        if token[0].isdigit() and _NUMBER.fullmatch(token):
            return self._number_ends(line, at, token, words, next_kind, next_word, next_at)
        kind = self._find_kind(token, words, next_kind)
        if kind is None and len(token) >= 2 and _ROMAN.fullmatch(token):
            return starts_often or self.language not in _ORDINAL_LANGUAGES
        if kind is None and not token[-1].isdigit() and not token[-1].islower() and not token[-1].isupper():
            return self._uncased_word_ends(token)
        if kind is None:
            return True
        if kind == END:
            if next_word in self._continuing or (next_word not in self._starters and _ROMAN_WORD.match(line, next_at)):
                return False
            is_adverbial = len(words) <= 3 and len(words) > 1 and _is_number(words[-2])  # At 5 a.m. Mr. Smith came.
            return next_kind != _DIGIT and (starts_often or not is_adverbial)
        if kind == "initial":
            return self._initial_ends(token, words, starts_often, next_word)
        if kind == WORD:
            is_numeral = len(next_word) == 1 or bool(_ROMAN.fullmatch(next_word.upper()))
            return next_kind != _DIGIT and (starts_often or not is_numeral)
        return kind in (NUMBER, MIDDLE) and starts_often

    def _find_kind(self, token: str, words: list[str], next_kind: str) -> str | None:
        """The kind of abbreviation that a period follows; None for other words."""
        parts = [re.split("['’]", token)[-1] or token]  # l'art.
        counts = next_kind != _DIGIT and self._counts_units(words)
        for word in reversed(words[-4:-1]):
            if not word.endswith(".") or len(word) > 5:
                break
            parts.insert(0, word.lstrip("(\"'„“«"))
        for first in range(len(parts)):
            joined = "".join(parts[first:])
            kind = self._abbreviations.get(joined)
            is_last = first == len(parts) - 1
            if kind is None and is_last and len(token) == 1 and token.isupper():
                return "initial"
            if kind is None and not (
                len(token) >= 3 and token.isalpha() and token.isupper() and not "".join(words[-3:-1]).isupper()
            ):
                kind = self._abbreviations.get(joined.lower())  # but min isn't MIN
            if kind == UNIT:
                return END if counts else TITLE
            if kind is not None:
                return kind
        if len(token) == 1 and token.isalpha() and token.islower():
            return TITLE if len(words) > 1 and words[-2].endswith(".") else MIDDLE
        if _ACRONYM.fullmatch(token):
            return MIDDLE
        if ".-" in token or (
            len(token) > 4 and self.language in _COMPOUND_LANGUAGES and token.endswith(("str", "nr", "pl"))
        ):
            return NUMBER  # Dipl.-Ing., Hauptstr.
        if token[0] == "و" and token[1:] in self._abbreviations:  # Arabic "and", written together
            return self._abbreviations[token[1:]]
        return (END if counts else MIDDLE) if self._lacks_vowels(token) else None

    def _counts_units(self, words: list[str]) -> bool:
        """Whether a number stands before the last word, or before a unit that does: 5 km, 5 sq. km."""
        number = len(words) - 2
        if number > 0 and self._abbreviations.get(words[number].rstrip(".").lower()) == UNIT:
            number -= 1
        return number >= 0 and _is_number(words[number])

    def _lacks_vowels(self, token: str) -> bool:
        if self.language in _SYLLABIC_CONSONANTS or not 2 <= len(token) <= 5 or token.isupper() or not token.isalpha():
            return False
        letters = unicodedata.normalize("NFD", token.lower())
        known = all("a" <= letter <= "z" or "а" <= letter <= "ё" for letter in letters)
        return known and _VOWELS.isdisjoint(letters) and not set(letters) <= set("hmpst")

    def _initial_ends(self, token: str, words: list[str], starts_often: bool, next_word: str) -> bool:
        before = words[-2] if len(words) > 1 else ""
        if token == "I" and self.language == "en" and before.lower() in _ENGLISH_BEFORE_I:
            return True
        if before.lower().rstrip(".") in self._lettered:
            return True
        return starts_often and bool(before) and not _INITIAL.fullmatch(before)

    def _number_ends(
        self, line: str, at: int, token: str, words: list[str], next_kind: str, next_word: str, next_at: int
    ) -> bool:
        is_ordinal = token.isdigit() and len(token) <= 3
        if next_kind == _DIGIT:
            if token.isdigit() and len(token) <= 2 and _DATE_REST.match(line, next_at):
                return False
            if _DAY_BEFORE.search(line[max(0, at - 10) : at + 1]) or self.language == "ko":
                return False
            return not (is_ordinal and len(token) <= 2 and self.language in _ORDINAL_LANGUAGES)
        if self.language == "ko":
            return False
        if not is_ordinal or self.language not in _ORDINAL_LANGUAGES or next_kind != _UPPER:
            return True
        if next_word in self._starters:
            return True
        if self.language in _NOUN_LANGUAGES:
            before = words[-2].lower().strip('("„»,') if len(words) > 1 else ""
            return not (before in self._before_ordinal or next_word in self._counted)
        return not line[next_at : next_at + 2].isupper()

    def _uncased_word_ends(self, token: str) -> bool:
        """Whether a word of a script without capitals is none that is abbreviated: too long for that."""
        letters = sum(unicodedata.category(character)[0] == "L" for character in token.split(".")[-1])
        last = token[-1]
        if "\u0e00" <= last <= "\u0eff":  # Thai and Lao: words aren't parted
            return letters >= 8 and "." not in token
        return letters > (2 if "\u0900" <= last <= "\u0dff" else 1)


def _word_at(line: str, at: int) -> str:
    word = _WORD.match(line, at)
    if word is None:
        return ""
    found = word[0].lower()
    return found if "'" not in found and "’" not in found else re.split("['’]", found)[0]


def _is_number(word: str) -> bool:
    word = word.lstrip("([\"'„«~≈$€£")
    return bool(word) and word[-1] != "," and (word[0].isdigit() or bool(_ROMAN.fullmatch(word)))


def _is_one_case(line: str) -> bool:
    return line == line.lower() or line == line.upper()


def _in_embedded_quote(line: str, start: int, end: int) -> bool:
    """Whether a stop is in quotation marks that stand, as a title does, behind a word without a comma or a colon."""
    for left, right in (("“", "”"), ("«", "»"), ("„", "“"), ("„", "”"), ('"', '"')):
        opened = line.rfind(left, start, end)
        if opened <= start:
            continue
        is_open = line.count('"', start, end) % 2 == 1 if left == right else opened > line.rfind(right, start, end)
        if is_open and line.find(right, end) >= 0 and line[start:opened].rstrip()[-1:].isalnum():
            return True
    return False


def _in_brackets(line: str, start: int, end: int) -> bool:
    """Whether a bracket that was opened inside the sentence is closed only later."""
    for left, right in (("(", ")"), ("[", "]"), ("（", "）")):
        opened = line.rfind(left, start, end)
        if opened > start and opened > line.rfind(right, start, end) and line[start:opened].strip():
            return line.find(right, end) >= 0
    return False
