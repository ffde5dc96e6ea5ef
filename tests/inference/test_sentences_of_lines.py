"""A line is translated sentence by sentence, and what becomes of the sentences is put together."""

import io
import itertools
import json
import math
import random
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from nmt_cli.data.normalization import NormalizationConfig
from nmt_cli.data.text_profile import LineLengths, TextProfile
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.decoding.engine import Hypothesis
from nmt_cli.inference.joining import best_combinations
from nmt_cli.inference.lines import SURROGATES_REPLACED, InputLine
from nmt_cli.inference.output import Candidate, TranslatedLine
from nmt_cli.inference.segments import Segment, spaced_translations
from nmt_cli.inference.translator import Translator
from tests.streams import translate_stream
from tests.translators import PROFILE, Echo, echo, random_translator


def real(tokenizer: TextTokenizer, profile: TextProfile = PROFILE, **options: Any) -> Translator:
    settings = {"beam": 3, "max_length": 4, "precision": "fp32", **options}
    align = bool(options.get("n_best")) or "min_length" in options
    return random_translator(tokenizer, profile, seed=4, align=align, **settings)


def sources(translator: Translator, line: str) -> list[str]:
    """What the engine is given for a line."""
    (plan,) = translator.planner.plan([line])
    return [unit.segment.text for unit in plan.units if unit.given is None]


@pytest.mark.parametrize("marks, expected", [((), "The old man."), (("-",), "- The old man.")])
def test_a_list_mark_that_the_training_text_has_is_translated(
    marks: tuple[str, ...], expected: str, tokenizer: TextTokenizer
) -> None:
    translator = echo(tokenizer, replace(PROFILE, list_marks=marks))
    assert sources(translator, "- The old man.") == [expected]
    assert [translation.text for translation in translator.translate(["- The old man."])] == ["- The old man."]


def test_each_sentence_is_translated_by_itself_and_spacing_is_kept(tokenizer: TextTokenizer) -> None:
    translator = real(tokenizer)
    line = "The old man reads.  Two dogs see a book.\tWho is it?"
    (translation,) = translator.translate([line])
    alone = translator.translate(["The old man reads.", "Two dogs see a book.", "Who is it?"])
    assert translation.text == f"{alone[0].text}  {alone[1].text}\t{alone[2].text}"
    assert [sentence.translation for sentence in translation.sentences] == [other.text for other in alone]
    assert [sentence.text for sentence in translation.sentences] == [
        "The old man reads.",
        "Two dogs see a book.",
        "Who is it?",
    ]
    expected = sum(other.candidates[0].log_probability for other in alone)
    assert translation.candidates[0].log_probability == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("split, expected", [("sentences", 2), ("long", 1), ("none", 1), (True, 2), (False, 1)])
def test_how_a_line_is_split_is_a_setting(split: Any, expected: int, tokenizer: TextTokenizer) -> None:
    assert len(sources(echo(tokenizer, split=split), "The old man reads. Two dogs see it.")) == expected


def test_sentences_without_a_stop_between_them_are_told_by_how_lines_begin(tokenizer: TextTokenizer) -> None:
    profile = TextProfile("en", "de", NormalizationConfig(), line_starters=("The",))
    first, second = "the man sees a dog", "The old man reads"
    assert sources(echo(tokenizer, profile), f"{first}  {second}") == [first, second]
    assert sources(echo(tokenizer), f"{first}  {second}") == [f"{first} {second}"]
    (translation,) = echo(tokenizer, profile).translate([f"{first}  {second}"])
    assert translation.text == f"{first}  {second}"


def test_sentences_go_together_as_far_as_the_training_text_has_them_together(tokenizer: TextTokenizer) -> None:
    line = "A dog sees. A man reads. The old man reads a book. Who is it?"
    for typical, expected in ((1, 4), (2, 2), (3, 2), (9, 1)):
        lengths = LineLengths({1: 1, typical: 99}, {0.95: 1000})
        assert len(sources(echo(tokenizer, TextProfile("en", "de", lengths=lengths)), line)) == expected
    short = LineLengths({4: 1}, {0.95: len(tokenizer.encode(["A dog sees. A man reads."])[0])})
    packed = sources(echo(tokenizer, TextProfile("en", "de", lengths=short)), line)
    assert packed[0] == "A dog sees. A man reads." and len(packed) == 3


