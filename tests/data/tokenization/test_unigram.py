"""The deterministic trainer of the unigram language model."""

import math
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models

from nmt_cli.data.tokenization import unigram
from nmt_cli.data.tokenization.unigram import train_unigram
from tests.conftest import examples

STEMS = ["walk", "talk", "play", "open", "turn", "look", "jump", "call", "hund", "katze", "straße"]
ENDINGS = ["", "s", "ed", "ing", "er", "en", "est"]


def corpus(seed: int = 1, words: int = 400) -> dict[str, int]:
    draw = random.Random(seed)
    spelled = (f" {draw.choice(['', 're', 'un'])}{draw.choice(STEMS)}{draw.choice(ENDINGS)}" for _ in range(words))
    return {word: draw.randint(1, 50) for word in spelled} | {".": 90, "狗": 1}


def alphabet(words: Mapping[str, int]) -> set[str]:
    return set("".join(words))


def segmentations(word: str, pieces: Mapping[str, float]) -> Iterator[list[str]]:
    if not word:
        yield []
    for k in range(1, len(word) + 1):
        if word[:k] in pieces:
            yield from ([word[:k], *rest] for rest in segmentations(word[k:], pieces))


def lattices(words: Mapping[str, int], scores: Mapping[str, float]) -> unigram._UnigramModel:
    model = unigram._UnigramModel(words, dict.fromkeys(scores, 1))
    model._scores = np.array(list(scores.values()))
    return model


SCORES = {"a": -1.5, "ab": -2.0, "aba": -2.2, "b": -3.0, "ba": -2.7, "bab": -4.0}
WORDS = {"a": 3, "abab": 2, "babaab": 5, "bb": 1}


def test_expected_counts_are_those_of_all_segmentations_enumerated() -> None:
    exact = dict.fromkeys(SCORES, 0.0)
    for word, count in WORDS.items():
        all_segmentations = list(segmentations(word, SCORES))
        weights = [math.exp(sum(map(SCORES.__getitem__, pieces))) for pieces in all_segmentations]
        for pieces, weight in zip(all_segmentations, weights, strict=True):
            for piece in pieces:
                exact[piece] += count * weight / sum(weights)
    model = lattices(WORDS, SCORES)
    expected = model._word_lattice.expected_counts(model._scores, model._text_counts)
    assert expected.tolist() == pytest.approx([exact[piece] for piece in SCORES], rel=1e-12)


def test_the_best_other_spelling_of_a_piece_is_found_among_all() -> None:
    model = lattices(WORDS, SCORES)
    best = model._spelling_lattice.best_scores(model._scores)[: len(SCORES)]
    for piece, score in zip(SCORES, best, strict=True):
        others = [x for x in segmentations(piece, SCORES) if len(piece) == 1 or x != [piece]]
        assert score == pytest.approx(max(sum(map(SCORES.__getitem__, x)) for x in others))


def test_seeds_are_the_best_repeated_substrings() -> None:
    """Counted by hand: each substring in "abab" x 2 and "bab" x 1, worth count * length."""
    seeds = unigram._seed_subwords({"abab": 2, "bab": 1, "zy": 1}, set("abyz"), 4, 4)
    assert seeds == {"a": 5, "ab": 10, "aba": 6, "abab": 8, "b": 6, "bab": 9, "y": 0, "z": 0}


def test_digamma_has_its_known_values() -> None:
    gamma = 0.57721566490153286
    expected = [-gamma - 2 * math.log(2), -gamma, 1 - gamma, math.log(1e6) - 5e-7]
    assert unigram._digamma(np.array([0.5, 1.0, 2.0, 1e6])).tolist() == pytest.approx(expected)


def test_there_are_exactly_as_many_pieces_as_asked_for_with_all_characters() -> None:
    words = corpus()
    for size in [40, 63, 100]:
        pieces = [piece for piece, _ in train_unigram(words, size, alphabet(words))]
        assert len(pieces) == len(set(pieces)) == size
        assert alphabet(words) <= set(pieces)


