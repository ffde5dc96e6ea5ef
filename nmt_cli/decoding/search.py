"""Search over ids: greedy, beam and sampling, for any model that keeps the contract.

Legend: B sentences still computed, W hypotheses a sentence, V vocabulary, L steps so far.
"""

import math
from typing import Any

import torch
from torch import Tensor

from nmt_cli.decoding.best import topk
from nmt_cli.decoding.coverage import with_coverage
from nmt_cli.decoding.ctc_search import ctc_search
from nmt_cli.decoding.forcing import (
    ban_repeats,
    force,
    length_limits,
    most_repeated,
    prefix_table,
)
from nmt_cli.decoding.hypothesis import Hypothesis, SearchConfig
from nmt_cli.decoding.sampling import sample
from nmt_cli.models.contract import (
    Aligned,
    Autoregressive,
    Sequences,
    State,
    TranslationModel,
)

Model = Autoregressive[Any, Any]
BITS = 4  # significant ones in the size of a batch; 3 make half as many sizes and cost more rows
NEVER = 1 << 62  # a length that no translation reaches


@torch.inference_mode()
def search(
    model: TranslationModel[Any],
    source: Sequences,
    config: SearchConfig,
    prefixes: list[list[int]] | None = None,
) -> list[list[Hypothesis]]:
    """Translate: for each sentence its `n_best` hypotheses, best first.

    `prefixes` are ids that each translation must begin with. The one place where decoding asks for
    a model's contract.
    """
    if isinstance(model, Aligned):
        return ctc_search(model, source, config, prefixes)
    assert isinstance(model, Autoregressive)
    if config.sampling:
        return sample(model, source, config, prefixes)
    width = config.beam
    open_ = _Beams(model, source, width, config, prefixes)
    while open_.count:
        open_.step()
    finished = open_.finished
    if config.coverage_penalty:
        finished = with_coverage(model, source, finished, config.coverage_penalty)
    return [sorted(done, key=lambda h: -h.score)[: config.n_best] for done in finished]


