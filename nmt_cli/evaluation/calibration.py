"""Fitting the confidence of translations to text with references."""

import random
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import numpy as np

from nmt_cli.evaluation.metrics import build_metric
from nmt_cli.inference.confidence import Calibration, assess
from nmt_cli.inference.line_plan import TranslationUnit
from nmt_cli.inference.segments import Segment
from nmt_cli.inference.translator import Translator

MIN_LINES = 100  # fewer say too little
MAX_LINES = 2000  # of a longer text, evenly spaced
CORRUPTIONS = ("cut", "shuffled", "swapped")


class CalibrationFit(NamedTuple):
    """A calibration, and the sentence chrF from which a translation counts as good."""

    calibration: Calibration
    good_chrf: float


def fit_calibration(
    translator: Translator, sources: Sequence[str], references: Sequence[str], good_chrf: float | None = None
) -> CalibrationFit | None:
    """Translate a text, and fit how sure its translations are; `good_chrf` None: their median.

    None with fewer than MIN_LINES lines, if all translations are good or all are bad, or for a model that gives no
    probabilities of tokens.
    """
    stride = max(1, -(-len(sources) // MAX_LINES))
    sources, references = sources[::stride], references[::stride]
    if len(sources) < MIN_LINES:
        return None
    translator = translator.with_search(n_best=1, sampling=False, top_k=None, top_p=None)
    translator.assess = True
    translations = translator.translate(sources)
    scores = sentence_chrf([translation.text for translation in translations], references)
    good_chrf = median(scores) if good_chrf is None else good_chrf
    measured = [index for index, translation in enumerate(translations) if translation.features is not None]
    good = [scores[index] >= good_chrf for index in measured]
    if len(measured) < MIN_LINES or all(good) or not any(good):
        return None
    corrupted_pairs = corrupt_pairs(
        [(sources[index], translations[index].text, references[index]) for index in measured]
    )
    corrupted = [features for features in features_of_pairs(translator, *corrupted_pairs) if features is not None]
    features = [list(translations[index].features or ()) for index in measured]
    return CalibrationFit(Calibration.fit(np.array(features), good, np.array(corrupted)), good_chrf)


def sentence_chrf(texts: Sequence[str], references: Sequence[str]) -> list[float]:
    """The sentence chrF of each text."""
    metric = build_metric("chrf")
    return [
        float(metric.sentence_score(text, [reference]).score) for text, reference in zip(texts, references, strict=True)
    ]


def corrupt_pairs(lines: Sequence[tuple[str, str, str]]) -> tuple[list[str], list[str]]:
    """Sources and bad translations of them, from lines of source, translation and reference.

    A corruption that leaves a translation as it is, or makes the reference of it, gives no pair.
    """
    texts = [text for _, text, _ in lines]
    pairs = [
        (source, corrupted)
        for corruption in CORRUPTIONS
        for (source, text, reference), corrupted in zip(lines, corrupt(texts, corruption), strict=True)
        if corrupted.split() not in (text.split(), reference.split())
    ]
    return [source for source, _ in pairs], [corrupted for _, corrupted in pairs]


def corrupt(texts: Sequence[str], corruption: str, seed: int = 1) -> list[str]:
    """Bad translations: cut somewhere in the second half, with shuffled words, or swapped with the next line's.

    Shuffling is a cyclic permutation (Sattolo 1986), so that it changes every text with two different words.
    """
    if corruption == "swapped":
        return [*texts[1:], *texts[:1]]
    rng = random.Random(f"{seed}:{corruption}")
    corrupted = []
    for text in texts:
        words = text.split()
        if corruption == "shuffled":
            for last in range(len(words) - 1, 0, -1):
                other = rng.randrange(last)
                words[last], words[other] = words[other], words[last]
        else:
            words = words[: rng.randint(len(words) // 2, max(len(words) - 1, 0))]
        corrupted.append(" ".join(words))
    return corrupted


def features_of_pairs(
    translator: Translator, sources: Sequence[str], targets: Sequence[str]
) -> list[list[float] | None]:
    """The features of given translations; None for those that cannot be scored."""
    split_pairs = [
        translator.planner.split_pair(source, target) for source, target in zip(sources, targets, strict=True)
    ]
    source_ids = iter(translator.tokenizers.source.encode([source for pairs in split_pairs for source, _ in pairs]))
    max_tokens = translator.planner.max_source_tokens
    units_by_line = [
        [(TranslationUnit(Segment(source), next(source_ids)[:max_tokens]), target) for source, target in pairs]
        for pairs in split_pairs
    ]
    parts = iter(translator.translated_parts([unit for units in units_by_line for unit in units]))
    parts_by_line = [[part for part in (next(parts) for _ in units) if part.source_ids] for units in units_by_line]
    assessments = assess(translator.engine, translator.config, parts_by_line)
    return [None if assessment is None else assessment.features for assessment in assessments]
