"""From text to text: encode, cut, sort, batch, search, guard, decode, restore the order."""

from collections.abc import Sequence
from typing import Any

from nmt_cli.data.batching import in_batches_of
from nmt_cli.data.prepared import Tokenizers
from nmt_cli.decoding.alignments import word_alignment
from nmt_cli.decoding.engine import Engine, TorchEngine
from nmt_cli.decoding.guard import Draft, Task, Verdict, guarded, merged
from nmt_cli.decoding.hypothesis import Hypothesis, SearchConfig
from nmt_cli.decoding.segments import Segment, rejoin, split_line
from nmt_cli.decoding.stream import one_line
from nmt_cli.decoding.translation import Candidate, LinePlan, Part, Translation
from nmt_cli.models.contract import TranslationModel

Ids = list[int]
Alignment = list[tuple[int, int]]


class Translator:
    """Translates lines with a model (which may be an ensemble) or another runtime's engine."""

    def __init__(
        self,
        model: TranslationModel[Any] | Engine,
        tokenizers: Tokenizers,
        config: SearchConfig,
        *,
        align: bool = False,
        respell: bool = True,
    ) -> None:
        """With `align`, candidates have an alignment.

        Without `respell`, a log-probability is that of the pieces that search wrote, which nothing
        has to be computed for.
        """
        self.engine = model if isinstance(model, Engine) else TorchEngine(model)
        self.tokenizers, self.config = tokenizers, config
        self.align, self.respell = align, respell
        limits = [config.max_source_length, (self.engine.longest_source or 1 << 30) - 1]
        self.limit = min(limits)

    def translate(
        self, lines: Sequence[str], prefixes: Sequence[str] | None = None
    ) -> list[Translation]:
        """One translation a line, in the order of the lines; a blank line's is empty.

        `prefixes` are texts that the translations begin with, one a line; white space around them
        does not count. A line of more than search.max_source_length pieces is translated in parts
        (or, with search.split off, cut), and its translation says so.
        """
        texts = [line.strip() for line in lines]
        ids = self.tokenizers.source.encode(texts)
        plans = [self._plan(text, one) for text, one in zip(texts, ids, strict=True)]
        if prefixes is not None:
            self._begin(plans, [one.strip() for one in prefixes])
        parts = [part for plan in plans for part in plan.parts]
        drafts = self._search(parts, self.config)
        verdicts: list[Verdict | None] = [None] * len(parts)
        if self.config.guard:
            tasks = [Task(part.segment.text, len(part.ids), part.prefix) for part in parts]
            drafts, verdicts = guarded(
                tasks,
                drafts,
                self.config,
                lambda numbers, config: self._search([parts[n] for n in numbers], config),
            )
        found = iter(zip(self._candidates(parts, drafts), verdicts, strict=True))
        return [
            _translation(plan, [next(found) for _ in plan.parts], align=self.align)
            for plan in plans
        ]

    def _plan(self, text: str, ids: Ids) -> LinePlan:
        """What is translated for a line: nothing for a blank one, several parts of a long one."""
        if not ids or not text:
            return LinePlan([])
        if len(ids) <= self.limit:
            return LinePlan([Part(Segment(text), ids)])
        if not self.config.split:
            return LinePlan([Part(Segment(text), ids[: self.limit])], len(ids) - self.limit)
        encode, lead = self.tokenizers.source.encode, self.tokenizers.source.lead(text)
        room = self.limit - (len(encode([lead])[0]) if lead else 0)
        segments = split_line(
            text[len(lead) :], max(1, room), lambda some: [len(x) for x in encode(some)]
        )
        encoded = encode([lead + segment.text for segment in segments])
        lost = sum(max(0, len(one) - self.limit) for one in encoded)
        both = zip(segments, encoded, strict=True)
        return LinePlan([Part(segment, one[: self.limit]) for segment, one in both if one], lost)

    def _begin(self, plans: list[LinePlan], prefixes: Sequence[str]) -> None:
        """Give each line's first part its prefix, as far as the model can write it."""
        encoded = self.tokenizers.target.encode(prefixes)
        longest = self.engine.longest_target
        for plan, text, ids in zip(plans, prefixes, encoded, strict=True):
            if not ids:
                continue
            if not plan.parts:
                plan.warnings.append("the line is blank: its prefix was not used")
                continue
            if longest is not None and len(ids) > longest - 1:
                plan.warnings.append(f"the prefix is longer than the {longest - 1} pieces that the "
                                     "model can write: cut")  # fmt: skip
                ids = ids[: longest - 1]
            plan.parts[0] = plan.parts[0]._replace(prefix=text, forced=ids)

    def _search(self, parts: Sequence[Part], config: SearchConfig) -> list[list[Draft]]:
        """Drafts of each part, best first, from batches of similar length."""
        result: list[list[Hypothesis]] = [[] for _ in parts]
        budget = self.engine.positions(config)
        for group in in_batches_of([len(part.ids) + 1 for part in parts], budget):
            start = [parts[number].forced for number in group]
            sources = [parts[number].ids for number in group]
            found = self.engine.search(sources, config, start if any(start) else None)
            for number, some in zip(group, found, strict=True):
                result[number] = some
        texts = iter(self.tokenizers.target.decode([one.ids for some in result for one in some]))
        return [[Draft(one, one_line(next(texts))) for one in some] for some in result]

    def _candidates(
        self, parts: Sequence[Part], drafts: list[list[Draft]]
    ) -> list[list[Candidate]]:
        flat = [(part.ids, one) for part, some in zip(parts, drafts, strict=True) for one in some]
        aligned = self._alignments([(ids, draft.hypothesis.ids) for ids, draft in flat])
        both = zip(flat, self._log_probabilities(flat), aligned, strict=True)
        found = iter(
            Candidate(draft.text, draft.hypothesis.score, value, pairs)
            for (_, draft), value, pairs in both
        )
        return [[next(found) for _ in some] for some in drafts]

    def _log_probabilities(self, drafts: list[tuple[Ids, Draft]]) -> list[float]:
        """The log-probability of each draft's text, which `nmt rescore` computes, too.

        Search may spell a text in other pieces than the tokenizer does; such a text is scored once
        more in those of the tokenizer.
        """
        values = [draft.hypothesis.log_probability for _, draft in drafts]
        if not self.respell:
            return values
        spelled = self.tokenizers.target.encode([draft.text.strip() for _, draft in drafts])
        longest = self.engine.longest_target
        other = [
            number
            for number, (ids, (_, draft)) in enumerate(zip(spelled, drafts, strict=True))
            if ids != draft.hypothesis.ids and (longest is None or len(ids) < longest)
        ]
        sources, targets = [drafts[n][0] for n in other], [spelled[n] for n in other]
        if other and (found := self.engine.log_probabilities(sources, targets, self.config)):
            for number, value in zip(other, found, strict=True):
                values[number] = value
        return values

    def _alignments(self, pairs: list[tuple[Ids, Ids]]) -> list[Alignment | None]:
        found: list[Alignment | None] = [None] * len(pairs)
        if not self.align:
            return found
        sizes = [max(len(source), len(target)) + 1 for source, target in pairs]
        pieces = self.tokenizers.source.pieces, self.tokenizers.target.pieces
        for group in in_batches_of(sizes, self.engine.positions(self.config)):
            chosen = [pairs[number] for number in group]
            weights = self.engine.attention([one[0] for one in chosen], [one[1] for one in chosen])
            for number, one, (source, target) in zip(group, weights or [], chosen, strict=False):
                found[number] = word_alignment(one, pieces[0](source), pieces[1](target))
        return found


