"""training.tokens_per_batch: auto, resolved by trying batch sizes on this machine."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch

from nmt_cli.data.prepared.store import PreparedData
from nmt_cli.models.contract import TranslationModel
from nmt_cli.training.batches import BatchIterator
from nmt_cli.training.gradients import GradientAccumulator
from nmt_cli.training.memory import allocated_memory, available_memory, peak_allocated_memory, reset_peak_memory
from nmt_cli.training.parameters import FlatParameters
from nmt_cli.training.replicas import replica_count

MEMORY_FRACTION = 0.85  # of the memory that is free before training that may be used
MIN_TRIED_TOKENS, MAX_TRIED_TOKENS = 1024, {"cpu": 4096, "cuda": 32768, "mps": 4096}  # tokens per batch
MIN_BATCHES_PER_EPOCH = 100


def find_batch_size(
    model: TranslationModel[Any],
    data: PreparedData,
    *,
    device: torch.device,
    dtype: torch.dtype,
    seed: int,
    processes_per_machine: int = 1,
    may_have_replicas: bool = True,
) -> tuple[int, int | None, int]:
    """The tokens per batch for a model on a device, the bytes that they need (None: more than available), and
    the bytes that are available.

    The model is not changed. With `may_have_replicas`, threads share batches on a CPU as they do in training.
    `processes_per_machine` share main memory; each has a GPU of its own.
    """
    allocated_before, available_bytes = allocated_memory(device), available_memory(device)
    available_bytes //= processes_per_machine if device.type == "cpu" else 1
    trial_model = deepcopy(model).to(device).train()
    parameters = FlatParameters(trial_model, dtype)
    lengths = data.variants[0][1].lengths() + 1
    max_tokens = max_batch_tokens(device, int(lengths.sum()))
    replicas = replica_count(parameters.numel, max_tokens, device) if may_have_replicas else 1
    accumulator = GradientAccumulator(trial_model, parameters, device=device, seed=seed, replica_count=replicas)
    optimizer_moments = torch.ones(2 * parameters.numel, device=device)  # as large as the optimizer's will be

    def measure_bytes(tokens: int) -> int | None:
        reset_peak_memory(device)
        fits = all(accumulator.fits_memory(batch) for batch in BatchIterator(data, tokens, seed).largest_batches())
        return peak_allocated_memory(device) - allocated_before if fits else None

    with accumulator.replica_threads:
        batch_tokens, needed_bytes = choose_batch_size(measure_bytes, available_bytes, max_tokens)
    del optimizer_moments
    return batch_tokens, needed_bytes, available_bytes


def choose_batch_size(
    measure_bytes: Callable[[int], int | None], available_bytes: int, max_tokens: int
) -> tuple[int, int | None]:
    """The largest of 1024, 2048, 4096 ... tokens, up to `max_tokens`, that fits into memory, and the bytes it needs.

    `measure_bytes` tries a number of tokens and returns the bytes it needed, or None if memory ran
    out. A number is tried only if twice the bytes of the previous one are available, because a
    kernel that overcommits memory kills the process when it runs out. The smallest number is chosen
    even if it does not fit: batches are then split.
    """
    batch_tokens = min(MIN_TRIED_TOKENS, max_tokens)
    needed_bytes = measure_bytes(batch_tokens)
    while (
        needed_bytes is not None and batch_tokens < max_tokens and 2 * needed_bytes <= MEMORY_FRACTION * available_bytes
    ):
        larger_tokens = min(2 * batch_tokens, max_tokens)
        larger_bytes = measure_bytes(larger_tokens)
        if larger_bytes is None or larger_bytes > MEMORY_FRACTION * available_bytes:
            break
        batch_tokens, needed_bytes = larger_tokens, larger_bytes
    return batch_tokens, needed_bytes


def max_batch_tokens(device: torch.device, epoch_tokens: int) -> int:
    """The most tokens per batch for an epoch of `epoch_tokens`.

    Above MAX_TRIED_TOKENS training does not become faster per token, and a small corpus is learned
    better by more updates.
    """
    return max(256, min(MAX_TRIED_TOKENS[device.type], epoch_tokens // MIN_BATCHES_PER_EPOCH))
