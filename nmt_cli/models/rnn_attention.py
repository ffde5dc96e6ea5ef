"""How a recurrent decoder scores source positions, and reads them.

Legend: B batch, W queries a sentence, S source positions, U decoder units, M memory width.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

AttentionType = Literal["none", "additive", "dot", "general", "concat", "cosine"]


class FeedForwardScore(nn.Module):
    """v . tanh(W q + U k): Bahdanau et al. 2015 (additive) and Luong et al. 2015 (concat)."""

    def __init__(self, hidden_size: int, memory_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key = nn.Linear(memory_size, hidden_size, bias=False)
        self.out = nn.Linear(hidden_size, 1, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """What can be computed once a sentence: [B, S, M] to [B, S, U]."""
        result: Tensor = self.key(memory)
        return result

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """[B, W, U] and [B, S, U] to scores [B, W, S]."""
        hidden = (self.query(queries).unsqueeze(2) + keys.unsqueeze(1)).tanh()  # [B, W, S, U]
        result: Tensor = self.out(hidden).squeeze(3)
        return result


class ProductScore(nn.Module):
    """q . k (dot) or q . W k (general), optionally divided by sqrt(U): Luong et al. 2015, eq. 8."""

    def __init__(self, hidden_size: int, memory_size: int, *, general: bool, scaled: bool) -> None:
        super().__init__()
        assert general or hidden_size == memory_size
        self.key = nn.Linear(memory_size, hidden_size, bias=False) if general else nn.Identity()
        self.scale = hidden_size**-0.5 if scaled else 1.0

    def keys(self, memory: Tensor) -> Tensor:
        """[B, S, M] to [B, S, U]."""
        result: Tensor = self.key(memory)
        return result

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """[B, W, U] and [B, S, U] to scores [B, W, S]."""
        return (queries * self.scale) @ keys.transpose(1, 2)


class CosineScore(nn.Module):
    """beta cos(q, k) with a learned sharpness beta > 0: Graves et al. 2014, eq. 5 and 6."""

    def __init__(self) -> None:
        super().__init__()
        self.log_sharpness = nn.Parameter(torch.tensor([2.0]))

    def keys(self, memory: Tensor) -> Tensor:
        """[B, S, U] to unit vectors."""
        return functional.normalize(memory, dim=-1)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """[B, W, U] and [B, S, U] to scores [B, W, S]."""
        normalized_queries = functional.normalize(queries, dim=-1)
        return (normalized_queries @ keys.transpose(1, 2)) * self.log_sharpness.exp()


class LocalWindow(nn.Module):
    """Predictive local attention ("local-p", Luong et al. 2015, eq. 9 and 10).

    A position p in the source is predicted from the decoder state; scores outside p +- radius are
    cut and weights inside fall off as a Gaussian of standard deviation radius / 2.
    """

    def __init__(self, hidden_size: int, radius: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(hidden_size, hidden_size, bias=False)
        self.out = nn.Linear(hidden_size, 1, bias=False)
        self.radius = radius

    def forward(self, queries: Tensor, lengths: Tensor, source_length: int) -> tuple[Tensor, Tensor]:
        """Queries [B, W, U] to (True where out of reach, Gaussian factors), each [B, W, S]."""
        relative_center = self.out(self.hidden(queries).tanh()).sigmoid().float()  # [B, W, 1]
        center = relative_center * (lengths[:, None, None] - 1)
        distance = torch.arange(source_length, device=queries.device) - center  # [B, W, S]
        gaussian = torch.exp(-(distance**2) / (2 * (self.radius / 2) ** 2))
        return distance.abs() > self.radius, gaussian.to(queries.dtype)


AttentionScore = FeedForwardScore | ProductScore | CosineScore


def make_score(attention_dtype: AttentionType, hidden_size: int, memory_size: int, *, scaled: bool) -> AttentionScore:
    """The score function of this name between states [U] and memory [M]."""
    if attention_dtype in ("additive", "concat"):
        return FeedForwardScore(hidden_size, memory_size)
    if attention_dtype == "cosine":
        return CosineScore()
    return ProductScore(hidden_size, memory_size, general=attention_dtype == "general", scaled=scaled)


@dataclass
class EncoderMemory:
    """The encoded source that a decoder looks at; shared by the hypotheses of a sentence."""

    values: Tensor  # [B, S, M]
    keys: Tensor | None  # [B, S, U]; None where there is no attention
    padding: Tensor | None  # True where padding, [B, 1, S]
    lengths: Tensor  # [B]

    def select(self, sentences: Tensor) -> None:
        """Drop the other sentences."""
        self.values, self.lengths = self.values[sentences], self.lengths[sentences]
        self.keys = None if self.keys is None else self.keys[sentences]
        self.padding = None if self.padding is None else self.padding[sentences]


class RNNAttention(nn.Module):
    """Attention of a recurrent decoder: scores, softmax, weighted mean of the memory."""

    def __init__(
        self, attention_dtype: AttentionType, hidden_size: int, memory_size: int, *, scaled: bool, radius: int | None
    ) -> None:
        super().__init__()
        self.score = make_score(attention_dtype, hidden_size, memory_size, scaled=scaled)
        self.window = None if radius is None else LocalWindow(hidden_size, radius)

    def forward(self, queries: Tensor, memory: EncoderMemory) -> tuple[Tensor, Tensor]:
        """Queries [B, W, U] to contexts [B, W, M] and weights [B, W, S]."""
        assert memory.keys is not None
        scores = self.score(queries, memory.keys)
        if memory.padding is not None:
            scores = scores.masked_fill(memory.padding, float("-inf"))
        if self.window is None:
            weights = scores.softmax(-1)
        else:
            out_of_window, gaussian = self.window(queries, memory.lengths, scores.shape[-1])
            weights = scores.masked_fill(out_of_window, float("-inf")).softmax(-1) * gaussian
        return weights @ memory.values, weights
