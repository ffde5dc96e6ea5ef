"""A model's parameters as one flat float32 tensor, the master weights, beside a copy to compute with.

The model computes in the chosen type; master weights and the gradient summed over micro-batches are
float32. One flat tensor for all parameters makes the optimizer, clipping, averaging and the
all-reduce of gradients one operation each.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

ModuleType = TypeVar("ModuleType", bound=nn.Module)


class FlatParameters:
    """Flat master weights; the model's own parameters become views of the copy to compute with.

    Matrices come first, all other parameters after them. `reduce_buffer` holds the gradient and,
    behind it, `extra_scalar_count` numbers that are summed over processes together with it.
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
        self.gradient, self.extra_scalars = self.reduce_buffer[: self.numel], self.reduce_buffer[self.numel :]
        compute_gradient = self.gradient if dtype == torch.float32 else torch.zeros_like(self.compute_copy)
        self._compute_gradients = [] if dtype == torch.float32 else [compute_gradient]  # to be added to the sum
        self._parameters = [parameter for _, parameter in named_parameters]
        self._set_views(self._parameters, compute_gradient)

    def _set_views(self, parameters: list[nn.Parameter], gradient: Tensor) -> None:
        """Make parameters views of the copy to compute with, and their gradients views of a flat one."""
        views = zip(self.unflatten(self.compute_copy).values(), self.unflatten(gradient).values(), strict=True)
        for parameter, (value, gradient_view) in zip(parameters, views, strict=True):
            parameter.data, parameter.grad = value, gradient_view

    def replicate(self, model: ModuleType) -> ModuleType:
        """A copy of the model that shares its weights. Its gradients are its own, and become part of the sum, too."""
        gradient = torch.zeros_like(self.compute_copy)
        parameters = [nn.Parameter(parameter.detach()) for parameter in self._parameters]
        self._set_views(parameters, gradient)
        self._compute_gradients.append(gradient)
        copies: dict[int, Any] = {id(own): copy for own, copy in zip(self._parameters, parameters, strict=True)}
        return deepcopy(model, copies)

    def forget_replicas(self) -> None:
        """Sum the gradients of the model alone."""
        del self._compute_gradients[self.master is not self.compute_copy :]

    def unflatten(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of a flat tensor, by name of the parameter."""
        flat_tensors = flat.split([shape.numel() for shape in self.shapes.values()])
        shapes_and_tensors = zip(self.shapes.items(), flat_tensors, strict=True)
        return {name: flat_tensor.view(shape) for (name, shape), flat_tensor in shapes_and_tensors}

    def flatten(self, named_tensors: dict[str, Tensor]) -> Tensor:
        """A float32 copy on the masters' device, in the order of the flat tensor.

        ValueError for tensors of other names or shapes than the model's.
        """
        shapes = {name: value.shape for name, value in named_tensors.items()}
        if shapes != self.shapes:
            mismatched_name = next(n for n in {**shapes, **self.shapes} if shapes.get(n) != self.shapes.get(n))
            raise ValueError(f"{mismatched_name} is missing or has another shape")
        return torch.cat([named_tensors[name].to(self.master).flatten() for name in self.shapes])

    def load_master(self, flat: Tensor) -> None:
        """Replace the master weights and the copy to compute with."""
        self.master.copy_(flat)
        self.sync_compute_copy()

    def sync_compute_copy(self) -> None:
        """Round the master weights into the copy to compute with."""
        if self.compute_copy is not self.master:
            self.compute_copy.copy_(self.master)

    def accumulate_grad(self) -> None:
        """Add the gradient of a micro-batch, and of its parts, to the float32 sum."""
        for gradient in self._compute_gradients:
            self.gradient.add_(gradient)
            gradient.zero_()

    def zero_grad(self) -> None:
        """Set the summed gradient to zero."""
        for gradient in (self.gradient, *self._compute_gradients):
            gradient.zero_()

    @contextmanager
    def swapped_in(self, flat: Tensor) -> Iterator[None]:
        """Compute with these float32 weights inside the block.

        On a CPU in float32, as `nmt translate` does, whatever training computes in: bfloat16 would make oneDNN compile
        kernels for the shapes of search, which keep the memory that they take. Elsewhere in the type of training.
        """
        dtype = torch.float32 if self.master.device.type == "cpu" else self.compute_copy.dtype
        originals = [parameter.data for parameter in self._parameters]
        for parameter, value in zip(self._parameters, self.unflatten(flat.to(dtype)).values(), strict=True):
            parameter.data = value
        try:
            yield
        finally:
            for parameter, original in zip(self._parameters, originals, strict=True):
                parameter.data = original
