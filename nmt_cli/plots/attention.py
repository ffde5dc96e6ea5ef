"""Attention weights of a sentence, by layer and head, for subwords or words.

Shapes: L layers, H heads, T target and S source positions, ends of sentence included.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt_cli.data.tokenization.tokenizer import META_SPACE
from nmt_cli.errors import UserError

AttentionWeights = NDArray[np.float32]
Selection = int | Literal["all", "mean"]  # counted from 1
EOS_LABEL = "</s>"


@dataclass(frozen=True)
class AttentionMap:
    """Attention of each target subword or word of a line, or of a part of it, to the source."""

    line_number: int  # line of the input, from 1
    source: list[str]  # S labels
    target: list[str]  # T labels
    weights: AttentionWeights  # [L, H, T, S]
    part: int | None = None  # of the line, from 1, where its parts are translated, and drawn, by themselves
    weight_label: str = "attention weight"  # what the weights are

    @property
    def numbers(self) -> tuple[int, ...]:
        """The number of the line and, if it is drawn in parts, of the part."""
        return (self.line_number,) if self.part is None else (self.line_number, self.part)

    @property
    def name(self) -> str:
        """Which line this is, and which part of it."""
        return f"line {self.line_number}" + ("" if self.part is None else f", part {self.part}")

    def merge_to_words(
        self,
        source_word_ids: Sequence[int],
        target_word_ids: Sequence[int],
        source_words: list[str],
        target_words: list[str],
    ) -> "AttentionMap":
        """The map of words; `source_word_ids` [S] and `target_word_ids` [T] give the word of each position.

        Weights are summed over the subwords of a source word and averaged over those of a target word, so that rows
        that sum to one still do.
        """
        # [S, words] and [T, words], 1 where a position belongs to a word
        columns, rows = (
            np.eye(max(word_ids) + 1, dtype=np.float32)[list(word_ids)]
            for word_ids in (source_word_ids, target_word_ids)
        )
        rows /= rows.sum(0)
        weights = np.einsum("lhts,ti,sj->lhij", self.weights, rows, columns, optimize=True)
        return replace(self, source=source_words, target=target_words, weights=weights.astype(np.float32))


class Panel(NamedTuple):
    """A heatmap, and the names of its layer and head; an empty name if the model has only one."""

    layer: str
    head: str
    weights: AttentionWeights  # [T, S]

    @property
    def title(self) -> str:
        """Layer and head, without those of which the model has only one."""
        return ", ".join(label for label in (self.layer, self.head) if label)


def subword_labels(subwords: Sequence[str]) -> list[str]:
    """Labels of subwords: without the space before a word, with a dot (`·rad`) if they continue one.

    Punctuation and scripts without spaces get no dot.
    """
    labels = []
    for previous, subword in zip(["", *subwords], subwords, strict=False):
        continues_word = previous[-1:].isalnum() and subword[:1].isalnum()
        dot = "·" if continues_word and unicodedata.east_asian_width(subword[0]) not in "WF" else ""
        labels.append(dot + (subword.removeprefix(" ") or " ").replace(" ", META_SPACE))
    return labels


def parse_selection(option: str, text: str, count: int, kind: str) -> Selection:
    """Parse the value of `--layer` or `--head`; UserError if the model has no such `kind`."""
    if text == "all":
        return "all"
    if text == "mean":
        return "mean"
    if not text.isdecimal() or not 1 <= int(text) <= count:
        available = f"{kind} 1" if count == 1 else f"{kind}s 1 to {count}"
        raise UserError(f"{option} {text}: this model has {available}; all and mean are accepted, too")
    return int(text)


def attention_panels(weights: AttentionWeights, layer: Selection, head: Selection) -> list[list[Panel]]:
    """Heatmaps of weights [L, H, T, S]: a row for each selected layer, a column for each selected head."""
    layers = _selected_indices("layer", layer, weights.shape[0])
    heads = _selected_indices("head", head, weights.shape[1])
    return [
        [Panel(layer_name, head_name, weights[in_layers].mean(0)[in_heads].mean(0)) for head_name, in_heads in heads]
        for layer_name, in_layers in layers
    ]


def _selected_indices(kind: str, selection: Selection, count: int) -> list[tuple[str, slice | list[int]]]:
    """Name and indices of each selected layer or head, of which there are `count`."""
    if count == 1:
        return [("", slice(None))]
    if selection == "mean":
        return [(f"mean of {count} {kind}s", slice(None))]
    if selection == "all":
        return [(f"{kind} {number}", [number - 1]) for number in range(1, count + 1)]
    return [(f"{kind} {selection} of {count}", [selection - 1])]
