"""Search held against enumeration: whatever the options, a beam that is wide enough is exact."""

import math
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.decoding.beam import search
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.constraints import NoRepeatNgram, max_ngram_count
from nmt_cli.decoding.ctc_beam import ctc_search
from nmt_cli.decoding.engine import Hypothesis
from nmt_cli.decoding.ensemble import Ensemble
from nmt_cli.models import MODELS
from nmt_cli.models.contract import Autoregressive
from nmt_cli.vocabulary import Vocabulary
from tests.conftest import examples
from tests.decoding.test_beam import TableModel, everything, source
from tests.decoding.test_ctc_beam import Rows
from tests.decoding.test_ctc_beam import everything as every_text
from tests.decoding.test_ctc_beam import source as emitted

QUICK = examples(60)
WIDE = 64  # more than there are hypotheses of up to 3 of 3 tokens

options = st.fixed_dictionaries(
    {
        "length_normalization": st.sampled_from(["average", "gnmt", "none"]),
        "length_penalty": st.sampled_from([0.0, 0.3, 1.0, 2.0]),
        "min_length": st.integers(0, 2),
        "max_length": st.integers(2, 3),
        "n_best": st.integers(1, 6),
        "no_repeat_ngram": st.sampled_from([None, 1, 2]),
    }
)


def repeats(ids: list[int], size: int | None) -> bool:
    return size is not None and max_ngram_count(ids, size) > 1


def best_by_enumeration(model: TableModel, word: int, config: SearchConfig) -> list[Hypothesis]:
    every = everything(model, word, config)
    return [hypothesis for hypothesis in every if not repeats(hypothesis.ids, config.no_repeat_ngram)][: config.n_best]


@QUICK
@given(seed=st.integers(0, 10_000), sharpness=st.sampled_from([0.2, 1.0, 3.0]), extra=options)
def test_a_beam_as_wide_as_everything_finds_the_best_of_everything(
    seed: int, sharpness: float, extra: dict[str, Any]
) -> None:
    config = SearchConfig(beam=WIDE, **extra)
    model = TableModel(seed, sharpness)
    for word, hypotheses in zip([4, 6], search(model, source([4, 6]), config), strict=True):
        best = best_by_enumeration(model, word, config)
        assert [hypothesis.score for hypothesis in hypotheses] == pytest.approx([b.score for b in best], abs=1e-4)
        assert [hypothesis.score for hypothesis in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)
        ranked = everything(model, word, config)
        scores = {tuple(hypothesis.ids): hypothesis.log_probability for hypothesis in ranked}
        for hypothesis in hypotheses:
            assert hypothesis.log_probability == pytest.approx(scores[tuple(hypothesis.ids)], abs=1e-4)
            assert config.min_length <= len(hypothesis.ids) <= 3
            assert not repeats(hypothesis.ids, config.no_repeat_ngram)
        assert len({tuple(hypothesis.ids) for hypothesis in hypotheses}) == len(hypotheses)


@QUICK
@given(seed=st.integers(0, 10_000), beam=st.integers(1, 6), extra=options)
def test_no_beam_finds_better_than_the_best_and_lists_are_ordered(seed: int, beam: int, extra: dict[str, Any]) -> None:
    config = SearchConfig(beam=beam, **{**extra, "n_best": min(beam, extra["n_best"])})
    model = TableModel(seed)
    (hypotheses,) = search(model, source([5]), config)
    best = everything(model, 5, config)[0]
    assert 1 <= len(hypotheses) <= config.n_best
    assert hypotheses[0].score <= best.score + 1e-4
    assert [hypothesis.score for hypothesis in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)


@QUICK
@given(words=st.lists(st.integers(4, 6), min_size=1, max_size=7), seed=st.integers(0, 1000), twice=st.booleans())
def test_a_sentence_is_searched_alike_in_any_company_ensembles_too(words: list[int], seed: int, twice: bool) -> None:
    model: Autoregressive[Any, Any] = TableModel(seed)
    model = Ensemble([TableModel(seed), TableModel(seed + 1)]) if twice else model
    config = SearchConfig(beam=3, n_best=2, max_length=5)
    alone = {word: search(model, source([word]), config)[0] for word in set(words)}
    for word, hypotheses in zip(words, search(model, source(words), config), strict=True):
        assert [hypothesis.ids for hypothesis in hypotheses] == [hypothesis.ids for hypothesis in alone[word]]
        scores = [hypothesis.log_probability for hypothesis in alone[word]]
        assert [hypothesis.log_probability for hypothesis in hypotheses] == pytest.approx(scores, abs=1e-4)


@QUICK
@given(ids=st.lists(st.integers(0, 3), max_size=12), size=st.integers(1, 4), allowed=st.integers(1, 3))
def test_a_token_is_banned_where_it_would_repeat_an_ngram_too_often(ids: list[int], size: int, allowed: int) -> None:
    rows = torch.zeros(1, 1, 4)
    history = torch.tensor([[ids]], dtype=torch.long).view(1, 1, len(ids))
    NoRepeatNgram(size, torch.tensor([float(allowed)])).apply(rows, history)
    for token in range(4):
        grown = [*ids, token]
        grams = Counter(zip(*(grown[first:] for first in range(size)), strict=False))
        last = tuple(grown[len(grown) - size :])
        banned = len(grown) >= size and grams[last] > allowed
        assert (float(rows[0, 0, token]) == -math.inf) == banned