class Forgetful(Echo):
    """Writes only the first of several sentences, and `merged` in place of a sentence that it is given alone."""

    def __init__(self, tokenizer: TextTokenizer, merged: str | None = None) -> None:
        super().__init__()
        (stop,) = set(tokenizer.encode(["A dog."])[0][-1:])
        self.stop, self.merged = stop, None if merged is None else tokenizer.encode([merged])[0]
        self.sources: list[list[int]] = []

    def search(self, sources: list[list[int]], config: Any, prefixes: Any = None) -> list[list[Hypothesis]]:
        self.sources += sources
        cut = [source[: source.index(self.stop) + 1] for source in sources]
        if self.merged is not None:
            cut = [self.merged if ids == source else ids for ids, source in zip(cut, sources, strict=True)]
        return super().search(cut, config, prefixes)


@pytest.mark.parametrize(
    "merged, expected", [(None, "A dog sees. A man reads.  Who."), ("A man", "A dog sees.  A man")]
)
def test_where_a_translation_of_several_sentences_has_fewer_they_are_translated_one_by_one(
    merged: str | None, expected: str, tokenizer: TextTokenizer
) -> None:
    profile = TextProfile("en", "de", lengths=LineLengths({2: 1}, {0.95: 1000}))
    translator = echo(tokenizer, profile)
    translator.engine = engine = Forgetful(tokenizer, merged)
    (translation,) = translator.translate(["A dog sees. A man reads.  Who."])
    assert translation.text == expected
    assert len(engine.sources) == 4
    assert len(translation.sentences) == (3 if merged is None else 2)


def test_sentences_whose_translation_together_has_as_many_are_translated_together_only(
    tokenizer: TextTokenizer,
) -> None:
    searched: list[int] = []

    class Counting(Echo):
        def search(self, sources: list[list[int]], config: Any, prefixes: Any = None) -> list[list[Hypothesis]]:
            searched.append(len(sources))
            return super().search(sources, config, prefixes)

    translator = echo(tokenizer, TextProfile("en", "de", lengths=LineLengths({2: 1}, {0.95: 1000})))
    translator.engine = Counting()
    assert translator.translate(["A dog sees. A man reads."])[0].text == "A dog sees. A man reads."
    assert searched == [1]


@pytest.mark.parametrize(
    "line", ["7", "http://www.example.org/a", "someone@example.org", "😀", "…", "1 2 3", "- 7", "7 | 8", "\u2192"]
)
def test_what_holds_nothing_to_translate_comes_out_as_it_is(line: str, tokenizer: TextTokenizer) -> None:
    (translation,) = real(tokenizer).translate([line])
    assert translation.text == line and translation.warnings == []
    assert real(tokenizer, keep="none").translate([line])[0].text != line


@pytest.mark.parametrize("before, after", [("- ", ""), ("1. ", ""), ("😀 ", ""), ("", " 🚲"), ("", " | 7")])
def test_marks_around_a_sentence_are_kept(before: str, after: str, tokenizer: TextTokenizer) -> None:
    translator = real(tokenizer)
    inner, outer = translator.translate(["The old man reads.", f"{before}The old man reads.{after}"])
    assert outer.text == f"{before}{inner.text}{after}"


@pytest.mark.parametrize(
    "line, translation, expected",
    [
        ("- A dog.", "狗。", "- 狗。"), ("# A dog", "狗", "# 狗"), ("1. A dog. A dog.", "狗。", "1. 狗。狗。"),
        ("> A dog", "狗", "> 狗"), ("- [ ] A dog.", "狗。", "- [ ] 狗。"),
        ("你好。http://a.com", "Hi.", "Hi. http://a.com"), ("你好。😀你好。", "Hi.", "Hi. 😀 Hi."),
        ("你好。{0}。你好。", "犬。", "犬。{0}。犬。"),
        ("• 你好。• 你好。", "Hi.", "• Hi. • Hi."), ("你好。<br>你好。", "Hi.", "Hi.<br>Hi."),
    ],
)  # fmt: skip
def test_what_is_copied_stands_apart_as_its_source_or_the_target_wants(
    line: str, translation: str, expected: str, tokenizer: TextTokenizer
) -> None:
    (plan,) = echo(tokenizer).planner.plan([line])
    texts = [translation if unit.given is None else unit.given for unit in plan.units]
    assert "".join(spaced_translations([unit.segment for unit in plan.units], texts)) == expected


