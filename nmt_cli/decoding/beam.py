"""Greedy and beam search over ids; the entry to all kinds of search.

Legend: B sentences in the batch, W hypotheses per sentence, V vocabulary, L tokens so far.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.constraints import build_constraints
from nmt_cli.decoding.ctc_beam import ctc_search
from nmt_cli.decoding.engine import Hypothesis, TokenIds
from nmt_cli.decoding.host import Array, to_host
from nmt_cli.decoding.sampling import sample
from nmt_cli.decoding.word_alignment import add_coverage_penalty
from nmt_cli.models.contract import Autoregressive, NonAutoregressive, Sequences, State, TranslationModel

SIGNIFICANT_BITS = 4  # of the size of a batch; with 3, half as many sizes, but more unused rows
TOPK_ROWS = 8  # rows that `topk` folds a row into


@torch.inference_mode()
def search(
    model: TranslationModel[Any], source: Sequences, config: SearchConfig, prefixes: list[TokenIds] | None = None
) -> list[list[Hypothesis]]:
    """The `n_best` hypotheses of each sentence, best first.

    `prefixes`, one per sentence, are ids that the translations must begin with.
    """
    if isinstance(model, NonAutoregressive):
        return ctc_search(model, source, config, prefixes)
    assert isinstance(model, Autoregressive)
    if config.sampling:
        return sample(model, source, config, prefixes)
    beams = BeamSearch(model, source, config, prefixes)
    while beams.sentences:
        beams.step()
    finished = beams.finished
    if config.coverage_penalty:
        finished = add_coverage_penalty(model, source, finished, config.coverage_penalty)
    return [sorted(sentence_hypotheses, key=lambda h: -h.score)[: config.n_best] for sentence_hypotheses in finished]


class BeamSearch:
    """The hypotheses of a batch of sentences; a sentence is closed when it cannot be improved any more.

    The batch takes few different sizes only as it shrinks (see `round_up_size`), since matrix libraries compile a
    kernel for each number of rows. A closed sentence that is still in the batch has only hypotheses of probability
    zero.
    """

    def __init__(
        self, model: Autoregressive[Any, Any], source: Sequences, config: SearchConfig, prefixes: list[TokenIds] | None
    ) -> None:
        self.model, self.config = model, config
        self.beam_size = beam_size = config.beam
        self.eos_id = model.vocabulary.end
        sentence_count, device = source.ids.shape[0], source.ids.device
        self.max_length, self.constraints = build_constraints(model, source, config, prefixes)
        max_steps = max(self.max_length.limits) + 1
        self.sentences = list(range(sentence_count))  # the input's index of each sentence in the batch, B
        self.is_open = [True] * sentence_count
        self.finished: list[list[Hypothesis]] = [[] for _ in range(sentence_count)]
        self.state: State = model.init_state(source, beam_size, max_steps)
        self.tokens = torch.full((sentence_count, beam_size), model.decoder_start_id, device=device)
        self.scores = torch.full((sentence_count, beam_size), -math.inf, device=device)
        self.scores[:, 0] = 0.0
        self.history = torch.empty((sentence_count, beam_size, max_steps), dtype=torch.long, device=device)
        self.ids = np.zeros((sentence_count, beam_size, max_steps), np.int64)  # the history on the host
        self.length = 0
        self.log_probs: Tensor | None = None  # of the last step, where the logits are not float32

    def step(self) -> None:
        """Extend every hypothesis by one token, and close finished sentences."""
        logits, self.state = self.model.decode_step(self.tokens.flatten(), self.state)
        log_probs = self._normalize(logits)  # before the constraints, which do not renormalise
        past_tokens = self.history[:, :, : self.length]
        batch_log_probs = log_probs.view(len(self.sentences), self.beam_size, -1)
        for constraint in self.constraints:
            constraint.apply(batch_log_probs, past_tokens)
        scores, tokens, parents = self._best_extensions(log_probs)
        is_eos = tokens == self.eos_id
        candidates = [candidate[:, : self.beam_size] for candidate in (scores, is_eos, parents)]
        live_scores = scores.masked_fill(is_eos, -math.inf)
        self.scores, order = live_scores.topk(self.beam_size)  # [B, W]
        self.tokens, self.parents = tokens.gather(1, order), parents.gather(1, order)
        if self.beam_size > 1:
            past_tokens.copy_(past_tokens.gather(1, self.parents[:, :, None].expand_as(past_tokens)))
            self.state.reorder(self.parents)
        self.history[:, :, self.length] = self.tokens
        read = to_host(*candidates, self.max_length.truncated, self.tokens, self.parents, self.scores[:, 0])
        self._collect_finished(*read[:4])
        self._record_ids(*read[4:6])
        self._close_finished_sentences(read[6].tolist())

    def _normalize(self, logits: Tensor) -> Tensor:
        """Log-probabilities [B * W, V] in float32, in the logits' place or in memory that every step uses again."""
        log_probs = logits
        if logits.dtype != torch.float32:
            if self.log_probs is None:  # the batch only shrinks
                self.log_probs = torch.empty_like(logits, dtype=torch.float32)
            log_probs = self.log_probs[: len(logits)].copy_(logits)
        return torch.log_softmax(log_probs, -1, out=log_probs)

    def _record_ids(self, tokens: Array, parents: Array) -> None:
        """Append a token to the history on the host."""
        past_ids = self.ids[:, :, : self.length]
        if self.beam_size > 1:
            past_ids[:] = np.take_along_axis(past_ids, parents[:, :, None], 1)
        self.ids[:, :, self.length] = tokens
        self.length += 1

    def _best_extensions(self, log_probs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The 2 W best extensions: log-probabilities, tokens and parents, each [B, 2W].

        W of them remain if W of them end the sentence. Of each hypothesis at most W + 1 are needed, since only one
        token ends it. Greedy search takes the single best.
        """
        candidate_count, candidates_per_hypothesis = (
            (2 * self.beam_size, self.beam_size + 1) if self.beam_size > 1 else (1, 1)
        )
        candidates_per_hypothesis = min(candidates_per_hypothesis, log_probs.shape[-1])
        best_log_probs, tokens = topk(log_probs, candidates_per_hypothesis)  # [B * W, W + 1]
        total_scores = (self.scores.view(-1, 1) + best_log_probs).view(len(self.sentences), -1)
        scores, index = total_scores.topk(candidate_count)  # [B, 2W] of [B, W * (W + 1)]
        return (scores, tokens.view(len(self.sentences), -1).gather(1, index), index // candidates_per_hypothesis)

    def _collect_finished(self, scores: Array, is_eos: Array, parents: Array, truncated: Array) -> None:
        """Collect the hypotheses among the W best candidates that have just ended; all arrays are [B, W]."""
        rows, columns = (is_eos & np.isfinite(scores)).nonzero()
        ended_parents = parents[rows, columns]
        token_ids, log_probs = self.ids[rows, ended_parents, : self.length].tolist(), scores[rows, columns].tolist()
        is_truncated = truncated[rows, ended_parents].tolist()
        for row, ids, log_prob, cut in zip(rows.tolist(), token_ids, log_probs, is_truncated, strict=True):
            score = self.config.normalize(log_prob, len(ids) + 1)
            self.finished[self.sentences[row]].append(Hypothesis(ids, log_prob, score, cut))

    def _close_finished_sentences(self, best_scores: list[float]) -> None:
        """Close sentences none of whose live hypotheses can beat their n-th best finished one.

        The log-probability of a live hypothesis can only fall, and its score is at best that of the same
        log-probability at the greatest length. With search.patience, a sentence is also closed once it has enough
        finished hypotheses.
        """
        patience = self.config.patience
        max_finished = max(self.config.n_best, math.inf if patience is None else patience * self.beam_size)
        max_lengths = self.max_length.limits
        closing = []
        for row, sentence in enumerate(self.sentences):
            if not self.is_open[row]:
                continue
            finished = self.finished[sentence]
            if self.beam_size == 1:
                is_done = bool(finished)
            elif len(finished) < self.config.n_best:
                is_done = best_scores[row] == -math.inf and bool(finished)
            elif len(finished) >= max_finished:
                is_done = True
            else:
                score_to_beat = sorted((h.score for h in finished), reverse=True)[self.config.n_best - 1]
                is_done = self.config.normalize(best_scores[row], max_lengths[row] + 1) <= score_to_beat
            if is_done or self.length > max_lengths[row]:
                closing.append(row)
        if closing:
            self._close(closing)
            rows = rows_to_keep(self.is_open)
            if len(rows) < len(self.sentences):
                self._select_rows(compaction_order(rows))

    def _close(self, rows: list[int]) -> None:
        """Give all hypotheses of these sentences the probability zero from now on."""
        for row in rows:
            self.is_open[row] = False
        self.scores[torch.tensor(rows, device=self.tokens.device)] = -math.inf
        self.max_length.close(rows)

    def _select_rows(self, rows: list[int]) -> None:
        cpu_indices = torch.tensor(rows, dtype=torch.long)
        row_indices = cpu_indices.to(self.tokens.device)
        self.sentences = [self.sentences[row] for row in rows]
        self.is_open = [self.is_open[row] for row in rows]
        self.tokens, self.scores = self.tokens[row_indices], self.scores[row_indices]
        self.history, self.ids = self.history[row_indices], self.ids[rows]
        for constraint in self.constraints:
            constraint.select(rows, row_indices)
        if rows:
            self.state.select(cpu_indices)


def rows_to_keep(is_open: list[bool]) -> list[int]:
    """Ascending rows of the smaller batch: the open ones, filled up with the first closed ones."""
    open_count = sum(is_open)
    filler_count = min(round_up_size(open_count), len(is_open)) - open_count
    closed = [row for row, row_is_open in enumerate(is_open) if not row_is_open]
    opened = [row for row, row_is_open in enumerate(is_open) if row_is_open]
    return sorted(opened + closed[:filler_count])


def round_up_size(size: int) -> int:
    """The size rounded up to SIGNIFICANT_BITS significant bits: 1 to 16, 18, 20 to 32, 36; 64 sizes up to 1,024."""
    unit = 1 << max(0, (size - 1).bit_length() - SIGNIFICANT_BITS)
    return -(-size // unit) * unit


def compaction_order(rows: list[int]) -> list[int]:
    """Reorder ascending indices so that most keep their place and the last ones fill the gaps.

    The state of a sentence that keeps its place need not be moved.
    """
    count = len(rows)
    already_placed = {row for row in rows if row < count}
    moved = iter([row for row in rows if row >= count])
    return [row if row in already_placed else next(moved) for row in range(count)]


def topk(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`scores.topk(k)` of [N, V]: values, descending, and indices, each [N, k].

    Up to four times as fast as PyTorch's on a CPU, which compares one entry after another: each row is folded into
    TOPK_ROWS rows, and the best entries are in the columns with the greatest maxima, which are vectorised.
    """
    columns = scores.shape[1] // TOPK_ROWS
    if scores.device.type != "cpu" or columns < k:
        values, indices = scores.topk(k)
        return values, indices
    folded = scores[:, : columns * TOPK_ROWS].unflatten(1, (TOPK_ROWS, columns))
    best_columns = folded.amax(1).topk(k, sorted=False).indices  # [N, k]
    column_entries = best_columns[:, None] + columns * torch.arange(TOPK_ROWS)[:, None]  # [N, TOPK_ROWS, k]
    remainder = torch.arange(columns * TOPK_ROWS, scores.shape[1]).expand(len(scores), -1)
    candidates = torch.cat([column_entries.flatten(1), remainder], 1)
    values, positions = scores.gather(1, candidates).topk(k)
    return values, candidates.gather(1, positions)
