"""Statistics of a corpus for nmt check: counts, invalid UTF-8, lengths."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt_cli.data import SIDES
from nmt_cli.data.cleaning import (
    PAIRS_PER_BLOCK,
    CorpusCleaner,
    FilterReport,
    PairFilter,
    Problem,
    TextPair,
    measure_corpus,
)
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.filtering.corpus_profile import CorpusProfile
from nmt_cli.data.filtering.said_language import unlike_said
from nmt_cli.data.overlap import OverlapCounter, read_evaluation_texts
from nmt_cli.data.segmentation_marks import MarkedLines
from nmt_cli.data.sources.bad_rows import BadRows
from nmt_cli.data.sources.base import ParallelText, RawPair
from nmt_cli.data.sources.corpus import Corpus
from nmt_cli.data.tokenization.encoding import ID_DTYPE, WordCache
from nmt_cli.data.tokenization.tokenizer import batched
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers

TokenLengths = NDArray[np.int64]


@dataclass
class ParallelTextStats:
    """Statistics of one text of a corpus."""

    label: str
    pair_count: int = 0  # in the whole text
    inspected_pairs: int = 0  # of these, pairs that were cleaned, from the beginning
    invalid_utf8_lines: list[int] = field(default_factory=list)  # the first ones
    dropped: FilterReport = field(default_factory=dict)
    clean_pairs: list[TextPair] = field(default_factory=list)
    bad_rows: BadRows = field(default_factory=BadRows)
    problems: list[Problem] = field(default_factory=list)  # of the inspected pairs, by every filter
    is_one_file: bool = False  # on both sides
    marked: MarkedLines = field(default_factory=MarkedLines)  # of the inspected pairs, as other programs segment text
    files: tuple[Path, ...] = ()


def inspect_text(
    text: ParallelText,
    config: CorpusConfig,
    max_pairs: int,
    profile: CorpusProfile,
    overlap: OverlapCounter | None = None,
) -> ParallelTextStats:
    """Count the pairs of a text, and clean the first `max_pairs` of them; `overlap` gets all of them.

    `profile` is that of the training text. DataError if the files cannot be read or their lines do not pair.
    """
    stats = ParallelTextStats(text.label, bad_rows=BadRows(config.max_bad_rows), files=text.files)
    stats.is_one_file = len(text.files) >= 2 and text.files[0].samefile(text.files[1])
    cleaner = CorpusCleaner(config, profile=profile, audit=True)
    pairs = text.read(stats.bad_rows)
    if overlap is not None and overlap.texts:
        pairs = _count_overlap(pairs, text.label, config, overlap, profile)
    stats.clean_pairs = list(cleaner.clean(_count_pairs(islice(pairs, max_pairs), stats), text.label, keeps=text.keeps))
    stats.dropped = {name: filter_stats for name, filter_stats in cleaner.report.items() if filter_stats.count}
    stats.problems, stats.marked = cleaner.problems, cleaner.marked
    stats.inspected_pairs = stats.pair_count
    deque(_count_pairs(pairs, stats), maxlen=0)
    return stats


def _count_pairs(pairs: Iterator[RawPair], stats: ParallelTextStats) -> Iterator[RawPair]:
    for pair in pairs:
        stats.pair_count += 1
        if len(stats.invalid_utf8_lines) < 3 and not (_is_utf8(pair.source) and _is_utf8(pair.target)):
            stats.invalid_utf8_lines.append(pair.line_number)
        yield pair


def _count_overlap(
    pairs: Iterator[RawPair], label: str, config: CorpusConfig, overlap: OverlapCounter, profile: CorpusProfile
) -> Iterator[RawPair]:
    """The pairs, counted in blocks."""
    pair_filter = PairFilter(config.model_copy(update={"filters": None}), overlap.hashes(), profile)
    for block in batched(pairs, PAIRS_PER_BLOCK):
        overlap.add(label, pair_filter([(*pair,) for pair in block]).overlaps)
        yield from block


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def inspect_corpus(
    corpus: Corpus, config: CorpusConfig, max_pairs: int
) -> tuple[dict[str, list[ParallelTextStats]], OverlapCounter, CorpusProfile]:
    """The statistics of every text, by split: train, dev, test; what training text shares with the others, and what is
    usual in it.

    Development and test text is compared with that only where the training text is in its languages: else what is right
    would seem wrong.
    """
    evaluation_texts = corpus.evaluation_texts()
    profile = measure_corpus((text.read(BadRows(config.max_bad_rows)) for text in corpus.train), config)
    overlap = OverlapCounter(read_evaluation_texts(evaluation_texts, config, profile.tags))
    training_stats = [inspect_text(text, config, max_pairs, profile, overlap) for text in corpus.train]
    stats = {"train": training_stats, "dev": [], "test": []}
    usual = profile
    if not _are_as_said(training_stats, config, profile):
        usual = replace(profile, language_model=None, scripts=None, length_ratio=None)
    stats |= {
        split: [inspect_text(text, config, max_pairs, usual) for text in texts]
        for split, texts in evaluation_texts.items()
    }
    return stats, overlap, profile


def _are_as_said(texts: list[ParallelTextStats], config: CorpusConfig, profile: CorpusProfile) -> bool:
    """Whether nothing speaks against the languages of training texts as a whole."""
    clean_pairs = (pair for stats in texts if not stats.is_one_file for pair in stats.clean_pairs)
    pairs = [(profile.untagged(source), target) for source, target in clean_pairs]
    return all(
        unlike_said([pair[side] for pair in pairs], language) is None for side, language in enumerate(config.languages)
    )


def token_lengths(tokenizers: Tokenizers, pairs: list[TextPair]) -> tuple[TokenLengths, TokenLengths]:
    """Number of pieces of each source and target, without the end of sentence."""
    lengths = np.zeros((len(SIDES), len(pairs)), np.int64)
    source_words = WordCache(tokenizers.source)
    target_words = source_words if tokenizers.joint else WordCache(tokenizers.target)
    for side, words in enumerate((source_words, target_words)):
        lines = (pair[side] for pair in pairs)
        id_bytes = [len(ids) for block in batched(lines, PAIRS_PER_BLOCK) for ids in words.encode(block)]
        lengths[side] = np.array(id_bytes, np.int64) // ID_DTYPE.itemsize
    return lengths[0], lengths[1]
