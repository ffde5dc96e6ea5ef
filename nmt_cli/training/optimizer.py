"""The optimizer, and clipping of the gradient."""

import torch
from torch import Tensor, nn

from nmt_cli.training.config import OptimizerName
from nmt_cli.training.parameters import FlatParameters


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
        self.parameters = parameters
        optimizer_class = torch.optim.Adam if name == "adam" else torch.optim.AdamW
        weights, gradients = (
            flat.tensor_split([parameters.matrix_numel]) for flat in (parameters.master, parameters.gradient)
        )
        self._flat_tensors, groups = [nn.Parameter(flat_tensor) for flat_tensor in weights], []
        for flat_tensor, gradient, decay in zip(self._flat_tensors, gradients, (weight_decay, 0.0), strict=True):
            flat_tensor.grad = gradient
            if flat_tensor.numel():
                groups.append({"params": [flat_tensor], "weight_decay": decay})
        self.torch_optimizer = optimizer_class(groups, lr=0.0, betas=betas, eps=epsilon, fused=True)

    def step(self, learning_rate: float, max_norm: float | None) -> Tensor:
        """Update the weights by the summed gradient, which is zero afterwards; returns its norm before clipping."""
        gradient = self.parameters.gradient
        norm: Tensor = gradient.norm()
        if max_norm is not None:
            gradient.mul_((max_norm / (norm + 1e-6)).clamp(max=1.0))
        for group in self.torch_optimizer.param_groups:
            group["lr"] = learning_rate
        self.torch_optimizer.step()
        gradient.zero_()
        self.parameters.sync_compute_copy()
        return norm

    def state_tensors(self) -> dict[str, Tensor]:
        """The moments and step counts, for a checkpoint."""
        return {
            f"{number}.{key}": value
            for number, flat_tensor in enumerate(self._flat_tensors)
            for key, value in self.torch_optimizer.state[flat_tensor].items()
        }

    def state_numel(self) -> int:
        """Elements that the first update will allocate; 0 after it."""
        return 0 if self.torch_optimizer.state else 2 * self.parameters.numel

    def reset(self) -> None:
        """Drop all moments, as before the first update."""
        self.torch_optimizer.state.clear()

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Restore `state_tensors`; ValueError or IndexError if they are another model's."""
        for name, value in tensors.items():
            number, key = name.split(".")
            flat_tensor = self._flat_tensors[int(number)]
            if key != "step" and value.shape != flat_tensor.shape:
                raise ValueError(f"{name} of the optimizer has another size")
            self.torch_optimizer.state[flat_tensor][key] = value.to(flat_tensor.device, copy=True)
