"""Sentences of a line: F1 on the set of tests/data/sentences, single cases, nothing lost of any text, learning.

In the set a line holds `¦` where a sentence begins in it and `* ` in front if it is hard; every third line is held out.
"""

import importlib
import pickle
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.data.sentences import splitter as sentences
from nmt_cli.data.sentences.abbreviations import ABBREVIATION_KINDS, LearnedWords, learn_words, list_of
from nmt_cli.data.sentences.splitter import SentenceSplitter
from nmt_cli.vocabulary import SPAN_MARK
from tests.conftest import examples

ROOT = Path(__file__).parent.parent.parent
FILES = sorted((ROOT / "tests" / "data" / "sentences").glob("*.txt"))
LANGUAGES = [path.stem for path in FILES]
MIN_F1 = 97.0  # of all languages together; a small file may have less, by one boundary or two
MIN_LANGUAGE_F1 = 90.0


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("sentence_splitting")


# The set


def test_the_set_is_large_enough(program: Any) -> None:
    cases = [case for path in FILES for case in program.read_cases(path, "both")]
    assert len(cases) >= 500 and sum(case.is_hard for case in cases) >= 100 and len(FILES) >= 10
    held_out = sum(1 for path in FILES for _ in program.read_cases(path, "held-out"))
    assert abs(held_out - len(cases) / 3) < len(FILES)


@pytest.mark.parametrize("part", ["tuned", "held-out"])
def test_f1_of_the_set(program: Any, part: str) -> None:
    total: Counter[str] = Counter()
    for path in FILES:
        splitter = SentenceSplitter(program.language_of(path))
        counts = program.count_boundaries(program.read_cases(path, part), splitter.find_starts)
        assert program.f1(counts) >= MIN_LANGUAGE_F1, f"{path.stem}: {counts}"
        total += counts
    assert program.f1(total) >= MIN_F1, total


def test_f1_of_more_lines_that_the_rules_were_tuned_on(program: Any) -> None:
    total: Counter[str] = Counter()
    for path in sorted((FILES[0].parent / "more").glob("*.txt")):
        splitter = SentenceSplitter(program.language_of(path))
        total += program.count_boundaries(program.read_cases(path, "both"), splitter.find_starts)
    assert total["lines"] > 800 and program.f1(total) >= MIN_F1, total


def test_the_program_prints_f1_of_each_language(
    program: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["sentence_splitting.py", "--part", "tuned", "--speed-seconds", "0"])
    monkeypatch.setattr(program, "pysbd_starts", lambda language: program.plain_starts if language == "en" else None)
    program.main()
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines()[1 : len(FILES) + 1]] == LANGUAGES
    assert re.search(r"^ours +F1 \d+\.\d\d %", printed, re.MULTILINE)
    assert re.search(r"^plain +F1 \d+\.\d\d %", printed, re.MULTILINE)


def test_boundaries_are_counted_right(program: Any) -> None:
    case = program.parse_case("* Go. ¦Now. ¦Please.")
    assert case == program.Case("Go. Now. Please.", (4, 9), True)
    counts = program.count_boundaries([case], lambda line: [4, 7])
    assert (counts["right"], counts["wrong"], counts["missed"], program.f1(counts)) == (1, 1, 1, 50.0)
    assert program.f1(Counter()) == 100.0


# Single cases: sentences begin at `¦`

