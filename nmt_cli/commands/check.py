"""nmt check: find in seconds what would go wrong hours into a training. Imports torch only to build the model."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt_cli.data import SIDES
from nmt_cli.data.batching import max_batch_rows
from nmt_cli.data.clean_text import held_out_count
from nmt_cli.data.cleaning import NOT_UTF8, PAIR_MARK, SEVERAL_TARGETS, Problem, TextPair
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.filtering.config import FilterConfig
from nmt_cli.data.filtering.corpus_profile import LEARNED_FILTERS
from nmt_cli.data.filtering.rules import FILTER_KEYS, RULES
from nmt_cli.data.filtering.said_language import unlike_said
from nmt_cli.data.filtering.usual import MIN_PAIRS
from nmt_cli.data.inspection import ParallelTextStats, TokenLengths, inspect_corpus, token_lengths
from nmt_cli.data.normalization import Normalizer
from nmt_cli.data.overlap import OverlapCounter, decoded_pairs, held_out_warning
from nmt_cli.data.prepared.build import train_tokenizers
from nmt_cli.data.sources.bad_rows import BadRows, dropped_rows, is_too_many, other_encoding
from nmt_cli.data.sources.base import Languages, MissingTextError, ParallelText
from nmt_cli.data.sources.corpus import Corpus, find_corpus, pending_downloads, search_folders
from nmt_cli.data.tokenization.coverage import missing_characters
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.errors import DataError, RecipeError, UserError
from nmt_cli.evaluation.metrics import default_bleu_tokenizer, tokenizer_error
from nmt_cli.fs import atomic_write_text
from nmt_cli.recipe.loader import SECTIONS, Recipe, load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.init_from import find_base_or_started_run, inherit_sections, language_warning

MAX_SAMPLE_PAIRS = 100_000  # pairs of each text that are cleaned
MAX_TOKENIZER_PAIRS = 40_000  # of these, pairs for training the tokenizer that lengths are measured with
MIN_SUBWORD_FREQUENCY = 30  # mean occurrences of a subword, below which the vocabulary is too large
MIN_KEPT_FRACTION = 0.95  # of the pairs, below which a filter is worth a warning
MAX_TRUNCATED_FRACTION = 0.01  # of the targets, above which a search limit is worth a warning
MAX_CLEAN_LOSS = 0.003  # of the pairs: a filter that is off and would drop more of them is recommended
MAX_SHOWN_EXAMPLES = 3
REPORTED_KEYS = FILTER_KEYS | {"length ratio": "corpus.max_length_ratio", "duplicate": "corpus.deduplicate"}
MAX_UNLEARNABLE_FRACTION = 0.01  # of the pairs, from which targets that a model cannot emit are worth a warning
AUTO_MEMORY_TOKENS = 4096  # per batch, at most, whose memory is estimated: auto takes more only where it fits
GIB = 1 << 30

if TYPE_CHECKING:
    from nmt_cli.models.contract import TranslationModel
    from nmt_cli.training.memory_estimate import MemoryEstimate

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing to know before training."""

    level: Level
    about: str
    text: str
    key: str | None = None  # that would filter what was found
    count: int | None = None  # of the pairs
    share: float | None = None  # of the pairs that were looked at

    def record(self) -> dict[str, Any]:
        """The finding as a plain object."""
        return {key: value for key, value in asdict(self).items() if value is not None}


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
        for message in getattr(recipe, section).warnings():
            key, _, reason = message.partition(": ")
            yield Finding("warning", f"{section}.{key}", reason)
    if recipe.search.coverage_penalty and not recipe.model.has_attention:
        yield Finding("warning", "search.coverage_penalty", f"does nothing: {recipe.model.type} has no attention here")
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
        stats_by_split, overlap = inspect_corpus(corpus, recipe.corpus, MAX_SAMPLE_PAIRS)
    except MissingTextError as error:
        if downloads := pending_downloads(recipe.corpus):
            yield Finding("warning", "corpus", f"not here yet; nmt prepare will fetch {', '.join(downloads)}")
        else:
            yield _data_error("corpus", error)
        return
    except DataError as error:
        yield _data_error("corpus", error)
        return
    if report is not None:
        _write_report(report, stats_by_split)
    yield from _check_corpus(corpus, stats_by_split)
    yield from _check_content(recipe.corpus, stats_by_split)
    yield from _check_evaluation_texts(overlap, recipe.corpus.drop_overlap)
    pairs = [pair for stats in stats_by_split["train"] for pair in stats.clean_pairs]
    if not pairs:
        yield Finding("error", "corpus.train", "no pair is left to train on")
        return
    try:
        tokenizers = base_tokenizers or _train_tokenizers(recipe, pairs[:: -(-len(pairs) // MAX_TOKENIZER_PAIRS)])
    except DataError as error:
        yield _data_error("tokenizer", error)
        return
    total_pairs = sum(stats.pair_count for stats in stats_by_split["train"])
    held_out_pairs = held_out_count(total_pairs) if corpus.dev is None else 0
    if corpus.dev is None and len(pairs) == 1:
        yield Finding("error", "corpus.train", "one pair is too few to hold out a development part")
    if corpus.dev is None and (warning := held_out_warning(held_out_pairs)) is not None:
        yield Finding("warning", "corpus.dev", warning)
    if base_tokenizers is not None:
        yield from _check_characters(base_tokenizers, pairs)
    if (
        reason := tokenizer_error(recipe.training.metric_tokenize or default_bleu_tokenizer(recipe.corpus.target))
    ) is not None:
        yield Finding("error", "training.metric_tokenize", reason)
    sample = _make_sample(tokenizers, pairs, corpus, stats_by_split["train"], recipe.corpus)
    if base_tokenizers is None:
        yield from _check_vocabulary(recipe.tokenizer.vocab_size, sample)
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
    held_out_pairs = held_out_count(clean_pairs) if corpus.dev is None and clean_pairs > 1 else 0
    weights = [text.weight * (1 - held_out_pairs / clean_pairs) for text in corpus.train]
    return _CorpusSample(
        tokenizers,
        pairs,
        *token_lengths(tokenizers, pairs),
        np.repeat(scales, pair_counts),
        np.repeat(weights, pair_counts),
        all(stats.inspected_pairs == stats.pair_count for stats in training_stats),
        None if corpus.dev is None else _longest_pair(tokenizers, corpus.dev, config),
    )


def _longest_pair(tokenizers: Tokenizers, text: ParallelText, config: CorpusConfig) -> tuple[int, int]:
    """The most subwords of a source and of a target of the development text, which is not filtered."""
    normalize = Normalizer(config.normalization)
    pairs = [
        (normalize(source.strip()), normalize(target.strip()))
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


def _check_corpus(corpus: Corpus, stats_by_split: dict[str, list[ParallelTextStats]]) -> Iterator[Finding]:
    for split, texts in stats_by_split.items():
        for stats in texts:
            yield Finding("note", f"corpus.{split}", f"{stats.label}: {stats.pair_count:,} pairs")
            yield from _check_parallel_text(split, stats)
    if corpus.dev is None:
        total = sum(stats.pair_count for stats in stats_by_split["train"])
        yield Finding("note", "corpus.dev", f"none: about {held_out_count(total):,} of the training pairs are held out")
    if corpus.test is None:
        yield Finding("warning", "corpus.test", "none: training ends without a test score")


def _check_evaluation_texts(overlap: OverlapCounter, drop_overlap: str) -> Iterator[Finding]:
    """What is wrong with the development and test text, and what of them the training text has."""
    for text in overlap.texts:
        for problem in text.problems():
            yield Finding("warning", f"corpus.{text.split}", problem)
    for count in overlap.report():
        advice = {
            "none": "corpus.drop_overlap: pairs (or sources) drops them",
            "pairs": "corpus.drop_overlap: pairs drops these pairs"
            + ("" if count.pairs else ", but not these sources"),
            "sources": "corpus.drop_overlap: sources drops them",
        }[drop_overlap]
        level: Level = "warning" if drop_overlap == "none" or count.pairs else "note"
        yield Finding(level, f"corpus.{count.split}", f"{count.message()}; {advice}")


def _check_parallel_text(split: str, stats: ParallelTextStats) -> Iterator[Finding]:
    key = f"corpus.{split}"
    if stats.pair_count == 0:
        yield Finding("error", key, f"{stats.label}: the text is empty")
        return
    for kind, count in stats.bad_rows.counts.items():
        fraction = count / (stats.pair_count + stats.bad_rows.counts.total())
        yield Finding("warning", key, f"{dropped_rows(kind, count, stats.bad_rows.examples[kind])} ({fraction:.1%})")
    invalid = stats.dropped[NOT_UTF8].count if NOT_UTF8 in stats.dropped else 0
    if is_too_many(invalid, stats.inspected_pairs, stats.bad_rows.max_fraction):
        is_refused = is_too_many(invalid, stats.pair_count, stats.bad_rows.max_fraction)
        level: Level = "error" if is_refused else "warning"
        yield Finding(level, key, other_encoding(stats.label, invalid, stats.inspected_pairs))
    elif stats.invalid_utf8_lines:
        lines = ", ".join(map(str, stats.invalid_utf8_lines))
        yield Finding("warning", key, f"{stats.label}: not UTF-8: line {lines} ...")
    dropped_texts = stats.dropped if split == "train" else {}
    for name, dropped in dropped_texts.items():
        if name in FILTER_KEYS:
            continue  # said with the others of its kind
        fraction = dropped.count / stats.inspected_pairs
        text = f"{stats.label}: {fraction:.1%} dropped: {name}, as in {dropped.examples[0]}"
        yield Finding("warning" if fraction > 1 - MIN_KEPT_FRACTION else "note", key, text)


def _check_content(corpus: CorpusConfig, stats_by_split: dict[str, list[ParallelTextStats]]) -> Iterator[Finding]:
    """What is wrong with pairs, by the filters that would drop them; at last, what to add to the recipe."""
    recommended = {}
    for split, texts in stats_by_split.items():
        for stats in texts:
            yield from _check_languages(split, stats, corpus.languages)
            for finding in _check_pairs(split, stats, corpus):
                yield finding
                if finding.key is not None and finding.level == "warning" and split == "train":
                    recommended[finding.key.rpartition(".")[2]] = True
    learned = [name for name in LEARNED_FILTERS if corpus.filters and getattr(corpus.filters, name) is not None]
    if learned and sum(stats.pair_count for stats in stats_by_split["train"]) < MIN_PAIRS:
        text = f"these learn from the corpus, and drop nothing below {MIN_PAIRS:,} pairs: {', '.join(learned)}"
        yield Finding("note", "corpus.filters", text)
    chosen = {rule.name for rule in RULES if corpus.filters and getattr(corpus.filters, rule.name) is not None}
    if to_add := recommended.keys() - chosen:
        filters = {rule.name: rule.limit(corpus.filters) for rule in RULES if rule.name in chosen | to_add}
        off = {name: None for name in FilterConfig().model_dump(exclude_none=True) if name not in filters}
        text = ", ".join(f"{name}: {json.dumps(limit)}" for name, limit in (filters | off).items())
        yield Finding(
            "warning", "corpus.filters", f"to drop such pairs, put into the section corpus: filters: {{{text}}}"
        )


def _check_languages(split: str, stats: ParallelTextStats, languages: Languages) -> Iterator[Finding]:
    key = f"corpus.{split}"
    if stats.is_one_file:
        yield Finding("warning", key, f"{stats.label}: the same file is source and target")
    for index, (side, language) in enumerate(zip(SIDES, languages, strict=True)):
        texts = [problem.text.split(PAIR_MARK)[index] for problem in stats.problems if problem.name == "language"]
        if (reason := unlike_said([pair[index] for pair in stats.clean_pairs] or texts, language)) is not None:
            text = (
                f"{stats.label}: the {side} does not look like {language}: {reason};"
                f" is corpus.{side} right, and are the files in this order?"
            )
            yield Finding("warning", key, text)


def _check_pairs(split: str, stats: ParallelTextStats, corpus: CorpusConfig) -> Iterator[Finding]:
    """A finding for each kind of problem, with three examples."""
    problems: dict[str, list[Problem]] = {}
    for problem in stats.problems:
        problems.setdefault(problem.name, []).append(problem)
    for rule in RULES:
        if not (pairs := problems.get(rule.name)) or (split != "train" and rule.name == "copies"):
            continue
        share, is_on = len(pairs) / stats.inspected_pairs, corpus.filters and getattr(corpus.filters, rule.name)
        is_repaired = rule.name == "controls" and corpus.normalization.invisible
        advice = f"dropped by {rule.key}: {is_on}" if is_on else f"{rule.key}: {rule.recommended} drops them"
        if split != "train":
            advice = "development and test text is not filtered"
        max_share = 1 - MIN_KEPT_FRACTION if is_on else MAX_CLEAN_LOSS
        max_pairs = max_share * stats.inspected_pairs
        is_chance = len(pairs) <= max(1, max_pairs + 2 * max_pairs**0.5)  # or two standard deviations above
        level: Level = "note" if is_chance or is_repaired else "warning"
        text = f"{stats.label}: {_share_of(pairs, stats)} {rule.description}, as in {_examples(pairs, stats)}; {advice}"
        yield Finding(
            level, f"corpus.{split}", text + (f"; {rule.repair}" if rule.repair else ""), rule.key, len(pairs), share
        )
    if split == "train" and (pairs := problems.get(SEVERAL_TARGETS)):
        text = f"{stats.label}: {_share_of(pairs, stats)} have the source of another pair and another target, as in "
        yield Finding("note", "corpus.train", text + _examples(pairs, stats), None, len(pairs))


def _share_of(problems: list[Problem], stats: ParallelTextStats) -> str:
    sample = "" if stats.inspected_pairs == stats.pair_count else "first "
    total = stats.inspected_pairs
    return f"{len(problems):,} of the {sample}{total:,} pairs ({len(problems) / total:.2%})"


def _examples(problems: list[Problem], stats: ParallelTextStats) -> str:
    shown = problems[:: max(1, len(problems) // MAX_SHOWN_EXAMPLES)][:MAX_SHOWN_EXAMPLES]
    texts = (text if len(text := problem.text) <= 200 else text[:200] + "…" for problem in shown)
    return "; ".join(f"{stats.label}:{problem.line_number}: {text}" for problem, text in zip(shown, texts, strict=True))


def _write_report(path: Path, stats_by_split: dict[str, list[ParallelTextStats]]) -> None:
    """A line for each problem of a pair: text, line, what it is, the key that filters it, and the pair."""
    rows = [("file", "line", "finding", "key", "text")]
    for split, texts in stats_by_split.items():
        for stats in texts:
            for problem in sorted(stats.problems, key=lambda problem: problem.line_number):
                key = REPORTED_KEYS.get(problem.name, "") if split == "train" else ""
                text = problem.text.replace("\t", " ")
                rows.append((stats.label, str(problem.line_number), problem.name, key, text))
    atomic_write_text(path, "".join("\t".join(row) + "\n" for row in rows))


def _train_tokenizers(recipe: Recipe, pairs: list[TextPair]) -> Tokenizers:
    """Tokenizers like those that preparing trains, from fewer lines and with BPE in place of unigram, which is slow."""
    config = recipe.tokenizer
    fast_config = config.model_copy(update={"type": "bpe"}) if config.type == "unigram" else config
    return train_tokenizers(lambda side: [pair[SIDES.index(side)] for pair in pairs], fast_config, recipe.corpus)


def _check_characters(tokenizers: Tokenizers, pairs: list[TextPair]) -> Iterator[Finding]:
    """Characters that the base run has never seen."""
    for index, side in enumerate(SIDES):
        problem = missing_characters(getattr(tokenizers, side), (pair[index] for pair in pairs))
        if problem is not None:
            yield Finding("warning", "training.init_from", f"{side}: {problem}: they are spelled in bytes or lost")


def _check_vocabulary(vocab_size: int, sample: _CorpusSample) -> Iterator[Finding]:
    tokenizers, key = sample.tokenizers, "tokenizer.vocab_size"
    actual_size = min(tokenizers.source.vocab_size, tokenizers.target.vocab_size)
    if sample.is_whole and actual_size < 0.98 * vocab_size:
        yield Finding("warning", key, f"{vocab_size:,}, but the text gives only {actual_size:,} subwords")
        vocab_size = actual_size
    token_count = int(np.dot(sample.source_lengths + sample.target_lengths, sample.scales))
    mean_frequency = token_count / vocab_size / (1 if tokenizers.joint else 2)
    decimals = 0 if mean_frequency >= 10 else 1
    text = f"each of the {vocab_size:,} subwords occurs {mean_frequency:,.{decimals}f} times on average"
    if mean_frequency >= MIN_SUBWORD_FREQUENCY:
        yield Finding("note", key, text)
    else:
        yield Finding("warning", key, f"{text}; a smaller vocabulary learns more from this text")


def _check_lengths(recipe: Recipe, sample: _CorpusSample) -> Iterator[Finding]:
    source, target, search = sample.source_lengths, sample.target_lengths, recipe.search
    for side, lengths in (("source", source), ("target", target)):
        median, percentile_99 = np.percentile(lengths, [50, 99])
        text = f"subwords: half below {median:.0f}, 99 % below {percentile_99:.0f}, longest {lengths.max()}"
        yield Finding("note", f"{side} lengths", text)
    max_length = recipe.corpus.max_length
    dropped_fraction = 0.0 if max_length is None else float((np.maximum(source, target) > max_length).mean())
    if dropped_fraction:
        text = f"{dropped_fraction:.2%} of the pairs are longer than {max_length} subwords and dropped"
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
        yield Finding("error", "corpus.max_length", "drops every pair")
        return
    longest_pair = int(source[keep_mask].max()) + 1, int(target[keep_mask].max()) + 1
    from nmt_cli.device import choose_dtype, find_device
    from nmt_cli.runs.loading import build_model
    from nmt_cli.training.batch_size import max_batch_tokens
    from nmt_cli.training.memory import available_memory
    from nmt_cli.training.memory_estimate import estimate_memory

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
    text = f"{parameter_count:,} parameters; {training.updates:,} updates are "
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
    )
    yield _check_memory(estimate, available_memory(device), longest_pair, rows)
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
    for source_length, ids in zip(kept_sources, sample.tokenizers.target.encode(kept_targets), strict=True):
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


def _check_memory(estimate: "MemoryEstimate", free_bytes: int, longest_pair: tuple[int, int], rows: int) -> Finding:
    text = (
        f"about {estimate.total_bytes / GIB:.1f} GiB for the largest batch ({rows} pairs of "
        f"{longest_pair[0]} and {longest_pair[1]} subwords), {free_bytes / GIB:.1f} GiB are free"
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
