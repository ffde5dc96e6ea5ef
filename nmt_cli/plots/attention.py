"""Attention weights of a sentence as pictures show them: which layer, which head, pieces or words.

Legend: L layers, H heads, T target positions, S source positions; both ends of sentence count.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt_cli.data.tokenizer import VISIBLE_SPACE
from nmt_cli.errors import UserError

Weights = NDArray[np.float32]
Choice = int | Literal["all", "mean"]  # counted from 1
END = "</s>"


@dataclass(frozen=True)
class AttentionMap:
    """What each produced piece (or word) of a sentence looked at."""

    number: int  # line of the input, from 1
    source: list[str]  # S labels
    target: list[str]  # T labels
    weights: Weights  # [L, H, T, S]

    def merged(
        self,
        source: Sequence[int],
        target: Sequence[int],
        source_words: list[str],
        target_words: list[str],
    ) -> "AttentionMap":
        """The same for words; `source` [S] and `target` [T] give the word of each position.

        A word is looked at as much as its pieces together, and looks where its pieces look on
        average: rows that summed to one still do.
        """
        columns, rows = _membership(source), _membership(target)  # [S, words], [T, words]
        rows /= rows.sum(0)
        weights = np.einsum("lhts,ti,sj->lhij", self.weights, rows, columns, optimize=True)
        return AttentionMap(self.number, source_words, target_words, weights.astype(np.float32))


class Panel(NamedTuple):
    """One heatmap and what it shows."""

    layer: str
    head: str
    weights: Weights  # [T, S]

    @property
    def title(self) -> str:
        """Layer and head; nothing where the model has only one of each."""
        return ", ".join(part for part in (self.layer, self.head) if part)


def piece_labels(pieces: Sequence[str]) -> list[str]:
    """Pieces as people read them: without the space that begins a word; `·rad` goes on with one.

    Punctuation and scripts that need no spaces get no dot.
    """
    labels = []
    for before, piece in zip(["", *pieces], pieces, strict=False):
        within = before[-1:].isalnum() and piece[:1].isalnum()
        dot = "·" if within and unicodedata.east_asian_width(piece[0]) not in "WF" else ""
        labels.append(dot + (piece.removeprefix(" ") or " ").replace(" ", VISIBLE_SPACE))
    return labels


def parse_choice(option: str, text: str, count: int, kind: str) -> Choice:
    """What `--layer` or `--head` asks for; UserError for what this model does not have."""
    if text == "all":
        return "all"
    if text == "mean":
        return "mean"
    if not text.isdecimal() or not 1 <= int(text) <= count:
        there = f"{kind} 1" if count == 1 else f"{kind}s 1 to {count}"
        raise UserError(f"{option} {text}: this model has {there}; all and mean are possible too")
    return int(text)


def panels(weights: Weights, layer: Choice, head: Choice) -> list[list[Panel]]:
    """Heatmaps of [L, H, T, S] weights: a row for each chosen layer, a column for each head."""
    by_layer = [(name, weights[some].mean(0)) for name, some in _chosen("layer", layer, weights, 0)]
    return [
        [
            Panel(layer_name, head_name, inner[some].mean(0))
            for head_name, some in _chosen("head", head, weights, 1)
        ]
        for layer_name, inner in by_layer
    ]


def _chosen(
    kind: str, choice: Choice, weights: Weights, axis: int
) -> list[tuple[str, slice | list[int]]]:
    """Name and indices of each thing that was chosen along an axis."""
    count = weights.shape[axis]
    if count == 1:
        return [("", slice(None))]
    if choice == "mean":
        return [(f"mean of {count} {kind}s", slice(None))]
    numbers = range(1, count + 1) if choice == "all" else [choice]
    return [(f"{kind} {number}", [number - 1]) for number in numbers]


def _membership(words: Sequence[int]) -> NDArray[np.float32]:
    """1 where a position belongs to a word: [positions, words]."""
    table = np.zeros((len(words), max(words) + 1), np.float32)
    table[np.arange(len(words)), words] = 1
    return table
