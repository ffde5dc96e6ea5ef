"""Random translations: each token drawn from the model's distribution."""

import math
from typing import Any

import numpy as np
import torch
from numpy.random import PCG64, Generator
from torch import Tensor

from nmt_cli.decoding.forcing import force, length_limits, prefix_table
from nmt_cli.decoding.hypothesis import Hypothesis, SearchConfig
from nmt_cli.models.contract import Autoregressive, Sequences

Model = Autoregressive[Any, Any]


def sample(
    model: Model, source: Sequences, config: SearchConfig, prefixes: list[list[int]] | None
) -> list[list[Hypothesis]]:
    """`n_best` independent draws a sentence, most probable first.

    What is drawn depends on search.seed and the source ids alone, not on the batch.
    """
    return _Draws(model, source, config, prefixes).run()


class _Draws:
    """The draws of a batch, all carried on until the last has ended."""

    def __init__(
        self,
        model: Model,
        source: Sequences,
        config: SearchConfig,
        prefixes: list[list[int]] | None,
    ) -> None:
        self.model, self.config, self.width = model, config, config.n_best
        self.end = model.vocabulary.end
        self.count, self.device = source.ids.shape[0], source.ids.device
        lengths = source.lengths.tolist()
        limits = length_limits(model, source, config, prefixes)
        self.shortest, self.longest = min(limits), max(limits)
        self.limits = torch.tensor(limits, device=self.device)
        self.prefixes = prefix_table(prefixes, limits, self.device)
        self.generators = [
            Generator(PCG64([config.seed, *ids[:n]]))
            for ids, n in zip(source.ids.tolist(), lengths, strict=True)
        ]
        self.state = model.start(source, self.width, self.longest + 1)

    def run(self) -> list[list[Hypothesis]]:
        """Draw until every hypothesis has ended."""
        shape = (self.count, self.width)
        tokens = torch.full(shape, self.model.first_token, device=self.device)
        total = torch.zeros(shape, device=self.device)
        alive = torch.ones(shape, dtype=torch.bool, device=self.device)
        texts: list[list[list[int]]] = [[[] for _ in range(self.width)] for _ in range(self.count)]
        for length in range(self.longest + 1):
            logits, self.state = self.model.step(tokens.flatten(), self.state)
            rows = logits.float().view(*shape, -1).log_softmax(-1)
            allowed = rows.clone()
            self._restrict(allowed, length)
            drawn = self._draw(allowed)
            total += torch.where(alive, rows.gather(2, drawn[..., None]).squeeze(2), 0.0)
            tokens = drawn
            alive = alive & (drawn != self.end)
            chosen, open_ = drawn.tolist(), alive.nonzero().tolist()
            for row, column in open_:
                texts[row][column].append(chosen[row][column])
            if not open_:
                break
        limits = self.limits.tolist()
        return [self._ranked(row, total[i].tolist(), limits[i]) for i, row in enumerate(texts)]

    def _ranked(self, texts: list[list[int]], totals: list[float], limit: int) -> list[Hypothesis]:
        found = [
            Hypothesis(ids, value, self.config.normalize(value, len(ids) + 1), len(ids) == limit)
            for ids, value in zip(texts, totals, strict=True)
        ]
        return sorted(found, key=lambda one: -one.score)

    def _restrict(self, rows: Tensor, length: int) -> None:
        if length < self.config.min_length:
            rows[:, :, self.end] = -math.inf
        if self.shortest <= length:
            full = self.limits <= length
            ending = torch.full_like(rows, -math.inf)
            ending[:, :, self.end] = 0.0
            rows.copy_(torch.where(full[:, None, None], ending, rows))
        if self.prefixes is not None and length < self.prefixes.shape[1]:
            force(rows, self.prefixes[:, length])

    def _draw(self, rows: Tensor) -> Tensor:
        """A token for each hypothesis, [B, W], by adding Gumbel noise to filtered scores."""
        config = self.config
        scores = rows / config.temperature
        if config.top_k is not None:
            kth = scores.topk(min(config.top_k, scores.shape[-1])).values[..., -1:]
            scores = scores.masked_fill(scores < kth, -math.inf)
        if config.top_p is not None:
            ordered, order = scores.softmax(-1).sort(-1, descending=True)
            outside = ordered.cumsum(-1) - ordered >= config.top_p
            scores = scores.masked_fill(
                torch.zeros_like(outside).scatter_(2, order, outside), -math.inf
            )
        noise = np.stack([one.gumbel(size=scores.shape[1:]) for one in self.generators])
        return (scores + torch.from_numpy(noise).to(scores)).argmax(-1)
