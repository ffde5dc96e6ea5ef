"""Nonsense is found by comparison with the source, mended where it can be, and always said."""

import math
import unicodedata
from typing import Any

import pytest

from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Hypothesis
from nmt_cli.inference import degeneration
from nmt_cli.inference.degeneration import (
    DecodedHypothesis,
    Diagnosis,
    Issue,
    Repetition,
    SourceText,
    find_issues,
    is_repetitive,
    merge_diagnoses,
    repair_degenerate,
)


def draft(text: str, score: float = -1.0, *, forced: bool = False) -> DecodedHypothesis:
    return DecodedHypothesis(Hypothesis([4], score, score, forced), text)


def task(source: str, prefix: str = "") -> SourceText:
    return SourceText(source, max(1, len(source.split())), prefix)


GOOD: list[tuple[str, str]] = [
    ("The old man reads a book.", "Der alte Mann liest ein Buch."),
    ("ha ha ha ha", "ha ha ha ha"),
    ("ha ha ha ha ha ha ha ha ha", "ha, ha, ha, ha, ha, ha, ha, ha, ha"),
    ("1 1 1 1 1", "1 1 1 1 1"),
    ("0 0 0 0 0 0 0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0 0 0 0 0 0 0"),
    ("1 | 0.5 | 0.5 | 0.5 | 0.5 | 0.5 | 0.5 | 0.5 | 0.5", "1 | 0,5 | 0,5 | 0,5 | 0,5 | 0,5 | 0,5"),
    ("No, no, no, no!", "Nein, nein, nein, nein!"),
    ("very very very good", "sehr sehr sehr gut"),
    ("hahahahahaha", "ha ha ha ha ha ha"),
    ("one hundred billion", "100000000000"),
    ("Chapter 1 ............................ 12", "Kapitel 1 ............................ 12"),
    ("我喜欢读书，他也喜欢读书。", "I like reading, and he likes reading, too."),
    ("Hm.", "Hm."),
    (
        "人人生而自由，在尊严和权利上一律平等。",
        "လူတိုင်းသည် တူညီလွတ်လပ်သော ဂုဏ်သိက္ခာဖြင့် လည်းကောင်း၊ တူညီလွတ်လပ်သော အခွင့်အရေးများဖြင့် လည်းကောင်း၊ မွေးဖွားလာသူများ ဖြစ်သည်။",
    ),
    ("Yes", "Jawohl, das ist richtig"),
    ("I like reading, and he likes reading, too.", "我喜欢读书，他也喜欢读书。"),
    ("🙂🙂🙂🙂🙂🙂", "🙂🙂🙂🙂🙂🙂"),
    ("a b c a b c a b c a b c", "x y z x y z x y z x y z"),
    ("a red car, a red house, a red dog", "ein rotes Auto, ein rotes Haus, ein roter Hund"),
    ("---------------------------------------------------------------", "---"),
    ("\x00\x01", ""),
]


@pytest.mark.parametrize("source, text", GOOD, ids=[source[:20] for source, _ in GOOD])
def test_good_translations_are_left_alone_repetitive_ones_too(source: str, text: str) -> None:
    assert find_issues(task(source), [draft(text)]) == ()


LONG = "A man in a blue shirt is standing on a ladder cleaning a window of a large house."
BAD: list[tuple[str, str, tuple[str, ...]]] = [
    ("salad", "Salat Salat Salat Salat Salat Salat", ("loop",)),
    ("A man with a dog.", "Ein Mann mit einem Mann mit einem Mann mit einem Hund.", ("loop",)),
    ("ha ha ha ha", "ha " * 20, ("loop",)),
    ("Hello....", "Hallo Hallo Hallo Hallo Hallo", ("loop",)),
    ("What is it?", "Waaaaaaaaaaaaas", ("loop",)),
    ("What is it?", "?" * 12, ("loop",)),
    ("它是什么", "什么什么什么什么", ("loop",)),
    ("Good", "Das ist ein sehr langer Satz, der mit seiner Quelle nichts zu tun hat.", ("run_on",)),
    (LONG, "", ("empty",)),
    (LONG, " \t", ("empty",)),
    (LONG, "Ein Mann.", ("short",)),
    (LONG, ".", ("short",)),
    (LONG, "in der Mitte der Straße und der Mann in der Mitte der Straße oder in der Mitte der "
     "Straße mit der Mitte der Straße und der Mann in der Mitte der Straße", ("loop",)),
]  # fmt: skip


