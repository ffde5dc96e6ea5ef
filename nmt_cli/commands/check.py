"""nmt check: find in seconds what would go wrong hours into a training. Imports torch only to build the model."""

import re
import shutil
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt_cli.commands.check_text import (
    MIN_KEPT_FRACTION,
    Finding,
    Level,
    check_content,
    check_corpus,
    check_evaluation_texts,
    write_report,
)
from nmt_cli.data import SIDES
from nmt_cli.data.batching import max_batch_rows
from nmt_cli.data.clean_text import held_out_count
from nmt_cli.data.cleaning import TextPair
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.inspection import ParallelTextStats, TokenLengths, inspect_corpus, token_lengths
from nmt_cli.data.normalization import Normalizer
from nmt_cli.data.overlap import decoded_pairs, held_out_warning
from nmt_cli.data.prepared.build import train_tokenizers
from nmt_cli.data.scripts import UNSPACED_SCRIPTS
from nmt_cli.data.sources.bad_rows import BadRows
from nmt_cli.data.sources.base import MissingTextError, ParallelText
from nmt_cli.data.sources.corpus import Corpus, find_corpus, pending_downloads, search_folders
from nmt_cli.data.tokenization.coverage import missing_characters
from nmt_cli.data.tokenization.tokenizer import TextTokenizer, TokenizerConfig, TokenizerType, batched, token_name
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.errors import DataError, RecipeError, UserError, pip_install, pluralize
from nmt_cli.evaluation.metrics import default_bleu_tokenizer, tokenizer_error
from nmt_cli.recipe.loader import SECTIONS, Recipe, load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.init_from import find_base_or_started_run, inherit_sections, language_warning

MAX_SAMPLE_PAIRS = 100_000  # pairs of each text that are cleaned
MAX_CORPUS_PAIRS = 1_000_000  # of all training texts together: each is kept until the end, in some 500 bytes
MAX_TOKENIZER_PAIRS = 40_000  # of these, pairs for training the tokenizer that lengths are measured with
MIN_SUBWORD_FREQUENCY = 30  # mean occurrences of a subword, below which the vocabulary is too large
MAX_WORD_PAIRS = 10_000  # at most twice as many pairs, in which words and their subwords are counted
MAX_SUBWORDS_PER_WORD = 3.5  # mean, above which subwords are hardly longer than letters
MAX_UNKNOWN_WORDS = 0.1  # of the words of a side, above which a vocabulary of words is too small
MAX_TRUNCATED_FRACTION = 0.01  # of the targets, above which a search limit is worth a warning
MAX_UNLEARNABLE_FRACTION = 0.01  # of the pairs, from which targets that a model cannot emit are worth a warning
AUTO_MEMORY_TOKENS = 4096  # per batch, at most, whose memory is estimated: auto takes more only where it fits
GIB = 1 << 30
_UNSPACED = re.compile(f"[{UNSPACED_SCRIPTS}]")

if TYPE_CHECKING:
    from nmt_cli.models.contract import TranslationModel
    from nmt_cli.training.memory_estimate import MemoryEstimate


class _CorpusSample(NamedTuple):
    """What the checks of lengths and resources know about the training text."""

    tokenizers: Tokenizers
    pairs: list[TextPair]
    source_lengths: TokenLengths  # of each pair of the sample, without the end of sentence
    target_lengths: TokenLengths
    scales: NDArray[np.float64]  # pairs of its text per inspected one, of each pair of the sample
    weights: NDArray[np.float64]  # how often each pair of the sample is seen in an epoch
    is_whole: bool  # every text was inspected to its end
    longest_dev_pair: tuple[int, int] | None  # ends of sentences included; None where the recipe names no such text


def check(
    recipe: str | Path,
    overrides: list[str],
    out: Path | None,
    reporter: Reporter,
    device: str = "auto",
    report: Path | None = None,
) -> list[Finding]:
    """Everything that can be found out about a recipe without training it; writes only the report of bad pairs."""
    try:
        loaded_recipe = load_recipe(recipe, overrides, reporter)
        run_path = out or Path("runs") / loaded_recipe.name
        base_run = find_base_or_started_run(loaded_recipe, run_path)
        resolved_recipe = loaded_recipe if base_run is None else inherit_sections(loaded_recipe, base_run)
    except RecipeError as error:
        return [Finding("error", "recipe", message) for message in error.errors]
    except UserError as error:
        return [Finding("error", "recipe", str(error))]
    with reporter.progress(f"check {loaded_recipe.name}", None):
        base_tokenizers = None if base_run is None else base_run.tokenizers
        findings = [*_check_options(resolved_recipe, run_path)]
        if base_run is not None and (warning := language_warning(loaded_recipe.corpus, base_run)) is not None:
            findings.append(Finding("warning", "training.init_from", warning))
        findings += _check_text(resolved_recipe, base_tokenizers, run_path, device, report)
        if not any(finding.level == "error" for finding in findings):
            findings += _check_exports(resolved_recipe)
        return findings