def test_percentages_of_turkish_are_read(tokenizer: TextTokenizer) -> None:
    (plan,) = echo(tokenizer, TextProfile("tr", "en", NormalizationConfig())).planner.plan(["Enflasyon %50 %s"])
    assert [unit.read_text for unit in plan.units] == ["Enflasyon %50"]


def test_text_is_normalised_as_the_run_was(tokenizer: TextTokenizer) -> None:
    assert sources(echo(tokenizer), "The\u00a0old  m\xadan\u200b reads.") == ["The old man reads."]
    before = TextProfile("en", "de")
    assert sources(echo(tokenizer, before), "The\u00a0old man  reads.") == ["The\u00a0old man  reads."]


def test_n_best_of_a_line_are_the_best_sums_and_all_different(tokenizer: TextTokenizer) -> None:
    translator = real(tokenizer, n_best=3)
    first, second = translator.translate(["The old man reads.", "Two dogs see a book."])
    (line,) = translator.translate(["The old man reads. Two dogs see a book."])
    segments = [Segment("The old man reads."), Segment("Two dogs see a book.")]
    sums = [
        (a.score + b.score, "".join(spaced_translations(segments, [a.text, b.text])))
        for a, b in itertools.product(first.candidates, second.candidates)
    ]
    best = sorted(sums, reverse=True)[:3]
    assert [candidate.score for candidate in line.candidates] == pytest.approx([score for score, _ in best])
    assert [candidate.text for candidate in line.candidates] == [text for _, text in best]
    for translation in (first, second, line):
        texts = [candidate.text for candidate in translation.candidates]
        assert len(texts) == len(set(texts))


def test_alignments_count_the_words_of_the_whole_line(tokenizer: TextTokenizer) -> None:
    translator = real(tokenizer, min_length=3)
    first, second = translator.translate(["The old man reads.", "Two dogs see a book."])
    (line,) = translator.translate(["The old man reads. Two dogs see a book."])
    assert first.candidates[0].alignment and second.candidates[0].alignment
    words = len(line.text.split()) - len(second.text.split())
    assert line.candidates[0].alignment == [
        *(first.candidates[0].alignment or []),
        *((source + 4, target + words) for source, target in second.candidates[0].alignment or []),
    ]


def test_a_prefix_of_several_sentences_begins_the_translation(tokenizer: TextTokenizer) -> None:
    translator = real(tokenizer)
    line = "The old man reads. Two dogs see a book. Who is it?"
    for prefix in ("ein Buch", "ein Buch. Zwei", "ein Buch. Zwei Hunde sehen. Wer", "ein Buch. Zwei Hunde. Wer? Nein"):
        (translation,) = translator.translate([line], [prefix])
        assert translation.text.startswith(prefix)
    number, hidden = translator.translate(["7", "\u200b"], ["ein", "ein"])
    assert number.text.startswith("ein")
    for copied in (hidden, *translator.translate(["https://example.org/a"], ["ein"])):
        assert copied.warnings == ["the line is copied: its prefix was not used"]
    assert hidden.text == "\u200b" and copied.text == "https://example.org/a"


def test_a_record_lists_the_sentences(tokenizer: TextTokenizer) -> None:
    (line,) = translate_stream(real(tokenizer), io.BytesIO(b"A dog. 7\n"))
    record = line.record()
    assert [sentence["text"] for sentence in record["sentences"]] == ["A dog.", "7"]
    assert record["sentences"][1] == {"text": "7", "translation": "7", "score": 0.0}
    (single,) = translate_stream(real(tokenizer), io.BytesIO(b"A dog.\n"))
    assert "sentences" not in single.record()


@pytest.mark.parametrize("line", ["你好!世界很大。", "我喜欢读书。他也喜欢。", "यह है।वह है।"])
def test_sentences_without_spacing_between_them_get_some_where_the_target_has_it(
    line: str, tokenizer: TextTokenizer
) -> None:
    languages = TextProfile("hi" if "।" in line else "zh", "en", NormalizationConfig())
    (plan,) = echo(tokenizer, languages).planner.plan([line])
    segments = [unit.segment for unit in plan.units]
    assert len(segments) == 2
    assert "".join(spaced_translations(segments, ["One.", "Two."])) == "One. Two."
    assert "".join(spaced_translations(segments, ["一。", "二。"])) == "一。二。"


