"""The user's mistakes, as one small tree.

UserError               anything that the user can mend; shown as one line, exit 2
├── RecipeError         a recipe that does not say what it must; carries every problem found
├── DataError           corpora and prepared data: missing, unequal, empty, damaged
├── RunError            a run folder: missing, half there, of another version, already finished
├── TrainingError       a training that diverges again and again
└── DeviceError         a device that is not there or has too little memory

WorkerError             a worker process that died or failed over a task; shown as one line, exit 1

Our own bugs are AssertionError or whatever Python raises; they end with exit 1.
"""

from collections.abc import Sequence


class UserError(Exception):
    """A mistake that the user can mend; its text is one clear line."""


class RecipeError(UserError):
    """Everything that is wrong with a recipe, each problem a line of its own."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = list(errors)


class DataError(UserError):
    """A corpus or prepared data that cannot be used."""


class RunError(UserError):
    """A run folder that cannot be used as asked."""


class TrainingError(UserError):
    """A training that cannot go on with these settings."""


class DeviceError(UserError):
    """A device that is not there or cannot do what was asked."""


class WorkerError(Exception):
    """Worker processes that died or failed: one line, and exit 1, since it is not the user's."""
