"""nmt check: what would go wrong hours into a run, found in seconds."""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nmt_cli.commands.export import FORMATS, problems
from nmt_cli.commands.fine_tuning import find_origin_or_begun, inherit
from nmt_cli.commands.runs import build_model
from nmt_cli.data.corpora.places import cache_folder
from nmt_cli.data.corpus import Corpus, find_corpus, search_folders, unfetched
from nmt_cli.data.inspection import Lengths, PartFacts, inspect_all, piece_lengths
from nmt_cli.data.prepared import Tokenizers
from nmt_cli.data.tokenizer_training import train_tokenizer
from nmt_cli.device import choose_precision, find_device
from nmt_cli.errors import DataError, RecipeError, UserError
from nmt_cli.models.contract import Autoregressive
from nmt_cli.recipe import SECTIONS, Recipe, load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.training.footprint import Footprint, footprint
from nmt_cli.training.memory import available_memory

LOOKED_AT = 100_000  # pairs of each part that are cleaned
LEARNED_FROM = 40_000  # of them for the tokenizer that lengths are measured with
LEAST_SEEN = 30  # occurrences of a piece, on average, below which a vocabulary is too large
LEAST_KEPT = 0.95  # share of pairs, below which a filter is worth a warning
CUT_OFF = 0.01  # share of targets that search cannot write, above which a warning is due
AUTOMATIC = 4096  # target positions that training.tokens_per_batch: auto is taken for
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
    recipe: str | Path,
    settings: list[str],
    out: Path | None,
    reporter: Reporter,
    device: str = "auto",
) -> list[Finding]:
    """Everything that can be found out about a recipe without training it; writes nothing."""
    try:
        loaded = load_recipe(recipe, settings)
        place = out or Path("runs") / loaded.name
        origin = find_origin_or_begun(loaded, place)
        begun = loaded if origin is None else inherit(loaded, origin)
    except RecipeError as error:
        return [Finding("error", "recipe", text) for text in error.problems]
    except UserError as error:
        return [Finding("error", "recipe", str(error))]
    with reporter.progress(f"check {loaded.name}", None):
        known = None if origin is None else origin.tokenizers
        return list(_Check(begun, place, device, known).run())