@pytest.mark.parametrize(
    "line, prefix",
    [
        ("Hello. 🙂", "Hallo. 🙂"),
        ("Home | About us", "Start | Über"),
        ("1. Open.", "1"),
        ("1. Open.", "1. Öffnen"),
        ("1. Open.", "Öffnen"),
        ("2 | apples", "20 Äpfel"),
        ("A dog. 7", "Ein Hund. 7"),
        ("A dog. Two dogs. Who?", "Ein Hund. 7. Wer"),
    ],
)
def test_a_translation_begins_with_its_prefix_whatever_is_copied(
    line: str, prefix: str, tokenizer: TextTokenizer
) -> None:
    (translation,) = real(tokenizer, repair_degenerate=False).translate([line], [prefix])
    assert translation.text.startswith(prefix) and translation.warnings == []
    assert translation.text.count("🙂") == line.count("🙂") and translation.text.count("|") <= line.count("|")


def test_an_invisible_character_hides_no_end_of_a_sentence_and_spacing_inside_is_normalised(
    tokenizer: TextTokenizer,
) -> None:
    assert sources(echo(tokenizer), "A dog sees.\u200b Who is it?") == ["A dog sees.", "Who is it?"]
    packed = TextProfile("en", "de", NormalizationConfig(), lengths=LineLengths({2: 1}, {0.95: 1000}))
    assert sources(echo(tokenizer, packed), "A dog sees.\u00a0 Who is it?") == ["A dog sees. Who is it?"]
    (translation,) = real(tokenizer).translate(["\u200b"])
    assert translation.text == "\u200b"


def test_ordinals_are_no_marks_of_lists(tokenizer: TextTokenizer) -> None:
    german = TextProfile("de", "en", NormalizationConfig())
    assert sources(echo(tokenizer, german), "3. Oktober ist ein Feiertag.") == ["3. Oktober ist ein Feiertag."]
    assert sources(echo(tokenizer), "3. October is a holiday.") == ["October is a holiday."]
    assert sources(echo(tokenizer, german), "3) Oktober ist ein Feiertag.") == ["Oktober ist ein Feiertag."]


def test_pairs_to_score_are_grouped_as_the_source_is(tokenizer: TextTokenizer) -> None:
    planner = echo(tokenizer).planner
    assert planner.split_pair("A dog. Two.", "Ein  Hund.\u00a0Zwei.") == [("A dog.", "Ein Hund."), ("Two.", "Zwei.")]
    assert planner.split_pair("A dog. Two.", "Ein Hund") == [("A dog. Two.", "Ein Hund")]
    assert planner.split_pair("1. www.example.org", "1. www.example.org") == []
    assert planner.split_pair("123", "123") == [] and planner.split_pair("123", "abc") == [("123", "abc")]
    assert planner.split_pair("12345", "99 % !!!") == [("12345", "99 % !!!")]
    assert planner.split_pair("1. A dog.", "2. Ein Hund.") == [("1. A dog.", "2. Ein Hund.")]
    assert planner.split_pair("www.example.org", "a.de/b") == [("www.example.org", "a.de/b")]
    assert planner.split_pair(" ", "") == [("", "")]
    grouped = TextProfile("en", "de", NormalizationConfig(), lengths=LineLengths({2: 1}, {0.95: 1000}))
    source, target = "I am. You are. It is.", "Ich bin es nun auch. Du bist. Es ist."
    assert echo(tokenizer, grouped).planner.split_pair(source, target) == [
        ("I am. You are.", "Ich bin es nun auch. Du bist."),
        ("It is.", "Es ist."),
    ]


def test_a_prefix_that_the_model_cannot_write_has_no_score(tokenizer: TextTokenizer) -> None:
    translator = real(tokenizer)
    translator.planner.max_target_tokens = 3
    lines = io.BytesIO(b"A dog. Two dogs.\n")
    (translation,) = translator.translate(["A dog. Two dogs."], ["ein Haus und ein Hund und ein Buch. Zwei"])
    assert translation.candidates[0].log_probability == -math.inf
    record = TranslatedLine(InputLine(1, lines.getvalue().decode(), False), translation).record()
    assert record["score"] is None and record["sentences"][0]["score"] is None
    json.dumps(record, allow_nan=False)


