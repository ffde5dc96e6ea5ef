"""A model's parameters as flat float32 masters, and the optimizer that updates them.

Computation runs in the chosen type; the masters, the gradients' sum over micro-batches and the
moments are float32. One flat tensor for all parameters makes the optimizer, clipping, averaging
and (across processes) the exchange of gradients one operation each.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

OptimizerName = Literal["adam", "adamw"]


class FlatParameters:
    """Flat master weights; the model's own parameters are views of the computing copy.

    `exchanged` is the gradient and, behind it, `riders` further numbers that processes sum with it.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype, extra_scalar_count: int = 0) -> None:
        model.to(dtype)
        named_parameters = sorted(model.named_parameters(), key=lambda item: item[1].ndim < 2)
        self.shapes = {name: parameter.shape for name, parameter in named_parameters}
        self.matrix_numel = sum(p.numel() for _, p in named_parameters if p.ndim >= 2)
        self.numel = sum(p.numel() for _, p in named_parameters)
        device = named_parameters[0][1].device
        self.compute_copy = torch.cat([p.detach().flatten() for _, p in named_parameters])
        self.master = self.compute_copy if dtype == torch.float32 else self.compute_copy.float()
        self.reduce_buffer = torch.zeros(self.numel + extra_scalar_count, device=device)
        self.gradient, self.extra_scalars = (self.reduce_buffer[: self.numel], self.reduce_buffer[self.numel :])
        is_float32 = dtype == torch.float32
        self._compute_gradient = self.gradient if is_float32 else torch.zeros_like(self.compute_copy)
        views = zip(
            self.unflatten(self.compute_copy).values(), self.unflatten(self._compute_gradient).values(), strict=True
        )
        for (_, parameter), (value, gradient) in zip(named_parameters, views, strict=True):
            parameter.data, parameter.grad = value, gradient

    def unflatten(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of a flat tensor, by the names of the parameters."""
        flat_tensors = flat.split([shape.numel() for shape in self.shapes.values()])
        shapes_and_tensors = zip(self.shapes.items(), flat_tensors, strict=True)
        return {name: flat_tensor.view(shape) for (name, shape), flat_tensor in shapes_and_tensors}

    def flatten(self, named_tensors: dict[str, Tensor]) -> Tensor:
        """The way back from `split`, as a float32 copy on the masters' device.

        ValueError for tensors of other names or shapes.
        """
        shapes = {name: value.shape for name, value in named_tensors.items()}
        if shapes != self.shapes:
            mismatched_name = next(n for n in {**shapes, **self.shapes} if shapes.get(n) != self.shapes.get(n))
            raise ValueError(f"the weights {mismatched_name} are others")
        flat_tensors = [named_tensors[name].to(self.master).flatten() for name in self.shapes]
        return torch.cat(flat_tensors)

    def load_master(self, flat: Tensor) -> None:
        """Replace the masters and what is computed with."""
        self.master.copy_(flat)
        self.sync_compute_copy()

    def sync_compute_copy(self) -> None:
        """Round the masters into the computing copy."""
        if self.compute_copy is not self.master:
            self.compute_copy.copy_(self.master)

    def accumulate_grad(self) -> None:
        """Add the gradient of a micro-batch to the float32 sum."""
        if self.gradient is not self._compute_gradient:
            self.gradient.add_(self._compute_gradient)
            self._compute_gradient.zero_()

    def zero_grad(self) -> None:
        """Forget what micro-batches have summed up."""
        self.gradient.zero_()
        self._compute_gradient.zero_()

    @contextmanager
    def swapped_in(self, flat: Tensor | None) -> Iterator[None]:
        """Compute with other weights for a while; None: with the masters."""
        if flat is None:
            yield
            return
        original = self.compute_copy.clone()
        self.compute_copy.copy_(flat)
        try:
            yield
        finally:
            self.compute_copy.copy_(original)


class FlatOptimizer:
    """Adam (Kingma and Ba 2015) or AdamW (Loshchilov and Hutter 2019) over flat weights.

    Weight decay applies to matrices only.
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
        matrix_numel = parameters.matrix_numel
        self._flat_tensors = [
            nn.Parameter(flat_tensor)
            for flat_tensor in (parameters.master[:matrix_numel], parameters.master[matrix_numel:])
        ]
        for flat_tensor, gradient in zip(
            self._flat_tensors, parameters.gradient.tensor_split([matrix_numel]), strict=True
        ):
            flat_tensor.grad = gradient
        groups = [
            {"params": [flat_tensor], "weight_decay": decay}
            for flat_tensor, decay in zip(self._flat_tensors, (weight_decay, 0.0), strict=True)
            if flat_tensor.numel()
        ]
        self.torch_optimizer = optimizer_class(groups, lr=0.0, betas=betas, eps=epsilon, fused=True)

    def step(self, learning_rate: float, max_norm: float | None) -> Tensor:
        """One step with the summed gradient, which is zero afterwards; returns its norm."""
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
        """The optimizer's memory, to be saved."""
        state: dict[str, Tensor] = {}
        for number, flat_tensor in enumerate(self._flat_tensors):
            for key, value in self.torch_optimizer.state[flat_tensor].items():
                state[f"{number}.{key}"] = value
        return state

    def state_numel(self) -> int:
        """Numbers that the first update will take memory for; 0 after it."""
        return 0 if self.torch_optimizer.state else 2 * self.parameters.numel

    def reset(self) -> None:
        """Be as new."""
        self.torch_optimizer.state.clear()

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """The way back from `tensors`; ValueError or IndexError for what came from elsewhere."""
        for name, value in tensors.items():
            number, key = name.split(".")
            flat_tensor = self._flat_tensors[int(number)]
            if key != "step" and value.shape != flat_tensor.shape:
                raise ValueError(f"the optimizer's {name} is of another size")
            self.torch_optimizer.state[flat_tensor][key] = value.to(flat_tensor.device, copy=True)
