"""Prepared data on disk: memory-mapped ids, raw development and test text, and a manifest."""

import hashlib
import json
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
from nmt_cli.errors import DataError
from nmt_cli.vocabulary import Vocabulary

FORMAT = 1
Ids = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class SequenceStore:
    """Many id sequences in one memory-mapped array: sequence i is ids[offsets[i]:offsets[i+1]]."""

    ids: Ids
    offsets: NDArray[np.int64]

    @classmethod
    def open(cls, folder: Path, name: str) -> "SequenceStore":
        """Map the arrays <name>.ids.npy and <name>.offsets.npy."""
        try:
            parts = [
                np.load(folder / f"{name}.{kind}.npy", mmap_mode="r", allow_pickle=False)
                for kind in ("ids", "offsets")
            ]
        except (OSError, EOFError, ValueError) as error:
            raise DataError(f"{folder}: damaged prepared data: {error}") from error
        return cls(parts[0], parts[1])

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
        self.manifest = read_manifest(folder)
        self.tokenizers = Tokenizers.load(folder)
        self.variants = [
            (
                SequenceStore.open(folder, f"train.source.{number}"),
                SequenceStore.open(folder, f"train.target.{number}"),
            )
            for number in range(self.manifest["variants"])
        ]
        self.parts = [PartRange(**part) for part in self.manifest["parts"]]

    @property
    def fingerprint(self) -> str:
        """Identifies corpus, settings and program version."""
        return str(self.manifest["fingerprint"])

    def split(self, name: str) -> Split | None:
        """The development ("dev") or test ("test") part; None where there is none."""
        if name not in self.manifest["splits"]:
            return None
        texts = [
            (self.folder / f"{name}.{side}.txt").read_bytes().decode()
            for side in ("source", "target")
        ]
        sources, references = (text.removesuffix("\n").split("\n") for text in texts)
        stores = [
            SequenceStore.open(self.folder, f"{name}.{side}") for side in ("source", "target")
        ]
        return Split(sources, references, stores[0], stores[1])


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a prepared folder; DataError where it is missing or of another format."""
    path = folder / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a prepared folder: {error}") from error
    if manifest.get("format") != FORMAT:
        raise DataError(
            f"{folder}: prepared data of format {manifest.get('format')}, this version reads "
            f"{FORMAT}: delete the folder and run nmt prepare again"
        )
    return manifest