def test_the_source_says_how_often_an_ngram_may_be_there() -> None:
    assert max_ngram_count([4, 5, 4, 5, 4, 5], 2) == 3
    assert max_ngram_count([4, 5, 6], 2) == max_ngram_count([4], 2) == max_ngram_count([], 1) == 1


def test_repeats_of_the_source_are_allowed_in_its_translation() -> None:
    model = TableModel(1)
    model.table.data.fill_(-20.0)
    model.table.data[..., 4] = 0.0  # whatever comes, write 4
    model.table.data[..., 3] = -1.0
    config = SearchConfig(beam=2, max_length=8, no_repeat_ngram=1, length_normalization="none")
    once, thrice = (search(model, torch_source(ids), config)[0][0].ids for ids in ([4, 5], [4, 4, 4]))
    assert once.count(4) <= 1 and thrice.count(4) <= 3


def torch_source(ids: list[int]) -> Any:
    from nmt_cli.models.contract import Sequences

    return Sequences(torch.tensor([[*ids, 3]]), torch.tensor([len(ids) + 1]))


# What used to leave a line without any hypothesis


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("sampling", [False, True])
def test_a_prefix_longer_than_the_longest_translation_is_written_whole(beam: int, sampling: bool) -> None:
    config = SearchConfig(beam=beam, max_length=2, sampling=sampling)
    prefix = [4, 5, 6, 4, 5]
    (hypotheses, free) = search(TableModel(2), source([4, 5]), config, [prefix, []])
    assert hypotheses[0].ids == prefix and math.isfinite(hypotheses[0].log_probability)
    assert len(free[0].ids) <= 2


def tiny_learned(longest: int) -> Any:
    torch.manual_seed(1)
    kind = MODELS["transformer"]
    config = kind.config_class.tiny_configs()[0].model_copy(update={"positions": "learned", "max_positions": longest})
    vocabulary = Vocabulary(source_size=30, target_size=30, joint=True)
    return kind(config, vocabulary).eval()


@pytest.mark.parametrize("sampling", [False, True])
@pytest.mark.parametrize("prefixes", [None, [[5] * 20]])
def test_shortest_lengths_and_prefixes_that_no_model_can_write_end_at_its_limit(prefixes: Any, sampling: bool) -> None:
    config = SearchConfig(beam=2, min_length=40, sampling=sampling)
    ids = torch.tensor([[6, 7, 3]])
    from nmt_cli.models.contract import Sequences

    (hypotheses,) = search(tiny_learned(9), Sequences(ids, torch.tensor([3])), config, prefixes)
    assert len(hypotheses[0].ids) == 8 and hypotheses[0].truncated


def test_a_prefix_may_repeat_what_the_rest_may_not() -> None:
    config = SearchConfig(beam=2, max_length=6, no_repeat_ngram=1)
    (hypotheses,) = search(TableModel(3), source([4]), config, [[4, 4, 4]])
    assert hypotheses[0].ids[:3] == [4, 4, 4] and hypotheses[0].ids[3:].count(4) == 0


def test_what_would_have_gone_on_is_marked_and_what_ended_is_not() -> None:
    model = TableModel(1)
    model.table.data[..., 3] = -30.0
    for config in (SearchConfig(beam=2, max_length=4), SearchConfig(sampling=True, max_length=4)):
        (hypotheses,) = search(model, source([4]), config)
        assert hypotheses[0].truncated and len(hypotheses[0].ids) == 4
    model.table.data[:, :3, :, 3] = -30.0
    model.table.data[:, 3:, :, 3] = 30.0  # ends after three by itself
    for longest in (3, 4):
        for config in (SearchConfig(beam=2, max_length=longest), SearchConfig(sampling=True, max_length=longest)):
            (hypotheses,) = search(model, source([4]), config)
            assert not hypotheses[0].truncated and len(hypotheses[0].ids) == 3


# Models that emit all positions at once


@examples(25)
@given(seed=st.integers(0, 500), extra=options)
def test_a_prefix_beam_keeps_to_lengths_and_repeats(seed: int, extra: dict[str, Any]) -> None:
    config = SearchConfig(beam=30, **extra)
    model = Rows(seed)
    every = every_text(model, 4)
    (hypotheses,) = ctc_search(model, emitted([4]), config, None)
    size = config.no_repeat_ngram
    for hypothesis in hypotheses:
        assert config.min_length <= len(hypothesis.ids) <= extra["max_length"]
        assert size is None or max_ngram_count(hypothesis.ids, size) <= max_ngram_count([4] * 3, size)
        assert hypothesis.log_probability == pytest.approx(math.log(every[tuple(hypothesis.ids)]), abs=1e-4)
    assert [hypothesis.score for hypothesis in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)


@pytest.mark.parametrize("extra", [{"min_length": 2}, {"max_length": 1}, {"no_repeat_ngram": 2}])
def test_greedy_ctc_search_keeps_to_them_as_well(extra: dict[str, Any]) -> None:
    for seed in range(8):
        config = SearchConfig(beam=1, **extra)
        (hypotheses,) = ctc_search(Rows(seed), emitted([3]), config, None)
        assert len(hypotheses) == 1 and len(hypotheses[0].ids) <= extra.get("max_length", 3)
        assert "no_repeat_ngram" not in extra or not repeats(hypotheses[0].ids, 2)
