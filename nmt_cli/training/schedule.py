"""The learning rate, as a function of the update."""

import math
from typing import Literal

Schedule = Literal["constant", "inverse_sqrt", "noam", "cosine", "linear", "plateau"]


def rate(
    schedule: Schedule, peak: float, update: int, *, warmup: int, updates: int, width: int
) -> float:
    """The learning rate of an update, counted from 1.

    All schedules rise linearly to their peak over `warmup` updates. Then: constant and plateau
    stay (plateau is lowered by validations); inverse_sqrt falls with the square root of the
    update; cosine (Loshchilov and Hutter 2017) and linear reach zero after `updates`; noam is
    inverse_sqrt with `peak` as factor of width^-0.5 (Vaswani et al. 2017, eq. 3).
    """
    warmup = max(warmup, 1)
    if schedule == "noam":
        return float(peak * width**-0.5 * min(update**-0.5, update * warmup**-1.5))
    if update <= warmup:
        return peak * update / warmup
    if schedule == "inverse_sqrt":
        return peak * math.sqrt(warmup / update)
    if schedule in ("cosine", "linear"):
        share = min(1.0, (update - warmup) / max(updates - warmup, 1))
        return peak * ((1 + math.cos(math.pi * share)) / 2 if schedule == "cosine" else 1 - share)
    return peak