def _check_options(recipe: Recipe, run_path: Path) -> Iterator[Finding]:
    for section in SECTIONS:
        for message in recipe.warnings(section):
            key, _, reason = message.partition(": ")
            yield Finding("warning", key, reason)
    if recipe.training.tensorboard and find_spec("tensorboard") is None:
        yield Finding("error", "training.tensorboard", f"needs the extra: {pip_install('tensorboard')}")
    if run_path.exists():
        text = f"{run_path} exists: continue with --resume, or choose another --out DIR"
        yield Finding("warning", "run folder", text)


def _check_exports(recipe: Recipe) -> Iterator[Finding]:
    """Say which formats the choices of the recipe rule out; the last check, since the formats import torch."""
    from nmt_cli.export.exporting import FORMATS, incompatibilities

    chosen_keys = tuple(
        f"{section}.{key}: " for section in SECTIONS for key in getattr(recipe, section).model_fields_set
    )
    for name in FORMATS:
        reasons = incompatibilities(recipe, name)
        if any(reason.startswith(chosen_keys) for reason in reasons):
            yield Finding("note", "nmt export", f"not to {name}: {'; '.join(reasons)}")


def _check_text(
    recipe: Recipe, base_tokenizers: Tokenizers | None, run_path: Path, device: str, report: Path | None
) -> Iterator[Finding]:
    """Check the corpus, and what depends on it; stops at an error that makes later checks impossible."""
    try:
        corpus = find_corpus(recipe.corpus, search_folders(recipe.folder))
        max_pairs = min(MAX_SAMPLE_PAIRS, max(1, MAX_CORPUS_PAIRS // max(1, len(corpus.train))))
        stats_by_split, overlap, profile = inspect_corpus(corpus, recipe.corpus, max_pairs)
    except MissingTextError as error:
        if downloads := pending_downloads(recipe.corpus):
            yield Finding("warning", "corpus", f"not downloaded yet; nmt prepare will fetch {', '.join(downloads)}")
        else:
            yield _data_error("corpus", error)
        return
    except DataError as error:
        yield _data_error("corpus", error)
        return
    if report is not None:
        write_report(report, stats_by_split)
    yield from check_corpus(corpus, stats_by_split)
    yield from check_content(recipe.corpus, stats_by_split, profile)
    yield from check_evaluation_texts(overlap, recipe.corpus.drop_overlap)
    pairs = [pair for stats in stats_by_split["train"] for pair in stats.clean_pairs]
    if not pairs:
        yield Finding("error", "corpus.train", "no pair is left to train on")
        return
    try:
        tokenizers = base_tokenizers or _train_tokenizers(recipe, pairs, profile.tags)
    except DataError as error:
        yield _data_error("tokenizer", error)
        return
    if not corpus.dev:
        if len(pairs) == 1:
            yield Finding("error", "corpus.train", "one pair is too few to hold out development text")
        total_pairs = sum(stats.pair_count for stats in stats_by_split["train"])
        if (warning := held_out_warning(held_out_count(total_pairs))) is not None:
            yield Finding("warning", "corpus.dev", warning)
    if base_tokenizers is not None:
        yield from _check_characters(base_tokenizers, pairs)
    metric_tokenizer = recipe.training.metric_tokenize or default_bleu_tokenizer(recipe.corpus.target)
    if (reason := tokenizer_error(metric_tokenizer)) is not None:
        yield Finding("error", "training.metric_tokenize", reason)
    sample = _make_sample(tokenizers, pairs, corpus, stats_by_split["train"], recipe.corpus)
    if base_tokenizers is None:
        yield from _check_vocabulary(recipe.tokenizer, sample)
    yield from _check_lengths(recipe, sample)
    yield from _check_model(recipe, sample, run_path, device)


def _make_sample(
    tokenizers: Tokenizers,
    pairs: list[TextPair],
    corpus: Corpus,
    training_stats: list[ParallelTextStats],
    config: CorpusConfig,
) -> _CorpusSample:
    pair_counts = [len(stats.clean_pairs) for stats in training_stats]
    scales = [stats.pair_count / max(1, stats.inspected_pairs) for stats in training_stats]
    clean_pairs = int(np.dot(pair_counts, scales))
    held_out_pairs = held_out_count(clean_pairs) if not corpus.dev and clean_pairs > 1 else 0
    weights = [text.weight * (1 - held_out_pairs / clean_pairs) for text in corpus.train]
    return _CorpusSample(
        tokenizers,
        pairs,
        *token_lengths(tokenizers, pairs),
        np.repeat(scales, pair_counts),
        np.repeat(weights, pair_counts),
        all(stats.inspected_pairs == stats.pair_count for stats in training_stats),
        _longest_pair(tokenizers, corpus.dev, config) if corpus.dev else None,
    )


def _longest_pair(tokenizers: Tokenizers, texts: Sequence[ParallelText], config: CorpusConfig) -> tuple[int, int]:
    """The most subwords of a source and of a target of the development text, which is not filtered."""
    normalize = Normalizer(config.normalization)
    pairs = [
        (normalize(source.strip()), normalize(target.strip()))
        for text in texts
        for source, target in islice(decoded_pairs(text, BadRows(config.max_bad_rows)), MAX_SAMPLE_PAIRS)
    ]
    source, target = token_lengths(tokenizers, pairs)
    return int(source.max(initial=0)) + 1, int(target.max(initial=0)) + 1


def _data_error(section: str, error: DataError) -> Finding:
    """The error under the key that it begins with, else under its section."""
    key, separator, reason = str(error).partition(": ")
    if separator and key.startswith(f"{section}."):
        return Finding("error", key, reason)
    return Finding("error", section, str(error))


def _train_tokenizers(recipe: Recipe, pairs: list[TextPair], tags: Sequence[str]) -> Tokenizers:
    """Tokenizers like those that preparing trains, from fewer lines and with BPE in place of unigram, which is slow."""
    config = recipe.tokenizer
    fast_config = config.model_copy(update={"type": "bpe"}) if config.type == "unigram" else config
    sample = pairs[:: -(-len(pairs) // MAX_TOKENIZER_PAIRS)]
    return train_tokenizers(lambda side: [pair[SIDES.index(side)] for pair in sample], fast_config, recipe.corpus, tags)


def _check_characters(tokenizers: Tokenizers, pairs: list[TextPair]) -> Iterator[Finding]:
    """Characters that the base run has never seen."""
    for index, side in enumerate(SIDES):
        problem = missing_characters(getattr(tokenizers, side), (pair[index] for pair in pairs))
        if problem is not None:
            yield Finding("warning", "training.init_from", f"{side}: {problem}")


def _check_vocabulary(config: TokenizerConfig, sample: _CorpusSample) -> Iterator[Finding]:
    tokenizers, key, vocab_size = sample.tokenizers, "tokenizer.vocab_size", config.vocab_size
    tokens = f"{token_name(config.type)}s"
    actual_size = min(tokenizers.source.vocab_size, tokenizers.target.vocab_size)
    if sample.is_whole and actual_size < 0.98 * vocab_size:
        yield Finding("warning", key, f"{vocab_size:,}, but the text gives only {actual_size:,} {tokens}")
        vocab_size = actual_size
    token_count = int(np.dot(sample.source_lengths + sample.target_lengths, sample.scales))
    mean_frequency = token_count / vocab_size / (1 if tokenizers.joint else 2)
    decimals = 0 if mean_frequency >= 10 else 1
    text = f"each of the {vocab_size:,} {tokens} occurs {mean_frequency:,.{decimals}f} times on average"
    if mean_frequency >= MIN_SUBWORD_FREQUENCY:
        yield Finding("note", key, text)
    else:
        yield Finding("warning", key, f"{text}; a smaller vocabulary learns more from this text")
    if mean_frequency >= 4 * MIN_SUBWORD_FREQUENCY:  # so that there is text for one of twice the size
        yield from _check_cut_words(config.type, sample)


def _check_cut_words(tokenizer_type: TokenizerType, sample: _CorpusSample) -> Iterator[Finding]:
    """Whether so small a vocabulary cuts words into letters, or does not know them; one of characters is meant to."""
    stride = max(1, len(sample.pairs) // MAX_WORD_PAIRS)
    for index, (side, lengths) in enumerate(zip(SIDES, (sample.source_lengths, sample.target_lengths), strict=True)):
        tokenizer: TextTokenizer = getattr(sample.tokenizers, side)
        lines = [pair[index] for pair in sample.pairs[::stride]]
        text = None
        if tokenizer_type == "word":
            share = _unknown_share(tokenizer, lines)
            if share > MAX_UNKNOWN_WORDS:
                text = (
                    f"{share:.0%} of the words are not among the {tokenizer.vocab_size:,} of the vocabulary, and the "
                    "model reads and writes <unk> for them; use a larger one, or tokenizer.type: bpe"
                )
        elif tokenizer_type != "character":
            spaced = np.array([_UNSPACED.search(line) is None for line in lines])
            words = sum(len(line.split()) for line, is_spaced in zip(lines, spaced, strict=True) if is_spaced)
            mean = float(lengths[::stride][spaced].sum()) / max(1, words)
            if mean > MAX_SUBWORDS_PER_WORD:
                text = (
                    f"a word is cut into {mean:.1f} subwords on average, hardly more than its letters; a larger "
                    "vocabulary makes lines shorter, and so training and translation faster"
                )
        if text is not None:
            yield Finding("warning", "tokenizer.vocab_size", f"{side}: {text}")


def _unknown_share(tokenizer: TextTokenizer, lines: list[str]) -> float:
    """The share of the tokens that stand for text which the vocabulary lacks."""
    is_unknown = [token_id in tokenizer.fallback_ids for ids in tokenizer.encode(lines) for token_id in ids]
    return sum(is_unknown) / max(1, len(is_unknown))


def _check_lengths(recipe: Recipe, sample: _CorpusSample) -> Iterator[Finding]:
    source, target, search = sample.source_lengths, sample.target_lengths, recipe.search
    tokens = f"{token_name(recipe.tokenizer.type)}s"
    for side, lengths in (("source", source), ("target", target)):
        median, percentile_99 = np.percentile(lengths, [50, 99])
        text = f"{tokens}: half below {median:.0f}, 99 % below {percentile_99:.0f}, longest {lengths.max()}"
        yield Finding("note", f"{side} lengths", text)
    max_length = recipe.corpus.max_length
    dropped_fraction = 0.0 if max_length is None else float((np.maximum(source, target) > max_length).mean())
    if dropped_fraction:
        text = f"{dropped_fraction:.2%} of the pairs are longer than {max_length} {tokens} and are dropped"
        level: Level = "warning" if dropped_fraction > 1 - MIN_KEPT_FRACTION else "note"
        yield Finding(level, "corpus.max_length", text)
    max_target_lengths = np.array([search.max_target_length(int(source_length)) for source_length in source])
    if (truncated_fraction := float((target > max_target_lengths).mean())) > MAX_TRUNCATED_FRACTION:
        text = f"{truncated_fraction:.1%} of the training targets are longer than a translation may be"
        yield Finding("warning", f"search.{'max_length' if search.max_length else 'max_length_factor'}", text)
    if (split_fraction := float((source > search.max_source_length).mean())) > 0:
        text = f"{split_fraction:.2%} of the training sources are longer and would be translated in parts"
        yield Finding("note", "search.max_source_length", text)


def _check_model(recipe: Recipe, sample: _CorpusSample, run_path: Path, device_name: str) -> Iterator[Finding]:
    """Check that the model fits the longest pairs, and both the device and the disk."""
    training, max_length = recipe.training, recipe.corpus.max_length
    source, target = sample.source_lengths, sample.target_lengths
    keep_mask = np.maximum(source, target) <= (max_length or source.max() + target.max())
    if not keep_mask.any():
        yield Finding("error", "corpus.max_length", f"{max_length} drops every pair: raise it")
        return
    longest_pair = int(source[keep_mask].max()) + 1, int(target[keep_mask].max()) + 1
    from nmt_cli.device import choose_dtype, find_device
    from nmt_cli.runs.loading import build_model
    from nmt_cli.training.batch_size import max_batch_tokens
    from nmt_cli.training.memory import available_memory
    from nmt_cli.training.memory_estimate import estimate_memory
    from nmt_cli.training.replicas import replica_count

    model = build_model(recipe, sample.tokenizers.vocabulary)
    position_findings = list(_check_positions(model, longest_pair, sample.longest_dev_pair))
    yield from position_findings
    yield from _check_emitted_lengths(model, sample, keep_mask)
    if any(finding.level == "error" for finding in position_findings):
        return
    try:
        device = find_device(device_name)
    except UserError as error:
        yield Finding("error", "device", str(error))
        return
    parameter_count = sum(parameter.numel() for parameter in model.parameters())
    kept_tokens = (target + 1) * sample.scales * keep_mask
    is_auto = training.tokens_per_batch == "auto"
    max_positions = max_batch_tokens(device, int(kept_tokens.sum())) if is_auto else training.max_positions
    tokens_per_epoch = float(np.dot(kept_tokens, sample.weights))
    epochs = training.updates * training.gradient_accumulation * max_positions / tokens_per_epoch
    verb = "is" if training.updates == 1 else "are"
    text = f"{parameter_count:,} parameters; {pluralize(training.updates, 'update')} {verb} "
    is_changed = training.augment is not None or recipe.tokenizer.subword_samples > 1  # and may be longer then
    how_exact = "at most " if is_auto else "about " if is_changed else ""
    yield Finding("note", "training", f"{text}{how_exact}{epochs:,.1f} epochs")
    if is_auto:
        max_positions = min(max_positions, AUTO_MEMORY_TOKENS)
    rows = max_batch_rows(*longest_pair, max_positions)
    estimate = estimate_memory(
        model,
        choose_dtype(training.precision, device),
        *longest_pair,
        rows,
        device.type,
        has_moving_average=training.ema_decay is not None,
        replica_count=1
        if training.compile == "on" and model.compilable_layers()
        else replica_count(parameter_count, max_positions, device),
    )
    lengths = f"{longest_pair[0]} and {longest_pair[1]} {token_name(recipe.tokenizer.type)}s"
    yield _check_memory(estimate, available_memory(device), rows, lengths)
    yield _check_disk(estimate, training.keep_last_checkpoints + 1, run_path.absolute())


def _check_positions(
    model: "TranslationModel[Any]", longest_pair: tuple[int, int], longest_dev_pair: tuple[int, int] | None
) -> Iterator[Finding]:
    limits = model.max_source_positions, model.max_target_positions
    for where, lengths in (("", longest_pair), (" of the development text", longest_dev_pair or (0, 0))):
        for side, limit, length in zip(SIDES, limits, lengths, strict=True):
            if limit is not None and length > limit:
                text = f"the model has {limit} positions, the longest {side}{where} needs {length}"
                yield Finding("error", "model.max_positions", text)


def _check_emitted_lengths(
    model: "TranslationModel[Any]", sample: _CorpusSample, keep_mask: NDArray[np.bool_]
) -> Iterator[Finding]:
    """Targets that a model with a fixed number of outputs per source cannot emit."""
    if model.output_length(1) is None:
        return
    kept_sources = sample.source_lengths[keep_mask].tolist()
    kept_targets = [pair[1] for pair, is_kept in zip(sample.pairs, keep_mask, strict=True) if is_kept]
    count = 0
    ids_of_targets = chain.from_iterable(map(sample.tokenizers.target.encode, batched(kept_targets)))
    for source_length, ids in zip(kept_sources, ids_of_targets, strict=True):
        blanks = sum(left == right for left, right in pairwise(ids))  # one between equal tokens
        count += len(ids) + blanks > (model.output_length(source_length + 1) or 0)
    if count:
        share = count / len(kept_sources)
        text = (
            f"{count:,} of {len(kept_sources):,} pairs ({share:.2%}) cannot be learned: their targets have more tokens "
            "than the model emits for their sources; raise model.upsample, or lower corpus.max_length_ratio"
        )
        level: Level = "warning" if share >= MAX_UNLEARNABLE_FRACTION else "note"
        yield Finding(level, "model", text, None, count, share)


def _check_memory(estimate: "MemoryEstimate", free_bytes: int, rows: int, lengths: str) -> Finding:
    text = (
        f"about {estimate.total_bytes / GIB:.1f} GiB for the largest batch ({pluralize(rows, 'pair')} of "
        f"{lengths}), {free_bytes / GIB:.1f} GiB are free"
    )
    if 0 < free_bytes < estimate.total_bytes:
        return Finding("error", "memory", f"{text}; reduce training.tokens_per_batch or corpus.max_length")
    return Finding("note", "memory", text)


def _check_disk(estimate: "MemoryEstimate", checkpoint_count: int, run_path: Path) -> Finding:
    needed_bytes = estimate.checkpoint_bytes * checkpoint_count + estimate.checkpoint_bytes // 3  # and the best weights
    existing_folder = next(path for path in (run_path, *run_path.parents) if path.exists())
    free_bytes = shutil.disk_usage(existing_folder).free
    text = f"{needed_bytes / GIB:.2f} GiB for {checkpoint_count} checkpoints, {free_bytes / GIB:.1f} GiB are free"
    return Finding("error" if needed_bytes > free_bytes else "note", "disk", text)
