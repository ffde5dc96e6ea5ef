"""Our own search as an engine, over a model that PyTorch or another runtime computes."""

from typing import Any

import torch
from torch import Tensor

from nmt_cli.decoding.beam import search
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import (
    BeamTrace,
    Engine,
    Hypothesis,
    TokenIds,
    TokenInspection,
    after_fork,
    forked_from_gpu,
)
from nmt_cli.decoding.host import batch_with_end
from nmt_cli.decoding.inspection import inspect_tokens, trace_beam
from nmt_cli.decoding.rescoring import log_probabilities, token_log_probabilities
from nmt_cli.decoding.word_alignment import attention_weights
from nmt_cli.models.contract import Autoregressive, TranslationModel


class ModelEngine(Engine):
    """Our own search over a model, or an ensemble."""

    def __init__(self, model: TranslationModel[Any]) -> None:
        self.model, self.device = model, model.device
        self.max_source_positions, self.max_target_positions = (model.max_source_positions, model.max_target_positions)
        self._forked_from_gpu = False
        after_fork(self._follow_fork)

    def _follow_fork(self) -> None:
        """One thread: OpenMP waits forever for those of the other process."""
        self._forked_from_gpu = self.device.type != "cpu"
        torch.set_num_threads(1)

    def max_batch_positions(self, config: SearchConfig) -> int:
        """As `Engine.max_batch_positions`: the positions of one batch."""
        return max(1, config.max_positions(self.device.type, self.model.kv_cache_per_token) // config.beam_size)

    def search(
        self, sources: list[TokenIds], config: SearchConfig, prefixes: list[TokenIds] | None = None
    ) -> list[list[Hypothesis]]:
        """As `Engine.search`; all sources are one batch."""
        if self._forked_from_gpu:
            raise forked_from_gpu()
        return search(self.model, batch_with_end(self.model, sources), config, prefixes)

    def log_probabilities(
        self, sources: list[TokenIds], targets: list[TokenIds], config: SearchConfig
    ) -> list[float] | None:
        """As `Engine.log_probabilities`."""
        return log_probabilities(self.model, sources, targets, self._max_pair_positions(config))

    def token_log_probabilities(
        self, sources: list[TokenIds], targets: list[TokenIds], config: SearchConfig
    ) -> list[list[float]] | None:
        """As `Engine.token_log_probabilities`."""
        if not isinstance(self.model, Autoregressive):
            return None
        return token_log_probabilities(self.model, sources, targets, self._max_pair_positions(config))

    def _max_pair_positions(self, config: SearchConfig) -> int:
        """The positions of one side in a batch of pairs, whose source and target are computed at once."""
        return max(1, config.max_positions(self.device.type) // 2)


class TorchEngine(ModelEngine):
    """A model of ours, computed by PyTorch on the device of its parameters."""

    def attention(self, sources: list[TokenIds], targets: list[TokenIds]) -> list[Tensor] | None:
        """As `Engine.attention`."""
        return attention_weights(self.model, sources, targets)

    def inspect(self, source: TokenIds, target: TokenIds, alternatives: int) -> TokenInspection | None:
        """As `Engine.inspect`."""
        return inspect_tokens(self.model, source, target, alternatives)

    def trace_beam(self, source: TokenIds, config: SearchConfig, prefix: TokenIds) -> BeamTrace | None:
        """As `Engine.trace_beam`."""
        return trace_beam(self.model, source, config, prefix)