class _Beams:
    """The hypotheses of a batch of sentences; a sentence is closed when it can't be improved.

    The batch shrinks to few different sizes only (see `coarse`), since matrix libraries make code
    for each number of rows. A closed sentence that stays until then has no possible hypothesis.
    """

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
        limits = length_limits(model, source, config, prefixes)
        self.longest = limits  # of each sentence, end not counted; NEVER where closed
        self.limits = torch.tensor(limits, device=device)  # the same, [B]
        self.sentences = list(range(count))  # the input's index of each sentence
        self.open = [True] * count
        self.finished: list[list[Hypothesis]] = [[] for _ in range(count)]
        self.prefixes = prefix_table(prefixes, limits, device)
        self.repeats = _repeats(source, config)
        self.forced = torch.zeros((count, width), dtype=torch.bool, device=device)
        self.state: State = model.start(source, width, max(limits) + 1)
        self.tokens = torch.full((count, width), model.first_token, device=device)
        self.scores = torch.full((count, width), -math.inf, device=device)
        self.scores[:, 0] = 0.0
        self.history = torch.empty((count, width, max(limits) + 1), dtype=torch.long, device=device)
        self.length = 0

    @property
    def count(self) -> int:
        """Sentences still computed, B; 0 once all are closed."""
        return len(self.sentences)

    def step(self) -> None:
        """Write one token for every hypothesis, and let finished sentences go."""
        logits, self.state = self.model.step(self.tokens.flatten(), self.state)
        rows = logits.float()
        torch.log_softmax(rows, -1, out=rows)  # before anything is ruled out
        self._restrict(rows)
        scores, tokens, parents = self._candidates(rows)
        ends = tokens == self.end
        self._finish(scores, parents, ends)
        live = scores.masked_fill(ends, -math.inf)
        self.scores, order = live.topk(self.width)  # [B, W]
        self.tokens, parents = tokens.gather(1, order), parents.gather(1, order)
        if self.width > 1:
            past = self.history[:, :, : self.length]
            past.copy_(past.gather(1, parents[:, :, None].expand_as(past)))
            self.state.reorder(parents)
        self.history[:, :, self.length] = self.tokens
        self.length += 1
        self._close()

    def _restrict(self, log_probabilities: Tensor) -> None:
        """Prefixes, repetitions, shortest and longest length, by making tokens impossible."""
        rows = log_probabilities.view(self.count, self.width, -1)
        last = full = None
        if min(self.longest) <= self.length:
            full = self.limits <= self.length
            last = rows[full][:, :, self.end].clone()
            self.forced[full] = rows[full].argmax(-1) != self.end
        wanted = None
        if self.prefixes is not None and self.length < self.prefixes.shape[1]:
            wanted = self.prefixes[:, self.length]
        if self.repeats is not None and self.config.no_repeat_ngram is not None:
            allowed = self.repeats if wanted is None else self.repeats.where(wanted < 0, math.inf)
            past = self.history[:, :, : self.length]
            ban_repeats(rows, past, self.config.no_repeat_ngram, allowed)
        if wanted is not None:
            force(rows, wanted)
        if self.length < self.config.min_length:
            rows[:, :, self.end] = -math.inf
        if last is not None:
            rows[full] = -math.inf
            rows[full, :, self.end] = last

    def _candidates(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The 2 W best extensions: log-probabilities, tokens and parents, each [B, 2W].

        So many that W are left to go on with if W of them end the sentence; of one hypothesis no
        more than W + 1, since only one token ends it. Greedy search takes the one best.
        """
        wanted, each = (2 * self.width, self.width + 1) if self.width > 1 else (1, 1)
        each = min(each, rows.shape[-1])
        best, tokens = topk(rows, each)  # [B * W, W + 1]
        total = (self.scores.view(-1, 1) + best).view(self.count, -1)
        scores, index = total.topk(wanted)  # [B, 2W] of [B, W * (W + 1)]
        return scores, tokens.view(self.count, -1).gather(1, index), index // each

    def _finish(self, scores: Tensor, parents: Tensor, ends: Tensor) -> None:
        """Collect the hypotheses among the W best candidates that have just ended."""
        ended = ends[:, : self.width] & scores[:, : self.width].isfinite()
        rows, columns = ended.nonzero(as_tuple=True)
        if len(rows) == 0:
            return
        texts = self.history[rows, parents[rows, columns], : self.length].tolist()
        values = scores[rows, columns].tolist()
        forced = self.forced[rows, parents[rows, columns]].tolist()
        for row, ids, value, cut in zip(rows.tolist(), texts, values, forced, strict=True):
            score = self.config.normalize(value, len(ids) + 1)
            self.finished[self.sentences[row]].append(Hypothesis(ids, value, score, cut))

    def _close(self) -> None:
        """Close sentences none of whose live hypotheses can beat their n-th best finished one.

        A live hypothesis can at best add nothing to its log-probability (which only falls) up to
        the length at which that is worth most, its longest. With search.patience a sentence is done
        with so many finished ones, too.
        """
        patience = self.config.patience
        enough = max(self.config.n_best, math.inf if patience is None else patience * self.width)
        best = self.scores[:, 0].tolist()
        limits = self.longest
        closing = []
        for row, sentence in enumerate(self.sentences):
            if not self.open[row]:
                continue
            done = self.finished[sentence]
            if self.width == 1:
                hopeless = bool(done)
            elif len(done) < self.config.n_best:
                hopeless = best[row] == -math.inf and bool(done)
            elif len(done) >= enough:
                hopeless = True
            else:
                bar = sorted((h.score for h in done), reverse=True)[self.config.n_best - 1]
                hopeless = self.config.normalize(best[row], limits[row] + 1) <= bar
            if hopeless or self.length > limits[row]:
                closing.append(row)
        if closing:
            self._rule_out(closing)
            stay = staying(self.open)
            if len(stay) < self.count:
                self._keep(in_place(stay))

    def _rule_out(self, rows: list[int]) -> None:
        """Close sentences: whatever is still computed for them is impossible."""
        for row in rows:
            self.open[row], self.longest[row] = False, NEVER
        index = torch.tensor(rows, dtype=torch.long, device=self.tokens.device)
        self.scores[index], self.limits[index] = -math.inf, NEVER

    def _keep(self, rows: list[int]) -> None:
        index = torch.tensor(rows, dtype=torch.long, device=self.tokens.device)
        self.sentences = [self.sentences[row] for row in rows]
        self.longest = [self.longest[row] for row in rows]
        self.open = [self.open[row] for row in rows]
        self.tokens, self.scores = self.tokens[index], self.scores[index]
        self.limits, self.history = self.limits[index], self.history[index]
        self.forced = self.forced[index]
        if self.repeats is not None:
            self.repeats = self.repeats[index]
        if self.prefixes is not None:
            self.prefixes = self.prefixes[index]
        if rows:
            self.state.keep(index)


def staying(open_: list[bool]) -> list[int]:
    """The rows that a batch keeps, ascending: those open, and the first others up to `coarse`."""
    spare = min(coarse(sum(open_)), len(open_)) - sum(open_)
    closed = [row for row, one in enumerate(open_) if not one]
    return sorted([row for row, one in enumerate(open_) if one] + closed[:spare])


def coarse(count: int) -> int:
    """The next number with BITS significant bits: 1 to 16, 18, 20 to 32, 36 and so on.

    There are 64 up to 1,024.
    """
    unit = 1 << max(0, (count - 1).bit_length() - BITS)
    return -(-count // unit) * unit


def in_place(stay: list[int]) -> list[int]:
    """Ascending indices in an order in which most stand where they stood: the last fill the holes.

    What the state holds for a sentence that stays in its place need not be moved.
    """
    count = len(stay)
    early = {row for row in stay if row < count}
    late = iter([row for row in stay if row >= count])
    return [row if row in early else next(late) for row in range(count)]


def _repeats(source: Sequences, config: SearchConfig) -> Tensor | None:
    """How often each sentence's translation may hold the same n-gram [B]; None: any number."""
    size = config.no_repeat_ngram
    if size is None:
        return None
    lengths = (source.lengths - 1).tolist()
    rows = [
        most_repeated(ids[:n], size) for ids, n in zip(source.ids.tolist(), lengths, strict=True)
    ]
    return torch.tensor(rows, dtype=torch.float32, device=source.ids.device)
