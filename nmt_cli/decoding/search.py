"""Search over ids: greedy, beam and sampling, for any model that keeps the contract.

Legend: B sentences still open, W hypotheses a sentence, V vocabulary, L steps so far.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from nmt_cli.config import Section
from nmt_cli.models.contract import Autoregressive, Sequences, State

LengthNormalization = Literal["average", "gnmt", "none"]


class SearchConfig(Section):
    """The search section of a recipe."""

    beam: int = Field(default=5, ge=1, le=256)
    """Hypotheses kept a sentence; 1 is greedy search."""
    n_best: int = Field(default=1, ge=1)
    """Translations given a sentence, best first; at most beam (or drawn, when sampling)."""
    length_normalization: LengthNormalization = "average"
    """average: log-probability / length^alpha; gnmt: / ((5 + length) / 6)^alpha (Wu et al. 2016,
    eq. 14); none. The end of sentence counts as a token."""
    length_penalty: float = Field(default=1.0, ge=0, le=10)
    """The alpha of length_normalization."""
    coverage_penalty: float = Field(default=0.0, ge=0, le=10)
    """The beta of Wu et al. 2016, eq. 14, applied when finished hypotheses are ranked."""
    min_length: int = Field(default=0, ge=0)
    """Fewest target pieces, end of sentence not counted."""
    max_length: int | None = Field(default=None, ge=1)
    """Most target pieces, end of sentence not counted; null: max_length_factor * source + 10."""
    max_length_factor: float = Field(default=1.5, gt=0, le=100)
    """See max_length."""
    sampling: bool = False
    """Draw each token at random instead of searching for the best translation."""
    temperature: float = Field(default=1.0, gt=0, le=100)
    """Divides the scores before sampling."""
    top_k: int | None = Field(default=None, ge=1)
    """Sample among the k most probable tokens only (Fan et al. 2018)."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Sample among the fewest tokens that hold this probability (Holtzman et al. 2020)."""
    seed: int = 1
    """Decides what is sampled, together with the text of the line."""
    max_source_length: int = Field(default=256, ge=1)
    """A line of more source pieces is cut at sentence ends (or spaces) and translated in parts."""
    tokens_per_batch: int = Field(default=4096, ge=1)
    """Source positions translated at once, counted for every hypothesis."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Type of weights and activations."""

    def problems(self) -> list[str]:
        """Options that do not fit together."""
        found = []
        if self.n_best > self.beam and not self.sampling:
            found.append(f"n_best: {self.n_best} is more than beam {self.beam}")
        if self.max_length is not None and self.min_length > self.max_length:
            found.append(f"min_length: {self.min_length} is more than max_length {self.max_length}")
        if not self.sampling and (self.top_k is not None or self.top_p is not None):
            found.append("top_k and top_p: only with sampling: true")
        return found

    def longest(self, source_length: int) -> int:
        """Most target pieces for a source of so many pieces."""
        if self.max_length is not None:
            return self.max_length
        return max(self.min_length, math.ceil(self.max_length_factor * source_length) + 10)

    def normalize(self, log_probability: float, length: int) -> float:
        """The score that hypotheses are compared by; `length` counts the end of sentence."""
        return log_probability / self.norm(length)

    def norm(self, length: int) -> float:
        """What a log-probability is divided by."""
        if self.length_normalization == "average":
            return float(length**self.length_penalty)
        if self.length_normalization == "gnmt":
            return float(((5 + length) / 6) ** self.length_penalty)
        return 1.0


@dataclass(frozen=True)
class Hypothesis:
    """A finished translation."""

    ids: list[int]  # without the end of sentence
    log_probability: float  # sum over ids and end of sentence, natural logarithm
    score: float  # what it was ranked by


Model = Autoregressive[Any, Any]


@torch.inference_mode()
def search(
    model: Model, source: Sequences, config: SearchConfig, prefixes: list[list[int]] | None = None
) -> list[list[Hypothesis]]:
    """Translate: for each sentence its `n_best` hypotheses, best first.

    `prefixes` are ids that each translation must begin with.
    """
    if config.sampling:
        from nmt_cli.decoding.sampling import sample

        return sample(model, source, config, prefixes)
    width = config.beam
    open_ = _Beams(model, source, width, config, prefixes)
    while open_.count:
        open_.step()
    return [sorted(done, key=lambda h: -h.score)[: config.n_best] for done in open_.finished]


