"""What the names in the corpus section of a recipe stand for; no other module interprets them.

`corpus.name` is quickstart, a corpus of the catalogue, or a dataset of a library. `train`, `dev`, `test` and the
entries of a list are base names of files, datasets, or mappings that name files. A dataset is written `mtdata:ID` or
`hf:DATASET[:CONFIGURATION[:SPLIT]]`; a base name that begins like this is written with ./ before it.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from nmt_cli.data.sources.base import SPLITS, Languages, TextSource
from nmt_cli.data.sources.catalogue_corpus import find_catalogue_corpus
from nmt_cli.data.sources.config import ParallelTextConfig
from nmt_cli.data.sources.file_source import FileSource
from nmt_cli.data.sources.hub import HuggingFaceDataset, LibraryDataset, MtdataDataset
from nmt_cli.data.sources.quickstart import QuickstartCorpus

SEPARATOR = re.compile(r"(?<!^[A-Za-z]):|:(?![\\/])")  # a colon, but not that of C:\data
HUGGINGFACE_SPLITS = {"train": "train", "dev": "validation", "test": "test"}  # our names and theirs
TextValue = str | ParallelTextConfig | tuple[str | ParallelTextConfig, ...] | None


class CorpusText(NamedTuple):
    """One text of a corpus: the split it belongs to, where it comes from, its weight and its tag."""

    split: str
    source: TextSource
    weight: float = 1.0
    tag: str | None = None


def parse_corpus(name: str | None, values: Mapping[str, TextValue], languages: Languages) -> list[CorpusText]:
    """The texts of a corpus section, by its name and the values of train, dev and test.

    A complete corpus ignores the values. Of a dataset, only the value for train is ignored. DataError if there is no
    corpus of this name, or none in these languages.
    """
    values = dict(values)
    if name is not None:
        corpus = parse_corpus_name(name, languages)
        if corpus.is_complete:
            return [CorpusText(split, corpus) for split in corpus.splits]
        values |= {split: name for split in corpus.splits if split == "train" or not values[split]}
    texts = []
    for split in SPLITS:
        value = values[split]
        for item in value if isinstance(value, tuple) else [] if value is None else [value]:
            config = ParallelTextConfig(name=item) if isinstance(item, str) else item
            source = parse_dataset(config.name, split, languages) or FileSource(config, languages)
            texts.append(CorpusText(split, source, config.weight, config.tag))
    return texts


def parse_corpus_name(name: str, languages: Languages) -> TextSource:
    """The source that corpus.name stands for; DataError if there is none."""
    if name == "quickstart":
        return QuickstartCorpus()
    return parse_dataset(name, "train", languages) or find_catalogue_corpus(name, languages)


def parse_dataset(name: str | None, split: str, languages: Languages) -> LibraryDataset | None:
    """The dataset that a name stands for, or None; `split` is used if the name does not say which split it means."""
    library, _, identifier = (name or "").partition(":")
    if library == "mtdata" and identifier:
        return MtdataDataset(identifier, languages)
    if library == "hf" and identifier:
        dataset, configuration, split_name, *_ = [*SEPARATOR.split(identifier), "", ""]
        return HuggingFaceDataset(dataset, languages, configuration, split_name or HUGGINGFACE_SPLITS[split])
    return None
