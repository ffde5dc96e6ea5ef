"""How much memory and disk training will take, computed before anything is trained."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nmt_cli.models.contract import Sequences, TranslationModel
from nmt_cli.training.loss import CHUNKS, backward

PROBE = 2  # pairs in the batch that activations are measured with


@dataclass(frozen=True)
class Footprint:
    """Bytes."""

    weights: int  # masters, their average, gradients, Adam's moments, the copy to compute with
    activations: int  # kept for the backward pass of the largest batch
    logits: int  # of one piece of the loss, its logarithms and their gradient
    checkpoint: int  # on disk

    @property
    def total(self) -> int:
        """In memory at once."""
        return self.weights + self.activations + self.logits


def footprint(
    model: TranslationModel[Any],
    dtype: torch.dtype,
    source_length: int,
    target_length: int,
    sentences: int,
    device: str = "cpu",
    *,
    averaged: bool = False,
) -> Footprint:
    """Memory for a batch of so many sentences of these lengths, on this type of device.

    `averaged`: with a moving average of the weights (training.average_decay).

    The tensors that a backward pass needs are counted for a batch of two such sentences, which
    have the same sizes on every device, and scaled up: they are linear in the number of sentences.
    """
    count = sum(parameter.numel() for parameter in model.parameters())
    small = 0 if dtype == torch.float32 else 2 * 2 * count  # copy and gradient in bfloat16
    kept = _saved_bytes(model, source_length, target_length) * dtype.itemsize // 4
    masters = 4 * count
    scored = max(target_length, source_length * getattr(model.config, "upsample", 1))
    return Footprint(
        weights=(4 + averaged) * masters + small,
        activations=kept * sentences // PROBE,
        logits=3 * 4 * min(CHUNKS[device], sentences * scored * model.vocabulary.target_size),
        checkpoint=(3 + averaged) * masters,
    )


def _saved_bytes(model: TranslationModel[Any], source_length: int, target_length: int) -> int:
    """Bytes of all different tensors that a backward pass over PROBE sentences needs, in float32.

    Parameters do not count: they are there anyway.
    """
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    sizes: dict[int, int] = {}
    kept: list[Tensor] = []  # so that no address is used twice

    def remember(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
            kept.append(tensor)
        return tensor

    def sequences(length: int) -> Sequences:
        ids = torch.full((PROBE, length), model.vocabulary.end)
        return Sequences(ids, torch.full((PROBE,), length))

    model.train()
    target = sequences(target_length)
    with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
        backward(model, sequences(source_length), target, target, smoothing=0.1, scale=1.0)
    model.zero_grad(set_to_none=True)
    return sum(sizes.values())
