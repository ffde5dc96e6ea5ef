"""An estimate of the memory and disk space that training needs, without training."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nmt_cli.models.contract import Autoregressive, Sequences, TranslationModel
from nmt_cli.training.loss import forward_backward, max_logits

PROBE_PAIRS = 2  # sentence pairs in the batch that activations are measured with


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes."""

    weight_bytes: int  # master weights, their average, gradients, Adam's moments, the copy to compute with
    activation_bytes: int  # kept for the backward pass of the largest batch
    logit_bytes: int  # of one chunk of the loss: logits, their logarithms and gradients
    checkpoint_bytes: int  # on disk

    @property
    def total_bytes(self) -> int:
        """The peak memory."""
        return self.weight_bytes + self.activation_bytes + self.logit_bytes


def estimate_memory(
    model: TranslationModel[Any],
    dtype: torch.dtype,
    source_length: int,
    target_length: int,
    sentences: int,
    device: str = "cpu",
    *,
    has_moving_average: bool = False,
    replica_count: int = 1,
) -> MemoryEstimate:
    """The memory for batches of `sentences` pairs of these lengths, on a type of device ("cpu" or "cuda").

    `has_moving_average` as with training.ema_decay; `replica_count` as by the function of that name.
    The tensors that a backward pass needs are counted for a batch of two such pairs, as their sizes
    do not depend on the device, and scaled up: they are linear in the number of sentences.
    """
    parameter_count = sum(parameter.numel() for parameter in model.parameters())
    low_precision_bytes = 0 if dtype == torch.float32 else 2 * 2 * parameter_count  # copy and gradient in bfloat16
    replica_bytes = (replica_count - 1) * dtype.itemsize * parameter_count  # their gradients
    activation_bytes = _saved_activation_bytes(model, source_length, target_length) * dtype.itemsize // 4
    master_bytes, vocabulary_size = 4 * parameter_count, model.vocabulary.target_size
    scored_positions = max(target_length, model.output_length(source_length) or source_length)
    return MemoryEstimate(
        weight_bytes=(4 + has_moving_average) * master_bytes + low_precision_bytes + replica_bytes,
        activation_bytes=activation_bytes * sentences // PROBE_PAIRS,
        logit_bytes=3 * 4 * min(replica_count * max_logits(device), sentences * scored_positions * vocabulary_size),
        checkpoint_bytes=(3 + has_moving_average) * master_bytes,
    )


def _saved_activation_bytes(model: TranslationModel[Any], source_length: int, target_length: int) -> int:
    """Bytes of all tensors that a backward pass over PROBE_PAIRS pairs needs besides parameters, in float32."""
    parameter_addresses = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    storages: dict[int, torch.UntypedStorage] = {}  # by address; kept alive, so that none is used twice

    def record_saved_tensor(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameter_addresses:
            storages[storage.data_ptr()] = storage
        return tensor

    def make_sequences(length: int) -> Sequences:
        ids = torch.full((PROBE_PAIRS, length), model.vocabulary.end)
        return Sequences(ids, torch.full((PROBE_PAIRS,), length))

    model.train()
    source, target = make_sequences(source_length), make_sequences(target_length)
    with torch.autograd.graph.saved_tensors_hooks(record_saved_tensor, lambda tensor: tensor):
        if isinstance(model, Autoregressive):  # the rest is freed with each chunk of the loss: `logit_bytes`
            model(source, target)
        else:
            forward_backward(model, source, target, target, smoothing=0.1, scale=1.0)
    model.zero_grad(set_to_none=True)
    return sum(storage.nbytes() for storage in storages.values())
