"""From a corpus to a prepared folder: clean, learn the tokenizer, encode, write, all streamed."""

import hashlib
import json
import os
import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, Self

from nmt_cli.data.clean_text import CLEAN, SIDES, CleanText, draw_held_out, written_lines
from nmt_cli.data.cleaning import Cleaner, Report, normalize, open_look
from nmt_cli.data.corpus import Corpus, TextPart
from nmt_cli.data.corpus_settings import CorpusConfig
from nmt_cli.data.encoding import Encoded, open_encoder
from nmt_cli.data.prepared import FORMAT, PartRange, PreparedData, Tokenizers
from nmt_cli.data.tokenizer import TokenizerConfig, batches
from nmt_cli.data.tokenizer_training import train_tokenizer
from nmt_cli.data.words import Words
from nmt_cli.data.writing import SequenceWriter, TextWriter
from nmt_cli.errors import DataError
from nmt_cli.reporting import Reporter
from nmt_cli.workers import Apply, Pool, in_this_process

ENCODED = 2000  # pairs encoded together, in whatever process


class Settings(NamedTuple):
    """What decides what prepared data look like: two sections of a recipe.

    `given` are tokenizers of another run, used instead of learning new ones.
    """

    corpus: CorpusConfig
    tokenizer: TokenizerConfig
    given: Tokenizers | None = None


