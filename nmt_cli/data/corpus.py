"""Where parallel text comes from: files, by name or by path, or a corpus made in this package."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt_cli.data.corpora.catalogue import ROLES, Selection, select
from nmt_cli.data.corpora.places import FILLED, Reference, parse_reference, unpacked_folder
from nmt_cli.data.corpora.records import fetched, fetched_text, is_here, is_unpacked
from nmt_cli.data.corpus_settings import CorpusConfig, Part
from nmt_cli.data.files import RawPair, existing, read_jsonl, read_tsv, read_two_files
from nmt_cli.data.joining import join_neighbours
from nmt_cli.errors import DataError

if TYPE_CHECKING:
    from nmt_cli.data import quickstart


@dataclass(frozen=True)
class TextPart:
    """A part that was found: its files, and how to read it."""

    label: str
    files: tuple[Path, ...]
    read: Callable[[], Iterator[RawPair]]
    weight: float = 1.0


@dataclass(frozen=True)
class Corpus:
    """Everything that a recipe's corpus section names, found but not yet read."""

    train: list[TextPart]
    dev: TextPart | None
    test: TextPart | None
    root: Path | None = None  # the folder that relative names were found in
    fetched: tuple[dict[str, Any], ...] = ()  # where the text of corpora by name came from

    def files(self) -> list[Path]:
        """Every file that is read."""
        parts = [*self.train, *(part for part in (self.dev, self.test) if part is not None)]
        return list(dict.fromkeys(file for part in parts for file in part.files))


def find_corpus(config: CorpusConfig, folders: Sequence[Path]) -> Corpus:
    """Locate every file; DataError lists all that are missing and where they were looked for.

    DataError, too, where development text would have to be held out from joined text, whose
    examples share lines. `folders` are the places for relative paths, first one first.
    """
    if config.name == "quickstart":
        return _embedded(config)
    if (selection := selected(config)) is not None:
        return _unpacked(config, unpacked_folder(selection.name, selection.pair))
    named = _named(config)
    misses = []
    for root in _roots(config.root, folders):
        found = [(key, _locate(key, part, config, root)) for key, part in named]
        missing = [f"corpus.{key}: {part}" for key, part in found if isinstance(part, str)]
        if not missing:
            parts = [(key, part) for key, part in found if isinstance(part, TextPart)]
            one = {key: part for key, part in parts if key != "train"}
            if config.join > 1 and "dev" not in one:
                raise DataError(
                    "corpus.join: needs corpus.dev, since pairs held out from joined text share "
                    "lines with it"
                )
            train_parts = [part for key, part in parts if key == "train"]
            sources = tuple(
                fetched_text(one, config.source, config.target) for one in references(config)
            )
            return Corpus(train_parts, one.get("dev"), one.get("test"), root, sources)
        misses.append((root, missing))
    nearest = min(misses, key=lambda miss: len(miss[1]))
    places = ", ".join(str(root) for root, _ in misses)
    raise DataError("; ".join(nearest[1]) + f" (looked in {places})")


def selected(config: CorpusConfig) -> Selection | None:
    """The corpus of the catalogue that is named, or None."""
    if config.name in (None, "quickstart") or parse_reference(config.name, "train") is not None:
        return None
    return select(str(config.name), config.source, config.target)


def references(config: CorpusConfig) -> list[Reference]:
    """Every text that another library is to fetch."""
    if selected(config) is not None or config.name == "quickstart":
        return []
    found = [parse_reference(part.name, key) for key, part in _named(config)]
    return list(dict.fromkeys(one for one in found if one is not None))


def unfetched(config: CorpusConfig) -> list[str]:
    """Addresses and names of what a recipe names and nobody has fetched yet."""
    selection = selected(config)
    if selection is not None:
        here = is_unpacked(unpacked_folder(selection.name, selection.pair))
        return [] if here else [one.address for one in selection.files().values()]
    texts = references(config)
    return [one.name for one in texts if not is_here(one, config.source, config.target)]


