"""A recipe's corpus: every text of its corpus section, downloaded if necessary and located."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nmt_cli.data.concatenation import join_neighbours
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.sources.bad_rows import BadRows
from nmt_cli.data.sources.base import SPLITS, MissingTextError, ParallelText, RawPair, TextSource, cache_folder
from nmt_cli.data.sources.compression import SUFFIXES
from nmt_cli.data.sources.download import fetch_missing_files
from nmt_cli.data.sources.files import expand_user
from nmt_cli.data.sources.parse import CorpusText
from nmt_cli.errors import DataError
from nmt_cli.reporting import Reporter

LocatedTexts = dict[str, list[ParallelText]]


@dataclass(frozen=True)
class Corpus:
    """Everything that a recipe's corpus section names, located but not yet read."""

    train: list[ParallelText]
    dev: list[ParallelText]  # empty: held out from the training text
    test: list[ParallelText]
    root: Path | None = None  # the folder that relative paths start from
    provenance: tuple[dict[str, Any], ...] = ()  # where downloaded text came from

    def evaluation_texts(self) -> dict[str, list[ParallelText]]:
        """The texts of the development and test text by split, as far as there are any."""
        return {split: texts for split, texts in (("dev", self.dev), ("test", self.test)) if texts}

    def files(self) -> list[Path]:
        """Every file that is read."""
        texts = [*self.train, *self.dev, *self.test]
        return list(dict.fromkeys(file for text in texts for file in text.files))


def search_folders(recipe_folder: Path | None) -> list[Path]:
    """Where relative paths of a corpus are looked for, in this order."""
    data_folder = os.environ.get("NMT_DATA")
    folders = [recipe_folder, Path.cwd(), Path(data_folder) if data_folder else None, cache_folder()]
    return list(dict.fromkeys(folder.absolute() for folder in folders if folder is not None))


def fetch_corpus(config: CorpusConfig, folders: Sequence[Path], reporter: Reporter) -> Corpus:
    """Locate every text as `find_corpus` does, after downloading what is missing; DataError if that fails."""
    for source in _sources(config):
        source.fetch(reporter, BadRows(config.max_bad_rows))
    try:
        return find_corpus(config, folders)
    except MissingTextError:
        if config.download is None or Path(config.root).is_absolute():
            raise
    if ".." in Path(config.root).parts:
        raise DataError(f"corpus.root: {config.root}: downloads stay in their cache; no ..")
    folder = cache_folder() / config.root
    reporter.info(
        f"corpus.root: {config.root}: its files are not here; "
        f"fetching them from {config.download.address} into {folder}"
    )
    fetch_missing_files(config.download, folder, reporter)
    return find_corpus(config, folders)


def pending_downloads(config: CorpusConfig) -> list[str]:
    """Addresses and names of what `fetch_corpus` would download after `find_corpus` has failed."""
    names = _pending_sources(config)
    if not names and config.download is not None:
        names = [config.download.address + name for name in config.download.sha256]
    return names


def _pending_sources(config: CorpusConfig) -> list[str]:
    return [name for source in _sources(config) for name in source.pending_downloads()]


def _sources(config: CorpusConfig) -> list[TextSource]:
    return list(dict.fromkeys(text.source for text in config.texts()))


def find_corpus(config: CorpusConfig, folders: Sequence[Path]) -> Corpus:
    """Locate every text of a corpus without downloading any.

    The root folder is looked for in each of `folders`, and the first one that has every text is used.
    MissingTextError lists all texts that are missing in the best one. DataError if development text would have to be
    held out from joined text, whose examples share lines.
    """
    if pending := _pending_sources(config):
        raise MissingTextError(f"corpus: not on this machine yet: {', '.join(pending)}; nmt prepare downloads it")
    texts = config.texts()
    if all(text.source.is_complete for text in texts):
        located, _ = _locate(texts, Path())
        return _make_corpus(config, located, None)
    failures: list[tuple[Path, list[str]]] = []
    path = expand_user(config.root)
    for root in [path] if path.is_absolute() else [(folder / path).resolve() for folder in folders]:
        located, missing = _locate(texts, root)
        if not missing:
            return _make_corpus(config, located, root)
        failures.append((root, missing))
    _, best_missing = min(failures, key=lambda failure: len(failure[1]))
    searched = ", ".join(str(root) for root, _ in failures)
    raise MissingTextError("; ".join(best_missing) + f" (looked in {searched}; also for {', '.join(SUFFIXES[1:])})")


def _locate(texts: list[CorpusText], root: Path) -> tuple[LocatedTexts, list[str]]:
    """The located texts of each split, and a message for each text that is missing."""
    located: LocatedTexts = {split: [] for split in SPLITS}
    missing = []
    for split, source, weight, tag in texts:
        try:
            located[split].append(replace(source.locate(split, root), weight=weight, tag=tag))
        except MissingTextError as error:
            missing.append(f"corpus.{split}: {error}")
    return located, missing


def _make_corpus(config: CorpusConfig, located: LocatedTexts, root: Path | None) -> Corpus:
    if config.concatenate > 1 and not located["dev"]:
        raise DataError(
            "corpus.concatenate: needs corpus.dev: pairs held out from joined text would share lines with training text"
        )
    train, dev, test = (
        [_with_examples(text, config) for text in _with_distinct_labels(located[split])] for split in SPLITS
    )
    provenance = tuple(record for source in _sources(config) for record in source.provenance())
    return Corpus(train, dev, test, root, provenance)


def _with_distinct_labels(texts: list[ParallelText]) -> list[ParallelText]:
    """The texts, those of the same label with their tag, and a number where that is the same, too."""
    counts = Counter(text.label for text in texts)
    labels = [f"{text.label} {text.tag}" if text.tag and counts[text.label] > 1 else text.label for text in texts]
    earlier = [labels[:index].count(label) for index, label in enumerate(labels)]
    return [
        replace(text, label=f"{label} ({count + 1})" if count else label)
        for text, label, count in zip(texts, labels, earlier, strict=True)
    ]


def _with_examples(text: ParallelText, config: CorpusConfig) -> ParallelText:
    """The text whose pairs are examples: joined with their neighbours, then with a tag before each source."""
    tag = text.tag

    def read(bad_rows: BadRows) -> Iterator[RawPair]:
        pairs = text.read(bad_rows)
        if config.concatenate > 1:
            pairs = join_neighbours(pairs, config.concatenate, config.seed, config.normalization)
        return pairs if tag is None else (_tagged(pair, tag.encode()) for pair in pairs)

    return text if config.concatenate == 1 and tag is None else replace(text, read=read)


def _tagged(pair: RawPair, tag: bytes) -> RawPair:
    """The pair with the tag before its source, unless its file has it there already."""
    has_tag = pair.source.lstrip().split(maxsplit=1)[:1] == [tag]
    return pair if has_tag else pair._replace(source=tag + b" " + pair.source)