@pytest.mark.parametrize("source, text, expected", BAD)
def test_nonsense_is_named(source: str, text: str, expected: tuple[str, ...]) -> None:
    assert find_issues(task(source), [draft(text)]) == expected


def test_what_ended_only_at_the_longest_length_runs_on() -> None:
    assert find_issues(task("a b"), [draft("x y", forced=True)]) == ("run_on",)


def test_no_draft_at_all_is_empty_and_a_blank_task_needs_none() -> None:
    assert find_issues(task("a"), []) == ("empty",)
    assert find_issues(task(" "), []) == ()


def test_a_prefix_that_was_asked_for_accounts_for_what_it_repeats() -> None:
    text = "la la la la la la la"
    assert is_repetitive("song", text) and not is_repetitive("song la la la la la", text)
    assert find_issues(task("song", "la la la la la la"), [draft(text)]) == ()


class Again:
    """A second search that gives what it is told, and remembers what it was asked."""

    def __init__(self, *texts: str, score: float = -3.0) -> None:
        self.texts, self.score = texts, score
        self.asked: list[tuple[list[int], SearchConfig]] = []

    def __call__(self, numbers: list[int], config: SearchConfig) -> list[list[DecodedHypothesis]]:
        self.asked.append((numbers, config))
        drafts = [draft(text, self.score - place) for place, text in enumerate(self.texts)]
        return [drafts for _ in numbers]


def guard(
    source: str, first: list[DecodedHypothesis], again: Again, **options: Any
) -> tuple[list[str], Diagnosis | None]:
    config = SearchConfig.model_validate({"beam": 2, **options})
    (drafts,), (verdict,) = repair_degenerate([task(source)], [first], config, again)
    return [candidate.text for candidate in drafts], verdict


def test_a_loop_is_replaced_by_what_does_not_loop_though_search_scored_it_lower() -> None:
    again = Again("Salat", score=-20.0)
    texts, verdict = guard("salad", [draft("Salat " * 8, -0.1)], again)
    assert texts == ["Salat"] and verdict == Diagnosis(("loop",), (), True)
    assert verdict.warning == "the translation was repeating itself; it was replaced by a better one"
    assert verdict.record() == {"issues": ["loop"], "remaining": [], "resolved": True}
    assert Diagnosis(("loop", "run_on"), ("run_on",), True).record()["resolved"] is False
    ((numbers, config),) = again.asked
    assert numbers == [0] and config.no_repeat_ngram == 3
    assert config.beam == config.n_best == 5 and config.min_length == 0


def test_good_drafts_are_not_searched_for_again() -> None:
    again = Again("x")
    assert guard("ha ha ha ha", [draft("ha ha ha ha")], again) == (["ha ha ha ha"], None)
    assert again.asked == []


def test_where_the_second_search_is_no_better_the_first_stays() -> None:
    loop = draft("Salat " * 8, -5.0)
    texts, verdict = guard("salad", [loop], Again("Essen " * 9, score=-1.0))
    assert texts == [loop.text] and verdict == Diagnosis(("loop",), ("loop",), False)
    assert verdict.warning == ("the translation was repeating itself; no better one was found")


def test_the_smaller_flaw_is_taken_and_said() -> None:
    again = Again("Ein Mann")
    texts, verdict = guard(LONG, [draft("")], again)
    assert again.asked[0][1].min_length == 1
    assert texts == ["Ein Mann"] and verdict is not None
    assert verdict.warning == (
        "the translation was empty; it was replaced by a better one, which is much shorter than its source"
    )


def test_a_short_translation_is_searched_for_with_a_shortest_length() -> None:
    again = Again("Ein Mann in einem blauen Hemd steht auf einer Leiter und putzt ein Fenster.")
    guard(LONG, [draft(".")], again)
    assert again.asked[0][1].min_length == len(LONG.split()) // 3
    guard(LONG, [draft(".")], again, max_length=4)
    assert again.asked[1][1].min_length == 4


def test_lists_of_n_best_hold_each_text_once_flawless_ones_first() -> None:
    first = [draft("Salat " * 8, -0.1), draft("ein Salat", -0.5)]
    texts, _ = guard("salad", first, Again("Salat", "ein Salat"), n_best=2)
    assert texts == ["ein Salat", "Salat"]


def test_a_draft_without_a_score_comes_after_those_with_the_same_flaws_in_their_order() -> None:
    first = [draft("ein grüner Salat", math.nan), draft("Salat " * 8, math.nan)]
    again = Again("Salat", "ein Salat", "der Salat", "mein Salat", "dein Salat")
    texts, _ = guard("salad", first[::-1], again, n_best=6, beam=6)
    assert texts == [*again.texts, first[0].text]


