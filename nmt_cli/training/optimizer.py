"""The optimizer, and clipping of the gradient."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim.adam import adam
from torch.optim.adamw import adamw

from nmt_cli.training.config import OptimizerName
from nmt_cli.training.parameters import FlatParameters

STATE_KEYS = ("step", "exp_avg", "exp_avg_sq")  # as torch.optim calls them
NORM_PART = 1 << 18  # numbers whose squares are summed at once; more lose digits in float32 on a CPU


class _Group(NamedTuple):
    """Flat weights with the same weight decay, their gradient, and what the optimizer keeps of them (STATE_KEYS)."""

    weights: Tensor
    gradient: Tensor
    weight_decay: float
    step: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor


class FlatOptimizer:
    """Adam (Kingma and Ba 2015) or AdamW (Loshchilov and Hutter 2019) over the flat master weights.

    Its moments are float32. Weight decay applies to matrices only.
    """

    def __init__(
        self,
        parameters: FlatParameters,
        name: OptimizerName,
        betas: tuple[float, float],
        epsilon: float,
        weight_decay: float,
    ) -> None:
        self.parameters, self.betas, self.epsilon = parameters, betas, epsilon
        # as functions: the classes of torch.optim import PyTorch's compiler, a second and 70 MiB
        self.update_weights = adam if name == "adam" else adamw
        weights, gradients = (
            flat.tensor_split([parameters.matrix_numel]) for flat in (parameters.master, parameters.gradient)
        )
        self._groups = [
            _Group(w, gradient, decay, torch.zeros((), device=w.device), torch.zeros_like(w), torch.zeros_like(w))
            for w, gradient, decay in zip(weights, gradients, (weight_decay, 0.0), strict=True)
        ]

    def step(self, learning_rate: float, max_norm: float | None) -> Tensor:
        """Update the weights by the summed gradient, which is zero afterwards; returns its norm before clipping."""
        gradient = self.parameters.gradient
        norm = get_total_norm(gradient.split(NORM_PART))
        if max_norm is not None:
            gradient.mul_((max_norm / (norm + 1e-6)).clamp(max=1.0))
        for group in self._groups:
            if group.weights.numel():
                self._step_group(group, learning_rate)
        gradient.zero_()
        self.parameters.sync_compute_copy()
        return norm

    @torch.no_grad()
    def _step_group(self, group: _Group, learning_rate: float) -> None:
        beta1, beta2 = self.betas
        self.update_weights(
            [group.weights], [group.gradient], [group.exp_avg], [group.exp_avg_sq], [], [group.step],
            fused=True, amsgrad=False, maximize=False, beta1=beta1, beta2=beta2, lr=learning_rate,
            weight_decay=group.weight_decay, eps=self.epsilon,
        )  # fmt: skip

    def state_tensors(self) -> dict[str, Tensor]:
        """The moments and step counts, for a checkpoint."""
        groups = enumerate(self._groups)
        return {f"{number}.{key}": getattr(group, key) for number, group in groups for key in STATE_KEYS}

    def reset(self) -> None:
        """Set the moments and step counts to zero, as before the first update."""
        for value in self.state_tensors().values():
            value.zero_()

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Restore `state_tensors`; ValueError or LookupError if they are another model's.

        A checkpoint from before the first update may have none.
        """
        self.reset()
        own_tensors = self.state_tensors()
        for name, value in tensors.items():
            if value.shape != own_tensors[name].shape:
                raise ValueError(f"{name} of the optimizer has another size")
            own_tensors[name].copy_(value)
