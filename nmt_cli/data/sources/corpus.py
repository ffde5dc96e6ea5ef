"""Where parallel text comes from: files, by name or by path, or the corpus shipped with the package."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nmt_cli.data.concatenation import join_neighbours
from nmt_cli.data.config import CorpusConfig, ParallelTextConfig
from nmt_cli.data.sources.cache_paths import PROVIDED_SPLITS, DatasetRef, parse_dataset_ref, unpacked_folder
from nmt_cli.data.sources.catalogue import SPLIT_NAMES, CorpusSelection, select_corpus
from nmt_cli.data.sources.files import RawPair, find_file, read_jsonl, read_tsv, read_two_files
from nmt_cli.data.sources.provenance import catalogue_provenance, dataset_provenance, is_fetched, is_unpacked
from nmt_cli.data.sources.quickstart import QUICKSTART_FILE, read_quickstart
from nmt_cli.errors import DataError


@dataclass(frozen=True)
class ParallelText:
    """A part that was found: its files, and how to read it."""

    label: str
    files: tuple[Path, ...]
    read: Callable[[], Iterator[RawPair]]
    weight: float = 1.0


@dataclass(frozen=True)
class Corpus:
    """Everything that a recipe's corpus section names, found but not yet read."""

    train: list[ParallelText]
    dev: ParallelText | None
    test: ParallelText | None
    root: Path | None = None  # the folder that relative names were found in
    provenance: tuple[dict[str, Any], ...] = ()  # where the text of corpora by name came from

    def files(self) -> list[Path]:
        """Every file that is read."""
        texts = [*self.train, *(text for text in (self.dev, self.test) if text is not None)]
        return list(dict.fromkeys(file for text in texts for file in text.files))


def find_corpus(config: CorpusConfig, folders: Sequence[Path]) -> Corpus:
    """Locate every file; DataError lists all that are missing and where they were looked for.

    DataError, too, where development text would have to be held out from joined text, whose
    examples share lines. `folders` are the places for relative paths, first one first.
    """
    if config.name == "quickstart":
        return _quickstart_corpus(config)
    if (selection := catalogue_selection(config)) is not None:
        return _catalogue_corpus(config, unpacked_folder(selection.corpus, selection.pair))
    configured = _configured_texts(config)
    failed_roots = []
    for root in _candidate_roots(config.root, folders):
        located = [(role, _locate_text(role, text, config, root)) for role, text in configured]
        missing = [f"corpus.{role}: {text}" for role, text in located if isinstance(text, str)]
        if not missing:
            texts = [(role, text) for role, text in located if isinstance(text, ParallelText)]
            eval_texts = {role: text for role, text in texts if role != "train"}
            if config.join > 1 and "dev" not in eval_texts:
                raise DataError(
                    "corpus.join: needs corpus.dev, since pairs held out from joined text share lines with it"
                )
            train_texts = [text for role, text in texts if role == "train"]
            provenance = tuple(dataset_provenance(ref, config.source, config.target) for ref in dataset_refs(config))
            return Corpus(train_texts, eval_texts.get("dev"), eval_texts.get("test"), root, provenance)
        failed_roots.append((root, missing))
    best_root = min(failed_roots, key=lambda root_and_missing: len(root_and_missing[1]))
    searched_roots = ", ".join(str(root) for root, _ in failed_roots)
    raise DataError("; ".join(best_root[1]) + f" (looked in {searched_roots})")


def catalogue_selection(config: CorpusConfig) -> CorpusSelection | None:
    """The corpus of the catalogue that is named, or None."""
    if config.name in (None, "quickstart") or parse_dataset_ref(config.name, "train") is not None:
        return None
    return select_corpus(str(config.name), config.source, config.target)


def dataset_refs(config: CorpusConfig) -> list[DatasetRef]:
    """Every text that another library is to fetch."""
    if catalogue_selection(config) is not None or config.name == "quickstart":
        return []
    refs = [parse_dataset_ref(text_config.name, role) for role, text_config in _configured_texts(config)]
    return list(dict.fromkeys(ref for ref in refs if ref is not None))


def missing_downloads(config: CorpusConfig) -> list[str]:
    """Addresses and names of what a recipe names and nobody has fetched yet."""
    selection = catalogue_selection(config)
    if selection is not None:
        is_available = is_unpacked(unpacked_folder(selection.corpus, selection.pair))
        return [] if is_available else [file.address for file in selection.files().values()]
    refs = dataset_refs(config)
    return [ref.name for ref in refs if not is_fetched(ref, config.source, config.target)]