CASES = {
    "url": ("en", "See https://example.org/a.b?c=d.e. ¦Then go."),
    "e-mail": ("en", "Ask j.doe@mail.example.org. ¦Then wait."),
    "number": ("en", "It is 1,000.50 or 3.14. ¦Take one."),
    "date": ("de", "Am 12.5.2024 oder am 12. 5. 2024 ist Schluss. ¦Danach nicht."),
    "ordinal": ("de", "Am 3. Oktober ist frei. ¦Am 4. auch."),
    "ordinal of a king": ("de", "Ludwig XIV. baute viel. ¦Er lebte lange."),
    "initials": ("en", "J. R. R. Tolkien and C.S. Lewis met. ¦They talked."),
    "letter that is no initial": ("en", "This is plan B. ¦Oranges have vitamin C. ¦Good."),
    "country inside": ("en", "The U.S. Senate met. ¦It voted."),
    "country at the end": ("en", "I live in the U.S. ¦My brother does, too."),
    "for example": ("de", "Obst, z. B. Äpfel, ist gesund. ¦Iss es."),
    "time before a name": ("en", "At 5 a.m. Mr. Smith left. ¦He came back at 6 p.m. ¦Mrs. Smith slept."),
    "time before a day": ("en", "It opens at 10 a.m. Monday. ¦Be there."),
    "ellipsis before small letters": ("en", "I thought... no. ¦Never mind."),
    "stammer": ("en", "I ... I don't know."),
    "closing quotation mark": ("en", "“It is late.” ¦He left."),
    "closing quotation mark behind a space": ("fr", "Il dit : « Viens ! » ¦Puis il partit."),
    "reversed quotation marks": ("de", "»Komm!« ¦Er kam."),
    "title of a film": ("en", "We saw “Stop. Look. Listen.” twice. ¦It was good."),
    "who said so": ("en", "“Why?” Mary asked. ¦Nobody knew."),
    "dialogue": ("ru", "— Кто там? — спросил он. ¦— Это я."),
    "brackets inside": ("en", "It was cold (very cold! Freezing!) that night. ¦We left."),
    "brackets around": ("en", "(It was cold.) ¦We left."),
    "list mark": ("en", "1. Open it. ¦2. Close it."),
    "letter as a list mark": ("en", "a) Open it. ¦b) Close it."),
    "heading": ("en", "Chapter 1. The Boy"),
    "question and exclamation mark": ("en", "What?! ¦No!!! ¦Yes…"),
    "company": ("en", "Acme Inc. said so. ¦It lied."),
    "number of a house": ("de", "Er wohnt in der Goethestr. 7 in Ulm. ¦Sie auch."),
    "brand in small letters": ("en", "It broke. ¦iPads break."),
    "footnote": ("en", "It ended in 1945.[1] ¦Europe lay in ruins.[2]"),
    "footnote with a name": ("en", "It ended in 1945.[^war] ¦Europe lay in ruins."),
    "no white space": ("en", "It rains.¦The street is wet...¦He waits!¦Go."),
    "no white space in names": ("en", "Use Node.js, ASP.NET, user.Is_admin() or items.First() in St.Petersburg."),
    "number that must not change": ("en", f"It rains. ¦({SPAN_MARK}) The street is wet.{SPAN_MARK} ¦He waits."),
    "tag that must not change": ("en", f"It rains. {SPAN_MARK} is wet."),
    "list of quotations": ("en", '"It rains.", ¦"He waits."'),
    "quotations inside": ("en", 'The questions "Why?", "When?" and "How?" matter.'),
    "German quotations inside": ("de", "„Warum?“, „Wann?“ und „Wie?“ sind Fragen."),
    "what must not change behind a stop": ("en", f"open the file.{SPAN_MARK} is here"),
    "abbreviation before what must not change": ("de", f"Noch verbl. {SPAN_MARK} Minuten."),
    "annex": ("de", "Siehe Beil. B."),
    "possessive": ("fr", "Ils mangent devant un McDonald's. ¦Un homme passe."),
    "interjection": ("en", "Well... I don't know. ¦I do... ¦But no."),
    "unit": ("en", "It is 6 ft. 2 in. tall. ¦He looks in. ¦Mary looks out."),
    "emoji": ("en", "Great! 😀 ¦See you."),
    "small letters only": ("en", "i don't know. ¦ask dr. miller at 5 p.m. on monday."),
    "no letters": ("en", "3. 4! 5? 6"),
    "white space kept": ("en", "  One. \t ¦Two.\u00a0\u2003¦Three. "),
    "Dutch evening": ("nl", "Het was laat. ¦'s Avonds regende het."),
    "Amharic stop of two marks": ("am", "እናቴ ዳቦ ይገዛል፡፡ ¦ዳቦ፡ነው፡፡¦መጣ፡፡"),
    "Chinese": ("zh", "你好吗？¦“我很好。”¦价格是3.5元！"),
    "Chinese who said so": ("zh", "“你去哪儿？”他问。¦没有人回答。"),
    "Japanese particle": ("ja", "「はい。行きます。」と答えた。¦「どこへ？」¦誰も知らない。"),
    "Japanese marks of ASCII": ("ja", "元気ですか?¦はい!"),
    "Hindi": ("hi", "डॉ. शर्मा आए। ¦वे बैठे।¦क्यों?"),
    "Arabic": ("ar", "أين د. حسن؟ ¦لا أعرف. ¦ربما غدا."),
    "Urdu": ("ur", "یہ کتاب ہے۔ ¦وہ قلم ہے۔"),
    "Thai": ("th", "เขาไป ฉันอยู่ พ.ศ. 2560 ที่นี่"),
    "Greek question": ("el", "Πού είναι; ¦Δεν ξέρω; ¦Ο κ. Νίκας ξέρει."),
    "bar as a danda": ("hi", "राम घर गया| ¦सीता आई| ¦क | ख | ग|घ है|"),
    "bar as a danda in Bengali": ("bn", "আমি যাই| ¦তুমি আসো|"),
    "bar": ("en", "a| B| C"),
    "Tibetan": ("bo", "བཀྲ་ཤིས་བདེ་ལེགས། ¦ཁྱེད་རང་གང་ནས་ཡིན།"),
    "Georgian": ("ka", "COVID-19 აქ არის. ¦როგორ ხარ? ¦კარგად ვარ. ¦ბ. გურული მოვიდა."),
    "Hungarian paragraphs": ("hu", "Az Mt. 78. § alapján és a Ptk. 6:98. § (1) szerint. ¦Vége 2020. ¦Ez jó."),
    "paragraph after a year": ("de", "Er kam 2020. ¦§ 5 gilt."),
    "Croatian articles": ("hr", "Prema članku 5. Ustava i čl. 6. st. 2. Zakona. ¦Bilo ih je 5. ¦Ivan je došao."),
    "Bosnian articles": ("bs", "Prema članu 5. Ustava i čl. 6. st. 2. Zakona. ¦To je sve."),
    "Serbian articles": (
        "sr",
        "Према члану 5. Устава и чл. 6. ст. 2. Закона. ¦Prema članu 5. Ustava. ¦То је др. Ивић.",
    ),
    "Italian law": (
        "it",
        "Il D.Lgs. 196/2003, art. 3, co. 2, lett. b). ¦Così Cass. Civ. Sez. Un. 12 marzo. ¦La Corte decide.",
    ),
    "American law": (
        "en",
        "See Fed. R. Civ. P. 12(b)(6), Exh. A. Dkt. No. 5. ¦The dog was fed. ¦Anna left the Fed. ¦Markets fell.",
    ),
    "French law": ("fr", "Voir Cass. Civ. 1re, 3 mai. ¦Le juge décide."),
    "abbreviation with an initial": ("xx", "Bla D.Lgs. Bla. ¦Bla a.txt. ¦Bla."),
    "Vietnamese titles": ("vi", "PGS. TS. Nguyễn đến. ¦GS.TS. Trần và ThS. Lê nói."),
    "Armenian": ("hy", "Որտե՞ղ է։ ¦Այստեղ է: ¦Լավ։"),
    "Amharic": ("am", "ጥሩ ነው። ¦አንብቤዋለሁ።"),
    "language that isn't listed": ("xx", "Bla dr. Bla bla. ¦Bla!"),
    "region": ("de_AT", "Am 3. Jänner schneite es. ¦Schön."),
}


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    language, marked = CASES[name]
    assert SentenceSplitter(language).split(marked.replace("¦", "")) == marked.split("¦")


