"""Random translations: each token drawn from the model's distribution."""

import math
from typing import Any

import numpy as np
import torch
from numpy.random import PCG64, Generator
from torch import Tensor

from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.constraints import force_tokens, length_limits, pad_prefixes
from nmt_cli.decoding.engine import Hypothesis
from nmt_cli.models.contract import Autoregressive, Sequences

Model = Autoregressive[Any, Any]


def sample(
    model: Model, source: Sequences, config: SearchConfig, prefix_ids: list[list[int]] | None
) -> list[list[Hypothesis]]:
    """`n_best` independent draws a sentence, most probable first.

    What is drawn depends on search.seed and the source ids alone, not on the batch.
    """
    return _Sampler(model, source, config, prefix_ids).run()


class _Sampler:
    """The draws of a batch, all carried on until the last has ended."""

    def __init__(
        self, model: Model, source: Sequences, config: SearchConfig, prefix_ids: list[list[int]] | None
    ) -> None:
        self.model, self.config, self.sample_count = model, config, config.n_best
        self.eos_id = model.vocabulary.end
        self.sentence_count, self.device = source.ids.shape[0], source.ids.device
        lengths = source.lengths.tolist()
        limits = length_limits(model, source, config, prefix_ids)
        self.min_limit, self.max_limit = min(limits), max(limits)
        self.limits = torch.tensor(limits, device=self.device)
        self.prefix_ids = pad_prefixes(prefix_ids, limits, self.device)
        self.rngs = [
            Generator(PCG64([config.seed, *ids[:length]]))
            for ids, length in zip(source.ids.tolist(), lengths, strict=True)
        ]
        self.state = model.init_state(source, self.sample_count, self.max_limit + 1)

    def run(self) -> list[list[Hypothesis]]:
        """Draw until every hypothesis has ended."""
        shape = (self.sentence_count, self.sample_count)
        tokens = torch.full(shape, self.model.decoder_start_id, device=self.device)
        total_log_probs = torch.zeros(shape, device=self.device)
        is_open = torch.ones(shape, dtype=torch.bool, device=self.device)
        sequences: list[list[list[int]]] = [[[] for _ in range(self.sample_count)] for _ in range(self.sentence_count)]
        for length in range(self.max_limit + 1):
            logits, self.state = self.model.decode_step(tokens.flatten(), self.state)
            log_probs = logits.float().view(*shape, -1).log_softmax(-1)
            constrained_log_probs = log_probs.clone()
            self._apply_constraints(constrained_log_probs, length)
            sampled = self._sample_tokens(constrained_log_probs)
            total_log_probs += torch.where(is_open, log_probs.gather(2, sampled[..., None]).squeeze(2), 0.0)
            tokens = sampled
            is_open = is_open & (sampled != self.eos_id)
            sampled_tokens, open_indices = sampled.tolist(), is_open.nonzero().tolist()
            for sentence, sample_index in open_indices:
                sequences[sentence][sample_index].append(sampled_tokens[sentence][sample_index])
            if not open_indices:
                break
        limits = self.limits.tolist()
        return [
            self._preference(sentence_sequences, total_log_probs[sentence].tolist(), limits[sentence])
            for sentence, sentence_sequences in enumerate(sequences)
        ]

    def _preference(self, sequences: list[list[int]], log_probs: list[float], limit: int) -> list[Hypothesis]:
        hypotheses = [
            Hypothesis(ids, log_prob, self.config.normalize(log_prob, len(ids) + 1), len(ids) == limit)
            for ids, log_prob in zip(sequences, log_probs, strict=True)
        ]
        return sorted(hypotheses, key=lambda hypothesis: -hypothesis.score)

    def _apply_constraints(self, log_probs: Tensor, length: int) -> None:
        if length < self.config.min_length:
            log_probs[:, :, self.eos_id] = -math.inf
        if self.min_limit <= length:
            at_limit = self.limits <= length
            eos_only = torch.full_like(log_probs, -math.inf)
            eos_only[:, :, self.eos_id] = 0.0
            log_probs.copy_(torch.where(at_limit[:, None, None], eos_only, log_probs))
        if self.prefix_ids is not None and length < self.prefix_ids.shape[1]:
            force_tokens(log_probs, self.prefix_ids[:, length])

    def _sample_tokens(self, log_probs: Tensor) -> Tensor:
        """A token for each hypothesis, [B, W], by adding Gumbel noise to filtered scores."""
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