def _configured_texts(config: CorpusConfig) -> list[tuple[str, ParallelTextConfig]]:
    """Every part, with train, dev or test before it."""
    values_by_role: dict[str, Any] = {role: getattr(config, role) for role in ("train", "dev", "test")}
    if (dataset_ref := parse_dataset_ref(config.name, "train")) is not None:
        for role in PROVIDED_SPLITS[dataset_ref.library]:
            values_by_role[role] = config.name if role == "train" else values_by_role[role] or config.name
    text_configs = []
    for role, value in values_by_role.items():
        values = value if isinstance(value, tuple) else () if value is None else (value,)
        text_configs += [(role, ParallelTextConfig(name=item) if isinstance(item, str) else item) for item in values]
    return text_configs


def _catalogue_corpus(config: CorpusConfig, folder: Path) -> Corpus:
    """The corpus of the catalogue that was unpacked into a folder; DataError where none was."""
    if not is_unpacked(folder):
        name = f"{config.name} {config.source} {config.target}"
        raise DataError(f"corpus.name: {name} is not in {folder}; nmt corpora fetch {name} gets it")
    texts = [_locate_text(role, ParallelTextConfig(name=role), config, folder) for role in SPLIT_NAMES]
    for text in texts:
        if isinstance(text, str):
            raise DataError(f"corpus.name: {folder} is damaged: {text}; delete it")
    train, dev, test = (text for text in texts if isinstance(text, ParallelText))
    return Corpus([train], dev, test, provenance=tuple(catalogue_provenance(folder)))


def search_folders(recipe_folder: Path | None, download_cache: Path | None = None) -> list[Path]:
    """Where relative paths of a corpus are looked for, in order."""
    data_folder = os.environ.get("NMT_DATA")
    folders = [recipe_folder, Path.cwd(), Path(data_folder) if data_folder else None, download_cache]
    return list(dict.fromkeys(folder.absolute() for folder in folders if folder is not None))


def _candidate_roots(root: str, folders: Sequence[Path]) -> list[Path]:
    path = _expand_user(root)
    return [path] if path.is_absolute() else [(folder / path).resolve() for folder in folders]


def _expand_user(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise DataError(f"corpus: {name}: there is no such user") from error


def _locate_text(role: str, text_config: ParallelTextConfig, config: CorpusConfig, root: Path) -> ParallelText | str:
    """The part with its files under `root`, or what is missing."""
    dataset_ref = parse_dataset_ref(text_config.name, role)
    if dataset_ref is not None:
        if not is_fetched(dataset_ref, config.source, config.target):
            return f"{dataset_ref.name} is not here yet; nmt prepare fetches it"
        cached_paths = dataset_ref.paths(config.source, config.target)
        return ParallelText(
            dataset_ref.name, cached_paths, _reader(text_config, config, cached_paths), text_config.weight
        )
    if text_config.name is not None:
        file_names = [f"{text_config.name}.{config.source}", f"{text_config.name}.{config.target}"]
    else:
        configured_names = [text_config.source, text_config.target, text_config.tsv, text_config.jsonl]
        file_names = [side for side in configured_names if side is not None]
    paths = [find_file(root / _expand_user(name)) for name in file_names]
    files = tuple(path for path in paths if path is not None)
    if len(files) == len(file_names):
        return ParallelText(file_names[0], files, _reader(text_config, config, files), text_config.weight)
    missing = [name for name, path in zip(file_names, paths, strict=True) if path is None]
    return "no file " + " and ".join(missing) + " (nor .gz, .zst)"


def _reader(
    text_config: ParallelTextConfig, config: CorpusConfig, files: tuple[Path, ...]
) -> Callable[[], Iterator[RawPair]]:
    read_pairs = _pair_reader(text_config, config, files)
    return lambda: join_neighbours(read_pairs(), config.join, config.seed)


def _pair_reader(
    text_config: ParallelTextConfig, config: CorpusConfig, files: tuple[Path, ...]
) -> Callable[[], Iterator[RawPair]]:
    if text_config.tsv is not None:
        return lambda: read_tsv(files[0])
    if text_config.jsonl is not None:
        return lambda: read_jsonl(files[0], config.source, config.target)
    return lambda: read_two_files(files[0], files[1])


def _quickstart_corpus(config: CorpusConfig) -> Corpus:
    """The corpus shipped with the package."""

    def parallel_text(split: str) -> ParallelText:
        join_pairs = partial(join_neighbours, max_pairs=config.join, seed=config.seed)
        return ParallelText(f"quickstart {split}", (QUICKSTART_FILE,), lambda: join_pairs(read_quickstart(split)))

    return Corpus([parallel_text("train")], parallel_text("dev"), parallel_text("test"))
