"""What all sources of parallel text have in common."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from nmt_cli.data.sources.bad_rows import BadRows
from nmt_cli.errors import DataError
from nmt_cli.reporting import Reporter

SPLITS = ("train", "dev", "test")


def cache_folder() -> Path:
    """Where downloaded corpora are kept: $XDG_CACHE_HOME/nmt, by default ~/.cache/nmt."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path(os.path.expanduser("~")) / ".cache") / "nmt"


class Languages(NamedTuple):
    """Language codes of a direction."""

    source: str
    target: str


class RawPair(NamedTuple):
    """A source and target line as bytes, and the number of the line, counted from 1."""

    source: bytes
    target: bytes
    line_number: int


@dataclass(frozen=True)
class ParallelText:
    """A text that was located: its files, how to read it, and how often its pairs are seen in an epoch.

    Reading it counts the rows that it drops; DataError if they are too many.
    """

    label: str
    files: tuple[Path, ...]
    read: Callable[[BadRows], Iterator[RawPair]]
    weight: float = 1.0
    keeps: Callable[[int], bool] | None = None
    """Whether the scores of the text keep the pair on a line, counted from 1; None where it has no scores."""
    tag: str | None = None
    """What each source begins with; None for nothing."""


class MissingTextError(DataError):
    """A text that is not on this machine."""


class TextSource(ABC):
    """Where parallel text comes from; sources of the same text are equal."""

    splits: ClassVar[tuple[str, ...]] = ()
    """What the source provides where corpus.name names it."""
    is_complete: ClassVar[bool] = False
    """Whether a corpus section that names it can name no other text."""

    @abstractmethod
    def locate(self, split: str, root: Path) -> ParallelText:
        """The text of a split, once nothing is left to download; MissingTextError if there is no such file.

        `root` is the folder that relative paths start from.
        """

    def pending_downloads(self) -> list[str]:
        """Addresses or names of what `fetch` has yet to download; empty if the text is on this machine."""
        return []

    def fetch(self, reporter: Reporter, bad_rows: BadRows) -> None:  # noqa: B027  (most have nothing to download)
        """Download the text if it is not on this machine; DataError if that fails, or for too many bad rows."""

    def provenance(self) -> list[dict[str, Any]]:
        """Records of where downloaded text came from, for the manifest of prepared data."""
        return []