def test_samples_are_judged_but_not_drawn_again() -> None:
    again = Again("Salat")
    drawn = ["Salat " * 8, "ein Salat", "ein Salat"]
    texts, verdict = guard("salad", [draft(text) for text in drawn], again, sampling=True, n_best=3)
    assert again.asked == [] and verdict == Diagnosis(("loop",), ("loop",), False)
    assert texts == drawn


def test_only_flawed_tasks_are_searched_again_each_with_its_own_result() -> None:
    again = Again("gut")
    tasks = [task("a"), task("b"), task("c")]
    drafts = [[draft("x")], [draft("x x x x x")], [draft("")]]
    results, verdicts = repair_degenerate(tasks, drafts, SearchConfig(), again)
    assert [candidates[0].text for candidates in results] == ["x", "gut", "gut"]
    assert [verdict is None for verdict in verdicts] == [True, False, False]
    assert [numbers for numbers, _ in again.asked] == [[1], [2]]


def test_verdicts_on_parts_become_one_on_the_line() -> None:
    assert merge_diagnoses([None, None]) is None
    first, other = Diagnosis(("loop",), (), True), Diagnosis(("loop", "run_on"), ("run_on",), False)
    assert merge_diagnoses([first, None, other]) == Diagnosis(("loop", "run_on"), ("run_on",), True)


REPETITIONS: list[tuple[str, dict[str, int]]] = [
    ("", {"words": 1, "letters": 1, "other": 1, "word_count": 0}),
    ("The old man reads a book.", {"words": 1, "long_words": 1, "letters": 1, "other": 1}),
    ("very very very good", {"words": 3, "long_words": 1, "word_count": 4}),
    ("Ha ha HA ha!", {"words": 4}),
    ("salad, salad, salad, salad", {"words": 3, "long_words": 3}),
    ("a b c a b c a b c a b", {"words": 3, "long_words": 3}),
    ("1 1 1 1 1", {"words": 1, "other": 5}),
    ("10 20 30 ; 10 20 30 ; 10 20 30 ;", {"words": 1, "other": 3}),
    ("1000000 and 100000000000", {"words": 1, "letters": 1, "other": 1}),
    ("wait ........", {"other": 8, "words": 1}),
    ("hahahahaha", {"letters": 5, "words": 1}),
    ("aaaaaaaaaaaa", {"letters": 12}),
    ("Mississippi", {"letters": 2}),
    ("哈哈哈哈", {"words": 4}),
    ("我喜欢我喜欢我喜欢", {"words": 3, "long_words": 3}),
    ("नमस्ते नमस्ते नमस्ते", {"words": 3}),
    ("___ ___", {"other": 6}),
]


@pytest.mark.parametrize("text, expected", REPETITIONS)
def test_runs_are_counted_as_the_table_says(text: str, expected: dict[str, int]) -> None:
    repetition = Repetition.from_text(text)
    assert {key: getattr(repetition, key) for key in expected} == expected


def test_the_share_of_old_four_grams_tells_scattered_repetition() -> None:
    again = "in the middle of the road and the man in the middle of the road or in the middle of "
    assert Repetition.from_text(again).repeated_ngram_fraction > 0.2
    assert Repetition.from_text("one two three four five").repeated_ngram_fraction == 0.0
    assert Repetition.from_text("a b c d e f a b c d e f").repeated_ngram_fraction == pytest.approx(1 / 3)


def test_no_wide_character_comes_before_the_first_one() -> None:
    characters = [chr(code) for code in range(0x1200) if unicodedata.category(chr(code)) != "Cn"]  # assigned ones
    wide = [character for character in characters if unicodedata.east_asian_width(character) in "WF"]
    assert wide[0] == degeneration.FIRST_WIDE_CHARACTER
    assert degeneration._script_adjusted_length(wide[0] + "ab") == 5


@pytest.mark.parametrize(
    "issues, remaining, replaced, said",
    [
        (("empty",), ("empty",), False, "the translation was empty; no better one was found"),
        (("run_on",), (), True, "the translation was running on without an end; it was replaced by a better one"),
        (("short", "loop"), ("loop",), True,
         "the translation was much shorter than its source and repeating itself; it was replaced by a better one, "
         "which is repeating itself"),
    ],
)  # fmt: skip
def test_what_was_degenerate_and_what_became_of_it_is_said(
    issues: tuple[Issue, ...], remaining: tuple[Issue, ...], replaced: bool, said: str
) -> None:
    assert Diagnosis(issues, remaining, replaced).warning == said