@pytest.mark.parametrize(
    "line",
    [
        "ߡߛߏ ߓߘߊ߫ ߖߌ ߛߊ߲߬߹ ¦ߗߍ ߦߋ߫ ߓߎߙߎ ߝߋߙߋ.",
        "ኣደይ ማይ ይደሊ:: ¦ኣቦይ ቡን ይፈቱ::¦ቆልዓ ጸባ ይወስድ::",
        "«ማይ»:: ¦ኣቦይ 1:10 ኣሎ፡፡ ¦ሰላም፨ ¦ሰላም፡፡፡",
        "Use std::vector, std:: or a::b. ¦In C++ it is A::B; fe80::1 is none.",
        "בראשית ברא אלהים׃ ¦והארץ היתה 1׃10 תהו׃",
        "ܫܠܡܐ ܠܟܘܢ܀ ¦ܐܢܐ ܗܘ܂ ¦ܟܬܒܐ܁",
        "ꕉꕜꕮ ꔔ꘎ ¦ꕉꕜꕮ ꔔ꘏ ¦ꕉ",
        "ꦲꦏ꧉¦ꦲꦏ꧈ꦲꦏ꧈ ꦲꦏ",
        "𑄌𑄋𑄴𑄟𑄳𑄦𑅁 ¦𑄌𑄋𑄴𑄟𑄳𑄦",
        "ᐃᓄᒃ ᑎᑐᑦ᙮ ¦ᐃᓄᒃ᙮",
        "ខ្ញុំ៚ ¦ខ្ញុំ",
        "Բարև: ¦Ինչպես ես 1:10 Հայ:հայ",
        "मैं हूँ| ¦तुम हो|",
        "ကျွန်တော်၊ သူ။ ¦သူ",
    ],
)
def test_the_stops_of_each_script_part_sentences(line: str) -> None:
    assert SentenceSplitter().split(line.replace("¦", "")) == line.split("¦")


