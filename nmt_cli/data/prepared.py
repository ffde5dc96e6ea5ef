"""Prepared data on disk: memory-mapped ids, raw development and test text, and a manifest.

Whatever is damaged is named in one line before anything is trained on it: shapes, types and order
are checked when a folder is opened, and no file is read that a link or a name puts elsewhere.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt_cli.data.imported import (
    VOCABULARY,
    Imported,
    ImportedTokenizer,
    load_imported,
    save_imported,
)
from nmt_cli.data.tokenizer import TextTokenizer
from nmt_cli.disk import read_json, refuse_ways_out
from nmt_cli.errors import DataError
from nmt_cli.vocabulary import Vocabulary

FORMAT = 1
BLOCK = 1 << 24  # ids looked at together
SIDES = ("source", "target")
Ids = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class SequenceStore:
    """Many id sequences in one memory-mapped array: sequence i is ids[offsets[i]:offsets[i+1]]."""

    ids: Ids
    offsets: NDArray[np.int64]

    @classmethod
    def open(cls, folder: Path, name: str) -> "SequenceStore":
        """Map the arrays <name>.ids.npy and <name>.offsets.npy; DataError where they are damaged.

        Their headers are held against the sizes of the files before memory is taken.
        """
        ids, offsets = (_array(folder, f"{name}.{kind}.npy") for kind in ("ids", "offsets"))
        whole = ids.dtype in (np.uint16, np.uint32) and offsets.dtype == np.int64
        if not whole or len(offsets) < 1 or offsets[0] != 0 or offsets[-1] > len(ids):
            raise _damaged(folder, f"{name} is not what was written")
        if bool((np.diff(offsets) < 0).any()):
            raise _damaged(folder, f"{name}.offsets.npy is not in order")
        return cls(ids, offsets)

    def largest(self) -> int:
        """The largest id; -1 where there is none. Reads all of them."""
        blocks = range(0, int(self.offsets[-1]), BLOCK)
        return max((int(self.ids[first : first + BLOCK].max()) for first in blocks), default=-1)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Ids:
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def lengths(self) -> NDArray[np.int64]:
        """Pieces of each sequence, without an end of sentence."""
        return np.diff(self.offsets)


class Tokenizers:
    """The tokenizer of each side; one and the same where the vocabulary is joint.

    Imported ones may cut each language in its own way and have a joint vocabulary all the same,
    and special tokens with other ids: `imported` tells them apart.
    """

    def __init__(
        self, source: TextTokenizer, target: TextTokenizer, imported: Imported | None = None
    ) -> None:
        self.source, self.target, self.imported = source, target, imported

    @property
    def joint(self) -> bool:
        """Whether both sides share a tokenizer."""
        return self.source is self.target

    @property
    def vocabulary(self) -> Vocabulary:
        """Sizes and special tokens for a model."""
        if self.imported is not None:
            return self.imported.vocabulary
        return Vocabulary(
            source_size=self.source.size, target_size=self.target.size, joint=self.joint
        )

    @classmethod
    def load(cls, folder: Path) -> "Tokenizers":
        """Read tokenizer.json, or tokenizer.source.json and tokenizer.target.json."""
        if (folder / VOCABULARY).exists():
            return cls(*load_imported(folder))
        if (folder / "tokenizer.json").exists():
            both = TextTokenizer.load(folder / "tokenizer.json")
            return cls(both, both)
        sides = [folder / f"tokenizer.{side}.json" for side in ("source", "target")]
        if not sides[0].exists():
            raise DataError(f"{folder}: no tokenizer.json here")
        return cls(TextTokenizer.load(sides[0]), TextTokenizer.load(sides[1]))

    def digest(self) -> str:
        """SHA-256 of both, which tells whether two runs cut text into the same ids."""
        texts = [side.identity() for side in (self.source, self.target)]
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write them in the form that `load` reads."""
        if self.imported is not None:
            assert isinstance(self.source, ImportedTokenizer)
            assert isinstance(self.target, ImportedTokenizer)
            save_imported(self.source, self.target, self.imported, folder)
            return
        if self.joint:
            self.source.save(folder / "tokenizer.json")
        else:
            self.source.save(folder / "tokenizer.source.json")
            self.target.save(folder / "tokenizer.target.json")


