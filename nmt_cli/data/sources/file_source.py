"""Text in files: what an entry of a recipe's corpus says about them, and how they are read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from nmt_cli.config import Section
from nmt_cli.data.sources.bad_rows import BadRows
from nmt_cli.data.sources.base import Languages, MissingTextError, ParallelText, RawPair, TextSource
from nmt_cli.data.sources.compression import text_members
from nmt_cli.data.sources.files import NO_SUCH_FILE, expand_user, find_file, read_lines
from nmt_cli.data.sources.rows import pair_lines, read_jsonl, read_tsv
from nmt_cli.data.sources.tmx import read_tmx
from nmt_cli.errors import DataError

FORMATS = ("tsv", "jsonl", "tmx")
KEY_FORMATS = {"columns": ("tsv", "jsonl"), "header": ("tsv",), "quotes": ("tsv",), "inline": ("tmx",)}
LATER_KEYS = ("tmx", *KEY_FORMATS)  # added later, left out of what is written where they say nothing


class ParallelTextConfig(Section):
    """One parallel corpus: a name, two files, or one file with both sides, each also compressed."""

    name: str | None = None
    """Base name: the files <root>/<name>.<source> and <root>/<name>.<target>, or an archive <root>/<name>.zip that
    holds two files with these endings. Any file may be compressed: .gz, .zst, .xz, .bz2, .zip."""
    source: str | None = None
    """File of the source side."""
    target: str | None = None
    """File of the target side."""
    tsv: str | None = None
    """File with source<TAB>target on each line."""
    jsonl: str | None = None
    """File with an object on each line, its keys the two languages or "source" and "target"."""
    tmx: str | None = None
    """Translation memory; en-GB in it serves for en."""
    columns: tuple[int | str, int | str] | None = None
    """Columns of source and target: numbers from 1 or names in the header of a tsv; keys of jsonl, with a dot between
    nested ones. null: a row of a tsv must have two columns."""
    header: bool | None = None
    """Whether the first line of a tsv names its columns; null: if it looks like that."""
    quotes: bool = False
    """Whether cells of a tsv may be in double quotes, as spreadsheets write them."""
    inline: Literal["drop", "keep"] = "drop"
    """What becomes of the codes inside segments of a tmx (of bpt, ept, it, ph, ut)."""
    weight: float = Field(default=1.0, gt=0, le=1000)
    """How often each pair is seen in an epoch; the fraction is drawn by training.seed."""

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        said_keys = self.non_default(*LATER_KEYS)
        return {key: value for key, value in values.items() if key not in LATER_KEYS or key in said_keys}

    def errors(self) -> list[str]:
        """An entry must say in exactly one way where its text is, and only how to read what it names."""
        file_pair = [self.source, self.target]
        if any(file_pair) != all(file_pair):
            return ["source and target go together"]
        formats = [name for name in FORMATS if getattr(self, name) is not None]
        if sum((self.name is not None, any(file_pair), len(formats))) != 1:
            return [f"needs exactly one of name, source + target, {', '.join(FORMATS)}"]
        messages = [
            f"{key}: only for {' and '.join(KEY_FORMATS[key])}"
            for key in self.non_default(*KEY_FORMATS)
            if not set(formats) & set(KEY_FORMATS[key])
        ]
        columns = self.columns or ()
        if self.jsonl is not None and any(isinstance(column, int) for column in columns):
            messages.append("columns: the keys of jsonl are text")
        if len({type(column) for column in columns}) > 1 or any(isinstance(c, int) and c < 1 for c in columns):
            messages.append("columns: needs two numbers from 1, or two names")
        return messages


@dataclass(frozen=True)
class FileSource(TextSource):
    """Text in files, under their plain names or compressed."""

    config: ParallelTextConfig
    languages: Languages

    def locate(self, split: str, root: Path) -> ParallelText:
        """The files, labelled by the name of the first; for a base name, two files or an archive of both."""
        names = self._file_names()
        paths = [find_file(root / expand_user(name)) for name in names]
        missing = [name for name, path in zip(names, paths, strict=True) if path is None]
        if missing and self.config.name is not None:
            archive = find_file(root / expand_user(self.config.name))
            if archive is not None:
                return self._locate_in_archive(archive)
        if missing:
            raise MissingTextError(f"no file {' and '.join(missing)} ({NO_SUCH_FILE})")
        files = tuple(path for path in paths if path is not None)
        return ParallelText(names[0], files, lambda bad_rows: self._read(files, bad_rows))

    def _locate_in_archive(self, archive: Path) -> ParallelText:
        names = text_members(archive)
        source, target = (_member_in(names, language, archive) for language in self.languages)
        labels = f"{archive}/{source}", f"{archive}/{target}"
        return ParallelText(
            str(self.config.name),
            (archive,),
            lambda _: pair_lines(read_lines(archive, source), read_lines(archive, target), labels),
        )

    def _file_names(self) -> list[str]:
        config = self.config
        if config.name is not None:
            return [f"{config.name}.{language}" for language in self.languages]
        names = (config.source, config.target, config.tsv, config.jsonl, config.tmx)
        return [name for name in names if name is not None]

    def _read(self, files: tuple[Path, ...], bad_rows: BadRows) -> Iterator[RawPair]:
        config, languages = self.config, self.languages
        if config.tsv is not None:
            return read_tsv(
                files[0], bad_rows, languages, columns=config.columns, header=config.header, quotes=config.quotes
            )
        if config.jsonl is not None:
            return read_jsonl(files[0], bad_rows, languages, columns=config.columns)
        if config.tmx is not None:
            return read_tmx(files[0], bad_rows, languages, keep_inline=config.inline == "keep")
        return pair_lines(read_lines(files[0]), read_lines(files[1]), (files[0], files[1]))


def _member_in(names: list[str], language: str, archive: Path) -> str:
    """The text of an archive whose name ends like this language; DataError if there is not exactly one."""
    code = language.lower().replace("_", "-")
    endings = {name: name.rpartition(".")[2].lower().replace("_", "-") for name in names}
    for matching in (
        [name for name in names if endings[name] == code],
        [name for name in names if endings[name].startswith(f"{code}-")],
    ):
        if len(matching) == 1:
            return matching[0]
        if matching:
            raise DataError(f"{archive}: has several texts in {language}: {', '.join(matching[:5])}; unpack one")
    raise DataError(f"{archive}: has no text that ends with .{language}; it has {', '.join(names[:5]) or 'none'}")
