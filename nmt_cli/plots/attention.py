"""Attention weights of a sentence as pictures show them: which layer, which head, pieces or words.

Legend: L layers, H heads, T target positions, S source positions; both ends of sentence count.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
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
    """What each produced piece (or word) of a sentence looked at."""

    line_number: int  # line of the input, from 1
    source: list[str]  # S labels
    target: list[str]  # T labels
    weights: AttentionWeights  # [L, H, T, S]

    def merge_to_words(
        self,
        source_word_ids: Sequence[int],
        target_word_ids: Sequence[int],
        source_words: list[str],
        target_words: list[str],
    ) -> "AttentionMap":
        """The same for words; `source` [S] and `target` [T] give the word of each position.

        A word is looked at as much as its pieces together, and looks where its pieces look on
        average: rows that summed to one still do.
        """
        columns, rows = (_one_hot(source_word_ids), _one_hot(target_word_ids))  # [S, words], [T, words]
        rows /= rows.sum(0)
        weights = np.einsum("lhts,ti,sj->lhij", self.weights, rows, columns, optimize=True)
        return AttentionMap(self.line_number, source_words, target_words, weights.astype(np.float32))


class Panel(NamedTuple):
    """One heatmap and what it shows."""

    layer: str
    head: str
    weights: AttentionWeights  # [T, S]

    @property
    def title(self) -> str:
        """Layer and head; nothing where the model has only one of each."""
        return ", ".join(label for label in (self.layer, self.head) if label)


def subword_labels(subwords: Sequence[str]) -> list[str]:
    """Subwords as people read them: no space at the start of a word, and a dot (`·rad`) inside one.

    Punctuation and scripts that need no spaces get no dot.
    """
    labels = []
    for previous, subword in zip(["", *subwords], subwords, strict=False):
        continues_word = previous[-1:].isalnum() and subword[:1].isalnum()
        dot = "·" if continues_word and unicodedata.east_asian_width(subword[0]) not in "WF" else ""
        labels.append(dot + (subword.removeprefix(" ") or " ").replace(" ", META_SPACE))
    return labels


def parse_selection(option: str, text: str, count: int, kind: str) -> Selection:
    """What `--layer` or `--head` asks for; UserError for what this model does not have."""
    if text == "all":
        return "all"
    if text == "mean":
        return "mean"
    if not text.isdecimal() or not 1 <= int(text) <= count:
        available = f"{kind} 1" if count == 1 else f"{kind}s 1 to {count}"
        raise UserError(f"{option} {text}: this model has {available}; all and mean are possible too")
    return int(text)


def attention_panels(weights: AttentionWeights, layer: Selection, head: Selection) -> list[list[Panel]]:
    """Heatmaps of [L, H, T, S] weights: a row for each chosen layer, a column for each head."""
    layers = [
        (name, weights[layer_indices].mean(0)) for name, layer_indices in _selected_indices("layer", layer, weights, 0)
    ]
    return [
        [
            Panel(layer_name, head_name, layer_weights[head_indices].mean(0))
            for head_name, head_indices in _selected_indices("head", head, weights, 1)
        ]
        for layer_name, layer_weights in layers
    ]


def _selected_indices(
    kind: str, selection: Selection, weights: AttentionWeights, axis: int
) -> list[tuple[str, slice | list[int]]]:
    """Name and indices of each thing that was chosen along an axis."""
    count = weights.shape[axis]
    if count == 1:
        return [("", slice(None))]
    if selection == "mean":
        return [(f"mean of {count} {kind}s", slice(None))]
    numbers = range(1, count + 1) if selection == "all" else [selection]
    return [(f"{kind} {number}", [number - 1]) for number in numbers]


def _one_hot(word_ids: Sequence[int]) -> NDArray[np.float32]:
    """1 where a position belongs to a word: [positions, words]."""
    one_hot = np.zeros((len(word_ids), max(word_ids) + 1), np.float32)
    one_hot[np.arange(len(word_ids)), word_ids] = 1
    return one_hot