def test_there_are_fewer_pieces_where_the_words_repeat_too_little() -> None:
    pieces = dict(train_unigram({"ab": 2, "cd": 1}, 50, "abcdx"))
    assert set(pieces) == {"a", "b", "c", "d", "x", "ab"}


def test_probabilities_fall_and_sum_to_one_but_for_what_the_prior_takes() -> None:
    words = corpus()
    scores = [score for _, score in train_unigram(words, 60, alphabet(words))]
    assert scores == sorted(scores, reverse=True)
    assert 0.95 < sum(map(math.exp, scores)) <= 1.0


def test_equally_likely_pieces_are_in_order_of_code_points() -> None:
    pieces = train_unigram({"ä": 4, "z": 4, "b": 4, "c": 9}, 10, "zäbcyx")
    assert [piece for piece, _ in pieces] == ["c", "b", "z", "ä", "x", "y"]


def test_of_equally_useful_pieces_the_first_in_code_points_are_kept() -> None:
    pairs = ["mn", "ab", "yz", "ij", "cd"]
    pieces = {piece for piece, _ in train_unigram(dict.fromkeys(pairs, 4), 12, "".join(pairs))}
    assert {piece for piece in pieces if len(piece) > 1} == {"ab", "cd"}


def test_the_order_of_the_words_and_of_the_alphabet_changes_nothing() -> None:
    words = corpus()
    shuffled = list(words.items())
    random.Random(2).shuffle(shuffled)
    letters = sorted(alphabet(words))
    assert train_unigram(words, 70, letters) == train_unigram(dict(shuffled), 70, letters[::-1])


def test_another_process_with_other_hashes_trains_the_same() -> None:
    program = (
        "from nmt_cli.data.tokenization.unigram import train_unigram\n"
        f"words = {corpus()!r}\n"
        "print(train_unigram(words, 70, set(''.join(words))))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONUTF8": "1"},
            capture_output=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(outputs) == 1


def test_frequent_words_and_morphemes_become_pieces() -> None:
    pieces = dict(train_unigram({" the": 500, **corpus()}, 80, alphabet(corpus()) | set("the")))
    assert {" the", "ing"} <= set(pieces)
    model = models.Unigram([("<unk>", -99.0), *pieces.items()], unk_id=0)
    assert [token.value for token in model.tokenize(" the")] == [" the"]


def test_no_piece_has_a_character_outside_the_alphabet_or_is_too_long() -> None:
    words = {"abcdxxabcd": 20, "abcdabcd": 10}
    pieces = [piece for piece, _ in train_unigram(words, 30, "abcd", max_subword_length=3)]
    assert "x" not in "".join(pieces)
    assert max(map(len, pieces)) == 3


def test_a_long_sentence_without_spaces_does_not_underflow() -> None:
    draw = random.Random(3)
    sentences = {"".join(draw.choices(STEMS, k=100)): 1 for _ in range(20)}
    scores = dict(train_unigram(sentences, 40, alphabet(sentences)))
    assert all(map(math.isfinite, scores.values()))
    assert {"walk", "katze"} <= set(scores)


def test_of_too_many_words_the_most_frequent_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unigram, "MAX_WORDS", 1)
    pieces = dict(train_unigram({"abab": 2, "cdcd": 3}, 30, "abcd"))
    assert "cd" in pieces
    assert "ab" not in pieces


@examples(40)
@given(
    words=st.dictionaries(st.text(alphabet="ab ä\0\U0001f600", max_size=12), st.integers(1, 9)), size=st.integers(0, 30)
)
def test_any_words_give_a_model_that_spells_them(words: dict[str, int], size: int) -> None:
    letters = alphabet(words)
    pieces = train_unigram(words, size, letters)
    assert letters <= {piece for piece, _ in pieces}
    assert len(pieces) <= max(size, len(letters))
    assert all(math.isfinite(score) for _, score in pieces)
