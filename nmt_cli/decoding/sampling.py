"""Random translations: each token drawn from the model's distribution."""

import math
from typing import Any

import numpy as np
import torch
from numpy.random import PCG64, Generator
from torch import Tensor

from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.constraints import build_constraints
from nmt_cli.decoding.engine import Hypothesis, TokenIds
from nmt_cli.decoding.host import source_ids, to_host
from nmt_cli.models.contract import Autoregressive, Sequences


def sample(
    model: Autoregressive[Any, Any], source: Sequences, config: SearchConfig, prefixes: list[TokenIds] | None
) -> list[list[Hypothesis]]:
    """`n_best` independent samples of each sentence, most probable first.

    They depend on search.seed and the source ids alone, not on the batch.
    """
    return _Sampler(model, source, config, prefixes).run()


class _Sampler:
    """The samples of a batch, all of which are extended until the last one has ended."""

    def __init__(
        self, model: Autoregressive[Any, Any], source: Sequences, config: SearchConfig, prefixes: list[TokenIds] | None
    ) -> None:
        self.model, self.config, self.sample_count = model, config, config.n_best
        self.eos_id = model.vocabulary.end
        self.sentence_count, self.device = source.ids.shape[0], source.ids.device
        max_length, self.constraints = build_constraints(model, source, config, prefixes, self.sample_count)
        self.limits = max_length.limits
        self.rngs = [Generator(PCG64([config.seed, *ids, self.eos_id])) for ids in source_ids(source)]
        self.state = model.init_state(source, self.sample_count, max(self.limits) + 1)

    def run(self) -> list[list[Hypothesis]]:
        """Draw tokens until every hypothesis has ended."""
        shape, max_steps = (self.sentence_count, self.sample_count), max(self.limits) + 1
        tokens = torch.full(shape, self.model.decoder_start_id, device=self.device)
        total_log_probs = torch.zeros(shape, device=self.device)
        is_open = torch.ones(shape, dtype=torch.bool, device=self.device)
        history = torch.empty((*shape, max_steps), dtype=torch.long, device=self.device)
        for length in range(max_steps):
            logits, self.state = self.model.decode_step(tokens.flatten(), self.state)
            log_probs = logits.float().view(*shape, -1).log_softmax(-1)
            constrained_log_probs = log_probs.clone()
            for constraint in self.constraints:
                constraint.apply(constrained_log_probs, history[:, :, :length])
            tokens = history[:, :, length] = self._sample_tokens(constrained_log_probs)
            total_log_probs += torch.where(is_open, log_probs.gather(2, tokens[..., None]).squeeze(2), 0.0)
            is_open = is_open & (tokens != self.eos_id)
            if not to_host(is_open)[0].any():
                break
        samples, log_probs_of_samples = to_host(history[:, :, : length + 1], total_log_probs)
        sentences = zip(samples.tolist(), log_probs_of_samples.tolist(), self.limits, strict=True)
        return [self._rank(*sentence) for sentence in sentences]

    def _rank(self, samples: list[TokenIds], log_probs: list[float], limit: int) -> list[Hypothesis]:
        """The hypotheses of a sentence from samples that go on beyond their end, most probable first."""
        sequences = [ids[: ids.index(self.eos_id)] if self.eos_id in ids else ids for ids in samples]
        hypotheses = [
            Hypothesis(ids, log_prob, self.config.normalize(log_prob, len(ids) + 1), len(ids) == limit)
            for ids, log_prob in zip(sequences, log_probs, strict=True)
        ]
        return sorted(hypotheses, key=lambda hypothesis: -hypothesis.score)

    def _sample_tokens(self, log_probs: Tensor) -> Tensor:
        """A token for each hypothesis [B, W]: Gumbel noise is added to the filtered scores [B, W, V]."""
        config = self.config
        scores = log_probs / config.temperature
        if config.top_k is not None:
            kth_score = scores.topk(min(config.top_k, scores.shape[-1])).values[..., -1:]
            scores = scores.masked_fill(scores < kth_score, -math.inf)
        if config.top_p is not None:
            sorted_probs, sorted_tokens = scores.softmax(-1).sort(-1, descending=True)
            outside_nucleus = sorted_probs.cumsum(-1) - sorted_probs >= config.top_p
            scores = scores.masked_fill(
                torch.zeros_like(outside_nucleus).scatter_(2, sorted_tokens, outside_nucleus), -math.inf
            )
        noise = np.stack([rng.gumbel(size=scores.shape[1:]) for rng in self.rngs])
        return (scores + torch.from_numpy(noise).to(scores)).argmax(-1)
