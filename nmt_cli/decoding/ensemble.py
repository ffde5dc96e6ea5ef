"""Several models as one: the mean of their probabilities."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nmt_cli.models.contract import Autoregressive, ModelConfig, Sequences, State

Model = Autoregressive[Any, Any]


@dataclass
class EnsembleState(State):
    """A state for each member."""

    members: list[State]

    def reorder(self, parents: Tensor) -> None:
        """See `State.reorder`."""
        for state in self.members:
            state.reorder(parents)

    def keep(self, sentences: Tensor) -> None:
        """See `State.keep`."""
        for state in self.members:
            state.keep(sentences)


class Ensemble(Autoregressive[ModelConfig, EnsembleState]):
    """log of the mean of the members' probabilities; members share their vocabularies."""

    config_class = ModelConfig
    summary = "several models as one"

    def __init__(self, members: list[Model]) -> None:
        super().__init__(members[0].config, members[0].vocabulary)
        self.members = nn.ModuleList(members)
        self._models = members

    @property
    def width(self) -> int:
        """Sum of the members' widths."""
        return sum(model.width for model in self._models)

    @property
    def first_token(self) -> int:
        """The members' own."""
        return self._models[0].first_token

    @property
    def longest_source(self) -> int | None:
        """The shortest limit of a member."""
        return _smallest([model.longest_source for model in self._models])

    @property
    def longest_target(self) -> int | None:
        """The shortest limit of a member."""
        return _smallest([model.longest_target for model in self._models])

    @property
    def cached(self) -> int:
        """What all members keep."""
        return sum(model.cached for model in self._models)

    def forward(self, source: Sequences, target_in: Sequences) -> Tensor:
        """The members' hidden states side by side."""
        return torch.cat([model(source, target_in) for model in self._models], -1)

    def project(self, hidden: Tensor) -> Tensor:
        """See `Autoregressive.project`."""
        parts = hidden.split([model.width for model in self._models], -1)
        return _mean([m.project(part) for m, part in zip(self._models, parts, strict=True)])

    def start(self, source: Sequences, width: int, capacity: int) -> EnsembleState:
        """See `Autoregressive.start`."""
        return EnsembleState([model.start(source, width, capacity) for model in self._models])

    def step(self, tokens: Tensor, state: EnsembleState) -> tuple[Tensor, EnsembleState]:
        """See `Autoregressive.step`."""
        found = [m.step(tokens, one) for m, one in zip(self._models, state.members, strict=True)]
        return _mean([logits for logits, _ in found]), EnsembleState([one for _, one in found])

    def attention(self, source: Sequences, target_in: Sequences) -> Tensor | None:
        """The first member's."""
        return self._models[0].attention(source, target_in)


def _mean(logits: list[Tensor]) -> Tensor:
    each = torch.stack([one.float().log_softmax(-1) for one in logits])
    return each.logsumexp(0) - torch.tensor(float(len(logits))).log()


def _smallest(limits: list[int | None]) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
