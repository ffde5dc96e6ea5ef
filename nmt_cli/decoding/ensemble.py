"""An ensemble: several models as one, whose probabilities are averaged."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nmt_cli.models.configs import ModelConfig
from nmt_cli.models.contract import Autoregressive, Sequences, State

Model = Autoregressive[Any, Any]


@dataclass
class EnsembleState(State):
    """A state for each member."""

    members: list[State]

    def reorder(self, parents: Tensor) -> None:
        """As `State.reorder`."""
        for state in self.members:
            state.reorder(parents)

    def select(self, sentences: Tensor) -> None:
        """As `State.select`."""
        for state in self.members:
            state.select(sentences)


class Ensemble(Autoregressive[ModelConfig, EnsembleState]):
    """Averages the probabilities of its members, which share their vocabularies."""

    config_class = ModelConfig
    summary = "several models as one"

    def __init__(self, members: list[Model]) -> None:
        super().__init__(members[0].config, members[0].vocabulary)
        self.members = nn.ModuleList(members)
        self._models = members

    @property
    def d_model(self) -> int:
        """The sum over the members."""
        return sum(model.d_model for model in self._models)

    @property
    def decoder_start_id(self) -> int:
        """The start token of the members."""
        return self._models[0].decoder_start_id

    @property
    def max_source_positions(self) -> int | None:
        """The lowest limit of a member."""
        return _min_limit([model.max_source_positions for model in self._models])

    @property
    def max_target_positions(self) -> int | None:
        """The lowest limit of a member."""
        return _min_limit([model.max_target_positions for model in self._models])

    @property
    def kv_cache_per_token(self) -> int:
        """The sum over the members."""
        return sum(model.kv_cache_per_token for model in self._models)

    def forward(self, source: Sequences, target_in: Sequences) -> Tensor:
        """The members' hidden states side by side."""
        return torch.cat([model(source, target_in) for model in self._models], -1)

    def output_logits(self, hidden: Tensor) -> Tensor:
        """As `Autoregressive.output_logits`: log of the mean probability."""
        member_states = hidden.split([model.d_model for model in self._models], -1)
        return _log_mean_probabilities(
            [m.output_logits(member_hidden) for m, member_hidden in zip(self._models, member_states, strict=True)]
        )

    def init_state(self, source: Sequences, beam_size: int, max_steps: int) -> EnsembleState:
        """As `Autoregressive.init_state`."""
        return EnsembleState([model.init_state(source, beam_size, max_steps) for model in self._models])

    def decode_step(self, tokens: Tensor, state: EnsembleState) -> tuple[Tensor, EnsembleState]:
        """As `Autoregressive.decode_step`."""
        steps = [
            model.decode_step(tokens, member_state)
            for model, member_state in zip(self._models, state.members, strict=True)
        ]
        return _log_mean_probabilities([logits for logits, _ in steps]), EnsembleState(
            [member_state for _, member_state in steps]
        )

    def attention(self, source: Sequences, target_in: Sequences) -> Tensor | None:
        """The attention weights of the first member."""
        return self._models[0].attention(source, target_in)


def _log_mean_probabilities(logits: list[Tensor]) -> Tensor:
    log_probs = torch.stack([member_logits.float().log_softmax(-1) for member_logits in logits])
    return log_probs.logsumexp(0) - math.log(len(logits))


def _min_limit(limits: list[int | None]) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
