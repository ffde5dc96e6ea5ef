"""Attention weights without padding, and words aligned by them."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt_cli.decoding.ensemble import Ensemble
from nmt_cli.decoding.inspection import inspect_tokens
from nmt_cli.decoding.word_alignment import attention_weights, word_alignment
from nmt_cli.errors import UserError
from nmt_cli.models import MODELS
from nmt_cli.models.contract import Autoregressive
from nmt_cli.vocabulary import Vocabulary

VOCABULARY = Vocabulary(source_size=30, target_size=30, joint=True)


def build(name: str, **options: Any) -> Any:
    torch.manual_seed(2)
    config = MODELS[name].config_class.tiny_configs()[0].model_copy(update=options)
    return MODELS[name](config, VOCABULARY).eval()


def weights(rows: list[list[float]], layers: int = 1) -> Tensor:
    """[layers, heads, T, S]: the table in the layer that counts, its reverse in the others."""
    table = torch.tensor(rows)
    used = max(0, layers - 2)
    stack = [table if layer == used else table.flip(1) for layer in range(layers)]
    return torch.stack(stack)[:, None].repeat(1, 2, 1, 1)


STRAIGHT = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.0, 0.1, 0.9]]


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_each_target_word_points_to_what_it_looked_at_in_the_layer_before_the_last(layers: int) -> None:
    alignment = word_alignment(weights(STRAIGHT, layers), [" a", " b"], [" x", " y"])
    assert alignment == [(0, 0), (1, 1)]


def test_pieces_of_a_word_add_up_and_the_end_of_sentence_does_not_count() -> None:
    table = [[0.3, 0.35, 0.3, 0.05], [0.1, 0.1, 0.2, 0.6], [0.0, 0.4, 0.3, 0.3]]
    alignment = word_alignment(weights(table), [" a", " b", "b"], [" x", "x"])
    assert alignment == [(1, 0)]
    assert word_alignment(weights(table), [" a", "a", " b"], [" x", " y"]) == [(0, 0), (0, 1)]


def test_a_first_piece_without_a_space_still_begins_a_word() -> None:
    assert word_alignment(weights(STRAIGHT), ["a", " b"], ["x", " y"]) == [(0, 0), (1, 1)]


@pytest.mark.parametrize(
    "target, expected",
    [
        ([" ", " x"], [(1, 0)]),
        ([" x", " "], [(1, 0)]),
        ([" x", " ", " y"], [(0, 0), (2, 1)]),
        ([" ", "x", " y"], [(1, 0), (2, 1)]),
    ],
)
def test_spaces_are_no_word(target: list[str], expected: list[tuple[int, int]]) -> None:
    table = [[0.5, 0.4, 0.1], [0.0, 0.7, 0.3], [0.0, 0.1, 0.9]]
    assert word_alignment(weights(table), [" a", " b", " c"], target) == expected


@pytest.mark.parametrize("source, target", [([], [" x"]), ([" a"], []), ([], []), ([" a"], [" ", " "])])
def test_nothing_is_aligned_with_nothing(source: list[str], target: list[str]) -> None:
    assert word_alignment(weights(STRAIGHT), source, target) == []


def test_a_model_that_says_it_has_attention_and_returns_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("transformer")
    monkeypatch.setattr(type(model), "attention", lambda *_: None)
    for either in (model, Ensemble([model, build("rnn")])):
        with pytest.raises(
            UserError, match=r"^model transformer: has_attention is true, but attention\(\) returned None: "
        ):
            attention_weights(either, [[4, 5]], [[6]])
    assert attention_weights(build("rnn", attention="none"), [[4, 5]], [[6]]) is None


SHAPE = "return weights [B, layers, heads, T, S], here [2, layers, heads, 4, 3]"
NOT_FINITE = "numbers that are not finite: return weights of at least 0"


@pytest.mark.parametrize(
    "spoil, problem",
    [
        (lambda weights: weights[:, 0, 0], f"shape [2, 4, 3]: {SHAPE}"),
        (lambda weights: weights[:, 0], f"shape [2, 4, 4, 3]: {SHAPE}"),
        (lambda weights: weights.transpose(3, 4), f"shape [2, 2, 4, 3, 4]: {SHAPE}"),
        (lambda weights: weights[:1], f"shape [1, 2, 4, 4, 3]: {SHAPE}"),
        (lambda weights: weights[:, :0], f"shape [2, 0, 4, 4, 3]: {SHAPE}"),
        (lambda weights: weights * float("nan"), NOT_FINITE),
        (lambda weights: weights / 0, NOT_FINITE),
    ],
)
def test_attention_of_a_wrong_shape_or_without_finite_numbers_is_refused(
    spoil: Callable[[Tensor], Tensor], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build("transformer", encoder_layers=2, decoder_layers=2)
    attention = type(model).attention
    monkeypatch.setattr(type(model), "attention", lambda *arguments: spoil(attention(*arguments)))
    with pytest.raises(UserError, match=f"^model transformer: attention\\(\\) returned {re.escape(problem)}$"):
        attention_weights(model, [[4, 5], [6]], [[6], [7, 8, 9]])


def test_the_inspection_of_a_sentence_refuses_wrong_attention_too(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("transformer")
    monkeypatch.setattr(type(model), "attention", lambda *_: torch.ones(1, 2, 3))
    with pytest.raises(UserError, match=r"^model transformer: attention\(\) returned shape \[1, 2, 3\]: "):
        inspect_tokens(model, [4, 5], [6], 1)


def test_what_attention_returns_for_padding_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("transformer")
    attention = type(model).attention

    def spoiled(*arguments: Any) -> Tensor:
        weights: Tensor = attention(*arguments).clone()
        weights[1, :, :, :, 2:] = weights[0, :, :, 2:] = float("nan")
        return weights

    monkeypatch.setattr(type(model), "attention", spoiled)
    pairs = attention_weights(model, [[4, 5], [6]], [[6], [7, 8, 9]])
    assert pairs is not None and [pair.shape[2:] for pair in pairs] == [(2, 3), (4, 2)]


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if issubclass(model, Autoregressive)])
def test_weights_of_a_pair_are_the_same_alone_and_beside_longer_ones(name: str) -> None:
    model = build(name)
    sources, targets = [[4, 5, 6], [7], [8, 9, 10, 11, 12]], [[5], [6, 7, 8, 9], []]
    together = attention_weights(model, sources, targets)
    assert together is not None
    for source, target, pair_weights in zip(sources, targets, together, strict=True):
        assert pair_weights.shape[2:] == (len(target) + 1, len(source) + 1)
        alone = attention_weights(model, [source], [target])
        assert alone is not None
        torch.testing.assert_close(pair_weights, alone[0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(pair_weights.sum(-1), torch.ones_like(pair_weights.sum(-1)))


def test_a_model_without_attention_has_no_weights() -> None:
    model = build("rnn", attention="none", tied_embeddings="none")
    assert attention_weights(model, [[4, 5]], [[6]]) is None


def test_a_model_that_emits_all_at_once_has_no_weights() -> None:
    assert attention_weights(build("ctc"), [[4, 5]], [[6]]) is None
