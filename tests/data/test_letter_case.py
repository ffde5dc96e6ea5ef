"""Capitals are recognised, and words get their usual case and their capitals back."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from nmt_cli.data import letter_case
from nmt_cli.data.apostrophes import APOSTROPHES
from nmt_cli.data.letter_case import (
    CaseShares,
    Truecaser,
    capitalize_start,
    capitalize_words,
    is_upper,
    learn_capitals_words,
    share_of_words,
    upper_case,
)
from nmt_cli.data.sentences.splitter import SentenceSplitter
from nmt_cli.errors import DataError

LINES = [
    "The old man visits Anna in New York.",
    "Yesterday the man and Anna saw a dog in New York. A dog!",
    'The dog says: "The man in New York knows Anna."',
]
TRUECASER = Truecaser.learn(LINES * 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("THE OLD MAN.", True),
        ("HELLO", True),
        ("NATO", False),  # rather an acronym
        ("I AM", False),
        ("Two NATO MEMBERS", False),
        ("IPHONE SALE, BUY iPHONE", True),
        ("SEE https://example.org/index AND {name}", True),
        ("ÉTÉ À LA MER", True),
        ("1984 – 2001", False),
        ("我喜欢读书。", False),
        ("他在NASA和UNESCO工作。", False),  # acronyms alone
        ("彼はNASAとUNESCOで働いている。", False),
        ("वह NASA और UNESCO में काम करता है।", False),
        ("هو يعمل في NASA و UNESCO", False),
        ("เขาทำงานที่ NASA และ UNESCO", False),
        ("그는 NASA와 UNESCO에서 일한다.", False),
        ("הוא עובד ב-NASA וב-UNESCO", False),
        ("THE FAMOUS CITY OF 北京 WELCOMES ITS VISITORS", True),
        ("ᎠᏂᎩᏚᏩᎩ ᎤᏂᏁᎦ", False),  # which has no small letters
        ("ᎠᏂᎩᏚᏩᎩ ᎤᏂᏁᎦ NASA", False),
        ("THE FAMOUS CITY OF ᏓᎵᏆ WELCOMES ITS VISITORS", True),
        ("HAWAIʻI OʻAHU", True),
        ("AC/DC", False),
        ("U.S.A. GDP", False),
    ],
)
def test_what_is_written_in_capitals(text: str, expected: bool) -> None:
    assert is_upper(text) == expected


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Die Straße ist größer.", "de", "DIE STRASSE IST GRÖSSER."),
        ("ince bir ışık", "tr", "İNCE BİR IŞIK"),
        *[("ilk ıssız", code, "İLK ISSIZ") for code in ("crh", "gag-MD", "zza", "diq", "kiu_Latn", "azj")],
        ("Η Αθήνα μαΐου", "el", "Η ΑΘΗΝΑ ΜΑΪΟΥ"),
        (
            "See https://example.org/a or mail a@b.org, {name}!",
            "en",
            "SEE https://example.org/a OR MAIL a@b.org, {name}!",
        ),
        ("我喜欢读书。", "zh", "我喜欢读书。"),
        ("neu und/oder alt, z.B. Hunde (u.a.)", "de", "NEU UND/ODER ALT, Z.B. HUNDE (U.A.)"),
        ("in /usr/bin, b.py, a.b und //x", "de", "IN /usr/bin, b.py, a.b UND //x"),
    ],
)
def test_capitals_are_those_of_the_language(text: str, language: str, expected: str) -> None:
    assert upper_case(text, language) == expected


def test_only_what_has_a_capital_it_does_not_need_is_a_title() -> None:
    assert TRUECASER.case_of("The Old Man And The Dog") == "title"
    assert TRUECASER.case_of("The Old Man and the Dog Sleep") == "title"
    assert TRUECASER.case_of("The Old Man and the dog") != "title"
    assert TRUECASER.case_of("The Old House of the Smith Family") != "title"
    assert TRUECASER.case_of("The old man and the dog") is None
    assert TRUECASER.case_of("Anna Miller, John Smith") is None  # names alone
    assert TRUECASER.case_of("The Dog Says") is None  # too short to tell
    assert TRUECASER.case_of("THE OLD MAN") == "upper"
    assert Truecaser().case_of("The Old Man And The Dog") is None


def test_words_get_their_usual_case() -> None:
    assert TRUECASER.usual_case("THE MAN, MR. OLD, SAW ANNA.") == "The man, mr. old, saw Anna."
    assert TRUECASER.usual_case("ASK {NAME} AT A@B.ORG") == "Ask {NAME} at A@B.ORG"
    knowing = Truecaser({**TRUECASER.forms, "or": "or", "e": "e", "g": "g"})
    assert knowing.usual_case("DOG AND/OR MAN, E.G. ANNA/OLD.") == "Dog and/or man, e.g. Anna/old."
    assert knowing.usual_case("THE U.S. SAW AC/DC AND J.R.R. TOLKIEN.") == "The U.S. saw AC/DC and J.R.R. tolkien."
    assert Truecaser().usual_case("«IŞIK VAR»", "tr") == "«Işık var»"
    lower = Truecaser.learn(line.lower() for line in LINES * 3)
    assert lower.usual_case("THE MAN SAW ANNA.") == "the man saw anna."  # text without capitals


@pytest.mark.parametrize(
    "small, language, capital",
    [
        ("ijs is koud", "nl", "IJs is koud"),
        ("ijs", "de", "Ijs"),
        ("ilk «ışık»", "tr", "İlk «ışık»"),
        ("ışık", "tr", "Işık"),
        ("άνθρωπος", "el", "Άνθρωπος"),  # with its tonos
        ("ﬁne dogs", "en", "Fine dogs"),
        ("ǆep", "hr", "ǅep"),
        ("კაცი", "ka", "კაცი"),  # no capitals in sentences
        ("‘tis a dog", "en", "‘Tis a dog"),
    ],
)
def test_a_first_letter_is_written_as_the_language_writes_it(small: str, language: str, capital: str) -> None:
    assert capitalize_start(small, language) == capital
    if language not in ("en", "hr"):
        words = Truecaser.learn([f"A {small}"] * 3, language)
        assert words.lower_start(capital, language) == small


def test_turkish_names_are_known_by_their_letters(tmp_path: Path) -> None:
    names = Truecaser.learn(["Bu İstanbul ve Isparta ilk"] * 3, "tr")
    names.save(tmp_path / "truecase.txt")
    for truecaser in (names, Truecaser.load(tmp_path / "truecase.txt", "tr")):
        assert truecaser.usual_case("VE İSTANBUL VE ISPARTA", "tr") == "Ve İstanbul ve Isparta"
        assert truecaser.lower_start("İstanbul", "tr") == "İstanbul" and truecaser.lower_start("İlk", "tr") == "ilk"


def test_cherokee_has_no_small_letters() -> None:
    learned = Truecaser.learn(["ᎠᏂᎩᏚᏩᎩ ᎤᏂᏁᎦ ᎠᎴ the dog"] * 3)
    assert learned.forms == {"ᎤᏂᏁᎦ": "ᎤᏂᏁᎦ", "ᎠᎴ": "ᎠᎴ", "the": "the", "dog": "dog"}
    assert learned.usual_case("THE ᏓᎵᏆ ᎠᎴ DOG") == "The ᏓᎵᏆ ᎠᎴ dog"
    assert learned.lower_start("ᏓᎵᏆ dog") == "ᏓᎵᏆ dog"
    assert learned.shares(["ᎠᏂᎩᏚᏩᎩ ᎤᏂᏁᎦ", "the dog"]).upper == 0


def test_a_single_letter_is_no_name() -> None:
    assert TRUECASER.lower_start("S Profil", "de") == "s Profil" and TRUECASER.lower_start("Ss", "de") == "Ss"
    assert TRUECASER.lower_start("I see", "en") == "I see"


def test_acronyms_in_text_without_case_teach() -> None:
    assert Truecaser.learn(["我在 NASA 和 UNESCO 工作"] * 3).forms["nasa"] == "NASA"


def test_each_form_of_a_word_is_brought_into_lower_case_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each word of the text was, which took an eighth of the time of preparing it."""
    lower = Mock(wraps=letter_case._lower)
    monkeypatch.setattr(letter_case, "_lower", lower)
    assert Truecaser.learn(LINES * 3).forms == TRUECASER.forms
    forms = [call.args[0] for call in lower.call_args_list]
    assert "Anna" in forms and len(forms) == len(set(forms))


