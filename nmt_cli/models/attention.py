"""Multi-head attention (Vaswani et al. 2017, section 3.2) over whole sequences and over caches.

Legend: B batch, Q queries a sentence, N keys a sentence, D width, H heads, G key-value heads,
K head width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt_cli.models.dropout import Dropout
from nmt_cli.models.keeping import Kept


def attention_type(x: Tensor) -> torch.dtype:
    """The type that attention computes in where the rest computes in that of x: float32 on a CPU.

    Products of a few positions gain little from bfloat16 there, and oneDNN would make a kernel of
    half a MiB for every pair of lengths.
    """
    return torch.float32 if x.device.type == "cpu" else x.dtype


def blocked(mask: Tensor | None, like: Tensor) -> Tensor | None:
    """An additive bias for attention over `like` from a mask that is True where not to look."""
    if mask is None:
        return None
    shape = (*mask.shape[:-1], _aligned(mask.shape[-1], mask.device))
    bias = torch.zeros(shape, dtype=attention_type(like), device=mask.device)
    return bias[..., : mask.shape[-1]].masked_fill_(mask, float("-inf"))


def _aligned(length: int, device: torch.device) -> int:
    """So many entries that the next row of a bias begins where attention on a GPU can read it.

    Rows that begin elsewhere are copied at every use.
    """
    return -(-length // 8) * 8 if device.type == "cuda" else length


def causal(length: int, like: Tensor) -> Tensor:
    """The bias [T, T] that keeps each position from looking at later ones."""
    ones = torch.ones(length, length, dtype=torch.bool, device=like.device)
    bias = blocked(ones.triu(1), like)
    assert bias is not None
    return bias


class MultiHeadAttention(nn.Module):
    """softmax(Q K^T / sqrt(K)) V for each head, projected back to D.

    With fewer key-value heads than heads, groups of query heads share keys and values (Ainslie et
    al. 2023). With `scaled` off the dot products are not divided by sqrt(K).
    """

    def __init__(
        self, width: int, heads: int, key_value_heads: int, dropout: float, *, scaled: bool = True
    ) -> None:
        super().__init__()
        self.heads, self.groups, self.head_width = heads, key_value_heads, width // heads
        self.scale = self.head_width**-0.5 if scaled else 1.0
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * key_value_heads * self.head_width)
        self.out = nn.Linear(width, width)
        self.dropout = Dropout(dropout)

    def queries(self, x: Tensor) -> Tensor:
        """[B, Q, D] to [B, H, Q, K], in `attention_type`."""
        all_heads: Tensor = self.query(x).to(attention_type(x))
        split: Tensor = all_heads.unflatten(-1, (self.heads, self.head_width))
        return split.transpose(1, 2)

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, N, D] to keys and values, each [B, G, N, K] in `attention_type`."""
        both = self.key_value(x).to(attention_type(x))
        both = both.unflatten(-1, (2, self.groups, self.head_width))
        return both[:, :, 0].transpose(1, 2), both[:, :, 1].transpose(1, 2)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        """Attend; `bias` is added to the scores and broadcasts to [B, H, Q, N]. Returns [B, Q, D].

        On a CPU the plain product, softmax, product is used: at the lengths of sentences the
        backward pass of PyTorch's fused attention takes several times as long there.
        """
        keys, values = self._spread(keys), self._spread(values)
        if queries.device.type == "cpu":
            mixed = self.dropout(self._weights(queries, keys, bias)) @ values  # [B, H, Q, K]
        else:
            rate = self.dropout.rate if self.training else 0.0
            mixed = functional.scaled_dot_product_attention(
                queries, keys, values, bias, rate, scale=self.scale
            )
        result: Tensor = self.out(mixed.transpose(1, 2).flatten(2).to(self.out.weight.dtype))
        return result

    def weights(self, queries: Tensor, keys: Tensor, bias: Tensor | None) -> Tensor:
        """The weights alone, [B, H, Q, N]."""
        return self._weights(queries, self._spread(keys), bias)

    def _weights(self, queries: Tensor, keys: Tensor, bias: Tensor | None) -> Tensor:
        scores = (queries * self.scale) @ keys.transpose(2, 3)  # [B, H, Q, N]
        if bias is not None:
            scores = scores + bias
        return scores.softmax(-1)

    def _spread(self, x: Tensor) -> Tensor:
        """[B, G, N, K] to [B, H, N, K]: each key-value head serves H / G query heads."""
        if self.groups == self.heads:
            return x
        return x.repeat_interleave(self.heads // self.groups, 1)


class BeamCache:
    """Keys and values of all that [B, W] hypotheses have written, never moved when a beam reorders.

    Position t of hypothesis slot w lies at t * W + w. Which of these entries a hypothesis descends
    from is kept in `bias` [B, 1, W, capacity * W], 0 or -inf: a query looks at the entries of all
    slots of its sentence and the bias leaves its own ancestors. That costs W times the dot
    products, which are few, and saves copying the cache at every step, which is large.
    One `bias` serves all layers.
    """

    def __init__(
        self, like: Tensor, layers: int, groups: int, head_width: int, slots: int, shared: int = 0
    ) -> None:
        """`like` gives batch size and width as [B, W, ...], type and device of the model; slots =
        capacity * W.

        `shared` entries before those, filled by `share`, are seen by all hypotheses of a sentence.
        """
        self.batch, self.beam = like.shape[:2]
        self.shared = shared
        shape = (layers, 2, self.batch, groups, shared + slots, head_width)
        self.entries = torch.empty(shape, dtype=attention_type(like), device=like.device)
        self.entries[..., :shared, :] = 0  # what lies in padding is multiplied by zero
        room = _aligned(shared + slots, like.device)
        self.bias = self.entries.new_full((self.batch, 1, self.beam, room), float("-inf"))
        self.uniform = self.beam == 1  # whether every hypothesis sees every entry
        self.own = blocked(~torch.eye(self.beam, dtype=torch.bool, device=like.device), like)
        self.length = 0

    @property
    def end(self) -> int:
        """Entries in use."""
        return self.shared + self.length * self.beam

    def share(self, layer: int, rows: slice, keys: Tensor, values: Tensor) -> None:
        """Fill the first shared entries of these rows of a layer with [rows, G, N, K]."""
        size = keys.shape[2]
        self.entries[layer, 0, rows, :, :size] = keys
        self.entries[layer, 1, rows, :, :size] = values

    def hide(self, padding: Tensor | None) -> None:
        """Let all hypotheses see the shared entries but where `padding` [B, shared] is True."""
        self.bias[..., : self.shared] = 0
        if padding is not None:
            self.uniform = False
            self.bias[..., : self.shared].masked_fill_(padding[:, None, None], float("-inf"))

    def advance(self) -> None:
        """Open the next position: each hypothesis sees the entry that it writes itself."""
        assert self.own is not None
        first = self.end
        self.bias[:, :, :, first : first + self.beam] = self.own
        self.length += 1

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store keys and values [B, G, W, K] of the newest position; return all so far."""
        end = self.end
        here = self.entries[layer]
        here[0, :, :, end - self.beam : end] = keys
        here[1, :, :, end - self.beam : end] = values
        return here[0, :, :, :end], here[1, :, :, :end]

    def visible(self) -> Tensor | None:
        """The bias for the entries so far, [B, 1, W, end]; None where it would be zero."""
        return None if self.uniform else self.bias[..., : self.end]

    def reorder(self, parents: Tensor) -> None:
        """Give each hypothesis the ancestors of its parent, [B, W]."""
        seen = self.bias[..., self.shared : self.end]
        index = parents[:, None, :, None].expand_as(seen)
        self.bias[..., self.shared : self.end] = seen.gather(2, index)

    def keep(self, kept: Kept) -> None:
        """Forget the other sentences."""
        end = self.end
        kept.rows(self.entries[..., :end, :], 2)
        kept.rows(self.bias[..., :end])
        self.batch = kept.staying
        self.entries, self.bias = self.entries[:, :, : self.batch], self.bias[: self.batch]
