"""Whether an exported model translates as ours does.

In float32 the same text is asked for: greedy on 99 of 100 lines, at beam 5, where near ties and
another end of search show, on 97. Weights of fewer bits are judged by BLEU.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nmt_cli.data.prepared import Tokenizers
from nmt_cli.decoding.engine import Engine
from nmt_cli.decoding.hypothesis import SearchConfig
from nmt_cli.decoding.translator import Translator
from nmt_cli.evaluation.metrics import score

GREEDY, BEAM = 0.99, 0.97
BEAM_SIZE = 5
BLEU = 0.3
FEW, MANY = 100, 1000  # lines; where BLEU differs on few, many decide


@dataclass(frozen=True)
class Sample:
    """Text to translate with both; without references only the share of equal lines is known."""

    sources: list[str]
    references: list[str] | None
    tokenize: str | None = None  # for BLEU

    def first(self, count: int) -> "Sample":
        """At most so many of the lines."""
        references = None if self.references is None else self.references[:count]
        return Sample(self.sources[:count], references, self.tokenize)


@dataclass(frozen=True)
class Parity:
    """How an export compares with the model that it was made from."""

    lines: int
    greedy: float  # share of lines with the same text
    beam: float
    bleu: tuple[float, float] | None  # ours and the export's, at beam 5
    signature: str | None  # sacreBLEU's
    problem: str | None  # why it is not good enough; None where it is

    @property
    def text(self) -> str:
        """One line about it."""
        greedy, beam = (round(share * self.lines) for share in (self.greedy, self.beam))
        found = (
            f"of {self.lines} lines {greedy} are translated the same greedily, "
            f"{beam} at beam {BEAM_SIZE}"
        )
        if self.bleu is None:
            return found
        return f"{found}; BLEU {self.bleu[0]:.2f} here, {self.bleu[1]:.2f} there, {self.signature}"


def compare(
    ours: Engine,
    theirs: Engine,
    tokenizers: Tokenizers,
    search: SearchConfig,
    sample: Sample,
    *,
    exact: bool,
) -> Parity:
    """Translate the first lines of the sample with both; `exact` for weights in float32."""
    few = sample.first(FEW)
    shares = []
    for beam in (1, BEAM_SIZE):
        change = {"beam": beam, "n_best": 1, "sampling": False, "top_k": None, "top_p": None}
        change |= {"guard": False, "split": False}  # each by itself, without mending
        config = search.model_copy(update=change)
        pair = [_texts(engine, tokenizers, config, few) for engine in (ours, theirs)]
        same = sum(a == b for a, b in zip(*pair, strict=True))
        shares.append(same / max(1, len(few.sources)))
    bleu, signature = _bleu(few, pair)
    if not exact and _differ(bleu) and len(sample.sources) > FEW:
        many = sample.first(MANY)
        pair = [_texts(engine, tokenizers, config, many) for engine in (ours, theirs)]
        bleu, signature = _bleu(many, pair)
    problem = _inexact(shares, len(few.sources)) if exact else _worse(bleu)
    return Parity(len(few.sources), shares[0], shares[1], bleu, signature, problem)


def _texts(
    engine: Engine, tokenizers: Tokenizers, config: SearchConfig, sample: Sample
) -> list[str]:
    found = Translator(engine, tokenizers, config, respell=False).translate(sample.sources)
    return [one.text for one in found]


def _bleu(
    sample: Sample, pair: Sequence[Sequence[str]]
) -> tuple[tuple[float, float] | None, str | None]:
    """BLEU of both and its signature."""
    if sample.references is None:
        return None, None
    ours, theirs = (
        score(texts, [sample.references], ["bleu"], tokenize=sample.tokenize)[0] for texts in pair
    )
    return (ours.score, theirs.score), ours.signature


def _differ(bleu: tuple[float, float] | None) -> bool:
    return bleu is not None and abs(bleu[0] - bleu[1]) > BLEU


def _inexact(shares: list[float], lines: int) -> str | None:
    """Which of the two shares is too small."""
    for name, share, least in zip(
        ("greedy", f"beam {BEAM_SIZE}"), shares, (GREEDY, BEAM), strict=True
    ):
        if share < least:
            return (
                f"{name}: {round(share * lines)} of {lines} lines have the same translation, "
                f"at least {least:.0%} must"
            )
    return None


def _worse(bleu: tuple[float, float] | None) -> str | None:
    if bleu is None or not _differ(bleu):
        return None
    return f"BLEU {bleu[1]:.2f} instead of {bleu[0]:.2f}, at most {BLEU} may be between them"