def test_a_line_without_an_inner_stop_stays_whole_and_no_stop_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoCandidate:
        def match(self, *_: object) -> None:
            raise AssertionError

    monkeypatch.setattr(sentences, "CANDIDATE", NoCandidate())
    for line in ("", " ", "\n", "...", "No stop", "One stop.", "“Two stops?!” ", "。", "- - -"):
        assert SentenceSplitter("en").split(line) == [line]


# Any text

MARKS = list(".!?…。？।؟։;:“”«»\"'()「」（）—[]")
WORDS = [
    *"aAI3中にدน😀",
    "Dr",
    "No",
    "U.S",
    "z. B",
    "12",
    "XIV",
    "है",
    "\u0301",
    "\u200d",
    "said",
    "p.m",
    "km",
    "str",
    "[1]",
]
PIECES = st.sampled_from([*MARKS, *WORDS, " ", "  ", "\n", "\u00a0", "1. ", "a) ", "5 "])
ANY_TEXT = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=25).map("".join))


splitter_of = cache(SentenceSplitter)


@examples(400)
@given(text=ANY_TEXT, language=st.sampled_from([*LANGUAGES, None, "xx"]))
def test_joined_sentences_are_the_line_and_none_is_empty(text: str, language: str | None) -> None:
    parts = splitter_of(language).split(text)
    assert "".join(parts) == text
    assert all(parts) or parts == [""]
    assert len(parts) == 1 or all(re.search(r"\w", part) for part in parts[:-1])
    assert all(not part[:1].isspace() for part in parts[1:])


