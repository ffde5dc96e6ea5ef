"""Prepare a corpus for training: clean it, train the tokenizers, encode and write it, all streamed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import asdict
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from nmt_cli.data import SIDES
from nmt_cli.data.apostrophes import count_apostrophes
from nmt_cli.data.augmentation import AugmentConfig
from nmt_cli.data.clean_text import CLEAN_TEXT_NAME, CleanText, draw_held_out, read_written_lines, source_keys
from nmt_cli.data.cleaning import NOT_UTF8, PAIR_MARK, CorpusCleaner, make_pair_filter, measure_corpus
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.known_words import WordSet, unknown_share
from nmt_cli.data.language_tags import find_language_tags, split_tag, tagged_share
from nmt_cli.data.letter_case import Truecaser, learn_capitals_words
from nmt_cli.data.list_marks import learn_list_marks
from nmt_cli.data.normalization import Normalizer
from nmt_cli.data.overlap import decoded_pairs, read_evaluation_texts
from nmt_cli.data.paragraph_ends import learn_paragraph_ends
from nmt_cli.data.prepared.fingerprint import HELD_OUT_BY_UNTAGGED_SOURCE, HELD_OUT_KEY
from nmt_cli.data.prepared.store import FORMAT_VERSION, PairRange, PreparedData, SequenceStore, SplitText
from nmt_cli.data.prepared.writer import SequenceWriter, TextWriter
from nmt_cli.data.sentences.abbreviations import learn_words
from nmt_cli.data.sentences.missing_stops import learn_line_starters
from nmt_cli.data.sentences.splitter import SentenceSplitter
from nmt_cli.data.sources.bad_rows import BadRows, is_too_many, other_encoding
from nmt_cli.data.sources.base import ParallelText
from nmt_cli.data.sources.corpus import Corpus
from nmt_cli.data.text_profile import (
    LineLengths,
    TextProfile,
    UnknownShares,
    added_stops,
    fallback_share,
    rarely_exceeded,
)
from nmt_cli.data.tokenization.coverage import missing_characters
from nmt_cli.data.tokenization.encoding import EncodedBlock, make_pair_encoder, variant_count
from nmt_cli.data.tokenization.tokenizer import TokenizerConfig, batched
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.data.tokenization.training import train_tokenizer
from nmt_cli.data.unseen_characters import learn_entities
from nmt_cli.errors import DataError
from nmt_cli.fs import atomic_folder, sha256_of_file, write_json
from nmt_cli.reporting import Reporter
from nmt_cli.workers import MapFunction, PoolFactory, serial_pool

MAX_PROFILE_LINES = 100_000  # lines that abbreviations are learned from, and characters are counted in
PAIRS_PER_ENCODE_BLOCK = 2000  # pairs encoded together, in any process


class PreparationSettings(NamedTuple):
    """The settings that prepared data depend on.

    `given_tokenizers` are tokenizers of another run, used instead of training new ones. `augment` is
    training.augment.
    """

    corpus: CorpusConfig
    tokenizer: TokenizerConfig
    given_tokenizers: Tokenizers | None = None
    augment: AugmentConfig | None = None

    @property
    def variants(self) -> int:
        """How many encodings of the training text there are."""
        return variant_count(self.tokenizer, self.augment)


def prepare(
    settings: PreparationSettings,
    corpus: Corpus,
    folder: Path,
    identity: dict[str, Any],
    reporter: Reporter,
    pool: PoolFactory = serial_pool,
) -> PreparedData:
    """Write a prepared folder atomically and open it; DataError if the text cannot be used.

    `identity` is what `build_identity` says about the inputs; it becomes part of the manifest. `pool` cleans and
    encodes blocks of pairs; the result does not depend on its number of processes.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "manifest.json").exists():
        raise DataError(f"{folder}: incomplete: it has no manifest.json", hint="delete it and run the command again")
    parent_existed = folder.parent.exists()
    try:
        with atomic_folder(folder, marker="manifest.json", error_class=DataError) as scratch:
            results = _Preparation(settings, corpus, scratch, reporter, pool).run()
            hashes = {path.name: sha256_of_file(path) for path in sorted(scratch.iterdir())}
            manifest = {"format": FORMAT_VERSION, **identity, **results, "arrays": hashes}
            write_json(scratch / "manifest.json", manifest)
    finally:
        if not parent_existed:  # remove it if it is empty, as after an error
            with suppress(OSError):
                folder.parent.rmdir()
    return PreparedData(folder)