@pytest.mark.parametrize("line", ["", " ", " \t", "\t\t\t\t", "\u00a0", "\u3000 "])
def test_a_blank_line_comes_out_as_it_is(line: str, tokenizer: TextTokenizer) -> None:
    (translated,) = translate_stream(echo(tokenizer), io.BytesIO(f"{line}\n".encode()))
    assert translated.output_lines("text") == [line]
    assert translated.output_lines("alignments") == [f"{line} ||| "]
    assert translated.translation.candidates == []


@pytest.mark.parametrize("options", [{}, {"split": "none"}, {"keep": "none"}])
def test_line_breaks_within_a_text_are_kept(options: dict[str, Any], tokenizer: TextTokenizer) -> None:
    text = "\n The old man\r\nreads a book.\n\n  two dogs\u2028a\n"
    (translation,) = echo(tokenizer, **options).translate([f"{text}\n"])
    assert translation.text == text


def test_half_a_surrogate_pair_is_replaced_with_a_warning(tokenizer: TextTokenizer) -> None:
    translations = real(tokenizer).translate(["A dog.", "A \udce9 dog.", "A dog."], ["", "", "\ud83d"])
    assert [SURROGATES_REPLACED in translation.warnings for translation in translations] == [False, True, True]


def test_line_ends_of_windows_stay_with_the_empty_columns_before_them(tokenizer: TextTokenizer) -> None:
    text = "The old man\t\t\r\n\r\nTwo dogs  \n"
    translated = list(translate_stream(echo(tokenizer), io.BytesIO(text.encode())))
    assert "".join(f"{line.output_lines('text')[0]}\n" for line in translated) == text
    assert [json.loads(line.output_lines("jsonl")[0])["translation"] for line in translated] == [
        "The old man\t\t", "", "Two dogs  ",
    ]  # fmt: skip


def test_a_sentence_longer_than_those_of_the_training_text_is_cut_at_clauses(tokenizer: TextTokenizer) -> None:
    line = "The old man reads, two dogs see a book, a man reads houses, do they, do they."
    expected = ["The old man reads, two dogs see a book,", "a man reads houses, do they, do they."]
    counts = [len(ids) for ids in tokenizer.encode([line, *expected])]
    lengths = LineLengths({1: 1}, {0.95: max(counts[1:]), 0.999: counts[0] - 1, 1.0: 500})
    profile = TextProfile("en", "de", lengths=lengths)
    translator = echo(tokenizer, profile)
    assert sources(translator, line) == expected
    (translation,) = translator.translate([line])
    assert translation.text == line and [sentence.text for sentence in translation.sentences] == expected
    assert "subwords, longer than those of the training text" in translation.warnings[0]
    for other in (echo(tokenizer, profile, split="long"), echo(tokenizer)):
        assert sources(other, line) == [line]
    no_clause = line.replace(",", "")
    assert sources(translator, no_clause) == [no_clause]
    assert translator.translate([no_clause])[0].warnings == []
    enough = TextProfile("en", "de", lengths=LineLengths({1: 1}, {0.95: 5, 0.999: counts[0], 1.0: 500}))
    assert sources(echo(tokenizer, enough), line) == [line]


def test_the_best_combinations_are_those_of_all_and_take_no_more_work_than_units() -> None:
    draw = random.Random(3)
    for unit_count in (1, 2, 4):
        choices = [[Candidate(f"{n}", -draw.random(), 0.0) for n in range(3)] for _ in range(unit_count)]
        for unit in choices:
            unit.sort(key=lambda candidate: -candidate.score)
        every = sorted(itertools.product(*choices), key=lambda way: -sum(candidate.score for candidate in way))
        assert best_combinations(choices, 5) == [list(way) for way in every[:5]]
    assert best_combinations([[], []], 2) == []
    assert best_combinations([choices[0], []], 1)[0][1].text == ""  # a unit without any translation
    many = best_combinations([choices[0]] * 3_000, 4)
    assert len(many) == 4 and all(len(way) == 3_000 for way in many)
    assert [sum(candidate is not choices[0][0] for candidate in way) for way in many] == [0, 1, 1, 1]