def test_headlines_and_first_words_do_not_teach() -> None:
    assert "YESTERDAY" not in TRUECASER.forms.values() and "yesterday" not in TRUECASER.forms
    assert Truecaser.learn([*LINES * 3, *["THE MAN SAW ANNA"] * 50]).forms == TRUECASER.forms


@pytest.mark.parametrize(
    ("lines", "capitals"),
    [
        (["The dog sees a cat."], True),  # a phrase book has none elsewhere
        (["the dog sees a cat."], False),
        (["the dog sees a cat."] * 2 + ["The dog sees a cat."], False),  # what others wrote
        (["the dog sees Paris."], True),
        (["THE DOG", "the dog sees a cat."], False),
        (["“ʻO ka nui o ka ʻāina.”"], True),
        (["Ke ʻai nei. Ke ʻai nei."], True),
        (["我 喜欢 读书。"], True),  # nothing says that it has not
        (["the dog. The dog. the dog."], False),
        (["ᎠᎴ ᏓᎵᏆ", "the dog sees ᏓᎵᏆ", "the dog"], False),
    ],
)
def test_a_text_has_capitals_if_most_sentences_begin_with_one(lines: list[str], capitals: bool, tmp_path: Path) -> None:
    learned = Truecaser.learn(lines * 3)
    path = tmp_path / "truecase.txt"
    learned.save(path)
    for truecaser in (
        learned,
        Truecaser.load(path, has_capitals=learned.has_capitals),
        learned.union(Truecaser({"a": "a"})),
    ):
        assert truecaser.has_capitals is capitals
        assert (truecaser.case_of("the cat sees a dog") == "lower") is capitals
        assert truecaser.usual_case("THE CAT").startswith("T") is capitals
    assert learned.union(Truecaser({"anna": "Anna"})).has_capitals
    assert Truecaser().union(learned).has_capitals is capitals


