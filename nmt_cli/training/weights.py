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


class Weights:
    """Flat master weights; the model's own parameters are views of the computing copy.

    `exchanged` is the gradient and, behind it, `riders` further numbers that processes sum with it.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype, riders: int = 0) -> None:
        model.to(dtype)
        named = sorted(model.named_parameters(), key=lambda item: item[1].ndim < 2)
        self.shapes = {name: parameter.shape for name, parameter in named}
        self.matrices = sum(p.numel() for _, p in named if p.ndim >= 2)
        self.count = sum(p.numel() for _, p in named)
        device = named[0][1].device
        self.computing = torch.cat([p.detach().flatten() for _, p in named])
        self.master = self.computing if dtype == torch.float32 else self.computing.float()
        self.exchanged = torch.zeros(self.count + riders, device=device)
        self.gradient, self.riders = self.exchanged[: self.count], self.exchanged[self.count :]
        same = dtype == torch.float32
        self._small_gradient = self.gradient if same else torch.zeros_like(self.computing)
        views = zip(
            self.split(self.computing).values(),
            self.split(self._small_gradient).values(),
            strict=True,
        )
        for (_, parameter), (value, gradient) in zip(named, views, strict=True):
            parameter.data, parameter.grad = value, gradient

    def split(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of a flat tensor, by the names of the parameters."""
        parts = flat.split([shape.numel() for shape in self.shapes.values()])
        named = zip(self.shapes.items(), parts, strict=True)
        return {name: part.view(shape) for (name, shape), part in named}

    def join(self, named: dict[str, Tensor]) -> Tensor:
        """The way back from `split`, as a float32 copy on the masters' device.

        ValueError for tensors of other names or shapes.
        """
        shapes = {name: value.shape for name, value in named.items()}
        if shapes != self.shapes:
            odd = next(n for n in {**shapes, **self.shapes} if shapes.get(n) != self.shapes.get(n))
            raise ValueError(f"the weights {odd} are others")
        parts = [named[name].to(self.master).flatten() for name in self.shapes]
        return torch.cat(parts)

    def set_master(self, flat: Tensor) -> None:
        """Replace the masters and what is computed with."""
        self.master.copy_(flat)
        self.synchronize()

    def synchronize(self) -> None:
        """Round the masters into the computing copy."""
        if self.computing is not self.master:
            self.computing.copy_(self.master)

    def collect_gradient(self) -> None:
        """Add the gradient of a micro-batch to the float32 sum."""
        if self.gradient is not self._small_gradient:
            self.gradient.add_(self._small_gradient)
            self._small_gradient.zero_()

    def drop_gradient(self) -> None:
        """Forget what micro-batches have summed up."""
        self.gradient.zero_()
        self._small_gradient.zero_()

    @contextmanager
    def showing(self, flat: Tensor | None) -> Iterator[None]:
        """Compute with other weights for a while; None: with the masters."""
        if flat is None:
            yield
            return
        kept = self.computing.clone()
        self.computing.copy_(flat)
        try:
            yield
        finally:
            self.computing.copy_(kept)


class Optimizer:
    """Adam (Kingma and Ba 2015) or AdamW (Loshchilov and Hutter 2019) over flat weights.

    Weight decay applies to matrices only.
    """

    def __init__(
        self,
        weights: Weights,
        name: OptimizerName,
        betas: tuple[float, float],
        epsilon: float,
        weight_decay: float,
    ) -> None:
        self.weights = weights
        kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
        cut = weights.matrices
        self._parts = [nn.Parameter(part) for part in (weights.master[:cut], weights.master[cut:])]
        for part, gradient in zip(self._parts, weights.gradient.tensor_split([cut]), strict=True):
            part.grad = gradient
        groups = [
            {"params": [part], "weight_decay": decay}
            for part, decay in zip(self._parts, (weight_decay, 0.0), strict=True)
            if part.numel()
        ]
        self.inner = kind(groups, lr=0.0, betas=betas, eps=epsilon, fused=True)

    def update(self, rate: float, clip: float | None) -> Tensor:
        """One step with the summed gradient, which is zero afterwards; returns its norm."""
        gradient = self.weights.gradient
        norm: Tensor = gradient.norm()
        if clip is not None:
            gradient.mul_((clip / (norm + 1e-6)).clamp(max=1.0))
        for group in self.inner.param_groups:
            group["lr"] = rate
        self.inner.step()
        gradient.zero_()
        self.weights.synchronize()
        return norm

    def tensors(self) -> dict[str, Tensor]:
        """The optimizer's memory, to be saved."""
        state: dict[str, Tensor] = {}
        for number, part in enumerate(self._parts):
            for key, value in self.inner.state[part].items():
                state[f"{number}.{key}"] = value
        return state

    def memory(self) -> int:
        """Numbers that the first update will take memory for; 0 after it."""
        return 0 if self.inner.state else 2 * self.weights.count

    def forget(self) -> None:
        """Be as new."""
        self.inner.state.clear()

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """The way back from `tensors`; ValueError or IndexError for what came from elsewhere."""
        for name, value in tensors.items():
            number, key = name.split(".")
            part = self._parts[int(number)]
            if key != "step" and value.shape != part.shape:
                raise ValueError(f"the optimizer's {name} is of another size")
            self.inner.state[part][key] = value.to(part.device, copy=True)
