"""Where downloaded corpora lie, and what a name that is not a file stands for."""

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

LIBRARIES = ("hf", "mtdata")  # what may stand before the colon of a name
HUGGINGFACE_SPLITS = {"train": "train", "dev": "validation", "test": "test"}  # ours, and Hugging Face's
PROVIDED_SPLITS = {"hf": tuple(HUGGINGFACE_SPLITS), "mtdata": ("train",)}  # what one name gives


def cache_folder() -> Path:
    """Where downloaded corpora are kept: $XDG_CACHE_HOME/nmt, by default ~/.cache/nmt."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path(os.path.expanduser("~")) / ".cache") / "nmt"


def download_folder() -> Path:
    """Where files of the catalogue are kept as they are; one may also be put there by hand."""
    return cache_folder() / "downloads"


def unpacked_folder(name: str, pair: str) -> Path:
    """Where the text of a corpus of the catalogue lies: train, dev and test by language."""
    return cache_folder() / "corpora" / name / pair


class DatasetRef(NamedTuple):
    """One text of another library's: `mtdata:ID` or `hf:DATASET[:CONFIGURATION[:SPLIT]]`."""

    library: str
    dataset: str
    configuration: str = ""
    split: str = "train"

    @property
    def name(self) -> str:
        """As it is written."""
        if self.library == "mtdata":
            return f"mtdata:{self.dataset}"
        return f"hf:{self.dataset}:{self.configuration}:{self.split}"

    def paths(self, source: str, target: str) -> tuple[Path, Path]:
        """The two files that its text is written to; in the cache, whatever the names are."""
        folder = cache_folder() / "corpora" / self.library
        for component in (f"{self.dataset}:{self.configuration}", f"{source}-{target}"):
            folder /= quote(component, safe="")
        source_name, target_name = (quote(f"{self.split}.{side}", safe="") for side in (source, target))
        return folder / source_name, folder / target_name


def parse_dataset_ref(name: str | None, split_name: str) -> DatasetRef | None:
    """What a name with a library before its colon stands for; None for any other name.

    `role` is train, dev or test and decides the split where the name has none. A Windows drive is
    no library, and a base name that begins like this is written with ./ before it.
    """
    library, colon, identifier = (name or "").partition(":")
    if not colon or not identifier or library not in LIBRARIES:
        return None
    if library == "mtdata":
        return DatasetRef(library, identifier)
    dataset, configuration, split, *_ = [*identifier.split(":"), "", ""]
    return DatasetRef(library, dataset, configuration, split or HUGGINGFACE_SPLITS[split_name])
