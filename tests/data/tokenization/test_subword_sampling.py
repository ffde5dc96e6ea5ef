"""Seeded subword sampling: BPE dropout and the unigram sampler."""

import math
import random
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from nmt_cli.data.tokenization.subword_sampling import BpeDropout, Segmenter, UnigramSampler

LETTERS = "abcd"
PIECES = {"a": -2.0, "b": -2.5, "c": -3.0, "ab": -2.2, "bc": -3.5, "abc": -4.0, "ca": -2.8}
MERGES = [("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc"), ("c", "a")]


def learned_bpe() -> tuple[list[tuple[str, str]], models.BPE]:
    draw = random.Random(1)
    words = ["".join(draw.choices(LETTERS, (5, 3, 2, 1), k=draw.randint(1, 9))) for _ in range(400)]
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trained.train_from_iterator(words, trainers.BpeTrainer(vocab_size=80, show_progress=False))
    vocabulary = trained.get_vocab()
    by_number = sorted(vocabulary, key=lambda piece: vocabulary[piece])
    merges = []
    for piece in by_number:  # any order of merges is a BPE model; take every split of each piece
        cuts = range(1, len(piece))
        merges += [(piece[:k], piece[k:]) for k in cuts if {piece[:k], piece[k:]} <= {*vocabulary}]
    return merges, models.BPE(vocabulary, merges)


def segmentations(word: str) -> Iterator[tuple[str, ...]]:
    if not word:
        yield ()
    for k in range(1, len(word) + 1):
        if word[:k] in PIECES:
            yield from ((word[:k], *rest) for rest in segmentations(word[k:]))


def distance(drawn: Counter[tuple[str, ...]], exact: dict[tuple[str, ...], float]) -> float:
    """Total variation distance of an empirical distribution."""
    return sum(abs(drawn[x] / drawn.total() - exact.get(x, 0.0)) for x in {*drawn, *exact}) / 2


def test_without_dropout_bpe_is_that_of_the_tokenizers_library() -> None:
    merges, reference = learned_bpe()
    ours = BpeDropout(merges, 0.0)
    draw = random.Random(2)
    for _ in range(2000):
        word = "".join(draw.choices(LETTERS, k=draw.randint(1, 14)))
        assert ours.segment(word, draw) == [token.value for token in reference.tokenize(word)]


def test_full_dropout_leaves_single_characters() -> None:
    assert BpeDropout(MERGES, 1.0).segment("abcabc", random.Random(0)) == list("abcabc")


def test_each_merge_is_overlooked_with_the_probability_asked_for() -> None:
    """In "abc" both merges are possible; by hand: ab first, else bc, each at rate 0.3."""
    keep, skip = 0.7, 0.3
    exact = {
        ("abc",): keep * keep + skip * keep * keep,
        ("ab", "c"): keep * skip,
        ("a", "bc"): skip * keep * skip,
        ("a", "b", "c"): skip * skip,
    }
    dropout, draw = BpeDropout(MERGES, skip), random.Random(3)
    drawn = Counter(tuple(dropout.segment("abc", draw)) for _ in range(20_000))
    assert distance(drawn, exact) < 0.015


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0, 2.0])
def test_segmentations_are_drawn_in_proportion_to_their_probability_to_alpha(alpha: float) -> None:
    weights = {x: math.exp(alpha * sum(map(PIECES.__getitem__, x))) for x in segmentations("abcab")}
    exact = {x: weight / sum(weights.values()) for x, weight in weights.items()}
    sampler, draw = UnigramSampler(PIECES, alpha), random.Random(4)
    drawn = Counter(tuple(sampler.segment("abcab", draw)) for _ in range(20_000))
    assert distance(drawn, exact) < 0.015


def test_a_large_alpha_finds_the_best_segmentation() -> None:
    best = max(segmentations("abcabca"), key=lambda x: sum(map(PIECES.__getitem__, x)))
    assert UnigramSampler(PIECES, 200.0).segment("abcabca", random.Random(5)) == list(best)


def test_an_unknown_character_stays_alone_among_known_pieces() -> None:
    drawn = UnigramSampler(PIECES, 200.0).segment("ab?ca", random.Random(6))
    assert drawn == ["ab", "?", "ca"]


def test_a_piece_is_better_than_the_unknown_character_in_it() -> None:
    sampler = UnigramSampler({"a": -1.0, "a?": -5.0}, 20.0)
    assert sampler.segment("a?", random.Random(8)) == ["a?"]


def test_a_sentence_without_spaces_does_not_underflow() -> None:
    sentence = "abcca" * 200
    assert "".join(UnigramSampler(PIECES, 1.0).segment(sentence, random.Random(7))) == sentence


SEGMENTERS = [
    BpeDropout(MERGES, 0.1), BpeDropout(MERGES, 0.6), UnigramSampler(PIECES, 0.2),
    UnigramSampler({}, 1.0),
]  # fmt: skip


@pytest.mark.parametrize("segmenter", SEGMENTERS)
@given(word=st.one_of(st.text(alphabet="abcx"), st.text()), seed=st.integers(0, 5))
def test_segments_spell_the_word_and_the_seed_decides_them(segmenter: Segmenter, word: str, seed: int) -> None:
    first = segmenter.segment(word, random.Random(seed))
    assert "".join(first) == word
    assert all(first)
    assert segmenter.segment(word, random.Random(seed)) == first
