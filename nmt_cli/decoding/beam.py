"""Search over ids: greedy, beam and sampling, for any model that keeps the contract.

Legend: B sentences in the batch, W hypotheses a sentence, V vocabulary, L steps so far.
"""

import math
from typing import Any

import torch
from torch import Tensor

from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.constraints import ban_repeated_ngrams, force_tokens, length_limits, max_ngram_count, pad_prefixes
from nmt_cli.decoding.coverage import add_coverage_penalty
from nmt_cli.decoding.ctc_beam import ctc_search
from nmt_cli.decoding.engine import Hypothesis
from nmt_cli.decoding.sampling import sample
from nmt_cli.decoding.topk import topk
from nmt_cli.models.contract import Autoregressive, NonAutoregressive, Sequences, State, TranslationModel

Model = Autoregressive[Any, Any]
SIGNIFICANT_BITS = 4  # of the size of a batch; 3 make half as many sizes and cost more rows
UNREACHABLE_LENGTH = 1 << 62  # limit of a closed sentence


@torch.inference_mode()
def search(
    model: TranslationModel[Any], source: Sequences, config: SearchConfig, prefixes: list[list[int]] | None = None
) -> list[list[Hypothesis]]:
    """Translate: for each sentence its `n_best` hypotheses, best first.

    `prefixes` are ids that each translation must begin with.
    """
    if isinstance(model, NonAutoregressive):
        return ctc_search(model, source, config, prefixes)
    assert isinstance(model, Autoregressive)
    if config.sampling:
        return sample(model, source, config, prefixes)
    beam_size = config.beam
    beams = _BeamSearch(model, source, beam_size, config, prefixes)
    while beams.batch_size:
        beams.step()
    finished = beams.finished
    if config.coverage_penalty:
        finished = add_coverage_penalty(model, source, finished, config.coverage_penalty)
    return [sorted(sentence_hypotheses, key=lambda h: -h.score)[: config.n_best] for sentence_hypotheses in finished]