def _translation(
    plan: LinePlan, parts: list[tuple[list[Candidate], Verdict | None]], *, align: bool
) -> Translation:
    """The translation of a line from those of its parts."""
    verdict = merged([verdict for _, verdict in parts])
    warnings = [*plan.warnings]
    if len(parts) > 1:
        warnings.append(
            f"longer than the model reads: translated in {len(parts)} parts"
            + (", so it has no alignment" if align else "")
        )
    if plan.lost:
        warnings.append(f"longer than the model reads: {plan.lost:,} of its pieces were not read")
    if verdict is not None:
        warnings.append(verdict.warning)
    candidates = parts[0][0] if len(parts) == 1 else []
    if any(not some for some, _ in parts):
        warnings.append("search found no translation")
    if len(parts) > 1:
        candidates = _joined(plan, [some for some, _ in parts])
    return Translation(candidates, warnings, verdict, plan.lost)


def _joined(plan: LinePlan, parts: list[list[Candidate]]) -> list[Candidate]:
    """One candidate for the whole line; its scores are sums over the parts."""
    best = [some[0] for some in parts if some]
    if not best:
        return []
    texts = [some[0].text if some else "" for some in parts]
    whole = Candidate(
        rejoin([part.segment for part in plan.parts], texts),
        sum(one.score for one in best),
        sum(one.log_probability for one in best),
    )
    return [whole]
