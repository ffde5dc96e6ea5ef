"""What searches for translations: PyTorch here, or another runtime.

An engine turns ids into hypotheses and knows nothing of text; the translator above it knows
nothing of tensors.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from nmt_cli.data.batching import pad
from nmt_cli.decoding.beam import search
from nmt_cli.decoding.hypothesis import Hypothesis, SearchConfig
from nmt_cli.decoding.rescoring import log_probabilities
from nmt_cli.decoding.word_alignment import attention_weights
from nmt_cli.models.contract import Sequences, TranslationModel

TokenIds = list[int]


class Engine(ABC):
    """A model that is ready to translate."""

    max_source_positions: int | None = None
    """How many source tokens it can read, end of sentence included; None: any number."""
    max_target_positions: int | None = None
    """How many target tokens it can write, end of sentence included; None: any number."""

    @abstractmethod
    def max_batch_positions(self, config: SearchConfig) -> int:
        """How many source positions, padding included, `search` is best given at once."""

    @abstractmethod
    def search(
        self, sources: list[TokenIds], config: SearchConfig, prefixes: list[TokenIds] | None = None
    ) -> list[list[Hypothesis]]:
        """For each source its `n_best` hypotheses, best first.

        Sources have no end of sentence and at least one id. `prefixes` are ids that each
        translation must begin with, as many as there are sources.
        """

    def attention(self, sources: list[TokenIds], targets: list[TokenIds]) -> list[Tensor] | None:
        """For each pair the weights [layers, heads, T, S]; None where it cannot tell them."""
        return None

    def log_probabilities(
        self, sources: list[TokenIds], targets: list[TokenIds], config: SearchConfig
    ) -> list[float] | None:
        """log p(target | source) of each pair; None where it cannot tell."""
        return None


class ModelEngine(Engine):
    """Our own search over a model (which may be an ensemble), whoever computes what it says.

    `device` is where the model takes and gives tensors.
    """

    def __init__(self, model: TranslationModel[Any], device: torch.device) -> None:
        self.model, self.device = model, device
        self.max_source_positions, self.max_target_positions = (model.max_source_positions, model.max_target_positions)

    def max_batch_positions(self, config: SearchConfig) -> int:
        """One batch."""
        return max(1, config.max_positions(self.device.type, self.model.kv_cache_per_token) // config.beam_size)

    def search(
        self, sources: list[TokenIds], config: SearchConfig, prefixes: list[TokenIds] | None = None
    ) -> list[list[Hypothesis]]:
        """See `Engine.search`; all sources are one batch."""
        vocabulary = self.model.vocabulary
        padded = pad([(ids, [vocabulary.end]) for ids in sources], vocabulary.pad)
        return search(self.model, Sequences.from_numpy(*padded, self.device), config, prefixes)


class TorchEngine(ModelEngine):
    """A model that PyTorch computes, where its parameters are."""

    def __init__(self, model: TranslationModel[Any]) -> None:
        super().__init__(model, next(model.parameters()).device)

    def attention(self, sources: list[TokenIds], targets: list[TokenIds]) -> list[Tensor] | None:
        """See `Engine.attention`."""
        return attention_weights(self.model, sources, targets)

    def log_probabilities(
        self, sources: list[TokenIds], targets: list[TokenIds], config: SearchConfig
    ) -> list[float] | None:
        """See `Engine.log_probabilities`."""
        return log_probabilities(self.model, sources, targets, config.max_positions(self.device.type))
