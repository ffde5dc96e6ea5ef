"""CTC search against enumeration of all paths, on rows that are a small table."""

import itertools
import math
from collections import defaultdict
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt_cli.decoding.beam import search
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.errors import UserError
from nmt_cli.models.configs import ModelConfig
from nmt_cli.models.contract import NonAutoregressive, Sequences
from nmt_cli.vocabulary import Vocabulary

SIZE = 7
VOCABULARY = Vocabulary(source_size=SIZE, target_size=SIZE, joint=True)


class Rows(NonAutoregressive[ModelConfig]):
    """Emits the same random rows for every sentence, as many as it has tokens: a fake."""

    def __init__(self, seed: int) -> None:
        super().__init__(ModelConfig(type="rows"), VOCABULARY)
        rows = torch.randn(5, SIZE, generator=torch.Generator().manual_seed(seed)) * 1.5
        rows[:, [1, 2, 3]] = -math.inf  # specials are never emitted
        self.rows = torch.nn.Parameter(rows)

    def forward(self, source: Sequences) -> tuple[Tensor, Tensor]:
        size = source.ids.shape[1]
        return self.rows[:size].expand(len(source.ids), -1, -1), source.lengths

    def output_logits(self, hidden: Tensor) -> Tensor:
        return hidden


def everything(model: Rows, length: int) -> dict[tuple[int, ...], float]:
    """The probability of every text, summed over all its paths."""
    rows = model.rows.detach()[:length].softmax(-1)
    probabilities: dict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product([0, 4, 5, 6], repeat=length):
        text = tuple(key for key, _ in itertools.groupby(path) if key != 0)
        probabilities[text] += math.prod(float(rows[n, token]) for n, token in enumerate(path))
    return probabilities


def source(lengths: list[int]) -> Sequences:
    return Sequences(torch.full((len(lengths), max(lengths)), 4), torch.tensor(lengths))


@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_finds_the_most_probable_texts(seed: int) -> None:
    model = Rows(seed)
    config = SearchConfig(beam=60, n_best=3, length_normalization="none")
    for length, hypotheses in zip([5, 3], search(model, source([5, 3]), config), strict=True):
        best = sorted(everything(model, length).items(), key=lambda item: -item[1])[:3]
        assert [tuple(hypothesis.ids) for hypothesis in hypotheses] == [text for text, _ in best]
        for hypothesis, (_, probability) in zip(hypotheses, best, strict=True):
            assert hypothesis.log_probability == pytest.approx(math.log(probability), abs=1e-4)


def test_greedy_collapses_the_best_path_and_gives_its_real_probability() -> None:
    model = Rows(3)
    (hypotheses,) = search(model, source([5]), SearchConfig(beam=1))
    path = model.rows.detach().argmax(-1).tolist()
    text = tuple(key for key, _ in itertools.groupby(path) if key != 0)
    assert tuple(hypotheses[0].ids) == text
    assert hypotheses[0].log_probability == pytest.approx(math.log(everything(model, 5)[text]), abs=1e-4)


@pytest.mark.parametrize("beam", [1, 3])
def test_few_logits_are_held_at_a_time_which_changes_nothing(beam: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, held = Rows(2), []
    config, lengths = SearchConfig(beam=beam), [5, 2, 4, 3, 1]
    expected = search(model, source(lengths), config)
    monkeypatch.setattr("nmt_cli.decoding.ctc_beam.MAX_LOGITS_PER_CHUNK", 2 * 5 * SIZE)
    monkeypatch.setattr(model, "output_logits", lambda hidden: held.append(len(hidden)) or hidden)
    assert search(model, source(lengths), config) == expected
    assert held == [2, 2, 1]


@pytest.mark.parametrize("extra, prefixes", [({"sampling": True}, None), ({}, [[4]])])
def test_what_cannot_be_forced_is_refused(extra: dict[str, Any], prefixes: Any) -> None:
    with pytest.raises(UserError, match="a ctc model supports neither"):
        search(Rows(1), source([3]), SearchConfig(**extra), prefixes)
