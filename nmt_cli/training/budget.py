"""tokens_per_batch: auto, resolved by trying on this machine."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch

from nmt_cli.data.prepared import PreparedData
from nmt_cli.models.contract import TranslationModel
from nmt_cli.training.feed import BatchFeed
from nmt_cli.training.gradients import Gradients
from nmt_cli.training.memory import available_memory, forget_peak, most_taken, taken_memory
from nmt_cli.training.weights import Weights

SHARE = 0.85  # of the memory that is free before training
FIRST, MOST = 1024, {"cpu": 4096, "cuda": 32768}  # tokens a batch that are tried
BATCHES = 100  # an epoch shall have at least


def measure_budget(
    model: TranslationModel[Any],
    data: PreparedData,
    *,
    device: torch.device,
    dtype: torch.dtype,
    seed: int,
) -> tuple[int, int | None, int]:
    """Tokens a batch for a model on a device; bytes that they need (None: more than there are), and
    bytes that there are. The model stays as it is.
    """
    before, available = taken_memory(device), available_memory(device)
    trial = deepcopy(model).to(device).train()
    weights = Weights(trial, dtype)
    gradients = Gradients(trial, weights, device=device, seed=seed)
    moments = torch.ones(2 * weights.count, device=device)  # as the optimizer will have

    def need(tokens: int) -> int | None:
        forget_peak(device)
        fits = all(gradients.fits(batch) for batch in BatchFeed(data, tokens, seed).largest())
        return most_taken(device) - before if fits else None

    lengths = data.variants[0][1].lengths() + 1
    chosen, needed = choose_budget(need, available, most_tokens(device, int(lengths.sum())))
    del moments
    return chosen, needed, available


def choose_budget(
    need: Callable[[int], int | None], available: int, most: int
) -> tuple[int, int | None]:
    """The largest of 1024, 2048, 4096 ... tokens, up to `most`, whose need fits, and its need.

    `need` tries a number of tokens and returns the bytes it took, or None where memory ran out.
    A number is tried only if twice the need of the one before it fits: where the kernel kills
    instead of refusing, running out must not be tried. Nothing below 1024 is chosen, except where
    `most` is: what does not fit then is split.
    """
    chosen, needed = min(FIRST, most), need(min(FIRST, most))
    while needed is not None and chosen < most and 2 * needed <= SHARE * available:
        larger = min(2 * chosen, most)
        found = need(larger)
        if found is None or found > SHARE * available:
            break
        chosen, needed = larger, found
    return chosen, needed


def most_tokens(device: torch.device, tokens: int) -> int:
    """What a batch may have at most, where an epoch has so many tokens.

    More than MOST makes an update no faster for a token, and a small corpus learns better from more
    updates.
    """
    return max(256, min(MOST[device.type], tokens // BATCHES))