class _Beams:
    """The hypotheses of a batch of sentences; a sentence leaves when it can't be improved."""

    def __init__(
        self,
        model: Model,
        source: Sequences,
        width: int,
        config: SearchConfig,
        prefixes: list[list[int]] | None,
    ) -> None:
        self.model, self.config, self.width = model, config, width
        self.end = model.vocabulary.end
        count, device = source.ids.shape[0], source.ids.device
        limits = [config.longest(int(n) - 1) for n in source.lengths]
        if model.longest_target is not None:
            limits = [min(limit, model.longest_target - 1) for limit in limits]
        self.limits = torch.tensor(limits, device=device)  # [B], end of sentence not counted
        self.sentences = list(range(count))  # the input's index of each open sentence
        self.finished: list[list[Hypothesis]] = [[] for _ in range(count)]
        self.prefixes = prefix_table(prefixes, count, device)
        self.state: State = model.start(source, width, max(limits) + 1)
        self.tokens = torch.full((count, width), model.first_token, device=device)
        self.scores = torch.full((count, width), -math.inf, device=device)
        self.scores[:, 0] = 0.0
        self.history = torch.empty((count, width, max(limits) + 1), dtype=torch.long, device=device)
        self.length = 0

    @property
    def count(self) -> int:
        """Open sentences."""
        return len(self.sentences)

    def step(self) -> None:
        """Write one token for every hypothesis, and let finished sentences go."""
        logits, self.state = self.model.step(self.tokens.flatten(), self.state)
        norm = logits.float().logsumexp(-1, keepdim=True)  # before anything is ruled out
        self._restrict(logits)
        scores, tokens, parents = self._candidates(logits, norm)
        ends = tokens == self.end
        self._finish(scores, parents, ends)
        live = scores.masked_fill(ends, -math.inf)
        self.scores, order = live.topk(self.width)  # [B, W]
        self.tokens, parents = tokens.gather(1, order), parents.gather(1, order)
        past = self.history[:, :, : self.length]
        past.copy_(past.gather(1, parents[:, :, None].expand_as(past)))
        self.history[:, :, self.length] = self.tokens
        self.length += 1
        if self.width > 1:
            self.state.reorder(parents)
        self._close()

    def _restrict(self, logits: Tensor) -> None:
        """Prefixes, shortest and longest length, by making other tokens impossible."""
        rows = logits.view(self.count, self.width, -1)
        if self.length < self.config.min_length:
            rows[:, :, self.end] = -math.inf
        full = self.limits <= self.length
        if bool(full.any()):
            last = rows[full][:, :, self.end].clone()
            rows[full] = -math.inf
            rows[full, :, self.end] = last
        if self.prefixes is not None and self.length < self.prefixes.shape[1]:
            force(rows, self.prefixes[:, self.length])

    def _candidates(self, logits: Tensor, norm: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The 2 W best extensions: log-probabilities, tokens and parents, each [B, 2W].

        So many that W are left to go on with if W of them end the sentence. Greedy search takes
        the one best.
        """
        wanted = 2 * self.width if self.width > 1 else 1
        each = min(wanted, logits.shape[-1])
        best, tokens = logits.topk(each)  # [B * W, 2W]
        total = (self.scores.view(-1, 1) + (best.float() - norm)).view(self.count, -1)
        scores, index = total.topk(wanted)  # [B, 2W] of [B, W * 2W]
        return scores, tokens.view(self.count, -1).gather(1, index), index // each

    def _finish(self, scores: Tensor, parents: Tensor, ends: Tensor) -> None:
        """Collect the hypotheses among the W best candidates that have just ended."""
        ended = ends[:, : self.width] & scores[:, : self.width].isfinite()
        rows, columns = ended.nonzero(as_tuple=True)
        if len(rows) == 0:
            return
        texts = self.history[rows, parents[rows, columns], : self.length].tolist()
        values = scores[rows, columns].tolist()
        for row, ids, value in zip(rows.tolist(), texts, values, strict=True):
            score = self.config.normalize(value, len(ids) + 1)
            self.finished[self.sentences[row]].append(Hypothesis(ids, value, score))

    def _close(self) -> None:
        """Drop sentences none of whose live hypotheses can beat their n-th best finished one.

        A live hypothesis can at best add nothing to its log-probability (which only falls) up to
        the length at which that is worth most, its longest.
        """
        best = self.scores[:, 0].tolist()
        limits = self.limits.tolist()
        stay = []
        for row, sentence in enumerate(self.sentences):
            done = self.finished[sentence]
            if self.width == 1:
                hopeless = bool(done)
            elif len(done) < self.config.n_best:
                hopeless = best[row] == -math.inf and bool(done)
            else:
                bar = sorted((h.score for h in done), reverse=True)[self.config.n_best - 1]
                hopeless = self.config.normalize(best[row], limits[row] + 1) <= bar
            if not hopeless and self.length <= limits[row]:
                stay.append(row)
        if len(stay) < self.count:
            self._keep(stay)

    def _keep(self, rows: list[int]) -> None:
        index = torch.tensor(rows, dtype=torch.long, device=self.tokens.device)
        self.sentences = [self.sentences[row] for row in rows]
        self.tokens, self.scores = self.tokens[index], self.scores[index]
        self.limits, self.history = self.limits[index], self.history[index]
        if self.prefixes is not None:
            self.prefixes = self.prefixes[index]
        if rows:
            self.state.keep(index)


def prefix_table(
    prefixes: list[list[int]] | None, count: int, device: torch.device
) -> Tensor | None:
    """Prefixes as rows [B, longest], -1 where a row's prefix is over."""
    longest = max(map(len, prefixes), default=0) if prefixes else 0
    if not longest or prefixes is None:
        return None
    table = torch.full((count, longest), -1)
    for row, ids in zip(table, prefixes, strict=True):
        row[: len(ids)] = torch.tensor(ids)
    return table.to(device)


def force(rows: Tensor, wanted: Tensor) -> None:
    """Leave only the wanted token [B] possible in rows [B, W, V]; -1 leaves all."""
    bound = wanted >= 0
    kept = wanted.clamp(min=0)[:, None, None].expand(-1, rows.shape[1], 1)
    values = rows.gather(2, kept)
    forced = torch.full_like(rows, -math.inf).scatter_(2, kept, values)
    rows.copy_(torch.where(bound[:, None, None], forced, rows))
