"""The check that an exported model translates like its run.

In float32 the texts must be equal: of 100 lines 99 in greedy search, and 97 at beam 5, where near ties and another
stopping rule matter. Weights of fewer bits are judged by BLEU.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nmt_cli.data.prepared.store import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Engine
from nmt_cli.evaluation.metrics import corpus_scores
from nmt_cli.inference.translator import Translator

MIN_EQUAL_GREEDY, MIN_EQUAL_BEAM = 0.99, 0.97
BEAM_SIZE = 5
MAX_BLEU_DIFFERENCE = 0.3
SAMPLE_LINES, LARGE_SAMPLE_LINES = 100, 1000  # lines; if BLEU differs on the small sample, the large one decides


@dataclass(frozen=True)
class Sample:
    """Text to translate with run and export; BLEU needs its references."""

    sources: list[str]
    references: list[str] | None
    tokenize: str | None = None  # sacreBLEU's tokenizer

    def head(self, count: int) -> "Sample":
        """The first `count` lines."""
        references = None if self.references is None else self.references[:count]
        return Sample(self.sources[:count], references, self.tokenize)


@dataclass(frozen=True)
class Parity:
    """How the translations of an export compare with those of its run."""

    lines: int
    greedy: float  # fraction of lines with the same text
    beam: float
    bleu: tuple[float, float] | None  # of the run and of the export, at beam 5
    signature: str | None  # sacreBLEU's
    problem: str | None  # why the export is rejected; None if it passes

    @property
    def summary(self) -> str:
        """The comparison in one line, for the user."""
        greedy, beam = (round(share * self.lines) for share in (self.greedy, self.beam))
        comparison = f"of {self.lines} lines {greedy} are translated the same greedily, {beam} at beam {BEAM_SIZE}"
        if self.bleu is None:
            return comparison
        return f"{comparison}; BLEU {self.bleu[0]:.2f} here, {self.bleu[1]:.2f} there, {self.signature}"


def compare(
    original_engine: Engine,
    exported_engine: Engine,
    tokenizers: Tokenizers,
    search: SearchConfig,
    sample: Sample,
    *,
    exact: bool,
) -> Parity:
    """Translate the first lines of the sample with both engines; `exact` requires equal texts instead of equal BLEU."""
    small_sample = sample.head(SAMPLE_LINES)
    equal_shares = []
    for beam in (1, BEAM_SIZE):
        overrides: dict[str, Any] = {"beam": beam, "n_best": 1, "sampling": False, "top_k": None, "top_p": None}
        overrides |= {"repair_degenerate": False, "split": "none", "keep": "none"}  # compare the engines alone
        config = search.model_copy(update=overrides)
        translations = [
            _translate(engine, tokenizers, config, small_sample) for engine in (original_engine, exported_engine)
        ]
        equal_lines = sum(a == b for a, b in zip(*translations, strict=True))
        equal_shares.append(equal_lines / max(1, len(small_sample.sources)))
    bleu, signature = _bleu_scores(small_sample, translations)
    if not exact and _bleu_differs(bleu) and len(sample.sources) > SAMPLE_LINES:
        large_sample = sample.head(LARGE_SAMPLE_LINES)
        translations = [
            _translate(engine, tokenizers, config, large_sample) for engine in (original_engine, exported_engine)
        ]
        bleu, signature = _bleu_scores(large_sample, translations)
    problem = _text_problem(equal_shares, len(small_sample.sources)) if exact else _bleu_problem(bleu)
    return Parity(len(small_sample.sources), equal_shares[0], equal_shares[1], bleu, signature, problem)


def _translate(engine: Engine, tokenizers: Tokenizers, config: SearchConfig, sample: Sample) -> list[str]:
    translations = Translator(engine, tokenizers, config, rescore_canonical=False).translate(sample.sources)
    return [translation.text for translation in translations]


def _bleu_scores(
    sample: Sample, translations: Sequence[Sequence[str]]
) -> tuple[tuple[float, float] | None, str | None]:
    """BLEU of run and export, and its signature; None without references."""
    if sample.references is None:
        return None, None
    original_bleu, exported_bleu = (
        corpus_scores(texts, [sample.references], ["bleu"], tokenize=sample.tokenize)[0] for texts in translations
    )
    return (original_bleu.score, exported_bleu.score), original_bleu.signature


def _bleu_differs(bleu: tuple[float, float] | None) -> bool:
    return bleu is not None and abs(bleu[0] - bleu[1]) > MAX_BLEU_DIFFERENCE


def _text_problem(equal_shares: list[float], lines: int) -> str | None:
    """The problem if too few translations are equal, greedy or with a beam."""
    for name, share, minimum in zip(
        ("greedy", f"beam {BEAM_SIZE}"), equal_shares, (MIN_EQUAL_GREEDY, MIN_EQUAL_BEAM), strict=True
    ):
        if share < minimum:
            return (
                f"{name}: {round(share * lines)} of {lines} lines have the same translation, "
                f"at least {minimum:.0%} must"
            )
    return None


def _bleu_problem(bleu: tuple[float, float] | None) -> str | None:
    if bleu is None or not _bleu_differs(bleu):
        return None
    return f"BLEU {bleu[1]:.2f} instead of {bleu[0]:.2f}, a difference of at most {MAX_BLEU_DIFFERENCE} is accepted"