class _BeamSearch:
    """The hypotheses of a batch of sentences; a sentence is closed when it can't be improved.

    The batch shrinks to few different sizes only (see `round_up_size`), since matrix libraries
    compile a kernel for each number of rows. A sentence that is closed but still in the batch has
    only hypotheses of probability zero.
    """

    def __init__(
        self, model: Model, source: Sequences, beam_size: int, config: SearchConfig, prefix_ids: list[list[int]] | None
    ) -> None:
        self.model, self.config, self.beam_size = model, config, beam_size
        self.eos_id = model.vocabulary.end
        sentence_count, device = source.ids.shape[0], source.ids.device
        limits = length_limits(model, source, config, prefix_ids)
        self.max_lengths = limits  # of each sentence, end not counted; UNREACHABLE_LENGTH if closed
        self.max_lengths_tensor = torch.tensor(limits, device=device)  # the same, [B]
        self.sentences = list(range(sentence_count))  # the input's index of each sentence
        self.is_open = [True] * sentence_count
        self.finished: list[list[Hypothesis]] = [[] for _ in range(sentence_count)]
        self.prefix_ids = pad_prefixes(prefix_ids, limits, device)
        self.max_ngram_counts = _max_ngram_counts(source, config)
        self.at_length_limit = torch.zeros((sentence_count, beam_size), dtype=torch.bool, device=device)
        self.state: State = model.init_state(source, beam_size, max(limits) + 1)
        self.tokens = torch.full((sentence_count, beam_size), model.decoder_start_id, device=device)
        self.scores = torch.full((sentence_count, beam_size), -math.inf, device=device)
        self.scores[:, 0] = 0.0
        self.history = torch.empty((sentence_count, beam_size, max(limits) + 1), dtype=torch.long, device=device)
        self.length = 0

    @property
    def batch_size(self) -> int:
        """Sentences in the batch, B; 0 once all are closed."""
        return len(self.sentences)

    def step(self) -> None:
        """Write one token for every hypothesis, and close finished sentences."""
        logits, self.state = self.model.decode_step(self.tokens.flatten(), self.state)
        log_probs = logits.float()
        torch.log_softmax(log_probs, -1, out=log_probs)  # before anything is ruled out
        self._apply_constraints(log_probs)
        scores, tokens, parents = self._best_extensions(log_probs)
        is_eos = tokens == self.eos_id
        self._collect_finished(scores, parents, is_eos)
        live_scores = scores.masked_fill(is_eos, -math.inf)
        self.scores, order = live_scores.topk(self.beam_size)  # [B, W]
        self.tokens, parents = tokens.gather(1, order), parents.gather(1, order)
        if self.beam_size > 1:
            past_tokens = self.history[:, :, : self.length]
            past_tokens.copy_(past_tokens.gather(1, parents[:, :, None].expand_as(past_tokens)))
            self.state.reorder(parents)
        self.history[:, :, self.length] = self.tokens
        self.length += 1
        self._close_finished_sentences()

    def _apply_constraints(self, flat_log_probs: Tensor) -> None:
        """Prefixes, repetitions, shortest and longest length, by making tokens impossible."""
        log_probs = flat_log_probs.view(self.batch_size, self.beam_size, -1)
        eos_log_probs = at_limit = None
        if min(self.max_lengths) <= self.length:
            at_limit = self.max_lengths_tensor <= self.length
            eos_log_probs = log_probs[at_limit][:, :, self.eos_id].clone()
            self.at_length_limit[at_limit] = log_probs[at_limit].argmax(-1) != self.eos_id
        prefix_tokens = None
        if self.prefix_ids is not None and self.length < self.prefix_ids.shape[1]:
            prefix_tokens = self.prefix_ids[:, self.length]
        if self.max_ngram_counts is not None and self.config.no_repeat_ngram is not None:
            max_counts = (
                self.max_ngram_counts
                if prefix_tokens is None
                else self.max_ngram_counts.where(prefix_tokens < 0, math.inf)
            )
            past_tokens = self.history[:, :, : self.length]
            ban_repeated_ngrams(log_probs, past_tokens, self.config.no_repeat_ngram, max_counts)
        if prefix_tokens is not None:
            force_tokens(log_probs, prefix_tokens)
        if self.length < self.config.min_length:
            log_probs[:, :, self.eos_id] = -math.inf
        if eos_log_probs is not None:
            log_probs[at_limit] = -math.inf
            log_probs[at_limit, :, self.eos_id] = eos_log_probs

    def _best_extensions(self, log_probs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The 2 W best extensions: log-probabilities, tokens and parents, each [B, 2W].

        So many that W are left to go on with if W of them end the sentence; of one hypothesis no
        more than W + 1, since only one token ends it. Greedy search takes the one best.
        """
        candidate_count, candidates_per_hypothesis = (
            (2 * self.beam_size, self.beam_size + 1) if self.beam_size > 1 else (1, 1)
        )
        candidates_per_hypothesis = min(candidates_per_hypothesis, log_probs.shape[-1])
        best_log_probs, tokens = topk(log_probs, candidates_per_hypothesis)  # [B * W, W + 1]
        total_scores = (self.scores.view(-1, 1) + best_log_probs).view(self.batch_size, -1)
        scores, index = total_scores.topk(candidate_count)  # [B, 2W] of [B, W * (W + 1)]
        return (scores, tokens.view(self.batch_size, -1).gather(1, index), index // candidates_per_hypothesis)

    def _collect_finished(self, scores: Tensor, parents: Tensor, is_eos: Tensor) -> None:
        """Collect the hypotheses among the W best candidates that have just ended."""
        has_ended = is_eos[:, : self.beam_size] & scores[:, : self.beam_size].isfinite()
        rows, columns = has_ended.nonzero(as_tuple=True)
        if len(rows) == 0:
            return
        token_ids = self.history[rows, parents[rows, columns], : self.length].tolist()
        log_probs = scores[rows, columns].tolist()
        truncated = self.at_length_limit[rows, parents[rows, columns]].tolist()
        for row, ids, log_prob, is_truncated in zip(rows.tolist(), token_ids, log_probs, truncated, strict=True):
            score = self.config.normalize(log_prob, len(ids) + 1)
            self.finished[self.sentences[row]].append(Hypothesis(ids, log_prob, score, is_truncated))

    def _close_finished_sentences(self) -> None:
        """Close sentences none of whose live hypotheses can beat their n-th best finished one.

        A live hypothesis can at best add nothing to its log-probability (which only falls) up to
        the length at which that is worth most, its longest. With search.patience a sentence is done
        with so many finished ones, too.
        """
        patience = self.config.patience
        max_finished = max(self.config.n_best, math.inf if patience is None else patience * self.beam_size)
        best_scores = self.scores[:, 0].tolist()
        max_lengths = self.max_lengths
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
            if len(rows) < self.batch_size:
                self._select_rows(compaction_order(rows))

    def _close(self, rows: list[int]) -> None:
        """Give everything that is still computed for these sentences the probability zero."""
        for row in rows:
            self.is_open[row], self.max_lengths[row] = False, UNREACHABLE_LENGTH
        row_indices = torch.tensor(rows, dtype=torch.long, device=self.tokens.device)
        self.scores[row_indices] = -math.inf
        self.max_lengths_tensor[row_indices] = UNREACHABLE_LENGTH

    def _select_rows(self, rows: list[int]) -> None:
        row_indices = torch.tensor(rows, dtype=torch.long, device=self.tokens.device)
        self.sentences = [self.sentences[row] for row in rows]
        self.max_lengths = [self.max_lengths[row] for row in rows]
        self.is_open = [self.is_open[row] for row in rows]
        self.tokens, self.scores = self.tokens[row_indices], self.scores[row_indices]
        self.max_lengths_tensor, self.history = (self.max_lengths_tensor[row_indices], self.history[row_indices])
        self.at_length_limit = self.at_length_limit[row_indices]
        if self.max_ngram_counts is not None:
            self.max_ngram_counts = self.max_ngram_counts[row_indices]
        if self.prefix_ids is not None:
            self.prefix_ids = self.prefix_ids[row_indices]
        if rows:
            self.state.select(row_indices)


def rows_to_keep(is_open: list[bool]) -> list[int]:
    """Ascending rows of the smaller batch: those open, and the first others up to its size."""
    open_count = sum(is_open)
    filler_count = min(round_up_size(open_count), len(is_open)) - open_count
    closed = [row for row, row_is_open in enumerate(is_open) if not row_is_open]
    opened = [row for row, row_is_open in enumerate(is_open) if row_is_open]
    return sorted(opened + closed[:filler_count])


def round_up_size(size: int) -> int:
    """The next number of SIGNIFICANT_BITS bits: 1 to 16, 18, 20 to 32, 36; 64 up to 1,024."""
    unit = 1 << max(0, (size - 1).bit_length() - SIGNIFICANT_BITS)
    return -(-size // unit) * unit


def compaction_order(rows: list[int]) -> list[int]:
    """Ascending indices in an order in which most stand where they stood: the last fill the holes.

    What the state holds for a sentence that stays in its place need not be moved.
    """
    count = len(rows)
    already_placed = {row for row in rows if row < count}
    moved = iter([row for row in rows if row >= count])
    return [row if row in already_placed else next(moved) for row in range(count)]


def _max_ngram_counts(source: Sequences, config: SearchConfig) -> Tensor | None:
    """How often each sentence's translation may hold the same n-gram [B]; None: any number."""
    ngram_size = config.no_repeat_ngram
    if ngram_size is None:
        return None
    lengths = (source.lengths - 1).tolist()
    counts = [
        max_ngram_count(ids[:length], ngram_size) for ids, length in zip(source.ids.tolist(), lengths, strict=True)
    ]
    return torch.tensor(counts, dtype=torch.float32, device=source.ids.device)
