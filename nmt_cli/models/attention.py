"""Multi-head attention (Vaswani et al. 2017, section 3.2) over whole sequences and over caches.

Legend: B batch, Q queries a sentence, N keys a sentence, D width, H heads, G key-value heads,
K head width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt_cli.models.batch_selection import BatchSelection
from nmt_cli.models.dropout import Dropout


def attention_dtype(x: Tensor) -> torch.dtype:
    """The type that attention computes in where the rest computes in that of x: float32 on a CPU.

    Products of a few positions gain little from bfloat16 there, and oneDNN would make a kernel of
    half a MiB for every pair of lengths.
    """
    return torch.float32 if x.device.type == "cpu" else x.dtype


def additive_mask(mask: Tensor | None, like: Tensor) -> Tensor | None:
    """An additive bias for attention over `like` from a mask that is True where not to look."""
    if mask is None:
        return None
    shape = (*mask.shape[:-1], _aligned_length(mask.shape[-1], mask.device))
    bias = torch.zeros(shape, dtype=attention_dtype(like), device=mask.device)
    return bias[..., : mask.shape[-1]].masked_fill_(mask, float("-inf"))


def _aligned_length(length: int, device: torch.device) -> int:
    """So many entries that the next row of a bias begins where attention on a GPU can read it.

    Rows that begin elsewhere are copied at every use.
    """
    return -(-length // 8) * 8 if device.type == "cuda" else length


def causal_bias(length: int, like: Tensor) -> Tensor:
    """The bias [T, T] that keeps each position from looking at later ones."""
    all_positions = torch.ones(length, length, dtype=torch.bool, device=like.device)
    bias = additive_mask(all_positions.triu(1), like)
    assert bias is not None
    return bias


class MultiHeadAttention(nn.Module):
    """softmax(Q K^T / sqrt(K)) V for each head, projected back to D.

    With fewer key-value heads than heads, groups of query heads share keys and values (Ainslie et
    al. 2023). With `scaled` off the dot products are not divided by sqrt(K).
    """

    def __init__(self, d_model: int, heads: int, key_value_heads: int, dropout: float, *, scaled: bool = True) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, key_value_heads, d_model // heads
        self.scale = self.head_dim**-0.5 if scaled else 1.0
        self.query = nn.Linear(d_model, d_model)
        self.key_value = nn.Linear(d_model, 2 * key_value_heads * self.head_dim)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = Dropout(dropout)

    def queries(self, x: Tensor) -> Tensor:
        """[B, Q, D] to [B, H, Q, K], in `attention_dtype`."""
        all_heads: Tensor = self.query(x).to(attention_dtype(x))
        per_head: Tensor = all_heads.unflatten(-1, (self.heads, self.head_dim))
        return per_head.transpose(1, 2)

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, N, D] to keys and values, each [B, G, N, K] in `attention_dtype`."""
        fused = self.key_value(x).to(attention_dtype(x))
        fused = fused.unflatten(-1, (2, self.kv_heads, self.head_dim))
        return fused[:, :, 0].transpose(1, 2), fused[:, :, 1].transpose(1, 2)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        """Attend; `bias` is added to the scores and broadcasts to [B, H, Q, N]. Returns [B, Q, D].

        On a CPU the plain product, softmax, product is used: at the lengths of sentences the
        backward pass of PyTorch's fused attention takes several times as long there.
        """
        keys, values = self._repeat_kv(keys), self._repeat_kv(values)
        if queries.device.type == "cpu":
            attended = self.dropout(self._attention_weights(queries, keys, bias)) @ values  # [B, H, Q, K]
        else:
            rate = self.dropout.rate if self.training else 0.0
            attended = functional.scaled_dot_product_attention(queries, keys, values, bias, rate, scale=self.scale)
        result: Tensor = self.out(attended.transpose(1, 2).flatten(2).to(self.out.weight.dtype))
        return result

    def attention_weights(self, queries: Tensor, keys: Tensor, bias: Tensor | None) -> Tensor:
        """The weights alone, [B, H, Q, N]."""
        return self._attention_weights(queries, self._repeat_kv(keys), bias)

    def _attention_weights(self, queries: Tensor, keys: Tensor, bias: Tensor | None) -> Tensor:
        scores = (queries * self.scale) @ keys.transpose(2, 3)  # [B, H, Q, N]
        if bias is not None:
            scores = scores + bias
        return scores.softmax(-1)

    def _repeat_kv(self, x: Tensor) -> Tensor:
        """[B, G, N, K] to [B, H, N, K]: each key-value head serves H / G query heads."""
        if self.kv_heads == self.heads:
            return x
        return x.repeat_interleave(self.heads // self.kv_heads, 1)


class KVCache:
    """Keys and values of all that [B, W] hypotheses have written, never moved when a beam reorders.

    Position t of hypothesis slot w lies at t * W + w. Which of these entries a hypothesis descends
    from is kept in `bias` [B, 1, W, capacity * W], 0 or -inf: a query looks at the entries of all
    slots of its sentence and the bias leaves its own ancestors. That costs W times the dot
    products, which are few, and saves copying the cache at every step, which is large.
    One `bias` serves all layers.
    """

    def __init__(
        self, like: Tensor, layers: int, kv_heads: int, head_dim: int, max_entries: int, prefix_entries: int = 0
    ) -> None:
        """`like` gives batch size and width as [B, W, ...], type and device of the model; slots =
        capacity * W.

        `shared` entries before those, filled by `share`, are seen by all hypotheses of a sentence.
        """
        self.batch_size, self.beam_size = like.shape[:2]
        self.prefix_entries = prefix_entries
        shape = (layers, 2, self.batch_size, kv_heads, prefix_entries + max_entries, head_dim)
        self.entries = torch.empty(shape, dtype=attention_dtype(like), device=like.device)
        self.entries[..., :prefix_entries, :] = 0  # what lies in padding is multiplied by zero
        bias_entries = _aligned_length(prefix_entries + max_entries, like.device)
        self.bias = self.entries.new_full((self.batch_size, 1, self.beam_size, bias_entries), float("-inf"))
        self.all_visible = self.beam_size == 1  # whether every hypothesis sees every entry
        self.self_mask = additive_mask(~torch.eye(self.beam_size, dtype=torch.bool, device=like.device), like)
        self.length = 0

    @property
    def num_entries(self) -> int:
        """Entries in use."""
        return self.prefix_entries + self.length * self.beam_size

    def write_prefix(self, layer: int, rows: slice, keys: Tensor, values: Tensor) -> None:
        """Fill the first shared entries of these rows of a layer with [rows, G, N, K]."""
        size = keys.shape[2]
        self.entries[layer, 0, rows, :, :size] = keys
        self.entries[layer, 1, rows, :, :size] = values

    def mask_padding(self, padding: Tensor | None) -> None:
        """Let all hypotheses see the shared entries but where `padding` [B, shared] is True."""
        self.bias[..., : self.prefix_entries] = 0
        if padding is not None:
            self.all_visible = False
            self.bias[..., : self.prefix_entries].masked_fill_(padding[:, None, None], float("-inf"))

    def advance(self) -> None:
        """Open the next position: each hypothesis sees the entry that it writes itself."""
        assert self.self_mask is not None
        start = self.num_entries
        self.bias[:, :, :, start : start + self.beam_size] = self.self_mask
        self.length += 1

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store keys and values [B, G, W, K] of the newest position; return all so far."""
        end = self.num_entries
        layer_entries = self.entries[layer]
        layer_entries[0, :, :, end - self.beam_size : end] = keys
        layer_entries[1, :, :, end - self.beam_size : end] = values
        return layer_entries[0, :, :, :end], layer_entries[1, :, :, :end]

    def attention_bias(self) -> Tensor | None:
        """The bias for the entries so far, [B, 1, W, end]; None where it would be zero."""
        return None if self.all_visible else self.bias[..., : self.num_entries]

    def reorder(self, parents: Tensor) -> None:
        """Give each hypothesis the ancestors of its parent, [B, W]."""
        visible_bias = self.bias[..., self.prefix_entries : self.num_entries]
        index = parents[:, None, :, None].expand_as(visible_bias)
        self.bias[..., self.prefix_entries : self.num_entries] = visible_bias.gather(2, index)

    def select(self, selection: BatchSelection) -> None:
        """Forget the other sentences."""
        end = self.num_entries
        selection.apply(self.entries[..., :end, :], 2)
        selection.apply(self.bias[..., :end])
        self.batch_size = selection.size
        self.entries, self.bias = (self.entries[:, :, : self.batch_size], self.bias[: self.batch_size])
