"""Prepared data on disk: memory-mapped ids, raw development and test text, and a manifest.

Shapes, types and order are checked when a folder is opened, so that damage is reported before training begins. Files
outside the folder are never read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt_cli.data import SIDES
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.errors import DataError, error_reason
from nmt_cli.fs import read_json, reject_external_symlinks

FORMAT_VERSION = 1
TokenIds = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class SequenceStore:
    """Many id sequences in one memory-mapped array: sequence i is ids[offsets[i]:offsets[i+1]]."""

    ids: TokenIds
    offsets: NDArray[np.int64]

    @classmethod
    def open(cls, folder: Path, name: str) -> "SequenceStore":
        """Map the arrays <name>.ids.npy and <name>.offsets.npy; DataError if they are damaged.

        The sizes in their headers are compared with those of the files before memory is allocated.
        """
        ids, offsets = (_open_array(folder, f"{name}.{kind}.npy") for kind in ("ids", "offsets"))
        is_valid = ids.dtype in (np.uint16, np.uint32) and offsets.dtype == np.int64
        if not is_valid or len(offsets) < 1 or offsets[0] != 0 or offsets[-1] > len(ids):
            raise _damaged_error(folder, f"{name} is not what was written")
        if bool((np.diff(offsets) < 0).any()):
            raise _damaged_error(folder, f"{name}.offsets.npy is not in order")
        return cls(ids, offsets)

    def max_id(self) -> int:
        """The largest id, or -1 if there is none. Reads all of them."""
        ids = self.ids[: self.offsets[-1]]
        return int(ids.max()) if len(ids) else -1

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> TokenIds:
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def lengths(self) -> NDArray[np.int64]:
        """Length of each sequence, without the end of sentence."""
        return np.diff(self.offsets)


class SplitText(NamedTuple):
    """The pairs of development or test text that come from one text of the corpus."""

    name: str
    first: int
    end: int


@dataclass(frozen=True)
class Split:
    """Development or test text: raw lines, and the ids of their normalised form."""

    sources: list[str]
    references: list[str]
    source_ids: SequenceStore
    target_ids: SequenceStore
    texts: tuple[SplitText, ...] = ()
    """Where there are several, in their order."""


@dataclass(frozen=True)
class PairRange:
    """The range of training pairs that come from one text of the corpus, and its weight."""

    label: str
    first: int
    end: int
    weight: float


class PreparedData:
    """A prepared folder, opened for reading."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        reject_external_symlinks(folder)
        self.manifest = _validated_manifest(folder)
        self.tokenizers = Tokenizers.load(folder)
        variant_numbers = range(self.manifest["variants"])
        self.variants = [self._open_stores(f"train.{{}}.{number}") for number in variant_numbers]
        self.pair_ranges = self._load_pair_ranges()

    def _open_stores(self, name: str) -> tuple[SequenceStore, SequenceStore]:
        """The stores of both sides, with the side in place of `{}`; DataError if they do not match."""
        source, target = (SequenceStore.open(self.folder, name.format(side)) for side in SIDES)
        vocabulary = self.tokenizers.vocabulary
        if len(source) != len(target):
            raise _damaged_error(self.folder, f"{name.format('source')} has {len(source):,} sequences, "
                           f"{name.format('target')} has {len(target):,}")  # fmt: skip
        if source.max_id() >= vocabulary.source_size or target.max_id() >= vocabulary.target_size:
            raise _damaged_error(self.folder, f"{name.format('*')} has subwords that its tokenizer lacks")
        return source, target

    def _load_pair_ranges(self) -> list[PairRange]:
        pair_count = len(self.variants[0][0])
        try:
            pair_ranges = [PairRange(**part) for part in self.manifest["parts"]]
            boundaries = [0, *(end for part in pair_ranges for end in (part.first, part.end)), pair_count]
            is_valid = boundaries == sorted(boundaries) and pair_ranges[-1].end == pair_count
            is_valid = is_valid and all(0 < float(part.weight) <= 1000 for part in pair_ranges)
        except (TypeError, IndexError, ValueError) as error:
            raise _damaged_error(self.folder, "the parts in manifest.json") from error
        if not is_valid:
            raise _damaged_error(self.folder, "the parts in manifest.json do not cover the pairs")
        return pair_ranges

    @property
    def fingerprint(self) -> str:
        """Identifies corpus, settings and format version."""
        return str(self.manifest["fingerprint"])

    def split(self, name: str) -> Split | None:
        """The development ("dev") or test ("test") text, or None."""
        if name not in self.manifest["splits"]:
            return None
        sources, references = (_read_lines(self.folder, f"{name}.{side}.txt") for side in SIDES)
        source, target = self._open_stores(f"{name}.{{}}")
        if not len(sources) == len(references) == len(source):
            raise _damaged_error(self.folder, f"the files of {name} have different numbers of lines")
        return Split(sources, references, source, target, self._split_texts(name, len(sources)))

    def _split_texts(self, name: str, pair_count: int) -> tuple[SplitText, ...]:
        """The texts of a split, if there are several, which older data lack; DataError where they are damaged."""
        try:
            entries = self.manifest.get("split_texts", {}).get(name, [])
            ranges = tuple(SplitText(str(entry["name"]), int(entry["first"]), int(entry["end"])) for entry in entries)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise _damaged_error(self.folder, "the texts in manifest.json") from error
        boundaries = [0, *(end for text in ranges for end in (text.first, text.end)), pair_count]
        if ranges and (boundaries != sorted(boundaries) or ranges[-1].end != pair_count):
            raise _damaged_error(self.folder, f"the texts of {name} in manifest.json do not cover it")
        return ranges


def _open_array(folder: Path, name: str) -> NDArray[Any]:
    """A memory-mapped array of one dimension; DataError if the file holds anything else."""
    path = folder / name
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, EOFError, ValueError, OverflowError) as error:
        raise _damaged_error(folder, f"{name}: {error_reason(error)}") from error
    if not isinstance(array, np.memmap) or array.ndim != 1:
        raise _damaged_error(folder, f"{name} is not what was written")
    return array


def _read_lines(folder: Path, name: str) -> list[str]:
    try:
        text = (folder / name).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise _damaged_error(folder, f"{name}: {reason}") from error
    return text.removesuffix("\n").split("\n")


def _damaged_error(folder: Path, problem: str) -> DataError:
    return DataError(f"{folder}: damaged prepared data: {problem}; delete the folder and run nmt prepare again")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a prepared folder; DataError if it is missing or of another format."""
    manifest = read_json(folder / "manifest.json", hint="delete the folder and run nmt prepare again")
    if manifest.get("format") != FORMAT_VERSION:
        raise DataError(
            f"{folder}: prepared data of format {manifest.get('format')}, this version reads "
            f"{FORMAT_VERSION}: delete the folder and run nmt prepare again"
        )
    return manifest


def _validated_manifest(folder: Path) -> dict[str, Any]:
    manifest = read_manifest(folder)
    types: dict[str, type] = {
        "fingerprint": str, "inputs": list, "variants": int, "parts": list, "read": int,
        "train": int, "splits": dict, "held_out": int, "filters": dict, "vocabulary": list,
    }  # fmt: skip
    invalid_keys = [key for key, kind in types.items() if not isinstance(manifest.get(key), kind)]
    if invalid_keys or not 1 <= manifest["variants"] <= 64:
        raise _damaged_error(folder, f"{(invalid_keys or ['variants'])[0]} in manifest.json")
    return manifest
