"""The coverage penalty of Wu et al. 2016, by hand and through search."""

import math
from typing import Any

import pytest
import torch

from nmt_cli.decoding.beam import search
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Hypothesis
from nmt_cli.decoding.word_alignment import add_coverage_penalty, coverage_score
from nmt_cli.models import MODELS
from nmt_cli.models.contract import Sequences
from nmt_cli.vocabulary import Vocabulary


def test_it_is_the_sum_of_logarithms_of_what_each_word_got_at_most_one() -> None:
    rows = torch.tensor([[0.5, 0.3, 0.2], [0.7, 0.1, 0.2]])  # T = 2, S = 2 and the end
    weights = rows.expand(2, 4, 2, 3)  # layers, heads
    assert coverage_score(weights) == pytest.approx(math.log(0.4))  # 1.2 counts as 1, the end not at all


def test_the_layer_before_the_last_counts() -> None:
    rows = torch.tensor([[[[0.5, 0.5]]], [[[0.9, 0.1]]]])  # two layers, a head, T = 1, S = 1 + end
    assert coverage_score(rows) == pytest.approx(math.log(0.5))


def model(name: str, number: int = 0) -> Any:
    torch.manual_seed(3)
    config: Any = MODELS[name].config_class.tiny_configs()[number]
    return MODELS[name](config, Vocabulary(source_size=23, target_size=23, joint=True)).eval()


def test_search_ranks_finished_hypotheses_by_it() -> None:
    torch.manual_seed(1)
    source = Sequences(torch.randint(4, 23, (3, 7)), torch.tensor([7, 7, 4]))
    plain = SearchConfig(beam=6, n_best=6, max_length=3)  # too short to look at every word
    rnn = model("rnn")
    before = search(rnn, source, plain)
    after = search(rnn, source, plain.model_copy(update={"coverage_penalty": 2.0}))
    expected = add_coverage_penalty(rnn, source, before, 2.0)
    for hypotheses, expected_hypotheses in zip(after, expected, strict=True):
        scores = {tuple(h.ids): h.score for h in expected_hypotheses}
        assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)
        shared = [h for h in hypotheses if tuple(h.ids) in scores]
        assert shared and all(h.score == pytest.approx(scores[tuple(h.ids)]) for h in shared)
        assert all(h.score <= h.log_probability / (len(h.ids) + 1) + 1e-6 for h in hypotheses)
    assert after[0][0].score < after[0][0].log_probability / (len(after[0][0].ids) + 1)


def test_a_model_without_attention_is_left_as_it_is() -> None:
    hypotheses = [[Hypothesis([5], -1.0, -0.5)]]
    source = Sequences(torch.tensor([[5, 2]]), torch.tensor([2]))
    assert add_coverage_penalty(model("rnn", 2), source, hypotheses, 1.0) == hypotheses