def prepare(
    settings: Settings,
    corpus: Corpus,
    folder: Path,
    identity: dict[str, Any],
    reporter: Reporter,
    pool: Pool = in_this_process,
) -> PreparedData:
    """Write `folder`, which appears whole or not at all, and open it.

    `identity` goes into the manifest: what `fingerprint.identify` found out about the inputs. The
    `pool` cleans and encodes blocks of pairs; the data are the same bytes, whatever it is. Raises
    DataError for text that cannot be used.
    """
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}")
    begun = folder.parent.exists()
    shutil.rmtree(scratch, ignore_errors=True)  # of a killed process that had the same number
    try:
        scratch.mkdir(parents=True)
        facts = _Preparation(settings, corpus, scratch, reporter, pool).run()
        manifest = {"format": FORMAT, **identity, **facts, "arrays": _hashes(scratch)}
        text = json.dumps(manifest, indent=2, ensure_ascii=False)
        (scratch / "manifest.json").write_text(text + "\n", encoding="utf-8")
        _put(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if not begun:  # a mistake leaves nothing, not even an empty folder
            with suppress(OSError):
                folder.parent.rmdir()
    return PreparedData(folder)


def _put(scratch: Path, folder: Path) -> None:
    """Give the folder its name, unless another process has meanwhile prepared the same."""
    try:
        scratch.rename(folder)
    except OSError as error:
        if not (folder / "manifest.json").is_file():
            raise DataError(f"{folder}: cannot be written: {error.strerror}") from error


class _Preparation:
    """The steps in order; each reads what the one before it wrote."""

    def __init__(
        self,
        settings: Settings,
        corpus: Corpus,
        folder: Path,
        reporter: Reporter,
        pool: Pool,
    ) -> None:
        self.settings, self.corpus, self.folder = settings, corpus, folder
        self.reporter, self.pool = reporter, pool
        self.cleaner = Cleaner(settings.corpus)

    def run(self) -> dict[str, Any]:
        """Everything; returns the facts for the manifest."""
        parts = self._clean()
        total = parts[-1].end
        if total == 0:
            raise DataError(
                "corpus.train: no pair is left to train on" + _losses(self.cleaner.report)
            )
        text = CleanText(self.folder, self._held_out(total))
        tokenizers = self._learn(text)
        tokenizers.save(self.folder)
        kept = self._encode_training(tokenizers, parts, text)
        splits = self._encode_splits(tokenizers, text)
        text.remove()
        return {
            "variants": self.settings.tokenizer.variants,
            "parts": [asdict(part) for part in kept],
            "read": self.read,
            "train": kept[-1].end,
            "splits": splits,
            "held_out": len(text.held_out),
            "filters": {name: asdict(dropped) for name, dropped in self.cleaner.report.items()},
            "vocabulary": [tokenizers.source.size, tokenizers.target.size],
        }

    def _clean(self) -> list[PartRange]:
        """Write clean.source.txt and clean.target.txt; the ranges of the parts in them."""
        ranges: list[PartRange] = []
        self.read = 0
        look = partial(open_look, self.settings.corpus)
        with TextWriter(self.folder, CLEAN) as writer, self.pool(look) as work:
            for part in self.corpus.train:
                first = writer.lines
                for pair in self.cleaner.clean(self._counted(part), part.label, work):
                    writer.write(*pair)
                ranges.append(PartRange(part.label, first, writer.lines, part.weight))
        return ranges

    def _counted(self, part: TextPart) -> Iterator[Any]:
        with self.reporter.progress(f"read {part.label}", None) as bar:
            for pair in part.read():
                self.read += 1
                if self.read % 10_000 == 0:
                    bar.advance(10_000, f"{self.read:,} pairs")
                yield pair

    def _held_out(self, total: int) -> frozenset[int]:
        """Pairs that serve as development text where the recipe names none."""
        if self.corpus.dev is not None:
            return frozenset()
        return draw_held_out(total, self.settings.corpus.seed)

    def _learn(self, text: CleanText) -> Tokenizers:
        if self.settings.given is not None:
            return self.settings.given
        config, nfc = self.settings.tokenizer, self.settings.corpus.normalization == "nfc"
        self.reporter.say(f"learning a {config.type} tokenizer")

        def sample(side: str) -> Iterator[str]:
            return text.sample(side, config.sample_lines)

        if config.joint:
            both = train_tokenizer(lambda: chain.from_iterable(map(sample, SIDES)), config, nfc=nfc)
            return Tokenizers(both, both)
        one, other = (train_tokenizer(partial(sample, side), config, nfc=nfc) for side in SIDES)
        return Tokenizers(one, other)

    def _encode_training(
        self, tokenizers: Tokenizers, parts: list[PartRange], clean: CleanText
    ) -> list[PartRange]:
        """Write ids, text and words of the training pairs that are not too long or held out."""
        stores = _Stores(self.folder, tokenizers, self.settings.tokenizer.variants)
        pairs, words = clean.pairs(), Words()
        kept: list[PartRange] = []
        progress = self.reporter.progress("encode", parts[-1].end)
        with (
            TextWriter(self.folder, "train") as text,
            stores,
            self._encoder() as work,
            progress as bar,
        ):
            for part in parts:
                first = text.lines
                inside = islice(pairs, part.end - part.first)
                blocks = batches((pair for pair, held_out in inside if not held_out), ENCODED)
                for block, encoded in _with_results(blocks, work):
                    for pair, one in zip(block, encoded.kept, strict=True):
                        if one:
                            text.write(*pair)
                        else:
                            self.cleaner.report["too long"].add(" ||| ".join(pair))
                    stores.write(encoded)
                    words.add(encoded.words)
                    bar.advance(len(block))
                kept.append(PartRange(part.label, first, text.lines, part.weight))
        if kept[-1].end == 0:
            raise DataError(
                "corpus.train: no pair is left to train on" + _losses(self.cleaner.report)
            )
        stores.close()
        words.save(self.folder)
        return kept

    def _encoder(self) -> AbstractContextManager[Apply]:
        limit = self.settings.corpus.max_length
        folder = self.folder.absolute()  # a worker may stand in another one
        return self.pool(partial(open_encoder, folder, self.settings.tokenizer, limit))

    def _encode_splits(self, tokenizers: Tokenizers, clean: CleanText) -> dict[str, int]:
        """Write raw text and ids of the development and test parts; their sizes."""
        sizes = {}
        for name, part in (("dev", self.corpus.dev), ("test", self.corpus.test)):
            if part is not None:
                pairs = _raw_pairs(part)
            elif name == "dev":
                pairs = (pair for pair, held_out in clean.pairs() if held_out)
            else:
                continue
            with TextWriter(self.folder, name) as text:
                for pair in pairs:
                    text.write(*pair)
            if text.lines == 0:
                raise DataError(f"corpus.{name}: the text is empty")
            sizes[name] = text.lines
            for side in SIDES:
                tokenizer = getattr(tokenizers, side)
                with SequenceWriter(self.folder, f"{name}.{side}") as writer:
                    for block in batches(written_lines(self.folder, name, side)):
                        normal = [normalize(line.strip(), self.settings.corpus) for line in block]
                        for ids in tokenizer.encode(normal):
                            writer.write(ids)
                    writer.close(tokenizer.size)
        return sizes


def _raw_pairs(part: TextPart) -> Iterator[tuple[str, str]]:
    """Pairs as they stand in the corpus; bytes that are not UTF-8 become U+FFFD.

    A line feed, which JSON text may hold, becomes a space: it would end the line.
    """
    for raw in part.read():
        source, target = (text.replace(b"\n", b" ") for text in (raw.source, raw.target))
        yield source.decode(errors="replace"), target.decode(errors="replace")


def _with_results(
    blocks: Iterator[list[tuple[str, str]]], work: Apply
) -> Iterator[tuple[list[tuple[str, str]], Encoded]]:
    """Each block with what the work makes of its two columns."""
    waiting: deque[list[tuple[str, str]]] = deque()

    def columns() -> Iterator[Any]:
        for block in blocks:
            waiting.append(block)
            yield [source for source, _ in block], [target for _, target in block]

    for result in work(columns()):
        yield waiting.popleft(), result


class _Stores:
    """A store of ids for each side and variant of the training text."""

    def __init__(self, folder: Path, tokenizers: Tokenizers, variants: int) -> None:
        self.sizes = [tokenizers.source.size, tokenizers.target.size] * variants
        self.writers = [
            SequenceWriter(folder, f"train.{side}.{variant}")
            for variant in range(variants)
            for side in SIDES
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for writer in self.writers:
            writer.__exit__(*error)

    def write(self, encoded: Encoded) -> None:
        """Append a block."""
        for writer, *column in zip(self.writers, encoded.ids, encoded.lengths, strict=True):
            writer.write_block(*column)

    def close(self) -> None:
        """Finish the arrays."""
        for writer, size in zip(self.writers, self.sizes, strict=True):
            writer.close(size)


def _losses(report: Report) -> str:
    """What the filters dropped, for a message."""
    dropped = [f"{value.count:,} {name}" for name, value in report.items() if value.count]
    return f": dropped {', '.join(dropped)}" if dropped else ": the text is empty"


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file in the folder."""
    found = {}
    for path in sorted(folder.iterdir()):
        with open(path, "rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
