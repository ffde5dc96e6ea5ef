"""Text in files, as an entry of a recipe's corpus names them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nmt_cli.data.language_codes import normal_code
from nmt_cli.data.sources.bad_rows import BadRows
from nmt_cli.data.sources.base import Languages, MissingTextError, ParallelText, RawPair, TextSource
from nmt_cli.data.sources.compression import SUFFIXES, compression, text_members
from nmt_cli.data.sources.config import FORMATS, ParallelTextConfig
from nmt_cli.data.sources.files import expand_user, find_file, read_lines
from nmt_cli.data.sources.rows import pair_lines, read_jsonl, read_tsv, read_two_files
from nmt_cli.data.sources.tmx import read_tmx
from nmt_cli.errors import DataError


@dataclass(frozen=True)
class FileSource(TextSource):
    """Text in files, under their plain names or compressed."""

    config: ParallelTextConfig
    languages: Languages

    def locate(self, split: str, root: Path) -> ParallelText:
        """The files, labelled by the name of the first; for a base name, two files or an archive of both."""
        names = self._file_names()
        files, missing = _find_files(root, names)
        if missing and self.config.name is not None:
            archive = find_file(root / expand_user(self.config.name))
            if archive is not None:
                if compression(archive) != ".zip":
                    raise DataError(self._entry_advice(self.config.name))
                return self._locate_in_archive(archive, root)
        if missing:
            raise MissingTextError(f"no file {' and '.join(missing)}")
        return self._parallel_text(names[0], files, root, lambda bad_rows: self._read(files, bad_rows))

    def _parallel_text(
        self, label: str, files: tuple[Path, ...], root: Path, read: Callable[[BadRows], Iterator[RawPair]]
    ) -> ParallelText:
        """The text that `read` reads, cut by its scores; MissingTextError if a file of scores is missing."""
        config = self.config
        if config.scores is None:
            return ParallelText(label, files, read)
        from nmt_cli.data.sources.scores import ScoreCut  # needs NumPy

        names = [config.scores] if isinstance(config.scores, str) else [*config.scores]
        paths, missing = _find_files(root, names if config.baseline is None else [*names, config.baseline])
        if missing:
            raise MissingTextError(f"no file {' and '.join(missing)} (scores)")
        baseline = None if config.baseline is None else paths[-1]
        cut = ScoreCut(paths[: len(names)], config.min_score, config.keep_share, baseline)
        return ParallelText(
            label, (*files, *cut.files()), lambda bad_rows: cut.check_count(read(bad_rows), bad_rows), keeps=cut.keeps
        )

    def _locate_in_archive(self, archive: Path, root: Path) -> ParallelText:
        names = text_members(archive)
        source, target = (_member_in(names, language, archive) for language in self.languages)
        labels = f"{archive}/{source}", f"{archive}/{target}"
        return self._parallel_text(
            str(self.config.name),
            (archive,),
            root,
            lambda _: pair_lines(read_lines(archive, source), read_lines(archive, target), labels),
        )

    def _entry_advice(self, name: str) -> str:
        """What to write instead of the name of a file that is no archive."""
        path = Path(name)
        if path.suffix in SUFFIXES:
            path = path.with_suffix("")
        suffix = path.suffix.removeprefix(".").lower()
        if suffix == "csv":
            advice = f"save it with tabs between the columns, as TSV, and write {{tsv: {path.with_suffix('.tsv')}}}"
        elif suffix in FORMATS:
            advice = f"write {{{suffix}: {name}}}"
        elif suffix in self.languages:
            base_name = path.with_suffix("")
            advice = f"write {base_name}, the base name of {' and '.join(self._language_names(base_name))}"
        else:
            advice = f"write {{tsv: {name}}}, {{jsonl: {name}}} or {{tmx: {name}}} for one file with both sides"
        names = " and ".join(self._language_names(name))
        return f"{name}: a name alone means the files {names} or a .zip of them; {advice}"

    def _language_names(self, base_name: object) -> list[str]:
        return [f"{base_name}.{language}" for language in self.languages]

    def _file_names(self) -> list[str]:
        config = self.config
        if config.name is not None:
            return self._language_names(config.name)
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
        return read_two_files(*files)


def _find_files(root: Path, names: list[str]) -> tuple[tuple[Path, ...], list[str]]:
    """The files of these names, each perhaps compressed, and the names of those that are missing."""
    paths = [find_file(root / expand_user(name)) for name in names]
    missing = [name for name, path in zip(names, paths, strict=True) if path is None]
    return tuple(path for path in paths if path is not None), missing


def _member_in(names: list[str], language: str, archive: Path) -> str:
    """The text of an archive whose name ends like this language; DataError if there is not exactly one."""
    code = normal_code(language)
    endings = {name: normal_code(name.rpartition(".")[2]) for name in names}
    for matching in (
        [name for name in names if endings[name] == code],
        [name for name in names if endings[name].startswith(f"{code}-")],
    ):
        if len(matching) == 1:
            return matching[0]
        if matching:
            raise DataError(
                f"{archive}: has several texts in {language}: {', '.join(matching[:5])}; unpack it, and write "
                "{source: FILE, target: FILE}"
            )
    raise DataError(f"{archive}: has no text whose name ends with .{language}; it has {', '.join(names[:5]) or 'none'}")