class _Check:
    """The steps in order; each goes on from what the one before it found.

    `known` are the tokenizers of the run that this one begins with.
    """

    def __init__(self, recipe: Recipe, out: Path, device: str, known: Tokenizers | None) -> None:
        self.recipe, self.out, self.device, self.known = recipe, out, device, known

    def run(self) -> Iterator[Finding]:
        """All findings; a step that cannot be made ends the checks that stand on it."""
        yield from self._doubts()
        yield from self._exports()
        yield from self._folder()
        try:
            corpus = find_corpus(
                self.recipe.corpus, search_folders(self.recipe.folder, cache_folder())
            )
        except DataError as error:
            yield self._missing(error)
            return
        try:
            facts = inspect_all(corpus, self.recipe.corpus, LOOKED_AT)
        except DataError as error:
            yield Finding("error", "corpus", str(error))
            return
        yield from self._text(corpus, facts)
        pairs = [pair for part in facts["train"] for pair in part.clean]
        if not pairs:
            yield Finding("error", "corpus.train", "no pair is left to train on")
            return
        try:
            tokenizers = self.known or self._tokenizers(pairs[:: -(-len(pairs) // LEARNED_FROM)])
        except DataError as error:
            yield Finding("error", "tokenizer", str(error))
            return
        source, target = piece_lengths(tokenizers, pairs)
        total = sum(part.pairs for part in facts["train"])
        if self.known is None:
            yield from self._vocabulary(tokenizers, source, target, total / len(pairs))
        yield from self._lengths(source, target)
        yield from self._machine(tokenizers, source, target, total)

    def _doubts(self) -> Iterator[Finding]:
        for key in SECTIONS:
            for text in getattr(self.recipe, key).doubts():
                yield Finding(
                    "warning", f"{key}.{text.partition(': ')[0]}", text.partition(": ")[2]
                )
        model, search = self.recipe.model, self.recipe.search
        attention = getattr(model, "attention", "")
        if search.coverage_penalty and (model.type == "ctc" or attention == "none"):
            text = f"does nothing: {model.type} has no attention here"
            yield Finding("warning", "search.coverage_penalty", text)

    def _exports(self) -> Iterator[Finding]:
        for name in FORMATS:
            if found := problems(self.recipe, name):
                yield Finding("note", "nmt export", f"not to {name}: {'; '.join(found)}")

    def _folder(self) -> Iterator[Finding]:
        if self.out.exists():
            text = f"{self.out} exists: go on with --resume, or train elsewhere with --out DIR"
            yield Finding("warning", "run folder", text)

    def _missing(self, error: DataError) -> Finding:
        config = self.recipe.corpus
        wanted, download = unfetched(config), config.download
        if wanted:
            text = f"not here yet; nmt prepare will fetch {', '.join(wanted)}"
            return Finding("warning", "corpus.name", text)
        if download is None:
            return Finding("error", "corpus", str(error))
        files = ", ".join(download.sha256)
        text = f"not here yet; nmt prepare will fetch {files} from {download.address}"
        return Finding("warning", "corpus", text)

    def _text(self, corpus: Corpus, facts: dict[str, list[PartFacts]]) -> Iterator[Finding]:
        for role, parts in facts.items():
            for part in parts:
                yield Finding("note", f"corpus.{role}", f"{part.label}: {part.pairs:,} pairs")
                yield from self._part(role, part)
        if corpus.dev is None:
            yield Finding("note", "corpus.dev", "none: 1 % of the training pairs are held out")
        if corpus.test is None:
            yield Finding("warning", "corpus.test", "none: training ends without a score")

    def _part(self, role: str, part: PartFacts) -> Iterator[Finding]:
        about = f"corpus.{role}"
        if part.pairs == 0:
            yield Finding("error", about, f"{part.label}: the text is empty")
            return
        if part.damaged:
            lines = ", ".join(map(str, part.damaged))
            yield Finding("warning", about, f"{part.label}: not UTF-8: line {lines} ...")
        if role != "train":
            return
        for name, dropped in part.dropped.items():
            share = dropped.count / part.read
            level: Level = "warning" if share > 1 - LEAST_KEPT else "note"
            text = f"{part.label}: {share:.1%} dropped: {name}, as in {dropped.examples[0]}"
            yield Finding(level, about, text)

    def _tokenizers(self, pairs: list[tuple[str, str]]) -> Tokenizers:
        """Tokenizers as preparing would learn them, from fewer lines."""
        config, nfc = self.recipe.tokenizer, self.recipe.corpus.normalization == "nfc"
        quick = config.model_copy(update={"type": "bpe"}) if config.type == "unigram" else config

        def side(number: int) -> list[str]:
            return [pair[number] for pair in pairs]

        if config.joint:
            both = train_tokenizer(lambda: side(0) + side(1), quick, nfc=nfc)
            return Tokenizers(both, both)
        one, other = (train_tokenizer(lambda n=n: side(n), quick, nfc=nfc) for n in (0, 1))  # type: ignore[misc]
        return Tokenizers(one, other)

    def _vocabulary(
        self, tokenizers: Tokenizers, source: Lengths, target: Lengths, scale: float
    ) -> Iterator[Finding]:
        wanted, about = self.recipe.tokenizer.vocab_size, "tokenizer.vocab_size"
        sizes = {tokenizers.source.size, tokenizers.target.size}
        if scale == 1 and min(sizes) < 0.98 * wanted:
            text = f"{wanted:,}, but the text gives only {min(sizes):,} pieces"
            yield Finding("warning", about, text)
        pieces = int((source.sum() + target.sum()) * scale)
        seen = pieces / wanted / (1 if tokenizers.joint else 2)
        text = f"a piece of the {wanted:,} is seen {seen:,.0f} times on average"
        level: Level = "note" if seen >= LEAST_SEEN else "warning"
        yield Finding(
            level, about, text + ("" if level == "note" else "; a smaller size learns more")
        )

    def _lengths(self, source: Lengths, target: Lengths) -> Iterator[Finding]:
        for side, lengths in (("source", source), ("target", target)):
            half, most = np.percentile(lengths, [50, 99])
            text = f"pieces: half below {half:.0f}, 99 % below {most:.0f}, longest {lengths.max()}"
            yield Finding("note", f"{side} lengths", text)
        limit = self.recipe.corpus.max_length
        longer = 0.0 if limit is None else float((np.maximum(source, target) > limit).mean())
        if longer:
            level: Level = "warning" if longer > 1 - LEAST_KEPT else "note"
            text = f"{longer:.2%} of the pairs are longer than {limit} pieces and dropped"
            yield Finding(level, "corpus.max_length", text)
        longest = np.array([self.recipe.search.longest(int(one)) for one in source])
        if (share := float((target > longest).mean())) > CUT_OFF:
            text = f"{share:.1%} of the training targets are longer than a translation may be"
            key = "max_length" if self.recipe.search.max_length else "max_length_factor"
            yield Finding("warning", f"search.{key}", text)
        reach = self.recipe.search.max_source_length
        if (share := float((source > reach).mean())) > 0:
            text = (
                f"{share:.2%} of the training sources are longer and would be translated in parts"
            )
            yield Finding("note", "search.max_source_length", text)

    def _machine(
        self, tokenizers: Tokenizers, source: Lengths, target: Lengths, total: int
    ) -> Iterator[Finding]:
        training, limit = self.recipe.training, self.recipe.corpus.max_length
        kept = np.maximum(source, target) <= (limit or source.max() + target.max())
        if not kept.any():
            yield Finding("error", "corpus.max_length", "drops every pair")
            return
        longest = int(source[kept].max()) + 1, int(target[kept].max()) + 1
        model = build_model(self.recipe, tokenizers.vocabulary)
        too_long = list(self._positions(model, longest))
        yield from too_long
        if any(one.level == "error" for one in too_long):
            return
        parameters = sum(parameter.numel() for parameter in model.parameters())
        tokens = (float(target[kept].mean()) + 1) * total * float(kept.mean())
        wanted = training.tokens_per_batch
        budget = AUTOMATIC if wanted == "auto" else wanted
        passes = training.updates * training.accumulate * budget / tokens
        text = f"{parameters:,} parameters; {training.updates:,} updates are {passes:,.1f} epochs"
        yield Finding("note", "training", text)
        try:
            place = find_device(self.device)
        except UserError as error:
            yield Finding("error", "device", str(error))
            return
        dtype = choose_precision(training.precision, place)
        sentences = max(1, budget // max(longest[1], longest[0] // 2))
        averaged = training.average_decay is not None
        size = footprint(model, dtype, *longest, sentences, place.type, averaged=averaged)
        yield self._memory(size, available_memory(place), longest, sentences)
        yield self._disk(size)

    def _positions(self, model: Any, longest: tuple[int, int]) -> Iterator[Finding]:
        limits = model.longest_source, model.longest_target
        for side, limit, length in zip(("source", "target"), limits, longest, strict=True):
            if limit is not None and length > limit:
                text = f"the model has {limit} positions, the longest {side} needs {length}"
                yield Finding("error", "model.max_positions", text)
        if not isinstance(model, Autoregressive):
            short = longest[1] > longest[0] * getattr(model.config, "upsample", 1)
            if short:
                text = "some targets are longer than source * upsample and cannot be learned"
                yield Finding("note", "model.upsample", text)

    def _memory(
        self, size: Footprint, free: int, longest: tuple[int, int], sentences: int
    ) -> Finding:
        text = (
            f"about {size.total / GIB:.1f} GiB for the largest batch ({sentences} sentences of "
            f"{longest[0]} and {longest[1]} pieces), {free / GIB:.1f} GiB are free"
        )
        level: Level = "error" if 0 < free < size.total else "note"
        hint = "; a smaller training.tokens_per_batch or corpus.max_length takes less"
        return Finding(level, "memory", text + (hint if level == "error" else ""))

    def _disk(self, size: Footprint) -> Finding:
        kept = max(2, self.recipe.training.average) + 1
        needed = size.checkpoint * kept + size.checkpoint // 3
        place = next(
            path for path in (self.out.absolute(), *self.out.absolute().parents) if path.exists()
        )
        free = shutil.disk_usage(place).free
        text = f"{needed / GIB:.2f} GiB for {kept} checkpoints, {free / GIB:.1f} GiB are free"
        return Finding("error" if needed > free else "note", "disk", text)
