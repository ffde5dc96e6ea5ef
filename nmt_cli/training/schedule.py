"""The learning rate as a function of the update."""

import math

from nmt_cli.training.config import Schedule


def scheduled_learning_rate(
    schedule: Schedule, peak_learning_rate: float, update: int, *, warmup_updates: int, total_updates: int, d_model: int
) -> float:
    """The learning rate of an update, counted from 1.

    All schedules rise linearly to their peak over `warmup_updates`. Then constant and plateau stay
    there (plateau is lowered by validations); inverse_sqrt falls with the square root of the update;
    cosine (Loshchilov and Hutter 2017) and linear reach zero after `total_updates`; noam is
    inverse_sqrt with the peak as factor of d_model^-0.5 (Vaswani et al. 2017, eq. 3).
    """
    warmup_updates = max(warmup_updates, 1)
    if schedule == "noam":
        return float(peak_learning_rate * d_model**-0.5 * min(update**-0.5, update * warmup_updates**-1.5))
    if update <= warmup_updates:
        return peak_learning_rate * update / warmup_updates
    if schedule == "inverse_sqrt":
        return peak_learning_rate * math.sqrt(warmup_updates / update)
    if schedule in ("cosine", "linear"):
        progress = min(1.0, (update - warmup_updates) / max(total_updates - warmup_updates, 1))
        return peak_learning_rate * ((1 + math.cos(math.pi * progress)) / 2 if schedule == "cosine" else 1 - progress)
    return peak_learning_rate
