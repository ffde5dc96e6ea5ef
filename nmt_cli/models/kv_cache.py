"""Keys and values of past positions that decoding keeps, and how finished sentences leave them.

Legend: B batch, W hypotheses per sentence, T steps so far, N prefix entries, G key-value heads, K head width.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from nmt_cli.models.attention import additive_mask, aligned_length, attention_dtype
from nmt_cli.models.contract import NamedTensors

INITIAL_STEPS = 64  # that a cache has room for at first; nearly all translations end within them


class BatchSelection(NamedTuple):
    """Which rows of a batch stay, in their new order; only rows that change place are copied."""

    size: int
    destination_rows: Tensor  # rows to overwrite, on the CPU
    origin_rows: Tensor  # rows to copy there, on the CPU

    @classmethod
    def from_indices(cls, sentences: Tensor) -> "BatchSelection":
        """`sentences` are the old indices of the rows that stay, [staying] int64 on the CPU."""
        moves = [
            (destination, origin) for destination, origin in enumerate(sentences.tolist()) if destination != origin
        ]
        destination_rows, origin_rows = sentences.new_tensor(moves).view(-1, 2).unbind(1)
        return cls(len(sentences), destination_rows, origin_rows)

    def apply(self, x: Tensor, dimension: int = 0) -> Tensor:
        """A view of the rows of `x` that stay; changes `x` in place."""
        if len(self.destination_rows):
            destination_rows, origin_rows = self.destination_rows.to(x.device), self.origin_rows.to(x.device)
            x.index_copy_(dimension, destination_rows, x.index_select(dimension, origin_rows))
        return x.narrow(dimension, 0, self.size)


class KVCache:
    """Keys and values of every layer for all [B, W] hypotheses of a beam search.

    What a hypothesis slot writes is kept and never moved: step t of slot w is entry N + t * W + w. A query
    attends to the entries of all slots of its sentence, plus a bias [B, 1, W, N + T * W] that is 0 for the
    ancestors of its hypothesis and -inf elsewhere. Reordering a beam permutes the rows of this bias only,
    one for all layers, instead of copying the cache. The cost is attention over W * T keys instead of T.
    Room for steps is doubled when it is used up, since few searches come near the most steps that they may take.

    Before these lie N prefix entries that all hypotheses of a sentence share, such as an encoded source.
    """

    def __init__(
        self, like: Tensor, layers: int, kv_heads: int, head_dim: int, max_entries: int, prefix_entries: int = 0
    ) -> None:
        """`like` is [B, W, ...] on the model's device and in its dtype; `max_entries` is W * the most steps."""
        self.batch_size, self.beam_size = like.shape[:2]
        self.prefix_entries, self.max_entries = prefix_entries, prefix_entries + max_entries
        entry_count = min(self.max_entries, prefix_entries + INITIAL_STEPS * self.beam_size)
        shape = (layers, 2, self.batch_size, kv_heads, entry_count, head_dim)
        self.entries = torch.empty(shape, dtype=attention_dtype(like), device=like.device)
        self.entries[..., :prefix_entries, :] = 0  # padding is multiplied by zero, which must not be NaN
        self.bias = self._hidden(entry_count)
        self.all_visible = self.beam_size == 1  # whether every hypothesis sees every entry
        self.self_mask = additive_mask(~torch.eye(self.beam_size, dtype=torch.bool, device=like.device), like)
        self.length = 0  # T

    def _hidden(self, entry_count: int) -> Tensor:
        """A bias that shows no entry, with room for so many."""
        width = aligned_length(entry_count, self.entries.device)
        return self.entries.new_full((self.batch_size, 1, self.beam_size, width), float("-inf"))

    def _grow(self) -> None:
        """Double the room for steps."""
        used, entries, bias = self.num_entries, self.entries, self.bias
        entry_count = min(self.max_entries, 2 * entries.shape[-2] - self.prefix_entries)
        self.entries = entries.new_empty((*entries.shape[:-2], entry_count, entries.shape[-1]))
        self.entries[..., :used, :] = entries[..., :used, :]
        self.bias = self._hidden(entry_count)
        self.bias[..., :used] = bias[..., :used]

    @property
    def num_entries(self) -> int:
        """Entries in use, N + T * W."""
        return self.prefix_entries + self.length * self.beam_size

    def write_prefix(self, layer: int, rows: slice, keys: Tensor, values: Tensor) -> None:
        """Fill the first prefix entries of these sentences with keys and values [rows, G, <= N, K]."""
        size = keys.shape[2]
        self.entries[layer, 0, rows, :, :size] = keys
        self.entries[layer, 1, rows, :, :size] = values

    def mask_padding(self, padding: Tensor | None) -> None:
        """Show the prefix entries to all hypotheses, except where `padding` [B, N] is True."""
        self.bias[..., : self.prefix_entries] = 0
        if padding is not None:
            self.all_visible = False
            self.bias[..., : self.prefix_entries].masked_fill_(padding[:, None, None], float("-inf"))

    def advance(self) -> None:
        """Begin the next step: each hypothesis sees the entry that it is about to write."""
        start = self.num_entries
        if start == self.entries.shape[-2]:
            self._grow()
        self.bias[:, :, :, start : start + self.beam_size] = self.self_mask
        self.length += 1

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store keys and values [B, G, W, K] of the current step; return those of all entries in use."""
        end = self.num_entries
        layer_entries = self.entries[layer]
        layer_entries[0, :, :, end - self.beam_size : end] = keys
        layer_entries[1, :, :, end - self.beam_size : end] = values
        return layer_entries[0, :, :, :end], layer_entries[1, :, :, :end]

    def attention_bias(self) -> Tensor | None:
        """The bias of the entries in use, [B, 1, W, N + T * W]; None if it is zero throughout."""
        return None if self.all_visible else self.bias_in_use()

    def bias_in_use(self) -> Tensor:
        """The bias of the entries in use, [B, 1, W, N + T * W]."""
        return self.bias[..., : self.num_entries]

    def reorder(self, parents: Tensor) -> None:
        """Give each hypothesis the ancestors of its parent, [B, W]."""
        step_bias = self.bias[..., self.prefix_entries : self.num_entries]
        index = parents[:, None, :, None].expand_as(step_bias)
        self.bias[..., self.prefix_entries : self.num_entries] = step_bias.gather(2, index)

    def select(self, selection: BatchSelection) -> None:
        """Drop the sentences that are not selected."""
        end = self.num_entries
        selection.apply(self.entries[..., :end, :], 2)
        selection.apply(self.bias[..., :end])
        self.batch_size = selection.size
        self.entries, self.bias = self.entries[:, :, : self.batch_size], self.bias[: self.batch_size]

    def tensors(self) -> NamedTensors:
        """Keys and values of each layer, [B, G, N + T, K], by the names that `GrowingKVCache` takes; W = 1."""
        assert self.beam_size == 1
        return name_key_values("past", [(layer[0], layer[1]) for layer in self.entries[..., : self.num_entries, :]])


class GrowingKVCache(KVCache):
    """A cache of one hypothesis per sentence that replaces its tensors by longer ones, as a traced graph must."""

    def __init__(self, tensors: NamedTensors, bias: Tensor | None) -> None:
        """`tensors` as `KVCache.tensors` returns them; `bias` [B, 1, 1, T] hides some entries."""
        self.key_values = collect_key_values("past", tensors)
        keys = self.key_values[0][0]
        self.batch_size, self.beam_size, self.prefix_entries = keys.shape[0], 1, 0
        # A tensor [1], since a traced graph would contain a number as a constant.
        self.length = torch.arange(keys.shape[2] + 1, device=keys.device)[-1:]  # type: ignore[assignment]
        self.all_visible = bias is None
        if bias is not None:
            self.bias = bias

    def advance(self) -> None:
        """Make the entry of the next step visible."""
        if not self.all_visible:
            self.bias = torch.cat([self.bias, torch.zeros_like(self.bias[..., :1])], -1)
        self.length = self.length + 1

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append keys and values [B, G, 1, K] of the current step; return all, [B, G, T, K]."""
        past_keys, past_values = self.key_values[layer]
        self.key_values[layer] = (torch.cat([past_keys, keys], 2), torch.cat([past_values, values], 2))
        return self.key_values[layer]

    def bias_in_use(self) -> Tensor:
        """The bias of all entries, [B, 1, 1, T]."""
        return self.bias

    def tensors(self) -> NamedTensors:
        """Keys and values of each layer, [B, G, T, K]."""
        return name_key_values("past", self.key_values)


def name_key_values(prefix: str, layers: list[tuple[Tensor, Tensor]]) -> NamedTensors:
    """`prefix`.0.key, `prefix`.0.value, `prefix`.1.key, ... for the keys and values of each layer."""
    return {
        f"{prefix}.{layer}.{name}": tensor
        for layer, key_values in enumerate(layers)
        for name, tensor in zip(("key", "value"), key_values, strict=True)
    }


def collect_key_values(prefix: str, tensors: NamedTensors) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of each layer from tensors that `name_key_values` named."""
    num_layers = sum(name.startswith(f"{prefix}.") for name in tensors) // 2
    return [(tensors[f"{prefix}.{layer}.key"], tensors[f"{prefix}.{layer}.value"]) for layer in range(num_layers)]