def train_tokenizers(
    read_side: Callable[[str], Iterable[str]], config: TokenizerConfig, corpus: CorpusConfig, tags: Sequence[str]
) -> Tokenizers:
    """Tokenizers for the text that `read_side` yields of source or target, from the beginning at each call.

    That of the source has a piece for each of the `tags`.
    """
    nfc = corpus.normalization.unicode != "none"
    train = partial(train_tokenizer, config=config, nfc=nfc, placeholders=corpus.placeholders > 0)
    if config.joint:
        joint_tokenizer = train(lambda: chain.from_iterable(map(read_side, SIDES)), tags=tags)
        return Tokenizers(joint_tokenizer, joint_tokenizer)
    source, target = SIDES
    return Tokenizers(train(partial(read_side, source), tags=tags), train(partial(read_side, target)))


class _Preparation:
    """The steps of preparing, each of which reads what the one before it wrote."""

    def __init__(
        self, settings: PreparationSettings, corpus: Corpus, folder: Path, reporter: Reporter, pool: PoolFactory
    ) -> None:
        self.settings, self.corpus, self.folder = settings, corpus, folder
        self.reporter, self.pool = reporter, pool
        self.bad_rows: list[tuple[str, str, BadRows]] = []  # split, label of the text, its bad rows
        texts = map(self._read_once_more, corpus.train)
        self.profile = measure_corpus(texts, settings.corpus, tags_only=settings.corpus.filters is None)
        if (idle := self.profile.idle_filters(settings.corpus.filters)) is not None:
            reporter.info(f"corpus.filters: {idle}")
        evaluation_texts = read_evaluation_texts(corpus.evaluation_texts(), settings.corpus, self.profile.tags)
        self.cleaner = CorpusCleaner(settings.corpus, evaluation_texts, self.profile)

    def run(self) -> dict[str, Any]:
        """Take all steps; returns their part of the manifest."""
        clean_ranges = self._clean()
        pair_count = clean_ranges[-1].end
        if pair_count == 0:
            raise self._no_pair_left()
        sample = (CleanText(self.folder).sample(side, MAX_PROFILE_LINES) for side in SIDES)
        self.tags = find_language_tags(zip(*sample, strict=True), self.settings.corpus.tags)
        clean_text = CleanText(self.folder, self._choose_held_out())
        tokenizers = self._obtain_tokenizers(clean_text)
        tokenizers.save(self.folder)
        train_ranges = self._encode_training(tokenizers, clean_ranges, clean_text)
        splits, split_texts = self._encode_splits(tokenizers, clean_text)
        clean_text.remove()
        self._write_profile(tokenizers)
        return {
            "variants": self.settings.variants,
            "parts": [asdict(pair_range) for pair_range in train_ranges],
            "read": self.pairs_read,
            "read_by_text": self.read_by_text,
            "train": train_ranges[-1].end,
            "splits": splits,
            "split_texts": split_texts,
            "held_out": len(clean_text.held_out),
            **({HELD_OUT_KEY: HELD_OUT_BY_UNTAGGED_SOURCE} if clean_text.held_out and self.tags else {}),
            "filters": {name: asdict(filter_stats) for name, filter_stats in self.cleaner.report.items()},
            "bad_rows": [
                {"split": split, "text": label, "kind": kind, "count": count, "first": bad_rows.examples[kind]}
                for split, label, bad_rows in self.bad_rows
                for kind, count in bad_rows.counts.items()
            ],
            "overlap": [count._asdict() for count in self.cleaner.overlap.report()],
            "evaluation_problems": {text.split: text.problems() for text in self.cleaner.overlap.texts},
            "normalized": dict(self.cleaner.normalized),
            "segmented": self.cleaner.marked.warnings(self.settings.corpus.languages),
            "vocabulary": [tokenizers.source.vocab_size, tokenizers.target.vocab_size],
        }

    def _clean(self) -> list[PairRange]:
        """Write clean.source.txt and clean.target.txt; the range of lines that each text of the corpus has there."""
        ranges: list[PairRange] = []
        self.pairs_read = 0
        self.read_by_text: dict[str, int] = {}
        filter_factory = partial(make_pair_filter, self.settings.corpus, self.cleaner.overlap.hashes(), self.profile)
        with TextWriter(self.folder, CLEAN_TEXT_NAME) as writer, self.pool(filter_factory) as apply_filter:
            for text in self.corpus.train:
                first, read_before, invalid_before = writer.line_count, self.pairs_read, self._invalid_pairs()
                pairs = self._read_with_progress(text, self._bad_rows("train", text.label))
                for pair in self.cleaner.clean(pairs, text.label, apply_filter, text.keeps):
                    writer.write(*pair)
                invalid, read = self._invalid_pairs() - invalid_before, self.pairs_read - read_before
                self.read_by_text[text.label] = self.read_by_text.get(text.label, 0) + read
                if is_too_many(invalid, read, self.settings.corpus.max_bad_rows):
                    raise DataError(other_encoding(text.label, text.files, invalid, read))
                ranges.append(PairRange(text.label, first, writer.line_count, text.weight))
        return ranges

    def _invalid_pairs(self) -> int:
        return self.cleaner.report[NOT_UTF8].count

    def _read_once_more(self, text: ParallelText) -> Iterator[Any]:
        """The pairs of a training text, to be measured before they are cleaned."""
        with self.reporter.progress(f"measure {text.label}", None):
            yield from text.read(BadRows(self.settings.corpus.max_bad_rows))

    def _bad_rows(self, split: str, label: str) -> BadRows:
        """What counts the bad rows of a text."""
        bad_rows = BadRows(self.settings.corpus.max_bad_rows)
        self.bad_rows.append((split, label, bad_rows))
        return bad_rows

    def _read_with_progress(self, text: ParallelText, bad_rows: BadRows) -> Iterator[Any]:
        with self.reporter.progress(f"read {text.label}", None) as bar:
            for pair in text.read(bad_rows):
                self.pairs_read += 1
                if self.pairs_read % 10_000 == 0:
                    bar.advance(10_000, f"{self.pairs_read:,} pairs")
                yield pair

    def _no_pair_left(self) -> DataError:
        counts = [f"{stats.count:,} {name}" for name, stats in self.cleaner.report.items() if stats.count]
        reason = f"dropped {', '.join(counts)}" if counts else "the text is empty"
        return DataError(f"corpus.train: no pair is left to train on: {reason}")

    def _choose_held_out(self) -> frozenset[int]:
        """Pairs that serve as development text if the recipe names none."""
        if self.corpus.dev:
            return frozenset()
        corpus = self.settings.corpus
        keys, unrepeated_only = source_keys(self.folder, corpus.seed, self.tags), corpus.drop_overlap != "none"
        held_out = draw_held_out(keys, unrepeated_only=unrepeated_only)
        if held_out:
            return held_out
        self.reporter.warning(
            "every source occurs in several pairs: those held out for development have few different sources, some of "
            "which may be in training, too: name a text as corpus.dev"
        )
        return draw_held_out(keys, unrepeated_only=False)

    def _obtain_tokenizers(self, clean_text: CleanText) -> Tokenizers:
        if self.settings.given_tokenizers is not None:
            tokenizers = self.settings.given_tokenizers
            for side in SIDES:
                lines = clean_text.sample(side, MAX_PROFILE_LINES)
                if (problem := missing_characters(getattr(tokenizers, side), lines)) is not None:
                    self.reporter.warning(f"training.init_from: {side}: {problem}")
            return tokenizers
        config = self.settings.tokenizer
        self.reporter.info(f"training a {config.type} tokenizer")
        return train_tokenizers(
            lambda side: clean_text.sample(side, config.sample_lines), config, self.settings.corpus, self.tags
        )

    def _encode_training(
        self, tokenizers: Tokenizers, clean_ranges: list[PairRange], clean_text: CleanText
    ) -> list[PairRange]:
        """Write ids, text and words of the training pairs that are neither too long nor held out."""
        pairs, words = clean_text.pairs(), WordSet()
        self.characters: set[str] = set()
        self.placeholder_pairs = 0
        train_ranges: list[PairRange] = []
        progress = self.reporter.progress("encode", clean_ranges[-1].end)
        with (
            TextWriter(self.folder, "train") as text_writer,
            ExitStack() as writer_stack,
            self._encoder() as apply_encoder,
            progress as bar,
        ):
            writers = [
                writer_stack.enter_context(
                    SequenceWriter(self.folder, f"train.{side}.{variant}", getattr(tokenizers, side).vocab_size)
                )
                for variant in range(self.settings.variants)
                for side in SIDES
            ]
            for pair_range in clean_ranges:
                first = text_writer.line_count
                range_pairs = islice(pairs, pair_range.end - pair_range.first)
                blocks = batched((pair for pair, held_out in range_pairs if not held_out), PAIRS_PER_ENCODE_BLOCK)
                for block, encoded in _with_results(blocks, apply_encoder):
                    for pair, is_kept in zip(block, encoded.keep_mask, strict=True):
                        if is_kept:
                            text_writer.write(*pair)
                        else:
                            self.cleaner.report["too long"].add(PAIR_MARK.join(pair))
                    for writer, ids, lengths in zip(writers, encoded.ids, encoded.lengths, strict=True):
                        writer.write_block(ids, lengths)
                    words.add(encoded.new_words)
                    self.characters.update(encoded.characters)
                    self.placeholder_pairs += encoded.placeholder_pairs
                    bar.advance(len(block))
                train_ranges.append(PairRange(pair_range.label, first, text_writer.line_count, pair_range.weight))
        if train_ranges[-1].end == 0:
            raise self._no_pair_left()
        words.save(self.folder)
        return train_ranges

    def _write_profile(self, tokenizers: Tokenizers) -> None:
        """Write what the training text teaches: abbreviations, the case of words and, as it is trained on, how long its
        lines are, how many are in capitals, and how much of a new line is unknown."""
        corpus = self.settings.corpus
        store = SequenceStore.open(self.folder, "train.source.0")
        stride = max(1, -(-len(store) // MAX_PROFILE_LINES))

        def sample(side: str) -> Iterator[str]:
            return islice(read_written_lines(self.folder, "train", side), 0, None, stride)

        def source_sample() -> Iterator[str]:
            return map(self._untagged, sample("source"))

        def trained_sample() -> Iterator[str]:
            if self.settings.augment is None:
                return source_sample()
            blocks = batched(range(0, len(store), stride))
            decoded = (tokenizers.source.decode([store[i].tolist() for i in block]) for block in blocks)
            return map(self._untagged, chain.from_iterable(decoded))

        source_words, target_words = learn_words(source_sample()), learn_words(sample("target"))
        source_splitter = SentenceSplitter(corpus.source, source_words)
        truecaser = Truecaser.learn(source_sample(), corpus.source)
        stops_after_words, stops_after_marks = added_stops(zip(source_sample(), sample("target"), strict=True))
        profile = TextProfile(
            corpus.source,
            corpus.target,
            corpus.normalization,
            source_words,
            target_words,
            LineLengths.measure(trained_sample(), store.lengths(), source_splitter),
            truecaser,
            truecaser.shares(trained_sample()),
            "".join(sorted(self.characters)),
            self.placeholder_pairs,
            self._measure_unknown(tokenizers),
            stops_after_words,
            stops_after_marks,
            Truecaser.learn(sample("target"), corpus.target),
            learn_line_starters(source_sample(), truecaser.forms),
            self.tags,
            tagged_share(sample("source"), self.tags),
            learn_list_marks(zip(source_sample(), sample("target"), strict=True)),
            learn_capitals_words(source_sample(), source_splitter.split, corpus.source),
            learn_paragraph_ends(zip(source_sample(), sample("target"), strict=True)),
            count_apostrophes(source_sample()),
            learn_entities(source_sample()),
        )
        profile.save(self.folder)
        self.profile.save(self.folder)

    def _measure_unknown(self, tokenizers: Tokenizers) -> UnknownShares:
        """How much of the lines of the development text is unknown."""
        normalize, words = Normalizer(self.settings.corpus.normalization), WordSet.load(self.folder)
        assert words is not None
        lines = [normalize(line.strip()) for line in read_written_lines(self.folder, "dev", "source")]
        fallback_ids = tokenizers.source.fallback_ids
        return UnknownShares(
            rarely_exceeded([unknown_share(self._untagged(line), [words]) for line in lines]),
            rarely_exceeded([fallback_share(ids, fallback_ids) for ids in tokenizers.source.encode(lines)]),
        )

    def _untagged(self, source: str) -> str:
        return split_tag(source, self.tags)[1]

    def _encoder(self) -> AbstractContextManager[MapFunction]:
        folder, settings = self.folder.absolute(), self.settings  # workers may have another working directory
        return self.pool(
            partial(make_pair_encoder, folder, settings.tokenizer, settings.corpus, settings.augment, self.tags)
        )

    def _encode_splits(
        self, tokenizers: Tokenizers, clean_text: CleanText
    ) -> tuple[dict[str, int], dict[str, list[dict[str, Any]]]]:
        """Write raw text and ids of the development and test text; the number of pairs of each, and where its texts
        are."""
        sizes: dict[str, int] = {}
        split_texts: dict[str, list[dict[str, Any]]] = {}
        splits: dict[str, list[tuple[str, Iterator[tuple[str, str]]]]] = {}
        if not self.corpus.dev:
            splits["dev"] = [("held out", (pair for pair, held_out in clean_text.pairs() if held_out))]
        for name, texts in self.corpus.evaluation_texts().items():
            splits[name] = [(text.label, decoded_pairs(text, self._bad_rows(name, text.label))) for text in texts]
        for name, labelled_pairs in splits.items():
            ranges = []
            with TextWriter(self.folder, name) as text_writer:
                for label, pairs in labelled_pairs:
                    first = text_writer.line_count
                    for pair in pairs:
                        text_writer.write(*pair)
                    ranges.append(SplitText(label, first, text_writer.line_count))
                    if text_writer.line_count == first:
                        where = f"{label}: " if len(labelled_pairs) > 1 else ""
                        raise DataError(f"corpus.{name}: {where}the text is empty")
            sizes[name] = text_writer.line_count
            if len(ranges) > 1:
                split_texts[name] = [text_range._asdict() for text_range in ranges]
            self._encode_split(name, tokenizers)
        return sizes, split_texts

    def _encode_split(self, name: str, tokenizers: Tokenizers) -> None:
        normalize = Normalizer(self.settings.corpus.normalization)
        for side in SIDES:
            tokenizer = getattr(tokenizers, side)
            with SequenceWriter(self.folder, f"{name}.{side}", tokenizer.vocab_size) as writer:
                for block in batched(read_written_lines(self.folder, name, side)):
                    for ids in tokenizer.encode([normalize(line.strip()) for line in block]):
                        writer.write(ids)


def _with_results(
    blocks: Iterator[list[tuple[str, str]]], apply_encoder: MapFunction
) -> Iterator[tuple[list[tuple[str, str]], EncodedBlock]]:
    """Each block with the result of encoding it."""
    pending: deque[list[tuple[str, str]]] = deque()  # not `tee`, which frees 57 blocks at a time

    def columns() -> Iterator[Any]:
        for block in blocks:
            pending.append(block)
            yield [source for source, _ in block], [target for _, target in block]

    for result in apply_encoder(columns()):
        yield pending.popleft(), result
