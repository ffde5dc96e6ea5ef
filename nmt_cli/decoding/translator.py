"""From text to text: encode, sort, batch, search, decode, restore the order."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nmt_cli.data.batching import in_batches_of
from nmt_cli.data.prepared import Tokenizers
from nmt_cli.decoding.alignments import word_alignment
from nmt_cli.decoding.engine import Engine, TorchEngine
from nmt_cli.decoding.hypothesis import Hypothesis, SearchConfig
from nmt_cli.decoding.segments import split_line
from nmt_cli.models.contract import TranslationModel

Ids = list[int]


@dataclass(frozen=True)
class Candidate:
    """One translation of a line; scores of a line that was split are sums over its parts."""

    text: str
    score: float
    log_probability: float
    alignment: list[tuple[int, int]] | None = None  # (source word, target word), from 0


@dataclass(frozen=True)
class Translation:
    """What became of one line: candidates, best first; none for a line without text."""

    candidates: list[Candidate]
    warnings: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The best candidate, on one line."""
        return self.candidates[0].text if self.candidates else ""


class Translator:
    """Translates lines with a model (which may be an ensemble) or another runtime's engine."""

    def __init__(
        self,
        model: TranslationModel[Any] | Engine,
        tokenizers: Tokenizers,
        config: SearchConfig,
        *,
        align: bool = False,
    ) -> None:
        self.engine = model if isinstance(model, Engine) else TorchEngine(model)
        self.tokenizers, self.config = tokenizers, config
        self.align = align
        limits = [config.max_source_length, (self.engine.longest_source or 1 << 30) - 1]
        self.limit = min(limits)

    def translate(
        self, lines: Sequence[str], prefixes: Sequence[str] | None = None
    ) -> list[Translation]:
        """One translation a line, in the order of the lines; a blank line's is empty.

        `prefixes` are texts that the translations begin with, one a line. A line of more than
        search.max_source_length pieces is translated in parts, and its translation says so.
        """
        ids = self.tokenizers.source.encode([line.strip() for line in lines])
        parts = [self._parts(line, one) for line, one in zip(lines, ids, strict=True)]
        flat = [part for some in parts for part in some]
        forced: list[Ids] | None = None
        if prefixes is not None:
            encoded = self.tokenizers.target.encode(list(prefixes))
            forced = [
                one if number == 0 else []
                for one, some in zip(encoded, parts, strict=True)
                for number in range(len(some))
            ]
        found = iter(self._translate_ids(flat, forced))
        return [_joined([next(found) for _ in some]) for some in parts]

    def _parts(self, line: str, ids: Ids) -> list[Ids]:
        """The ids to translate for a line: none for a blank one, several for a very long one."""
        if not ids or not line.strip():
            return []
        if len(ids) <= self.limit:
            return [ids]
        encode = self.tokenizers.source.encode
        texts = split_line(line.strip(), self.limit, lambda some: [len(x) for x in encode(some)])
        return [one[: self.limit] for one in encode(texts) if one]

    def _translate_ids(self, sources: list[Ids], forced: list[Ids] | None) -> list[list[Candidate]]:
        """Candidates of each source, in batches of similar length."""
        result: list[list[Candidate]] = [[] for _ in sources]
        budget = self.engine.positions(self.config)
        for group in in_batches_of([len(ids) + 1 for ids in sources], budget):
            chosen = [sources[number] for number in group]
            start = None if forced is None else [forced[number] for number in group]
            found = self.engine.search(chosen, self.config, start)
            decoded = self._decode(chosen, found)
            for number, candidates in zip(group, decoded, strict=True):
                result[number] = candidates
        return result

    def _decode(self, sources: list[Ids], found: list[list[Hypothesis]]) -> list[list[Candidate]]:
        flat = [one for some in found for one in some]
        texts = iter(self.tokenizers.target.decode([one.ids for one in flat]))
        repeated = [ids for ids, some in zip(sources, found, strict=True) for _ in some]
        aligned = iter(self._alignments(repeated, [one.ids for one in flat]))
        return [
            [
                Candidate(one_line(next(texts)), one.score, one.log_probability, next(aligned))
                for one in some
            ]
            for some in found
        ]

    def _alignments(
        self, sources: list[Ids], targets: list[Ids]
    ) -> list[list[tuple[int, int]] | None]:
        if not self.align or not sources:
            return [None] * len(sources)
        weights = self.engine.attention(sources, targets)
        if weights is None:
            return [None] * len(sources)
        pieces = self.tokenizers.source.pieces, self.tokenizers.target.pieces
        return [
            word_alignment(one, pieces[0](source), pieces[1](target))
            for one, source, target in zip(weights, sources, targets, strict=True)
        ]


def one_line(text: str) -> str:
    """Line feeds, which byte pieces can spell, become spaces: one line in, one line out."""
    return text.replace("\n", " ")


def _joined(parts: list[list[Candidate]]) -> Translation:
    """The translation of a line from those of its parts."""
    if len(parts) <= 1:
        return Translation(parts[0] if parts else [])
    best = [candidates[0] for candidates in parts]
    whole = Candidate(
        " ".join(one.text for one in best),
        sum(one.score for one in best),
        sum(one.log_probability for one in best),
    )
    return Translation([whole], [f"longer than the model reads: translated in {len(parts)} parts"])
