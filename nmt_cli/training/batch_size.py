"""tokens_per_batch: auto, resolved by trying on this machine."""

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

MEMORY_FRACTION = 0.85  # of the memory that is free before training
MIN_TRIED_TOKENS, MAX_TRIED_TOKENS = (1024, {"cpu": 4096, "cuda": 32768})  # tokens a batch that are tried
MIN_BATCHES_PER_EPOCH = 100  # an epoch shall have at least


def find_batch_size(
    model: TranslationModel[Any],
    data: PreparedData,
    *,
    device: torch.device,
    dtype: torch.dtype,
    seed: int,
    processes_per_machine: int = 1,
) -> tuple[int, int | None, int]:
    """Tokens a batch for a model on a device; bytes that they need (None: more than there are), and
    bytes that there are. The model stays as it is. So many `sharers` share the machine; a GPU is
    not shared.
    """
    allocated_before, available_bytes = allocated_memory(device), available_memory(device)
    available_bytes //= processes_per_machine if device.type == "cpu" else 1
    trial_model = deepcopy(model).to(device).train()
    parameters = FlatParameters(trial_model, dtype)
    accumulator = GradientAccumulator(trial_model, parameters, device=device, seed=seed)
    optimizer_moments = torch.ones(2 * parameters.numel, device=device)  # as the optimizer will have

    def measure_bytes(tokens: int) -> int | None:
        reset_peak_memory(device)
        fits = all(accumulator.fits_memory(batch) for batch in BatchIterator(data, tokens, seed).largest_batches())
        return peak_allocated_memory(device) - allocated_before if fits else None

    lengths = data.variants[0][1].lengths() + 1
    batch_tokens, needed_bytes = choose_batch_size(
        measure_bytes, available_bytes, max_batch_tokens(device, int(lengths.sum()))
    )
    del optimizer_moments
    return batch_tokens, needed_bytes, available_bytes


def choose_batch_size(
    measure_bytes: Callable[[int], int | None], available_bytes: int, max_tokens: int
) -> tuple[int, int | None]:
    """The largest of 1024, 2048, 4096 ... tokens, up to `most`, whose need fits, and its need.

    `need` tries a number of tokens and returns the bytes it took, or None where memory ran out.
    A number is tried only if twice the need of the one before it fits: where the kernel kills
    instead of refusing, running out must not be tried. Nothing below 1024 is chosen, except where
    `most` is: what does not fit then is split.
    """
    batch_tokens, needed_bytes = (min(MIN_TRIED_TOKENS, max_tokens), measure_bytes(min(MIN_TRIED_TOKENS, max_tokens)))
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
    """What a batch may have at most, where an epoch has so many tokens.

    More than MOST makes an update no faster for a token, and a small corpus learns better from more
    updates.
    """
    return max(256, min(MAX_TRIED_TOKENS[device.type], epoch_tokens // MIN_BATCHES_PER_EPOCH))
