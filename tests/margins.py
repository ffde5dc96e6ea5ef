"""How clearly a search decides: where it does so by more than rounding, every way to compute it
(in another batch, by another engine, on another processor) must find the same ids.

A random model decides near a tie now and then. What a test compares is taken from where it doesn't.
"""

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from nmt_cli.decoding import beam as searching
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Hypothesis
from nmt_cli.decoding.rescoring import log_probabilities
from nmt_cli.decoding.torch_engine import TorchEngine
from nmt_cli.inference.translator import Translator
from tests.opening import open_translator

Ids = list[int]


def rounding(model: Any, steps: int, token: float, total: float) -> float:
    """How far apart two float32 computations of the log-probability of so many tokens may be.

    A token's log-probability comes out of sums: a matrix of R x C adds up C products, all matrices
    `terms`, and one rounding errs by 2^-24 of the size that numbers have there, `token`, the
    greatest log-probability of one token. Adding it to those before errs by 2^-24 of `total`.
    Errors that know nothing of each other grow with the root of their number: that is a standard
    deviation of one computation; between two it is the root of 2 times as large, and they are no
    further apart than four of these.
    """
    terms = sum(parameter.shape[-1] for parameter in model.parameters() if parameter.ndim > 1)
    deviation = 2**-24 * math.sqrt(steps * (terms * token**2 + total**2))
    return 4 * math.sqrt(2) * deviation


class _Watched(searching.BeamSearch):
    """A search of one sentence that notes its narrowest decision."""

    narrowest = math.inf
    token = total = 1.0

    def _best_extensions(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        every = self.scores.view(-1, 1) + rows
        live = every.clone()
        live[:, self.eos_id] = -math.inf
        for pool in (every, live):  # which of them are the W best, in whatever order
            best = pool.flatten().topk(min(self.beam_size + 1, pool.numel())).values
            if len(best) > self.beam_size and best[-1].isfinite():
                self.narrowest = min(self.narrowest, float(best[-2] - best[-1]))
        candidates = super()._best_extensions(rows)
        used = candidates[0].isfinite()
        self.total = max(self.total, float(candidates[0][used].abs().max()))
        tokens = rows[candidates[2].flatten(), candidates[1].flatten()]
        self.token = max(self.token, float(tokens[used.flatten()].abs().max()))
        return candidates

    @property
    def bound(self) -> float:
        """How far another computation of a hypothesis may be off."""
        return rounding(self.model, self.length, self.token, self.total)

    def clear(self) -> bool:
        """Whether another computation, off by no more than that, must decide alike."""
        bound = self.bound
        ranked = sorted(self.finished[0], key=lambda hypothesis: -hypothesis.score)[: self.config.n_best + 1]
        share = [
            abs(hypothesis.score / hypothesis.log_probability) for hypothesis in ranked if hypothesis.log_probability
        ]
        gaps = [hypothesis.score - other.score for hypothesis, other in itertools.pairwise(ranked)]
        return self.narrowest > bound and all(gap > bound * max(share) for gap in gaps)


@contextmanager
def _watched() -> Iterator[list[_Watched]]:
    made: list[_Watched] = []

    def watch(*arguments: Any) -> _Watched:
        made.append(_Watched(*arguments))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "BeamSearch", watch)
        yield made


def watched(
    model: Any, sources: list[Ids], config: SearchConfig, prefixes: list[Ids] | None = None
) -> list[tuple[bool, float]]:
    """For each source whether no decision of its search is nearer to a tie than rounding, and how
    far off another float32 computation of what it found may be."""
    results = []
    for source, prefix in zip(sources, prefixes or [[] for _ in sources], strict=True):
        with _watched() as made:
            TorchEngine(model).search([source], config, [prefix] if prefixes else None)
        (watcher,) = made
        results.append((watcher.clear(), watcher.bound))
    return results


def clear_lines(translator: Translator, lines: list[str], prefixes: list[str] | None = None) -> list[bool]:
    """For each line whether its search is clear; that of a line of several parts is called unclear.

    What the guard searches for again is not looked at: translate without it.
    """
    assert isinstance(translator.engine, TorchEngine)
    config, tokenizers = translator.config, translator.tokenizers
    ids = tokenizers.source.encode([line.strip() for line in lines])
    starts = tokenizers.target.encode(prefixes or [""] * len(lines))
    certain = {number: not ids_of_line for number, ids_of_line in enumerate(ids)}  # a blank line is not searched
    seen = [n for n, ids_of_line in enumerate(ids) if 0 < len(ids_of_line) <= config.max_source_length]
    search_arguments = [ids[number] for number in seen], config, [starts[number] for number in seen]
    certain |= zip(seen, (sure for sure, _ in watched(translator.engine.model, *search_arguments)), strict=True)
    enough([certain[number] for number in seen])
    return list(certain.values())


def give_clear_text(run: Path) -> int:
    """Give a run a test text that its greedy search and that of beam 5 translate without a doubt,
    so that `nmt export` finds no line translated otherwise; how many lines these are."""
    words = ["The", "old", "man", "reads", "a", "book", "two", "dogs", "see", "houses", "1995"]
    lines = [" ".join(words[first : first + 1 + first % 3]) for first in range(len(words))]
    for beam in (1, 5):
        translator = open_translator([run], [f"search.beam={beam}"], "cpu")
        pairs = zip(lines, clear_lines(translator, lines), strict=True)
        lines = [line for line, sure in pairs if sure]
    assert len(lines) >= 5
    for side in ("source", "target"):
        (run / f"test.{side}.txt").write_text("".join(f"{line}\n" for line in lines))
    return len(lines)


def enough(certain: list[bool]) -> None:
    """A comparison of the clear ones compares something."""
    assert sum(certain) * 2 > len(certain), "too few of these searches are clear to compare"


def assert_found(
    theirs: list[list[Hypothesis]], model: Any, sources: list[Ids], config: SearchConfig,
    prefixes: list[Ids] | None = None,
) -> None:  # fmt: skip
    """Another way to search found what ours does: the same ids where these are clear, and for all
    ids that it found the probability that the model gives them."""
    ours = TorchEngine(model).search(sources, config, prefixes)
    seen = watched(model, sources, config, prefixes)
    enough([sure for sure, _ in seen])
    for source, our_hypotheses, others, (sure, bound) in zip(sources, ours, theirs, seen, strict=True):
        assert len(our_hypotheses) == len(others)
        assert not sure or [hypothesis.ids for hypothesis in our_hypotheses] == [
            hypothesis.ids for hypothesis in others
        ]
        texts = [hypothesis.ids for hypothesis in others]
        scores = log_probabilities(model, [source] * len(texts), texts, 4096)
        for hypothesis, score in zip(others, scores, strict=True):
            assert hypothesis.log_probability == pytest.approx(score, abs=bound)
            normalized = config.normalize(score, len(hypothesis.ids) + 1)
            assert hypothesis.score == pytest.approx(normalized, abs=bound)
