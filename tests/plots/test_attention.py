"""Attention weights before they are drawn: layers, heads, words, labels."""

import numpy as np
import pytest

from nmt_cli.errors import UserError
from nmt_cli.plots.attention import AttentionMap, Selection, attention_panels, parse_selection, subword_labels


def weights(layers: int, heads: int, target: int = 4, source: int = 5) -> np.ndarray:
    draw = np.random.default_rng(1).random((layers, heads, target, source), np.float32)
    return draw / draw.sum(-1, keepdims=True)


@pytest.mark.parametrize(
    "layer, head, titles",
    [
        (2, 3, [["layer 2 of 3, head 3 of 4"]]),
        (1, "mean", [["layer 1 of 3, mean of 4 heads"]]),
        ("mean", "mean", [["mean of 3 layers, mean of 4 heads"]]),
        (3, "all", [[f"layer 3 of 3, head {n}" for n in (1, 2, 3, 4)]]),
        ("all", 2, [[f"layer {n}, head 2 of 4"] for n in (1, 2, 3)]),
        ("all", "all", [[f"layer {n}, head {m}" for m in (1, 2, 3, 4)] for n in (1, 2, 3)]),
    ],
)
def test_layers_are_rows_and_heads_are_columns(layer: Selection, head: Selection, titles: list[list[str]]) -> None:
    every = weights(3, 4)
    grid = attention_panels(every, layer, head)
    assert [[panel.title for panel in row] for row in grid] == titles
    for number, row in enumerate(grid):
        for place, panel in enumerate(row):
            expected_weights = every if layer == "mean" else every[[number if layer == "all" else layer - 1]]
            expected_weights = expected_weights.mean(0)
            expected_weights = (
                expected_weights if head == "mean" else expected_weights[[place if head == "all" else head - 1]]
            )
            np.testing.assert_allclose(panel.weights, expected_weights.mean(0), rtol=1e-6)
            np.testing.assert_allclose(panel.weights.sum(-1), 1, rtol=1e-5)


def test_a_model_with_one_layer_and_head_needs_no_title() -> None:
    for choice in (1, "all", "mean"):
        ((panel,),) = attention_panels(weights(1, 1), choice, choice)
        assert panel.title == ""


def test_choices_are_numbers_from_1_or_all_or_mean() -> None:
    assert parse_selection("--layer", "3", 3, "layer") == 3
    assert [parse_selection("--head", text, 2, "head") for text in ("all", "mean")] == ["all", "mean"]
    for text in ("0", "4", "-1", "x", "1.5", "٢٢"):
        with pytest.raises(UserError) as caught:
            parse_selection("--layer", text, 3, "layer")
        assert str(caught.value) == (f"--layer {text}: this model has layers 1 to 3; all and mean are accepted, too")
    with pytest.raises(UserError, match=r"--head 2: this model has head 1; all and mean"):
        parse_selection("--head", "2", 1, "head")


def test_words_are_looked_at_by_the_sum_and_look_by_the_mean_of_their_pieces() -> None:
    table = np.array([[0.5, 0.25, 0.25], [0.0, 0.5, 0.5], [0.1, 0.2, 0.7]], np.float32)
    attention_map = AttentionMap(3, ["a", "b", "</s>"], ["x", "y", "</s>"], table[None, None])
    merged = attention_map.merge_to_words([0, 0, 1], [0, 0, 1], ["ab", "</s>"], ["xy", "</s>"])
    assert (merged.line_number, merged.source, merged.target) == (3, ["ab", "</s>"], ["xy", "</s>"])
    np.testing.assert_allclose(merged.weights[0, 0], [[0.625, 0.375], [0.3, 0.7]], rtol=1e-6)


def test_rows_of_merged_words_still_sum_to_one() -> None:
    attention_map = AttentionMap(1, list("abcde"), list("wxyz"), weights(2, 3))
    merged = attention_map.merge_to_words([0, 0, 1, 1, 2], [0, 1, 1, 2], ["ab", "cd", "e"], ["w", "xy", "z"])
    assert merged.weights.shape == (2, 3, 3, 3)
    np.testing.assert_allclose(merged.weights.sum(-1), 1, rtol=1e-5)


def test_pieces_are_labelled_as_people_read_them() -> None:
    assert subword_labels([" the", " bi", "cycle", ",", " don", "'", "t"]) == [
        "the", "bi", "·cycle", ",", "don", "'", "t",
    ]  # fmt: skip
    assert subword_labels(["我", "喜欢"]) == ["我", "喜欢"]
    assert subword_labels(["x", " ", "  ", "a b"]) == ["x", "▁", "▁", "a▁b"]
    assert subword_labels([]) == []
