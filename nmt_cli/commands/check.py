"""nmt check: what would go wrong hours into a run, found in seconds."""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nmt_cli.commands.export import FORMATS, incompatibilities
from nmt_cli.data.inspection import ParallelTextStats, TokenLengths, inspect_corpus, token_lengths
from nmt_cli.data.prepared.store import Tokenizers
from nmt_cli.data.sources.corpus import Corpus, find_corpus, pending_downloads, search_folders
from nmt_cli.data.tokenization.training import train_tokenizer
from nmt_cli.device import choose_dtype, find_device
from nmt_cli.errors import DataError, RecipeError, UserError
from nmt_cli.models.contract import Autoregressive
from nmt_cli.recipe.loader import SECTIONS, Recipe, load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.init_from import find_base_or_started_run, inherit_sections
from nmt_cli.runs.loading import build_model
from nmt_cli.training.memory import available_memory
from nmt_cli.training.memory_estimate import MemoryEstimate, estimate_memory

MAX_SAMPLE_PAIRS = 100_000  # pairs of each part that are cleaned
MAX_TOKENIZER_PAIRS = 40_000  # of them for the tokenizer that lengths are measured with
MIN_SUBWORD_FREQUENCY = 30  # occurrences of a piece, on average, below which a vocabulary is too large
MIN_KEPT_FRACTION = 0.95  # share of pairs, below which a filter is worth a warning
MAX_TRUNCATED_FRACTION = 0.01  # share of targets that search cannot write, above which a warning is due
ASSUMED_TOKENS_PER_BATCH = 4096  # target positions that training.tokens_per_batch: auto is taken for
GIB = 1 << 30

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing to know before training."""

    level: Level
    about: str
    text: str

    def record(self) -> dict[str, str]:
        """As a plain object."""
        return asdict(self)


def check(
    recipe: str | Path, overrides: list[str], out: Path | None, reporter: Reporter, device: str = "auto"
) -> list[Finding]:
    """Everything that can be found out about a recipe without training it; writes nothing."""
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
        return list(_RecipeChecker(resolved_recipe, run_path, device, base_tokenizers).run())


class _RecipeChecker:
    """The steps in order; each goes on from what the one before it found.

    `known` are the tokenizers of the run that this one begins with.
    """

    def __init__(self, recipe: Recipe, out: Path, device: str, base_tokenizers: Tokenizers | None) -> None:
        self.recipe, self.out, self.device, self.base_tokenizers = (recipe, out, device, base_tokenizers)

    def run(self) -> Iterator[Finding]:
        """All findings; a step that cannot be made ends the checks that stand on it."""
        yield from self._option_warnings()
        yield from self._export_findings()
        yield from self._run_folder_findings()
        try:
            corpus = find_corpus(self.recipe.corpus, search_folders(self.recipe.folder))
        except DataError as error:
            yield self._missing_corpus_finding(error)
            return
        try:
            facts = inspect_corpus(corpus, self.recipe.corpus, MAX_SAMPLE_PAIRS)
        except DataError as error:
            yield Finding("error", "corpus", str(error))
            return
        yield from self._corpus_findings(corpus, facts)
        pairs = [pair for part in facts["train"] for pair in part.clean_pairs]
        if not pairs:
            yield Finding("error", "corpus.train", "no pair is left to train on")
            return
        try:
            tokenizers = self.base_tokenizers or self._train_tokenizers(pairs[:: -(-len(pairs) // MAX_TOKENIZER_PAIRS)])
        except DataError as error:
            yield Finding("error", "tokenizer", str(error))
            return
        source, target = token_lengths(tokenizers, pairs)
        total_pairs = sum(part.pair_count for part in facts["train"])
        if self.base_tokenizers is None:
            yield from self._vocabulary_findings(tokenizers, source, target, total_pairs / len(pairs))
        yield from self._length_findings(source, target)
        yield from self._resource_findings(tokenizers, source, target, total_pairs)

    def _option_warnings(self) -> Iterator[Finding]:
        for key in SECTIONS:
            for text in getattr(self.recipe, key).warnings():
                yield Finding("warning", f"{key}.{text.partition(': ')[0]}", text.partition(": ")[2])
        model, search = self.recipe.model, self.recipe.search
        attention = getattr(model, "attention", "")
        if search.coverage_penalty and (model.type == "ctc" or attention == "none"):
            text = f"does nothing: {model.type} has no attention here"
            yield Finding("warning", "search.coverage_penalty", text)

    def _export_findings(self) -> Iterator[Finding]:
        for name in FORMATS:
            if reasons := incompatibilities(self.recipe, name):
                yield Finding("note", "nmt export", f"not to {name}: {'; '.join(reasons)}")

    def _run_folder_findings(self) -> Iterator[Finding]:
        if self.out.exists():
            text = f"{self.out} exists: continue with --resume, or choose another --out DIR"
            yield Finding("warning", "run folder", text)

    def _missing_corpus_finding(self, error: DataError) -> Finding:
        if downloads := pending_downloads(self.recipe.corpus):
            return Finding("warning", "corpus", f"not here yet; nmt prepare will fetch {', '.join(downloads)}")
        return Finding("error", "corpus", str(error))

    def _corpus_findings(self, corpus: Corpus, facts: dict[str, list[ParallelTextStats]]) -> Iterator[Finding]:
        for role, parts in facts.items():
            for part in parts:
                yield Finding("note", f"corpus.{role}", f"{part.label}: {part.pair_count:,} pairs")
                yield from self._corpus_part_findings(role, part)
        if corpus.dev is None:
            yield Finding("note", "corpus.dev", "none: 1 % of the training pairs are held out")
        if corpus.test is None:
            yield Finding("warning", "corpus.test", "none: training ends without a score")

    def _corpus_part_findings(self, role: str, part: ParallelTextStats) -> Iterator[Finding]:
        key = f"corpus.{role}"
        if part.pair_count == 0:
            yield Finding("error", key, f"{part.label}: the text is empty")
            return
        if part.invalid_utf8_lines:
            lines = ", ".join(map(str, part.invalid_utf8_lines))
            yield Finding("warning", key, f"{part.label}: not UTF-8: line {lines} ...")
        if role != "train":
            return
        for name, dropped in part.dropped.items():
            dropped_fraction = dropped.count / part.inspected_pairs
            level: Level = "warning" if dropped_fraction > 1 - MIN_KEPT_FRACTION else "note"
            text = f"{part.label}: {dropped_fraction:.1%} dropped: {name}, as in {dropped.examples[0]}"
            yield Finding(level, key, text)

    def _train_tokenizers(self, pairs: list[tuple[str, str]]) -> Tokenizers:
        """Tokenizers as preparing would learn them, from fewer lines."""
        config, nfc = self.recipe.tokenizer, self.recipe.corpus.normalization == "nfc"
        fast_config = config.model_copy(update={"type": "bpe"}) if config.type == "unigram" else config

        def side_lines(index: int) -> list[str]:
            return [pair[index] for pair in pairs]

        if config.joint:
            joint_tokenizer = train_tokenizer(lambda: side_lines(0) + side_lines(1), fast_config, nfc=nfc)
            return Tokenizers(joint_tokenizer, joint_tokenizer)
        source = train_tokenizer(lambda: side_lines(0), fast_config, nfc=nfc)
        return Tokenizers(source, train_tokenizer(lambda: side_lines(1), fast_config, nfc=nfc))

    def _vocabulary_findings(
        self, tokenizers: Tokenizers, source: TokenLengths, target: TokenLengths, scale: float
    ) -> Iterator[Finding]:
        vocab_size, key = self.recipe.tokenizer.vocab_size, "tokenizer.vocab_size"
        sizes = {tokenizers.source.vocab_size, tokenizers.target.vocab_size}
        if scale == 1 and min(sizes) < 0.98 * vocab_size:
            text = f"{vocab_size:,}, but the text gives only {min(sizes):,} pieces"
            yield Finding("warning", key, text)
        subword_count = int((source.sum() + target.sum()) * scale)
        mean_frequency = subword_count / vocab_size / (1 if tokenizers.joint else 2)
        text = f"a piece of the {vocab_size:,} is seen {mean_frequency:,.0f} times on average"
        level: Level = "note" if mean_frequency >= MIN_SUBWORD_FREQUENCY else "warning"
        yield Finding(level, key, text + ("" if level == "note" else "; a smaller size learns more"))

    def _length_findings(self, source: TokenLengths, target: TokenLengths) -> Iterator[Finding]:
        for side, lengths in (("source", source), ("target", target)):
            median, percentile_99 = np.percentile(lengths, [50, 99])
            text = f"pieces: half below {median:.0f}, 99 % below {percentile_99:.0f}, longest {lengths.max()}"
            yield Finding("note", f"{side} lengths", text)
        max_length = self.recipe.corpus.max_length
        too_long_fraction = 0.0 if max_length is None else float((np.maximum(source, target) > max_length).mean())
        if too_long_fraction:
            level: Level = "warning" if too_long_fraction > 1 - MIN_KEPT_FRACTION else "note"
            text = f"{too_long_fraction:.2%} of the pairs are longer than {max_length} pieces and dropped"
            yield Finding(level, "corpus.max_length", text)
        length_limits = np.array([self.recipe.search.max_target_length(int(source_length)) for source_length in source])
        if (affected_fraction := float((target > length_limits).mean())) > MAX_TRUNCATED_FRACTION:
            text = f"{affected_fraction:.1%} of the training targets are longer than a translation may be"
            key = "max_length" if self.recipe.search.max_length else "max_length_factor"
            yield Finding("warning", f"search.{key}", text)
        max_source_length = self.recipe.search.max_source_length
        if (affected_fraction := float((source > max_source_length).mean())) > 0:
            text = f"{affected_fraction:.2%} of the training sources are longer and would be translated in parts"
            yield Finding("note", "search.max_source_length", text)

    def _resource_findings(
        self, tokenizers: Tokenizers, source: TokenLengths, target: TokenLengths, total_pairs: int
    ) -> Iterator[Finding]:
        training, max_length = self.recipe.training, self.recipe.corpus.max_length
        keep_mask = np.maximum(source, target) <= (max_length or source.max() + target.max())
        if not keep_mask.any():
            yield Finding("error", "corpus.max_length", "drops every pair")
            return
        longest_pair = int(source[keep_mask].max()) + 1, int(target[keep_mask].max()) + 1
        model = build_model(self.recipe, tokenizers.vocabulary)
        position_findings = list(self._position_findings(model, longest_pair))
        yield from position_findings
        if any(finding.level == "error" for finding in position_findings):
            return
        parameters = sum(parameter.numel() for parameter in model.parameters())
        tokens_per_epoch = (float(target[keep_mask].mean()) + 1) * total_pairs * float(keep_mask.mean())
        tokens_per_batch = training.tokens_per_batch
        batch_positions = ASSUMED_TOKENS_PER_BATCH if tokens_per_batch == "auto" else tokens_per_batch
        epochs = training.updates * training.gradient_accumulation * batch_positions / tokens_per_epoch
        text = f"{parameters:,} parameters; {training.updates:,} updates are {epochs:,.1f} epochs"
        yield Finding("note", "training", text)
        try:
            device = find_device(self.device)
        except UserError as error:
            yield Finding("error", "device", str(error))
            return
        dtype = choose_dtype(training.precision, device)
        sentences = max(1, batch_positions // max(longest_pair[1], longest_pair[0] // 2))
        uses_ema = training.ema_decay is not None
        estimate = estimate_memory(model, dtype, *longest_pair, sentences, device.type, has_moving_average=uses_ema)
        yield self._memory_finding(estimate, available_memory(device), longest_pair, sentences)
        yield self._disk_finding(estimate)

    def _position_findings(self, model: Any, longest_pair: tuple[int, int]) -> Iterator[Finding]:
        limits = model.max_source_positions, model.max_target_positions
        for side, limit, length in zip(("source", "target"), limits, longest_pair, strict=True):
            if limit is not None and length > limit:
                text = f"the model has {limit} positions, the longest {side} needs {length}"
                yield Finding("error", "model.max_positions", text)
        if not isinstance(model, Autoregressive):
            source_too_short = longest_pair[1] > longest_pair[0] * getattr(model.config, "upsample", 1)
            if source_too_short:
                text = "some targets are longer than source * upsample and cannot be learned"
                yield Finding("note", "model.upsample", text)

    def _memory_finding(
        self, estimate: MemoryEstimate, free_bytes: int, longest_pair: tuple[int, int], sentences: int
    ) -> Finding:
        text = (
            f"about {estimate.total_bytes / GIB:.1f} GiB for the largest batch ({sentences} sentences of "
            f"{longest_pair[0]} and {longest_pair[1]} pieces), {free_bytes / GIB:.1f} GiB are free"
        )
        level: Level = "error" if 0 < free_bytes < estimate.total_bytes else "note"
        hint = "; a smaller training.tokens_per_batch or corpus.max_length takes less"
        return Finding(level, "memory", text + (hint if level == "error" else ""))

    def _disk_finding(self, estimate: MemoryEstimate) -> Finding:
        checkpoint_count = max(2, self.recipe.training.average_checkpoints) + 1
        needed_bytes = estimate.checkpoint_bytes * checkpoint_count + estimate.checkpoint_bytes // 3
        existing_folder = next(path for path in (self.out.absolute(), *self.out.absolute().parents) if path.exists())
        free_bytes = shutil.disk_usage(existing_folder).free
        text = f"{needed_bytes / GIB:.2f} GiB for {checkpoint_count} checkpoints, {free_bytes / GIB:.1f} GiB are free"
        return Finding("error" if needed_bytes > free_bytes else "note", "disk", text)
