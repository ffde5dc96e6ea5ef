"""The candidates of a line from those of its units."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nmt_cli.decoding.config import SearchConfig
from nmt_cli.inference.line_plan import LinePlan
from nmt_cli.inference.output import Candidate, TranslatedSentence
from nmt_cli.inference.segments import spaced_translations
from nmt_cli.inference.text_edits import Alignment

NOTHING = Candidate("", -math.inf, -math.inf)  # of a unit for which search found no translation


def join_candidates(plan: LinePlan, config: SearchConfig) -> tuple[list[Candidate], list[TranslatedSentence]]:
    """The candidates of a line, best first; and where it has several units, each with its part of the best one."""
    distinct = list if config.sampling else _distinct  # how often something is drawn says how probable it is
    unit_candidates = [distinct(unit.candidates) for unit in plan.units]
    candidates: list[Candidate]
    sentences: list[TranslatedSentence] = []
    if len(unit_candidates) == 1:
        candidates = unit_candidates[0]
        if plan.language_tag:  # nothing is aligned to it
            candidates = [_join(plan, [candidate]) for candidate in candidates]
    else:
        combine = _draws if config.sampling else best_combinations
        combinations = combine(unit_candidates, config.n_best)
        if combinations:
            sentences = [
                TranslatedSentence(unit.segment.text, candidate.text, candidate.score)
                for unit, candidate in zip(plan.units, combinations[0], strict=True)
            ]
        candidates = distinct([_join(plan, combination) for combination in combinations])
    if plan.leading or plan.trailing:
        candidates = [replace(each, text=f"{plan.leading}{each.text}{plan.trailing}") for each in candidates]
    return candidates, sentences


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    """The first candidate with each text, whatever spaces are around it, in their order."""
    distinct: dict[str, Candidate] = {}
    for candidate in candidates:
        distinct.setdefault(candidate.text.strip(), candidate)
    return list(distinct.values())


def best_combinations(unit_candidates: list[list[Candidate]], count: int) -> list[list[Candidate]]:
    """A candidate of each unit, in the `count` ways with the highest sums of scores; [] where no unit has any.

    The candidates of a unit are given best first.
    """
    if not any(unit_candidates):
        return []
    best: list[tuple[float, Any]] = [(0.0, None)]  # sum, and a chain of the last candidate and the one before it
    for candidates in unit_candidates:
        extended = [
            (total + candidate.score, (candidate, chain))
            for total, chain in best
            for candidate in candidates or [NOTHING]
        ]
        best = sorted(extended, key=lambda combination: -combination[0])[:count]
    return [_unchain(chain) for _, chain in best]


def _draws(unit_candidates: list[list[Candidate]], count: int) -> list[list[Candidate]]:
    """The i-th candidate of each unit together, `count` times; what is copied is in each draw, and alone drawn once.

    [] where no unit has any candidate.
    """
    most = max(map(len, unit_candidates), default=0)
    present = [candidates or [NOTHING] for candidates in unit_candidates]
    repeated = [candidates * (most // len(candidates)) for candidates in present]
    return [list(draw) for draw in zip(*repeated, strict=True)][:count]


def _unchain(chain: Any) -> list[Candidate]:
    candidates = []
    while chain is not None:
        candidate, chain = chain
        candidates.append(candidate)
    return candidates[::-1]


def _join(plan: LinePlan, candidates: Sequence[Candidate]) -> Candidate:
    """One candidate for the whole line; its scores are sums over the units, its alignment is of the line's words."""
    parts = spaced_translations([unit.segment for unit in plan.units], [candidate.text for candidate in candidates])
    has_alignment = any(candidate.alignment is not None for candidate in candidates)
    return Candidate(
        "".join(parts),
        sum(candidate.score for candidate in candidates),
        sum(candidate.log_probability for candidate in candidates),
        _join_alignments(plan, candidates, parts) if has_alignment else None,
    )


def _join_alignments(plan: LinePlan, candidates: Sequence[Candidate], parts: Sequence[str]) -> Alignment:
    """The alignments of the units, counted in the words of the line and of its translation, which `parts` make up."""
    alignment: Alignment = []
    tag_words = source_words = len(plan.language_tag.split())
    target_words, ends_in_word = 0, False
    for unit, candidate, part in zip(plan.units, candidates, parts, strict=True):
        target_words -= ends_in_word and bool(part) and not part[0].isspace()  # its first word is part of the last one
        own_tag = 0 if unit.given is not None else tag_words  # words of the tag that the unit was given, too
        alignment += [
            (source - own_tag + source_words, target + target_words)
            for source, target in candidate.alignment or []
            if source >= own_tag
        ]
        source_words += len(unit.segment.text.split()) - (not unit.segment.separator)
        if part:
            target_words += len(part.split())
            ends_in_word = not part[-1].isspace()
    return alignment