@dataclass(frozen=True)
class Split:
    """Development or test text: raw lines, and the ids of their normalised form."""

    sources: list[str]
    references: list[str]
    source: SequenceStore
    target: SequenceStore


@dataclass(frozen=True)
class PartRange:
    """Which training pairs came from one part of the corpus, and its weight."""

    label: str
    first: int
    end: int
    weight: float


class PreparedData:
    """A prepared folder, opened for reading."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        refuse_ways_out(folder)
        self.manifest = _complete_manifest(folder)
        self.tokenizers = Tokenizers.load(folder)
        numbers = range(self.manifest["variants"])
        self.variants = [self._sides(f"train.{{}}.{number}") for number in numbers]
        self.parts = self._part_ranges()

    def _sides(self, name: str) -> tuple[SequenceStore, SequenceStore]:
        """The stores of both sides, `{}` in the name; DataError where they do not go together."""
        source, target = (SequenceStore.open(self.folder, name.format(side)) for side in SIDES)
        sizes = self.tokenizers.vocabulary
        if len(source) != len(target):
            raise _damaged(self.folder, f"{name.format('source')} has {len(source):,} sequences, "
                           f"{name.format('target')} has {len(target):,}")  # fmt: skip
        if source.largest() >= sizes.source_size or target.largest() >= sizes.target_size:
            raise _damaged(self.folder, f"{name.format('*')} has pieces that its tokenizer lacks")
        return source, target

    def _part_ranges(self) -> list[PartRange]:
        pairs = len(self.variants[0][0])
        try:
            parts = [PartRange(**part) for part in self.manifest["parts"]]
            ends = [0, *(end for part in parts for end in (part.first, part.end)), pairs]
            whole = ends == sorted(ends) and parts[-1].end == pairs
            whole = whole and all(0 < float(part.weight) <= 1000 for part in parts)
        except (TypeError, IndexError, ValueError) as error:
            raise _damaged(self.folder, "the parts in manifest.json") from error
        if not whole:
            raise _damaged(self.folder, "the parts in manifest.json do not cover the pairs")
        return parts

    @property
    def fingerprint(self) -> str:
        """Identifies corpus, settings and program version."""
        return str(self.manifest["fingerprint"])

    def split(self, name: str) -> Split | None:
        """The development ("dev") or test ("test") part; None where there is none."""
        if name not in self.manifest["splits"]:
            return None
        sources, references = (_lines(self.folder, f"{name}.{side}.txt") for side in SIDES)
        source, target = self._sides(f"{name}.{{}}")
        if not len(sources) == len(references) == len(source):
            raise _damaged(self.folder, f"the files of {name} have different numbers of lines")
        return Split(sources, references, source, target)


def _array(folder: Path, name: str) -> NDArray[Any]:
    """One memory-mapped array of one dimension; DataError where it is anything else."""
    path = folder / name
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, EOFError, ValueError, OverflowError) as error:
        raise _damaged(folder, f"{name}: {' '.join(str(error).split())}") from error
    if not isinstance(array, np.memmap) or array.ndim != 1:
        raise _damaged(folder, f"{name} is not what was written")
    return array


def _lines(folder: Path, name: str) -> list[str]:
    try:
        text = (folder / name).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise _damaged(folder, f"{name}: {reason}") from error
    return text.removesuffix("\n").split("\n")


def _damaged(folder: Path, what: str) -> DataError:
    return DataError(
        f"{folder}: damaged prepared data: {what}; delete the folder and run nmt prepare again"
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a prepared folder; DataError where it is missing or of another format."""
    manifest = read_json(folder / "manifest.json")
    if manifest.get("format") != FORMAT:
        raise DataError(
            f"{folder}: prepared data of format {manifest.get('format')}, this version reads "
            f"{FORMAT}: delete the folder and run nmt prepare again"
        )
    return manifest


def _complete_manifest(folder: Path) -> dict[str, Any]:
    manifest = read_manifest(folder)
    kinds: dict[str, type] = {
        "fingerprint": str, "inputs": list, "variants": int, "parts": list, "read": int,
        "train": int, "splits": dict, "held_out": int, "filters": dict, "vocabulary": list,
    }  # fmt: skip
    odd = [key for key, kind in kinds.items() if not isinstance(manifest.get(key), kind)]
    if odd or not 1 <= manifest["variants"] <= 64:
        raise _damaged(folder, f"{(odd or ['variants'])[0]} in manifest.json")
    return manifest
