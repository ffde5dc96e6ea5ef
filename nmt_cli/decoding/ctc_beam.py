"""Search for models that emit all positions at once (CTC): best path, and beam search over prefixes.

Legend: B sentences, U emitted positions, V vocabulary.
"""

import math
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.constraints import max_ngram_count
from nmt_cli.decoding.engine import Hypothesis
from nmt_cli.decoding.host import source_ids, to_host
from nmt_cli.decoding.rescoring import MAX_LOGITS_PER_CHUNK, ctc_log_probabilities
from nmt_cli.errors import UserError
from nmt_cli.models.contract import NonAutoregressive, Sequences

Prefix = tuple[int, ...]
PrefixScores = tuple[float, float]  # log-probability of all paths to a prefix: by a blank, by a token
IMPOSSIBLE = (-math.inf, -math.inf)


def ctc_search(
    model: NonAutoregressive[Any], source: Sequences, config: SearchConfig, prefixes: object
) -> list[list[Hypothesis]]:
    """Hypotheses with their probability summed over all alignments, best first.

    With beam 1 the best path, collapsed (Graves et al. 2006, section 3.2); otherwise a beam search over prefixes
    (Hannun et al. 2014). UserError for sampling and forced prefixes, which such a model does not support.
    """
    if config.sampling or prefixes:
        raise UserError("a ctc model supports neither search.sampling nor --prefix")
    hidden, output_lengths = model(source)
    sources, hypotheses = source_ids(source), []
    lengths: list[int] = to_host(output_lengths)[0].tolist()
    chunk_size = max(1, MAX_LOGITS_PER_CHUNK // (hidden.shape[1] * model.vocabulary.target_size))
    for start in range(0, len(sources), chunk_size):  # the logits of a whole batch would take gigabytes
        chunk = slice(start, start + chunk_size)
        log_probs = model.output_logits(hidden[chunk]).float().log_softmax(-1)  # [b, U, V]
        log_probs = torch.from_numpy(to_host(log_probs)[0])  # the search is the host's work
        hypotheses += _search_chunk(model, log_probs, lengths[chunk], sources[chunk], config)
    return hypotheses


def _search_chunk(
    model: NonAutoregressive[Any], log_probs: Tensor, lengths: list[int], sources: list[list[int]], config: SearchConfig
) -> list[list[Hypothesis]]:
    """Hypotheses of sentences whose log-probabilities are rows [b, U, V]."""
    excluded_tokens = [model.vocabulary.start, model.vocabulary.end]
    if config.beam == 1 and not (config.min_length or config.max_length or config.no_repeat_ngram):
        dropped = (model.blank_id, *excluded_tokens)
        candidates = [
            [[token for token, _ in groupby(path[:length]) if token not in dropped]]
            for path, length in zip(log_probs.argmax(-1).tolist(), lengths, strict=True)
        ]
    else:
        log_probs[:, :, excluded_tokens] = -math.inf
        candidates = [
            _prefix_beam_search(sentence_log_probs[:length], config, model.blank_id, ids)
            for sentence_log_probs, length, ids in zip(log_probs, lengths, sources, strict=True)
        ]
    return [
        _rank(sentence_log_probs, length, sentence_candidates, config, model.blank_id)
        for sentence_log_probs, length, sentence_candidates in zip(log_probs, lengths, candidates, strict=True)
    ]


def _prefix_beam_search(log_probs: Tensor, config: SearchConfig, blank: int, source: list[int]) -> list[list[int]]:
    """The `beam` most probable prefixes after all positions [U, V], best first.

    Prefixes shorter than search.min_length are dropped, unless all are.
    """
    beam_size, ngram_size = config.beam, config.no_repeat_ngram
    max_count = 1 if ngram_size is None else max_ngram_count(source, ngram_size)
    values, tokens = log_probs.topk(min(2 * beam_size, log_probs.shape[1]))
    blank_log_probs = log_probs[:, blank].tolist()
    prefixes: dict[Prefix, PrefixScores] = {(): (0.0, -math.inf)}
    for position_log_probs, position_tokens, blank_log_prob in zip(
        values.tolist(), tokens.tolist(), blank_log_probs, strict=True
    ):
        extended: dict[Prefix, PrefixScores] = {}
        for prefix, (blank_score, token_score) in prefixes.items():
            total_score = _log_add_exp(blank_score, token_score)
            _accumulate(extended, prefix, total_score + blank_log_prob, -math.inf)
            for log_prob, token in zip(position_log_probs, position_tokens, strict=True):
                if token == blank or log_prob == -math.inf:
                    continue
                repeats_last = bool(prefix) and prefix[-1] == token
                if repeats_last:
                    _accumulate(extended, prefix, -math.inf, token_score + log_prob)
                if _may_extend(prefix, token, config, max_count):
                    _accumulate(
                        extended, (*prefix, token), -math.inf, (blank_score if repeats_last else total_score) + log_prob
                    )
        best = sorted(extended.items(), key=lambda item: (-_log_add_exp(*item[1]), item[0]))[:beam_size]
        prefixes = dict(best)
    long_enough = [prefix for prefix in prefixes if len(prefix) >= config.min_length]
    return [list(prefix) for prefix in long_enough or prefixes]


def _may_extend(prefix: Prefix, token: int, config: SearchConfig, max_ngram_count: int) -> bool:
    """Whether search.max_length and search.no_repeat_ngram let the token follow."""
    if config.max_length is not None and len(prefix) >= config.max_length:
        return False
    ngram_size = config.no_repeat_ngram
    if ngram_size is None or len(prefix) < ngram_size:
        return True
    new_ngram = (*prefix[len(prefix) - ngram_size + 1 :], token)
    ngrams = zip(*(prefix[start:] for start in range(ngram_size)), strict=False)
    return sum(ngram == new_ngram for ngram in ngrams) < max_ngram_count


def _accumulate(prefixes: dict[Prefix, PrefixScores], prefix: Prefix, blank_score: float, token_score: float) -> None:
    previous = prefixes.get(prefix, IMPOSSIBLE)
    prefixes[prefix] = (_log_add_exp(previous[0], blank_score), _log_add_exp(previous[1], token_score))


def _log_add_exp(left: float, right: float) -> float:
    """log(exp(left) + exp(right))."""
    if left < right:
        left, right = right, left
    return left if right == -math.inf else left + math.log1p(math.exp(right - left))


def _rank(
    log_probs: Tensor, length: int, candidates: list[list[int]], config: SearchConfig, blank: int
) -> list[Hypothesis]:
    """Hypotheses with their log-probability summed over all alignments, best normalised score first."""
    expanded_log_probs = log_probs[:length, None].expand(-1, len(candidates), -1)
    output_lengths = torch.full((len(candidates),), length)
    scores = ctc_log_probabilities(expanded_log_probs, output_lengths, candidates, blank)
    hypotheses = [
        Hypothesis(ids, score, config.normalize(score, len(ids) + 1))
        for ids, score in zip(candidates, scores, strict=True)
    ]
    return sorted(hypotheses, key=lambda hypothesis: -hypothesis.score)[: config.n_best]
