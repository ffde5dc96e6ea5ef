"""Long lines are cut at sentence ends, else at commas, spaces, anywhere; nothing is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.inference.segments import Segment, spaced_translations, split_line
from tests.conftest import examples


def words(texts: list[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def characters(texts: list[str]) -> list[int]:
    return [len(text) + 1 for text in texts]  # as if each began with a space


def lengths(texts: list[str]) -> list[int]:
    return [len(text) for text in texts]


def cut(text: str, limit: int, measure: object = words) -> list[str]:
    return [segment.text for segment in split_line(text, limit, measure)]  # type: ignore[arg-type]


TABLE: list[tuple[str, int, list[str]]] = [
    ("a b c", 3, ["a b c"]),
    ("a b c. d e. f", 3, ["a b c.", "d e. f"]),
    ("a b. c d. e f.", 4, ["a b. c d.", "e f."]),
    ("a! b? c… d. e", 2, ["a! b?", "c… d.", "e"]),
    ("a b c d e", 2, ["a b", "c d", "e"]),
    ("a. b c d e f. g", 3, ["a.", "b c d", "e f.", "g"]),
    ("3.5 is a number. b", 4, ["3.5 is a number.", "b"]),
    ('"a b." (c d.) e f', 3, ['"a b."', "(c d.)", "e f"]),
    ("a b, c d e; f", 3, ["a b,", "c d e;", "f"]),
    ("a\t b  c\u2028d. \x85 e", 4, ["a\t b  c\u2028d.", "e"]),
]


@pytest.mark.parametrize("text, limit, parts", TABLE)
def test_lines_are_cut_where_the_table_says(text: str, limit: int, parts: list[str]) -> None:
    assert cut(text, limit) == parts


def test_a_line_that_must_be_cut_is_cut_into_its_sentences_and_short_ones_go_together() -> None:
    sentence = "one two three four five six seven eight nine."
    line = f"{sentence} Mr. Smith. {sentence} {sentence}"
    assert cut(line, 25) == [sentence, f"Mr. Smith. {sentence}", sentence]


@pytest.mark.parametrize("stop", [*"።။។。।", "፡፡"])
@pytest.mark.parametrize("space", ["", " "])
def test_full_stops_that_need_no_space_cut_with_one_and_without(stop: str, space: str) -> None:
    assert cut(f"ab{stop}{space}cd", 4, lengths) == [f"ab{stop}", "cd"]


@pytest.mark.parametrize("mark", "؛፤፣،߸၊꘍,;:")
def test_a_long_sentence_is_cut_behind_the_commas_of_all_scripts(mark: str) -> None:
    assert cut(f"a{mark} b c d", 6, characters) == [f"a{mark}", "b c d"]


def test_two_colons_cut_behind_a_letter_of_ethiopic_only() -> None:
    assert cut("ማይ::ቡን", 4, lengths) == ["ማይ::", "ቡን"]
    assert cut("ab::cd ef", 6, lengths) == ["ab::cd", "ef"]


def test_chinese_is_cut_after_its_full_stops_or_else_its_commas() -> None:
    assert cut("我喜欢。他也喜欢。好！", 7, characters) == ["我喜欢。", "他也喜欢。", "好！"]
    assert cut("他说：「我喜欢。」你呢", 10, characters) == ["他说：「我喜欢。」", "你呢"]
    assert cut("我喜欢，他也喜欢", 7, characters) == ["我喜欢，", "他也喜欢"]


@pytest.mark.parametrize(
    "sentences",
    [
        ["एक दो तीन।", "चार पाँच छह।"],  # Hindi
        ["ایک دو تین۔", "چار پانچ چھ؟"],  # Urdu
        ["አንድ ሁለት ሦስት።", "አራት አምስት።"],  # Amharic
        ["մեկ երկու երեք։", "չորս հինգ։"],  # Armenian
    ],
)
def test_other_scripts_are_cut_at_their_own_full_stops(sentences: list[str]) -> None:
    assert cut(" ".join(sentences), 3) == sentences


def test_burmese_needs_no_space_between_sentences_and_arabic_has_its_own_comma() -> None:
    assert cut("တစ်နှစ်သုံး။လေးငါး။", 15, lengths) == ["တစ်နှစ်သုံး။", "လေးငါး။"]
    assert cut("واحد اثنان، ثلاثة", 2) == ["واحد اثنان،", "ثلاثة"]


def test_a_word_longer_than_the_limit_is_cut_anywhere() -> None:
    assert cut("ab " + "x" * 10, 5, lengths) == ["ab", "xxxxx", "xxxxx"]


def test_what_one_sees_as_one_character_stays_together() -> None:
    family, accented, heart = "👩\u200d👧", "e\u0301", "❤\ufe0f"
    assert cut(family * 3, 4, lengths) == [family] * 3
    assert cut(accented * 3, 3, lengths) == [accented] * 3
    assert cut(heart * 3, 3, lengths) == [heart] * 3


def test_a_tower_of_accents_is_cut_all_the_same() -> None:
    assert cut("a" + "\u0301" * 6, 3, lengths) == ["a\u0301\u0301", "\u0301" * 3, "\u0301"]


def test_a_character_longer_than_the_limit_is_left_as_it_is() -> None:
    assert cut("🙂🙂", 3, lambda texts: [4 * len(text) for text in texts]) == ["🙂", "🙂"]


REJOINED: list[tuple[list[Segment], list[str], str]] = [
    ([Segment("a."), Segment("b.")], ["x.", "y."], "x. y."),
    ([Segment("ab", ""), Segment("cd")], ["x", "y"], "xy"),
    ([Segment("a.", "  "), Segment("b.", "\t"), Segment("c.")], ["x.", "y.", "z."], "x.  y.\tz."),
    ([Segment("a."), Segment("b.")], ["我。", "他。"], "我。他。"),
    ([Segment("我。"), Segment("他。")], ["你。", "他。"], "你。他。"),
    ([Segment("a"), Segment("b"), Segment("c")], ["x", "", "z"], "x z"),
    ([Segment("a"), Segment("b")], ["", "y"], "y"),
    ([Segment("a", "\t"), Segment("b", "\t"), Segment("c")], ["", "", "z"], "\t\tz"),
    ([Segment("a", "\t"), Segment("b", "\t"), Segment("c")], ["x", "", "z"], "x\t\tz"),
    ([Segment("a."), Segment("b.")], ["하하 ㅋㅋ", "네."], "하하 ㅋㅋ 네."),
    ([Segment("-", is_copied=True), Segment("a.", "\t"), Segment("1.", is_copied=True), Segment("b.")],
     ["-", "我。", "1.", "他。"], "- 我。\t1. 他。"),
    ([Segment("我。", ""), Segment("😀", "", is_copied=True), Segment("他。", ""), Segment("<br>", "", is_copied=True),
      Segment("我。")], ["x.", "😀", "y.", "<br>", "z."], "x. 😀 y.<br>z."),
    ([Segment("我。", ""), Segment("😀", "", is_copied=True), Segment("他。")], ["私。", "😀", "彼。"], "私。😀彼。"),
    ([Segment("a.", ""), Segment("😀", "", is_copied=True), Segment("b.")], ["x.", "😀", "y."], "x.😀y."),
    ([Segment("გ.", ""), Segment("😀", "", is_copied=True), Segment("დ.")], ["x.", "😀", "y."], "x.😀y."),
    ([], [], ""),
]  # fmt: skip


@pytest.mark.parametrize("segments, texts, whole", REJOINED)
def test_translations_are_put_together_as_their_script_wants(
    segments: list[Segment], texts: list[str], whole: str
) -> None:
    assert "".join(spaced_translations(segments, texts)) == whole


def test_a_cut_inside_a_word_is_told_from_one_between_words() -> None:
    segments = split_line("xxxxyyyy zzzz", 4, lengths)
    assert [segment.separator for segment in segments] == ["", " ", ""]
    assert "".join(spaced_translations(segments, ["a", "b", "c"])) == "ab c"
    chinese = split_line("我喜欢读书他也喜欢", 4, lengths)
    assert "".join(spaced_translations(chinese, ["a"] * len(chinese))) == " ".join(["a"] * len(chinese))


@examples(50)
@given(text=st.text("ab .,!?。，\u3000\u0301🙂", max_size=60), limit=st.integers(1, 12))
def test_parts_fit_and_together_are_the_line(text: str, limit: int) -> None:
    parts = cut(text.strip(), limit, lengths)
    assert all(size <= limit for size in lengths(parts)) or not text.strip()
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(part == part.strip() for part in parts)


@examples(50)
@given(text=st.text(max_size=40), limit=st.integers(2, 12))
def test_any_text_comes_through_untranslated(text: str, limit: int) -> None:
    line = text.strip()
    segments = split_line(line, limit, characters)
    assert all(size <= limit for size in characters([segment.text for segment in segments])) or not line
    again = "".join(spaced_translations(segments, [segment.text for segment in segments]))
    assert "".join(again.split()) == "".join(line.split())


def test_ten_thousand_words_are_cut_in_few_measurements() -> None:
    calls = []

    def measure(texts: list[str]) -> list[int]:
        calls.append(len(texts))
        return words(texts)

    parts = [segment.text for segment in split_line("word " * 10_000, 256, measure)]
    assert words(parts) == [256] * 39 + [16] and len(calls) <= 6


@pytest.mark.parametrize(
    "line",
    ["x" * 100_000, "." * 100_000, "a" + " " * 100_000 + "b", '."' * 50_000, "\u0301" * 100_000,
     "。" * 100_000, "a, " * 33_000, "\u200d" * 100_000],
    ids=["letters", "dots", "spaces", "quotes", "accents", "stops", "commas", "joiners"],
)  # fmt: skip
def test_a_hundred_thousand_characters_are_measured_a_few_times_each(line: str) -> None:
    measured = 0

    def counted(texts: list[str]) -> list[int]:
        nonlocal measured
        measured += sum(map(len, texts))
        return lengths(texts)

    parts = cut(line, 256, counted)
    assert "".join("".join(parts).split()) == "".join(line.split())
    assert max(map(len, parts)) <= 256 and len(parts) < 2000
    assert measured <= 12 * len(line)  # a few times each, not once more for each part
