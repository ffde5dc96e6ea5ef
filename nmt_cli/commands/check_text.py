"""What nmt check finds in the text of a corpus: its size, bad pairs, evaluation texts that training has seen."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from nmt_cli.data import SIDES
from nmt_cli.data.clean_text import held_out_count
from nmt_cli.data.cleaning import NOT_UTF8, PAIR_MARK, SEVERAL_TARGETS, Problem, exceeds_share
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.filtering.config import FilterConfig
from nmt_cli.data.filtering.corpus_profile import LANGUAGE_FILTERS, LEARNED_FILTERS, CorpusProfile
from nmt_cli.data.filtering.rules import FILTER_KEYS, RULES, Rule, lacks_only_placeholders
from nmt_cli.data.filtering.said_language import unlike_said
from nmt_cli.data.filtering.usual import MIN_PAIRS
from nmt_cli.data.inspection import ParallelTextStats
from nmt_cli.data.overlap import OverlapCounter
from nmt_cli.data.segmentation_marks import MarkedLines
from nmt_cli.data.sources.bad_rows import dropped_rows, is_too_many, other_encoding
from nmt_cli.data.sources.corpus import Corpus
from nmt_cli.errors import pluralize
from nmt_cli.fs import atomic_write_text

MIN_KEPT_FRACTION = 0.95  # of the pairs, below which a filter is worth a warning
MAX_CLEAN_LOSS = 0.003  # of the pairs: a filter that is off and would drop more of them is recommended
MAX_SHOWN_EXAMPLES = 3
REPORTED_KEYS = FILTER_KEYS | {"length ratio": "corpus.max_length_ratio", "duplicate": "corpus.deduplicate"}

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


def check_corpus(corpus: Corpus, stats_by_split: dict[str, list[ParallelTextStats]]) -> Iterator[Finding]:
    """How many pairs each text has, what is wrong with its files, and what is dropped but by filters of content."""
    for split, texts in stats_by_split.items():
        for stats in texts:
            yield Finding("note", f"corpus.{split}", f"{stats.label}: {pluralize(stats.pair_count, 'pair')}")
            yield from _check_parallel_text(split, stats)
    if not corpus.dev:
        total = sum(stats.pair_count for stats in stats_by_split["train"])
        held_out = pluralize(held_out_count(total), "training pair")
        yield Finding("note", "corpus.dev", f"none: about {held_out} will be held out")
    if not corpus.test:
        yield Finding("warning", "corpus.test", "none: training ends without a test score")


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
        yield Finding(level, key, other_encoding(stats.label, stats.files, invalid, stats.inspected_pairs))
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


def check_content(
    corpus: CorpusConfig, stats_by_split: dict[str, list[ParallelTextStats]], profile: CorpusProfile
) -> Iterator[Finding]:
    """What is wrong with pairs, by the filters that would drop them; at last, what to add to the recipe.

    `profile` is that of the training text, for the filters that learn what is usual in it.
    """
    yield from _check_segmentation(stats_by_split, corpus)
    thresholds = _filter_thresholds(corpus)
    recommended = set()
    for split, texts in stats_by_split.items():
        for stats in texts:
            yield from _check_languages(split, stats, corpus, profile)
            for finding in _check_pairs(split, stats, corpus):
                yield finding
                if finding.key is not None and finding.level == "warning" and split == "train":
                    name = finding.key.rpartition(".")[2]
                    if name not in LANGUAGE_FILTERS or (finding.share or 0) <= 1 - MIN_KEPT_FRACTION:
                        recommended.add(name)
    if (idle := profile.idle_filters(corpus.filters)) is not None:
        yield Finding("note", "corpus.filters", idle)
    said = LANGUAGE_FILTERS if idle is not None else ()
    learned = [name for name in LEARNED_FILTERS if name in thresholds and name not in said]
    if learned and profile.length_ratio is None:
        text = (
            f"these learn from the corpus, and drop nothing with fewer than {MIN_PAIRS:,} different pairs: "
            f"{', '.join(learned)}"
        )
        yield Finding("note", "corpus.filters", text)
    if to_add := recommended - thresholds.keys():
        enabled = thresholds.keys() | to_add
        filters = {rule.name: rule.limit(corpus.filters) if rule.name in enabled else None for rule in RULES}
        defaults = FilterConfig().model_dump()
        changed = {name: limit for name, limit in filters.items() if limit != defaults[name]}
        text = ", ".join(f"{name}: {json.dumps(limit)}" for name, limit in changed.items())
        yield Finding(
            "warning", "corpus.filters", f"to drop such pairs, put into the section corpus: filters: {{{text}}}"
        )


def _check_segmentation(stats_by_split: dict[str, list[ParallelTextStats]], corpus: CorpusConfig) -> Iterator[Finding]:
    """A side that another program has segmented, under the first split where it is."""
    said_sides: set[str] = set()
    for split, texts in stats_by_split.items():
        marked = MarkedLines()
        for stats in texts:
            marked.add(stats.marked)
        for side, warning in marked.warnings(corpus.languages).items():
            if side not in said_sides:
                yield Finding("warning", f"corpus.{split}", warning)
            said_sides.add(side)


def _filter_thresholds(corpus: CorpusConfig) -> dict[str, float]:
    """The thresholds of the filters that are on, by their names."""
    return corpus.filters.model_dump(exclude_none=True) if corpus.filters else {}


def _check_languages(
    split: str, stats: ParallelTextStats, corpus: CorpusConfig, profile: CorpusProfile
) -> Iterator[Finding]:
    key = f"corpus.{split}"
    if stats.is_one_file:
        is_meant = split == "train" and corpus.filters is not None and corpus.filters.copies is None
        yield Finding("note" if is_meant else "warning", key, f"{stats.label}: the same file is source and target")
    if stats.is_one_file or profile.is_multilingual:
        return  # the text of one language on both sides, or of several on one
    for index, (side, language) in enumerate(zip(SIDES, corpus.languages, strict=True)):
        texts = [problem.text.split(PAIR_MARK)[index] for problem in stats.problems if problem.name == "language"]
        texts = [pair[index] for pair in stats.clean_pairs] or texts
        if (reason := unlike_said([*map(profile.untagged, texts)], language)) is not None:
            text = (
                f"{stats.label}: the {side} does not look like {language}: {reason};"
                f" check corpus.{side} and the order of the files"
            )
            yield Finding("warning", key, text)


def _check_pairs(split: str, stats: ParallelTextStats, corpus: CorpusConfig) -> Iterator[Finding]:
    """A finding for each kind of problem, with three examples."""
    thresholds = _filter_thresholds(corpus)
    problems: dict[str, list[Problem]] = {}
    for problem in stats.problems:
        problems.setdefault(problem.name, []).append(problem)
    for rule in RULES:
        threshold = thresholds.get(rule.name)
        are_meant = rule.name == "copies" and (split != "train" or (stats.is_one_file and threshold is None))
        if are_meant or not (pairs := problems.get(rule.name)):
            continue
        share = len(pairs) / stats.inspected_pairs
        is_repaired = rule.name == "controls" and corpus.normalization.invisible
        advice = (
            f"dropped by {rule.key}: {threshold}" if threshold else f"{rule.key}: {rule.recommended} would drop them"
        )
        if split != "train":
            compared = "compared with corpus.train; " if rule.name in LEARNED_FILTERS else ""
            advice = f"{compared}development and test text is not filtered"
        is_much = exceeds_share(
            len(pairs), 1 - MIN_KEPT_FRACTION if threshold else MAX_CLEAN_LOSS, stats.inspected_pairs
        )
        level: Level = "warning" if is_much and not is_repaired else "note"
        if is_much and threshold and split == "train":
            advice += "; null keeps them"
        description = _describe(rule, pairs)
        text = f"{stats.label}: {_share_of(pairs, stats)} {description}, as in {_examples(pairs, stats)}; {advice}"
        yield Finding(
            level, f"corpus.{split}", text + (f"; {rule.repair}" if rule.repair else ""), rule.key, len(pairs), share
        )
    if split == "train" and (pairs := problems.get(SEVERAL_TARGETS)):
        text = f"{stats.label}: {_share_of(pairs, stats)} have the source of another pair but another target, as in "
        yield Finding("note", "corpus.train", text + _examples(pairs, stats), None, len(pairs))


def _describe(rule: Rule, pairs: list[Problem]) -> str:
    """What pairs do that break a rule; brackets may be those of placeholders."""
    if rule.name != "brackets":
        return rule.description
    count = sum(lacks_only_placeholders(*pair.text.split(PAIR_MARK, 1)) for pair in pairs)
    if count == len(pairs):
        return "have placeholders such as {0} that the other side lacks"
    return rule.description + (f", {count:,} of them in placeholders such as {{0}}" if count else "")


def _share_of(problems: list[Problem], stats: ParallelTextStats) -> str:
    sample = "" if stats.inspected_pairs == stats.pair_count else "first "
    total = stats.inspected_pairs
    return f"{len(problems):,} of the {sample}{total:,} pairs ({len(problems) / total:.2%})"


def _examples(problems: list[Problem], stats: ParallelTextStats) -> str:
    shown = problems[:: max(1, len(problems) // MAX_SHOWN_EXAMPLES)][:MAX_SHOWN_EXAMPLES]
    texts = (text if len(text := problem.text) <= 200 else text[:200] + "…" for problem in shown)
    return "; ".join(f"{stats.label}:{problem.line_number}: {text}" for problem, text in zip(shown, texts, strict=True))


def check_evaluation_texts(overlap: OverlapCounter, drop_overlap: str) -> Iterator[Finding]:
    """What is wrong with the development and test text, and what of them the training text has."""
    for text in overlap.texts:
        for problem in text.problems():
            yield Finding("warning", f"corpus.{text.split}", problem)
    for count in overlap.report():
        advice = {
            "none": "corpus.drop_overlap: pairs (or sources) would drop them",
            "pairs": "corpus.drop_overlap: pairs drops these pairs"
            + ("" if count.pairs else ", but not these sources"),
            "sources": "corpus.drop_overlap: sources would drop them",
        }[drop_overlap]
        level: Level = "warning" if drop_overlap == "none" or count.pairs else "note"
        yield Finding(level, f"corpus.{count.split}", f"{count.message()}; {advice}")


def write_report(path: Path, stats_by_split: dict[str, list[ParallelTextStats]]) -> None:
    """A line for each problem of a pair: text, line, what it is, the key that filters it, and the pair."""
    rows = [("file", "line", "finding", "key", "text")]
    for split, texts in stats_by_split.items():
        for stats in texts:
            for problem in sorted(stats.problems, key=lambda problem: problem.line_number):
                key = REPORTED_KEYS.get(problem.name, "") if split == "train" else ""
                text = problem.text.replace("\t", " ")
                rows.append((stats.label, str(problem.line_number), problem.name, key, text))
    atomic_write_text(path, "".join("\t".join(row) + "\n" for row in rows))