def test_shares_of_a_text() -> None:
    lines = ["THE OLD MAN", "The Old Man And The Dog", "The old man.", "A dog."]
    assert TRUECASER.shares(lines) == CaseShares(0.25, 0.25, 0.0)
    assert TRUECASER.shares([*lines, *map(str.lower, lines)]).lower == 0.5
    assert TRUECASER.shares([]) == CaseShares(0.0, 0.0, 0.0)


def test_forms_are_kept_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "truecase.txt"
    assert Truecaser.load(path).forms == {}
    TRUECASER.save(path)
    assert Truecaser.load(path).forms == TRUECASER.forms
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"truecase\.txt"):
        Truecaser.load(path)


def test_a_mark_is_no_end_of_a_word() -> None:
    assert capitalize_words("ṣùgbọ́n ó wà") == "Ṣùgbọ́n Ó Wà"
    assert capitalize_words("𞤬𞤢𞥄𞤪𞤭 𞤲𞤢𞥄𞤺𞤫") == "𞤊𞤢𞥄𞤪𞤭 𞤐𞤢𞥄𞤺𞤫"


@pytest.mark.parametrize("mark", APOSTROPHES)
def test_an_apostrophe_is_no_end_of_a_word(mark: str) -> None:
    word = f"hawai{mark}i"
    assert capitalize_words(f"{word} nui") == f"Hawai{mark}i Nui"
    assert Truecaser.learn([f"Aloha {word}"] * 3).forms == {word.lower(): word}


def test_an_okina_before_a_word_has_no_capital() -> None:
    assert capitalize_words("ka ʻāina ʻo") == "Ka ʻĀina ʻO"
    assert capitalize_start("ʻāina nui") == "ʻĀina nui" and capitalize_start("ʻ a") == "ʻ a"
    forms = Truecaser({"ʻāina": "ʻāina", "nui": "nui", "ʻanakē": "ʻAnakē", "ʻumi": "ʻumi", "ka": "ka"})
    assert forms.case_of("ʻāina nui") == "lower" and forms.case_of("ʻĀina nui") is None
    assert forms.lower_start("ʻĀina nui") == "ʻāina nui" and forms.lower_start("ʻAnakē nui") == "ʻAnakē nui"
    assert forms.usual_case("KA ʻĀINA, ʻANAKĒ") == "Ka ʻāina, ʻAnakē"
    assert forms.without_slips("ʻUMi ʻĀINa") == "ʻUmi ʻāina"


def test_every_word_of_a_title_has_a_capital() -> None:
    assert capitalize_words("the old man's and/or dog, e.g. {name}") == "The Old Man's And/Or Dog, e.g. {name}"


@pytest.mark.parametrize(
    "text, mended",
    [
        ("TOmorrow THe dog", "Tomorrow the dog"),
        ("tOMORROW the dOG", "Tomorrow the dog"),
        ("the TVs of McDonald and DOgge", "the TVs of McDonald and DOgge"),  # no word that is known in another form
        ("THE DOG", "THE DOG"),
        ("A Dog", "A Dog"),
        ("ANna", "Anna"),
    ],
)
def test_a_slip_of_the_shift_key_is_mended_in_words_that_are_known(text: str, mended: str) -> None:
    forms = {"tomorrow": "tomorrow", "the": "the", "dog": "dog", "anna": "Anna", "tvs": "TVs"}
    assert Truecaser(forms).without_slips(text) == mended
    assert Truecaser().without_slips(text) == text


def test_words_of_sentences_in_capitals_are_those_that_others_hardly_have() -> None:
    def learned(lines: list[str], language: str | None = None) -> tuple[str, ...]:
        return learn_capitals_words(lines, SentenceSplitter(language).split, language)

    warnings = ["WARNING: STOP THE DOG."] * 10
    assert learned([*warnings, *["The NATO dog stops."] * 10]) == ("STOP", "WARNING")
    assert learned([*warnings, *["The dog: stop."] * 9]) == ("DOG", "STOP", "THE", "WARNING")
    assert learned(warnings[:9]) == ()  # too few to learn from
    assert learned([*["DIKKAT IRAK"] * 10, *["ırak"] * 10], "tr") == ("DIKKAT",)
    inside = ["The NATO dog. WARNING: STOP THE DOG. The dog stops."] * 10  # in lines that are not
    assert learned([*warnings, *inside]) == ("STOP", "WARNING") == learned(inside)
    assert learned(["STOP! SEE THE DOG."] * 10) == ("DOG", "SEE", "STOP", "THE")  # a word alone may be an acronym


def test_the_share_of_words_that_are_known_in_capitals() -> None:
    assert share_of_words("WARNING: STOP IT {NOW} NOW", {"STOP"}) == 0.25
    assert share_of_words("123", {"STOP"}) == 0
