"""Scores by source length: buckets, points equal to sacreBLEU's, intervals."""

import random

import pytest

from nmt_cli.evaluation.by_length import (
    BUCKET_WIDTHS,
    Bucket,
    default_bucket_ends,
    score_by_length,
    split_into_buckets,
    text_lengths,
)
from nmt_cli.evaluation.metrics import MetricName, corpus_scores

DRAW = random.Random(1)
SOURCES = [" ".join(DRAW.choice("abcdefgh") for _ in range(DRAW.randint(1, 30))) for _ in range(120)]
REFERENCES = [source.replace("a", "x") for source in SOURCES]
LENGTHS = text_lengths(SOURCES, "words")


def worse(share: float) -> list[str]:
    """The references with a share of words wrong."""
    draw = random.Random(2)
    return [" ".join("?" if draw.random() < share else w for w in r.split()) for r in REFERENCES]


SYSTEMS = {"good": worse(0.1), "bad": worse(0.5), "perfect": REFERENCES}


def test_lengths_are_words_or_characters() -> None:
    assert text_lengths(["a  b c ", "", "我喜欢 读书"], "words") == [3, 0, 2]
    assert text_lengths(["a  b c ", "", "我喜欢 读书"], "characters") == [3, 0, 5]


def test_every_sentence_is_in_one_bucket_by_its_length() -> None:
    buckets = split_into_buckets([1, 5, 6, 10, 11, 99, 5], [5, 10, 20])
    assert buckets == [
        Bucket(1, 5, [0, 1, 6]), Bucket(6, 10, [2, 3]), Bucket(11, 20, [4]), Bucket(21, None, [5]),
    ]  # fmt: skip
    assert [bucket.label for bucket in buckets] == ["1–5", "6–10", "11–20", ">20"]


def test_buckets_without_sentences_are_left_out_and_empty_lines_are_told() -> None:
    assert split_into_buckets([0, 30], [5, 10]) == [Bucket(0, 5, [0]), Bucket(11, None, [1])]
    assert [bucket.label for bucket in split_into_buckets([1, 2], [1, 2])] == ["1", "2"]


@pytest.mark.parametrize(
    "longest, ends",
    [
        (1, [5]), (5, [5]), (6, [5, 10]), (28, [5, 10, 15, 20, 25, 30]),
        (40, [5, 10, 15, 20, 25, 30, 35, 40]), (41, [10, 20, 30, 40, 50]),
        (80, [10, 20, 30, 40, 50, 60, 70, 80]), (100_000, list(range(1000, 9000, 1000))),
    ],
)  # fmt: skip
def test_automatic_buckets_are_round_and_few(longest: int, ends: list[int]) -> None:
    assert default_bucket_ends([longest] * 10) == ends
    assert ends[0] in BUCKET_WIDTHS and len(ends) <= 8


def test_a_few_very_long_sentences_do_not_make_the_buckets_wide() -> None:
    assert default_bucket_ends([10] * 999 + [900]) == [5, 10]


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_points_are_what_sacrebleu_says_of_the_sentences(name: MetricName) -> None:
    scores = score_by_length(LENGTHS, [REFERENCES], SYSTEMS, name, samples=2)
    assert [len(b.sentence_indices) for b in scores.buckets] == [
        sum(5 * n < size <= 5 * n + 5 for size in LENGTHS) for n in range(len(scores.buckets))
    ]
    for system, hypotheses in SYSTEMS.items():
        for bucket, interval in zip(scores.buckets, scores.systems[system], strict=True):
            bucket_hypotheses = [hypotheses[i] for i in bucket.sentence_indices]
            (expected,) = corpus_scores(bucket_hypotheses, [[REFERENCES[i] for i in bucket.sentence_indices]], [name])
            assert interval.score == pytest.approx(expected.score)
        (expected,) = corpus_scores(hypotheses, [REFERENCES], [name])
        assert scores.overall[system].score == pytest.approx(expected.score)
        assert scores.signature == expected.signature


def test_several_references_count() -> None:
    scores = score_by_length(LENGTHS, [worse(0.9), REFERENCES], {"a": REFERENCES}, "bleu", samples=2, tokenize="char")
    assert scores.overall["a"].score == pytest.approx(100)
    assert "nrefs:2" in scores.signature and "tok:char" in scores.signature


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_intervals_contain_the_point_and_say_what_is_sure(name: MetricName) -> None:
    scores = score_by_length(LENGTHS, [REFERENCES], SYSTEMS, name, samples=200, ends=[10, 20])
    for system, intervals in scores.systems.items():
        for interval in [*intervals, scores.overall[system]]:
            assert interval.low <= interval.score <= interval.high
            assert interval.high - interval.low > 0 or system == "perfect"
    assert scores.overall["bad"].high < scores.overall["good"].low
    # A third of the sentences is known less well than all.
    for interval in scores.systems["good"]:
        whole = scores.overall["good"]
        assert interval.high - interval.low > whole.high - whole.low


def test_intervals_are_those_of_sacrebleu_up_to_chance() -> None:
    from sacrebleu.metrics.bleu import BLEU

    interval = score_by_length(LENGTHS, [REFERENCES], SYSTEMS, "bleu", samples=1000).overall["good"]
    theirs = BLEU().corpus_score(SYSTEMS["good"], [REFERENCES], n_bootstrap=1000)
    assert (interval.high - interval.low) / 2 == pytest.approx(theirs._ci, rel=0.1)


def test_the_same_seed_gives_the_same_intervals() -> None:
    first, again, other = (
        score_by_length(LENGTHS, [REFERENCES], SYSTEMS, "bleu", samples=20, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again and first.overall != other.overall


@pytest.mark.parametrize(("sentences", "has_interval"), [(1, False), (2, False), (19, False), (20, True)])
def test_few_sentences_have_no_interval(sentences: int, has_interval: bool) -> None:
    """That of a bootstrap over two would be far too narrow."""
    hypotheses = [f"a b c {'de'[number % 2]}" for number in range(sentences)]
    scores = score_by_length([3] * sentences, [["a b c d"] * sentences], {"x": hypotheses}, "chrf", samples=50)
    for interval in (*scores.systems["x"], scores.overall["x"]):
        assert interval.score > 0
        assert (interval.low is not None and interval.high is not None) == has_interval
    record = scores.to_dict()["systems"]["x"]["buckets"][0]
    assert set(record) == {"score", "low", "high"} and (record["low"] is not None) == has_interval


def test_the_record_holds_all_numbers_and_their_signature() -> None:
    scores = score_by_length(LENGTHS, [REFERENCES], {"good": worse(0.1)}, "bleu", samples=10)
    record = scores.to_dict()
    assert record["bootstrap"] == {"samples": 10, "seed": 12345, "level": 0.95}
    assert (record["metric"], record["unit"]) == ("bleu", "words")
    assert record["signature"].startswith("nrefs:1|")
    assert sum(bucket["sentences"] for bucket in record["buckets"]) == 120
    assert set(record["buckets"][0]) == {"first", "last", "sentences"}
    system = record["systems"]["good"]
    assert len(system["buckets"]) == len(record["buckets"])
    assert set(system["all"]) == {"score", "low", "high"}