@pytest.mark.parametrize(
    "unit",
    [".", ". ", "a. ", "a. b", "(a. ", '"a. ', "!", "! a ", "。", "「。", "a 。”", "A. ", ") ", ".)", "1. ", "😀! "],
)
def test_work_grows_with_the_line_and_not_with_its_square(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The characters that are looked at are about twice as many in a line of twice the length."""
    splitter = SentenceSplitter("en")
    for name, value in vars(sentences).items():
        if isinstance(value, re.Pattern):
            monkeypatch.setattr(sentences, name, CountingPattern(value))
    work = []
    for count in (1_000, 2_000):
        line = CountingText("a " + unit * count + " a")
        CountingText.looked_at = 0
        assert "".join(splitter.split(line)) == line
        work.append(CountingText.looked_at)
    assert len(line) <= work[1] <= 2.2 * work[0], work


class CountingText(str):
    """A line that counts the characters that its methods and `CountingPattern` look at, at most."""

    looked_at = 0

    def __getitem__(self, key: Any) -> str:
        part = str.__getitem__(self, key)
        CountingText.looked_at += len(part)
        return part

    def find(self, sub: str, start: Any = 0, end: Any = None) -> int:
        position = str.find(self, sub, start, end)
        self.look(start, end if position < 0 else position + len(sub))
        return position

    def rfind(self, sub: str, start: Any = 0, end: Any = None) -> int:
        position = str.rfind(self, sub, start, end)
        self.look(start if position < 0 else position, end)
        return position

    def count(self, sub: str, start: Any = 0, end: Any = None) -> int:
        self.look(start, end)
        return str.count(self, sub, start, end)

    def islower(self) -> bool:
        self.look()
        return str.islower(self)

    def isupper(self) -> bool:
        self.look()
        return str.isupper(self)

    def look(self, start: int = 0, end: int | None = None) -> None:
        CountingText.looked_at += max(0, (len(self) if end is None else min(end, len(self))) - start)


class CountingPattern:
    """A pattern that counts the characters of a `CountingText` that it goes over."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.pattern = pattern

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.pattern, name)

        def counting(text: str, *limits: int) -> Any:
            match = method(text, *limits)
            if isinstance(text, CountingText):
                if isinstance(match, re.Match):
                    text.look(limits[0] if limits else 0, match.end())
                elif name == "search" or len(limits) > 1:
                    text.look(*limits)
            return match

        return counting


# What is listed and what is learned


def test_every_listed_language_has_words() -> None:
    for language in ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "cs", "ru", "el", "hi", "ar"):
        assert len(list_of(language).abbreviations) > len(list_of("").abbreviations), language
        assert set(list_of(language).abbreviations.values()) <= set(ABBREVIATION_KINDS)


def make_text() -> list[str]:
    """Lines of a language that isn't listed: `abr.` and `q.v.` are abbreviations, `len` only ends sentences."""
    nouns = ["pelora", "mantiku", "sorven", "galimo", "ternadu"]
    lines = []
    for number in range(200):
        noun, other = nouns[number % 5], nouns[number % 3].capitalize()
        lines += [f"Dana {noun} abr. {other} len.", f"Tovi len {noun} q.v. dana {other}.", f"Dana len. Tovi {noun}."]
        lines += [f"{other} tovi len {noun} abril."]
    return lines


def test_abbreviations_are_learned() -> None:
    assert set(learn_words(make_text()).abbreviations) == {"abr", "q.v"}
    assert learn_words([]) == learn_words(["one", "", " . ... 3. 4. 3. 4."]) == LearnedWords()


def test_words_of_two_texts_are_joined_each_once() -> None:
    joined = LearnedWords(("abr", "q.v"), ("dana",)).union(LearnedWords(("q.v", "vgl"), ("dana", "tovi")))
    assert joined == LearnedWords(("abr", "q.v", "vgl"), ("dana", "tovi"))


def test_learned_words_split_lines() -> None:
    learned = learn_words(make_text())
    assert learned.starters == ("dana",)
    line = "Tovi abr. Galimo sorven. Tovi abr. Dana len."
    assert SentenceSplitter("xx").split(line) == ["Tovi abr. ", "Galimo sorven. ", "Tovi abr. ", "Dana len."]
    assert SentenceSplitter("xx", learned).split(line) == ["Tovi abr. Galimo sorven. ", "Tovi abr. ", "Dana len."]


def test_learned_words_are_saved_as_lines_of_text(tmp_path: Path) -> None:
    learned = LearnedWords(("abr", "q.v"), ("dana",))
    learned.save(tmp_path / "sentences.txt")
    assert (tmp_path / "sentences.txt").read_text() == "abbreviation abr\nabbreviation q.v\nstarter dana\n"
    assert LearnedWords.load(tmp_path / "sentences.txt") == learned


def test_a_splitter_can_be_sent_to_another_process() -> None:
    splitter = pickle.loads(pickle.dumps(SentenceSplitter("de")))
    assert splitter.split("Am 3. Mai. Danach.") == ["Am 3. Mai. ", "Danach."]