class Draws(Echo):
    """Of each sentence half of the samples are `a book`, the others `dogs`; sorted, as engines do it."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        super().__init__()
        self.texts = tokenizer.encode(["a book", "dogs"])

    def search(self, sources: Any, config: Any, prefixes: Any = None) -> list[list[Hypothesis]]:
        half = config.n_best // 2
        drawn = [Hypothesis(ids, -rank, -rank) for rank, ids in enumerate(self.texts, 1) for _ in range(half)]
        return [drawn for _ in sources]


def test_every_sample_of_a_line_is_a_candidate_and_those_of_its_sentences_are_independent(
    tokenizer: TextTokenizer,
) -> None:
    translator = echo(tokenizer, engine=Draws(tokenizer), sampling=True, n_best=400)
    single, two, copied = translator.translate(["The old man.", "The old man reads. Who is it?", "12 34"])
    assert [candidate.text for candidate in single.candidates] == ["a book"] * 200 + ["dogs"] * 200
    counts = Counter(candidate.text for candidate in two.candidates)
    assert sorted(counts) == ["a book a book", "a book dogs", "dogs a book", "dogs dogs"]
    assert all(count == pytest.approx(100, abs=25) for count in counts.values())  # five standard deviations
    scores = [candidate.score for candidate in two.candidates]
    assert len(scores) == 400 and scores == sorted(scores, reverse=True)
    assert two.text == "a book a book" and [sentence.translation for sentence in two.sentences] == ["a book"] * 2
    assert [candidate.text for candidate in copied.candidates] == ["12 34"]


def test_samples_of_a_line_are_the_same_in_any_batch(tokenizer: TextTokenizer) -> None:
    lines = ["The old man reads. Two dogs see it.", "Who is it?", "5! The old man. Dogs."]
    translator = real(tokenizer, sampling=True, n_best=7)
    together = [[candidate.text for candidate in each.candidates] for each in translator.translate(lines)]
    alone = [[candidate.text for candidate in translator.translate([line])[0].candidates] for line in lines]
    assert together == alone and [len(texts) for texts in alone] == [7, 7, 7]


@pytest.mark.parametrize(
    "line", ["Two dogs see it. Two dogs see it.", "The dog XY-1 reads. The dog XY-2 reads.", "A dog. A dog. A dog."]
)
def test_a_sentence_that_stands_in_a_line_again_is_drawn_anew(line: str, tokenizer: TextTokenizer) -> None:
    translator = real(tokenizer, sampling=True, keep_patterns=(r"XY-\d",))
    alike = 0
    for seed in range(8):
        seeded = translator.with_search(seed=seed)
        (alone,) = seeded.translate([line])
        together = seeded.translate([line, "A dog. Two dogs see it.", line])
        assert [together[0].text, together[2].text] == [alone.text] * 2
        drawn = [re.sub(r"XY-\d", "", sentence.translation) for sentence in alone.sentences]
        assert len(drawn) > 1
        alike += len(drawn) - len(set(drawn))
    assert alike <= 2


def test_a_sentence_for_which_nothing_is_drawn_is_empty(tokenizer: TextTokenizer) -> None:
    nothing_for = tokenizer.encode(["Dogs."])[0]

    class SomeDraws(Draws):
        def search(self, sources: Any, config: Any, prefixes: Any = None) -> list[list[Hypothesis]]:
            drawn = super().search(sources, config, prefixes)
            return [[] if ids == nothing_for else own for ids, own in zip(sources, drawn, strict=True)]

    translator = echo(tokenizer, engine=SomeDraws(tokenizer), sampling=True, n_best=4, repair_degenerate=False)
    some, none = translator.translate(["The old man reads. Dogs.", "Dogs. Dogs."])
    assert [candidate.text.strip() for candidate in some.candidates] == ["a book", "a book", "dogs", "dogs"]
    assert none.candidates == []
    assert some.warnings == none.warnings == ["search found no translation"]


def test_candidates_that_differ_in_outer_spaces_alone_are_one(tokenizer: TextTokenizer) -> None:
    (ids,), space = tokenizer.encode(["a book"]), tokenizer.visible_token_to_id("▁")

    class Spaced(Echo):
        def search(self, sources: Any, config: Any, prefixes: Any = None) -> list[list[Hypothesis]]:
            return [[Hypothesis(written, -1.0, -1.0) for written in (ids, [space, *ids])] for _ in sources]

    assert tokenizer.decode([[space, *ids]]) == [" a book"]
    translator = echo(tokenizer, engine=Spaced(), n_best=2, beam=2, repair_degenerate=False)
    (translation,) = translator.translate(["a book"])
    assert [candidate.text for candidate in translation.candidates] == ["a book"]