def _named(config: CorpusConfig) -> list[tuple[str, Part]]:
    """Every part, with train, dev or test before it."""
    given: dict[str, Any] = {key: getattr(config, key) for key in ("train", "dev", "test")}
    if (reference := parse_reference(config.name, "train")) is not None:
        for key in FILLED[reference.library]:
            given[key] = config.name if key == "train" else given[key] or config.name
    parts = []
    for key, value in given.items():
        values = value if isinstance(value, tuple) else () if value is None else (value,)
        parts += [(key, Part(name=one) if isinstance(one, str) else one) for one in values]
    return parts


def _unpacked(config: CorpusConfig, folder: Path) -> Corpus:
    """The corpus of the catalogue that was unpacked into a folder; DataError where none was."""
    if not is_unpacked(folder):
        name = f"{config.name} {config.source} {config.target}"
        raise DataError(f"corpus.name: {name} is not in {folder}; nmt corpora fetch {name} gets it")
    parts = [_locate(key, Part(name=key), config, folder) for key in ROLES]
    for part in parts:
        if isinstance(part, str):
            raise DataError(f"corpus.name: {folder} is damaged: {part}; delete it")
    train, dev, test = (part for part in parts if isinstance(part, TextPart))
    return Corpus([train], dev, test, fetched=tuple(fetched(folder)))


def search_folders(recipe_folder: Path | None, download_cache: Path | None = None) -> list[Path]:
    """Where relative paths of a corpus are looked for, in order."""
    data = os.environ.get("NMT_DATA")
    places = [recipe_folder, Path.cwd(), Path(data) if data else None, download_cache]
    return list(dict.fromkeys(place.absolute() for place in places if place is not None))


def _roots(root: str, folders: Sequence[Path]) -> list[Path]:
    path = _expanded(root)
    return [path] if path.is_absolute() else [(folder / path).resolve() for folder in folders]


def _expanded(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise DataError(f"corpus: {name}: there is no such user") from error


def _locate(role: str, part: Part, config: CorpusConfig, root: Path) -> TextPart | str:
    """The part with its files under `root`, or what is missing."""
    reference = parse_reference(part.name, role)
    if reference is not None:
        if not is_here(reference, config.source, config.target):
            return f"{reference.name} is not here yet; nmt prepare fetches it"
        both = reference.paths(config.source, config.target)
        return TextPart(reference.name, both, _reader(part, config, both), part.weight)
    if part.name is not None:
        wanted = [f"{part.name}.{config.source}", f"{part.name}.{config.target}"]
    else:
        sides = [part.source, part.target, part.tsv, part.jsonl]
        wanted = [side for side in sides if side is not None]
    paths = [existing(root / _expanded(name)) for name in wanted]
    files = tuple(path for path in paths if path is not None)
    if len(files) == len(wanted):
        return TextPart(wanted[0], files, _reader(part, config, files), part.weight)
    absent = [name for name, path in zip(wanted, paths, strict=True) if path is None]
    return "no file " + " and ".join(absent) + " (nor .gz, .zst)"


def _reader(
    part: Part, config: CorpusConfig, files: tuple[Path, ...]
) -> Callable[[], Iterator[RawPair]]:
    single = _pair_reader(part, config, files)
    return lambda: join_neighbours(single(), config.join, config.seed)


def _pair_reader(
    part: Part, config: CorpusConfig, files: tuple[Path, ...]
) -> Callable[[], Iterator[RawPair]]:
    if part.tsv is not None:
        return lambda: read_tsv(files[0])
    if part.jsonl is not None:
        return lambda: read_jsonl(files[0], config.source, config.target)
    return lambda: read_two_files(files[0], files[1])


@cache
def _quickstart() -> "quickstart.Corpus":
    from nmt_cli.data import quickstart  # its word tables take time that other recipes need not pay

    return quickstart.corpus()


def _embedded(config: CorpusConfig) -> Corpus:
    """The quickstart corpus, made by its grammar when it is read; its files are the grammar's."""
    grammar = tuple(sorted((Path(__file__).parent / "quickstart").glob("*.py")))

    def part(name: str) -> TextPart:
        def read() -> Iterator[RawPair]:
            for line, pair in enumerate(getattr(_quickstart(), name), 1):
                yield RawPair(pair.source.encode(), pair.target.encode(), line)

        joined = partial(join_neighbours, most=config.join, seed=config.seed)
        return TextPart(f"quickstart {name}", grammar, lambda: joined(read()))

    return Corpus([part("train")], part("dev"), part("test"))
