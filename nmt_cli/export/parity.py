"""The check that an exported model translates like its run.

In float32 the texts must be equal: of 100 lines 99 in greedy search, and 97 at beam 5, where near ties and another
stopping rule matter. Weights of fewer bits are judged by BLEU (and chrF).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Engine
from nmt_cli.evaluation.metrics import MetricName, corpus_scores
from nmt_cli.inference.translator import Translator

MIN_EQUAL_GREEDY, MIN_EQUAL_BEAM = 0.99, 0.97
BEAM_SIZE = 5
MAX_SCORE_DIFFERENCE = 0.3  # of BLEU and chrF
SAMPLE_LINES, LARGE_SAMPLE_LINES = 100, 1000  # lines; if BLEU differs on the small sample, the large one decides


@dataclass(frozen=True)
class Sample:
    """Text to translate with run and export; BLEU needs its references."""

    sources: list[str]
    references: list[str] | None
    tokenize: str | None = None  # sacreBLEU's tokenizer

    def spread(self, count: int) -> "Sample":
        """At most `count` lines, evenly spaced: of development text that is a list, some of each text."""
        lines = range(len(self.sources))
        chosen = lines if len(lines) <= count else [index * len(lines) // count for index in range(count)]
        references = None if self.references is None else [self.references[index] for index in chosen]
        return Sample([self.sources[index] for index in chosen], references, self.tokenize)


@dataclass(frozen=True)
class Parity:
    """How the translations of an export compare with those of its run."""

    lines: int
    greedy: float  # fraction of lines with the same text
    beam: float | None  # None: only greedy search was compared
    bleu: tuple[float, float] | None  # of the run and of the export, at beam 5, or of what was compared
    signature: str | None  # sacreBLEU's
    problem: str | None  # why the export is rejected; None if it passes
    chrf: tuple[float, float] | None = None

    @property
    def summary(self) -> str:
        """The comparison in one line, for the user."""
        greedy = round(self.greedy * self.lines)
        comparison = f"of {self.lines} lines {greedy} are translated the same greedily"
        if self.beam is not None:
            comparison += f", {round(self.beam * self.lines)} at beam {BEAM_SIZE}"
        if self.bleu is None:
            return comparison
        return f"{comparison}; BLEU {self.bleu[0]:.2f} of the run, {self.bleu[1]:.2f} of the export, {self.signature}"


def compare(
    original_engine: Engine,
    exported_engine: Engine,
    tokenizers: Tokenizers,
    search: SearchConfig,
    sample: Sample,
    *,
    exact: bool,
) -> Parity:
    """Translate lines of the sample with both engines; `exact` requires equal texts instead of equal BLEU."""
    small_sample = sample.spread(SAMPLE_LINES)

    def translate(beam: int, lines: Sample) -> list[list[str]]:
        config = _plain_search(search, beam)
        return [_translate(engine, tokenizers, config, lines) for engine in (original_engine, exported_engine)]

    equal_shares = []
    for beam in (1, BEAM_SIZE):
        translations = translate(beam, small_sample)
        equal_shares.append(_equal_share(translations))
    bleu, signature = _scores("bleu", small_sample, translations)
    if not exact and _differs(bleu) and len(sample.sources) > SAMPLE_LINES:
        large_sample = sample.spread(LARGE_SAMPLE_LINES)
        bleu, signature = _scores("bleu", large_sample, translate(BEAM_SIZE, large_sample))
    problem = _text_problem(equal_shares, len(small_sample.sources)) if exact else _score_problem("BLEU", bleu)
    return Parity(len(small_sample.sources), equal_shares[0], equal_shares[1], bleu, signature, problem)


def compare_quantized(
    float_engine: Engine, quantized_engine: Engine, tokenizers: Tokenizers, search: SearchConfig, sample: Sample
) -> Parity:
    """How greedy search with weights of fewer bits compares with float32, in BLEU and chrF on the whole sample.

    Greedy search is fast, and a difference of the weights shows in it at least as well as at a beam.
    """
    assert sample.references is not None
    config = _plain_search(search, 1)
    translations = [_translate(engine, tokenizers, config, sample) for engine in (float_engine, quantized_engine)]
    bleu, signature = _scores("bleu", sample, translations)
    chrf, _ = _scores("chrf", sample, translations)
    problem = _score_problem("BLEU", bleu) or _score_problem("chrF", chrf)
    return Parity(len(sample.sources), _equal_share(translations), None, bleu, signature, problem, chrf)


def _plain_search(search: SearchConfig, beam: int) -> SearchConfig:
    """The search with this beam and nothing around it, so that the engines alone are compared."""
    overrides: dict[str, Any] = {"beam": beam, "n_best": 1, "sampling": False, "top_k": None, "top_p": None}
    overrides |= {"repair_degenerate": False, "split": "none", "keep": "none"}
    overrides["unknown"] = "drop"  # not every engine has the attention that says which word <unk> stands for
    return search.model_copy(update=overrides)


def _translate(engine: Engine, tokenizers: Tokenizers, config: SearchConfig, sample: Sample) -> list[str]:
    translations = Translator(engine, tokenizers, config, rescore_canonical=False).translate(sample.sources)
    return [translation.text for translation in translations]


def _equal_share(translations: Sequence[Sequence[str]]) -> float:
    """The share of lines with the same text in both translations."""
    equal_lines: int = sum(a == b for a, b in zip(*translations, strict=True))
    return equal_lines / max(1, len(translations[0]))


def _scores(
    metric: MetricName, sample: Sample, translations: Sequence[Sequence[str]]
) -> tuple[tuple[float, float] | None, str | None]:
    """The metric of run and export, and its signature; None without references."""
    if sample.references is None:
        return None, None
    original, exported = (
        corpus_scores(texts, [sample.references], [metric], tokenize=sample.tokenize)[0] for texts in translations
    )
    return (original.score, exported.score), original.signature


def _differs(scores: tuple[float, float] | None) -> bool:
    return scores is not None and abs(scores[0] - scores[1]) > MAX_SCORE_DIFFERENCE


def _text_problem(equal_shares: list[float], lines: int) -> str | None:
    """The problem if too few translations are equal, greedy or with a beam."""
    for name, share, minimum in zip(
        ("greedy", f"beam {BEAM_SIZE}"), equal_shares, (MIN_EQUAL_GREEDY, MIN_EQUAL_BEAM), strict=True
    ):
        if share < minimum:
            return (
                f"{name}: {round(share * lines)} of {lines} lines have the same translation, "
                f"at least {minimum:.0%} must (where a model has learned little, its hypotheses are nearly equally "
                "probable, and small differences decide)"
            )
    return None


def _score_problem(metric: str, scores: tuple[float, float] | None) -> str | None:
    if scores is None or not _differs(scores):
        return None
    return (
        f"{metric} {scores[1]:.2f} instead of {scores[0]:.2f}, "
        f"a difference of at most {MAX_SCORE_DIFFERENCE} is accepted"
    )
