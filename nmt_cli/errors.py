"""Errors that end a command with one line and an exit code; bugs are AssertionError or whatever Python raises."""

import difflib
from collections.abc import Iterable, Sequence

_OUT_OF_MEMORY_MESSAGES = (
    "not enough memory",
    "can't allocate memory",
    "out of memory",
    "bad_alloc",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "could not create a memory",
    "Storage size calculation overflowed",
)


class UserError(Exception):
    """A mistake that the user can fix; its text is one line, and the exit code is 2.

    `hint` says what to do about it on the command line; only the command line prints it, after the text.
    """

    def __init__(self, text: str, *, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint

    @property
    def with_hint(self) -> str:
        """The text, and after it what to do."""
        return f"{self}: {self.hint}" if self.hint else str(self)


class RecipeError(UserError):
    """Every error in a recipe, one per line."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = list(errors)


class DataError(UserError):
    """A corpus or prepared data that cannot be used: missing, unequal, empty, damaged."""


class RunError(UserError):
    """A run folder that cannot be used as asked: missing, incomplete, of another version, already finished."""


class TrainingError(UserError):
    """Training that diverges again and again, and cannot continue with these settings."""


class DeviceError(UserError):
    """A device that does not exist, has too little memory or cannot do what was asked."""


class WorkerError(Exception):
    """A worker process that died or failed; exit code 1, since it is no mistake of the user."""


def suggest(name: str, known_names: Iterable[str]) -> str:
    """The known name that is most like an unknown one, or all of them, as the end of an error message."""
    names = list(known_names)
    matches = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {matches[0]}?" if matches else f"choose from {', '.join(names)}"


def pluralize(count: int, noun: str) -> str:
    """A number of things, for a message: '1 line', '1,200 lines', '2 processes'."""
    ending = "" if count == 1 else "es" if noun.endswith(("s", "ch")) else "s"
    return f"{count:,} {noun}{ending}"


def error_reason(error: BaseException) -> str:
    """What an error that Python or a library has raised says is wrong, on one line."""
    if isinstance(error, KeyError) and error.args:
        return f"it has no {error.args[0]}"
    return " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__


def pip_install(extra: str) -> str:
    """The command that installs what an extra adds. Where nmt is installed, be it editable, pip leaves it as it is.

    The quotes are those that every shell takes, that of Windows included.
    """
    return f'pip install "nmt-cli[{extra}]"'


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on a GPU or in a CPU's allocator: PyTorch says so by an error of its
    own, or by words alone."""
    class_names = {base.__name__ for base in type(error).__mro__}
    if class_names & {"MemoryError", "OutOfMemoryError"}:
        return True
    return isinstance(error, RuntimeError) and any(message in str(error) for message in _OUT_OF_MEMORY_MESSAGES)
