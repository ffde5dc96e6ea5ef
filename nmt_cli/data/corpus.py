"""Where parallel text comes from: files, by name or by path, or a corpus made in this package."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from nmt_cli.config import Section
from nmt_cli.data.corpora.catalogue import ROLES, Selection, select
from nmt_cli.data.corpora.places import FILLED, Reference, parse_reference, unpacked_folder
from nmt_cli.data.corpora.records import fetched, fetched_text, is_here, is_unpacked
from nmt_cli.data.files import RawPair, existing, read_jsonl, read_tsv, read_two_files
from nmt_cli.data.joining import join_neighbours
from nmt_cli.errors import DataError

if TYPE_CHECKING:
    from nmt_cli.data import quickstart


class Part(Section):
    """One parallel corpus: a name, two files, or one file with both sides."""

    name: str | None = None
    """Base name: the files <root>/<name>.<source> and <root>/<name>.<target> (.gz, .zst)."""
    source: str | None = None
    """File of the source side."""
    target: str | None = None
    """File of the target side."""
    tsv: str | None = None
    """File with source<TAB>target on each line."""
    jsonl: str | None = None
    """File with an object on each line, its keys the two languages or "source" and "target"."""
    weight: float = Field(default=1.0, gt=0, le=1000)
    """How often each pair is seen in an epoch; the fraction is drawn by training.seed."""

    def problems(self) -> list[str]:
        """A part must say where its text is, in exactly one way."""
        two = [self.source, self.target]
        if any(two) != all(two):
            return ["source and target go together"]
        ways = sum((self.name is not None, any(two), self.tsv is not None, self.jsonl is not None))
        if ways != 1:
            return ["needs exactly one of name, source + target, tsv, jsonl"]
        return []


class Download(Section):
    """Where the corpus can be had."""

    address: str
    """Address of the folder that holds the files, with a slash at its end."""
    sha256: dict[str, str]
    """File name to the SHA-256 of its decompressed content."""
    licence: str = ""
    """The terms under which the data may be used."""


class CorpusConfig(Section):
    """The corpus section of a recipe."""

    name: str | None = None
    """A corpus by its name instead of files: quickstart, which is made here; one of `nmt corpora`,
    fetched where it is not there; or hf:DATASET[:CONFIGURATION], whose splits are train, validation
    and test. mtdata:ID and hf:DATASET[:CONFIGURATION[:SPLIT]] also stand for a base name below."""
    root: str = "."
    """Folder of the files: absolute, or looked for beside the recipe, in the current folder, under
    $NMT_DATA, and in the download cache."""
    source: str
    """Source language code, which is also the ending of the source files."""
    target: str
    """Target language code, which is also the ending of the target files."""
    train: str | tuple[Part, ...] = "train"
    """Training text: a base name, or a list of parts with weights."""
    dev: str | Part | None = None
    """Development text; null: held out from the training text (1 %, at most 2,000 pairs)."""
    test: str | Part | None = None
    """Test text, scored at the end of training."""
    download: Download | None = None
    """Where to get the files when they are not there."""
    join: int = Field(default=1, ge=1, le=100)
    """Make of each pair an example of 1 to so many neighbouring pairs, how many by corpus.seed; in
    training, development and test text alike. For translation of more than a sentence."""
    normalization: Literal["nfc", "none"] = "nfc"
    """Unicode normalisation of all text."""
    deduplicate: bool = True
    """Drop a training pair that is exactly like an earlier one."""
    max_length: int | None = Field(default=250, ge=1)
    """Drop training pairs with more pieces than this on either side; null: no limit."""
    max_length_ratio: float | None = Field(default=9.0, ge=1)
    """Drop training pairs whose longer side has more than so many times the characters of the
    shorter one (plus 10); null: no limit."""
    seed: int = Field(default=1, ge=0, lt=1 << 63)
    """Decides which pairs are held out and joined; training.seed draws the fractions of weights."""

    def problems(self) -> list[str]:
        """Options that do not fit together."""
        found = []
        for number, part in enumerate(self.train if isinstance(self.train, tuple) else ()):
            found += [f"train[{number}]: {text}" for text in part.problems()]
        for key, other in (("dev", self.dev), ("test", self.test)):
            if isinstance(other, Part):
                found += [f"{key}: {text}" for text in other.problems()]
        if self.train == ():
            found.append("train: the list is empty")
        if self.name not in (None, "quickstart") and parse_reference(self.name, "train") is None:
            try:
                select(str(self.name), self.source, self.target)
            except DataError as error:
                found.append(f"name: {error}")
        return found

    def doubts(self) -> list[str]:
        """See `Section.doubts`."""
        if self.name is None:
            return []
        whole = parse_reference(self.name, "train") is None  # else dev and test may be files
        keys = self.changed(
            *(("root", "train", "dev", "test", "download") if whole else ("train",))
        )
        return [f"{key}: does nothing with name: {self.name}" for key in keys]


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

    `folders` are the places for relative paths, first one first.
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
