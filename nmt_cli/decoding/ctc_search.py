"""Search for models that emit all positions at once: best path, and beam over prefixes.

Legend: B sentences, U emitted positions, V vocabulary.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nmt_cli.decoding.forcing import most_repeated
from nmt_cli.decoding.hypothesis import Hypothesis, SearchConfig
from nmt_cli.decoding.rescoring import CHUNK
from nmt_cli.errors import UserError
from nmt_cli.models.contract import Aligned, Sequences

Prefix = tuple[int, ...]
Ending = tuple[float, float]  # log-probability of all paths to a prefix: by a blank, by a token
NEVER = (-math.inf, -math.inf)


def ctc_search(
    model: Aligned[Any], source: Sequences, config: SearchConfig, prefixes: object
) -> list[list[Hypothesis]]:
    """Hypotheses with their probability summed over all alignments, best first.

    With beam 1 the best path, collapsed (Graves et al. 2006, section 3.2); else a beam over
    prefixes (Hannun et al. 2014). Nothing can be forced on a model that emits all at once:
    UserError for sampling and prefixes.
    """
    if config.sampling or prefixes:
        raise UserError("a ctc model knows neither search.sampling nor --prefix")
    hidden, emitted = model(source)
    sources = [ids[: n - 1] for ids, n in zip(source.ids.tolist(), source.lengths, strict=True)]
    lengths, found = emitted.tolist(), []
    size = max(1, CHUNK // (hidden.shape[1] * model.vocabulary.target_size))
    for first in range(0, len(sources), size):  # all logits of a batch would take gigabytes
        some = slice(first, first + size)
        rows = model.project(hidden[some]).float().log_softmax(-1)  # [b, U, V]
        found += _search_rows(model, rows, lengths[some], sources[some], config)
    return found


def _search_rows(
    model: Aligned[Any],
    rows: Tensor,
    lengths: list[int],
    sources: list[list[int]],
    config: SearchConfig,
) -> list[list[Hypothesis]]:
    """Hypotheses of sentences whose log-probabilities are rows [b, U, V]."""
    never = [model.vocabulary.start, model.vocabulary.end]
    if config.beam == 1 and not (config.min_length or config.max_length or config.no_repeat_ngram):
        paths = _best_paths(rows.argmax(-1), lengths, model.blank)
        found = [[[i for i in ids if i not in never]] for ids in paths]
    else:
        rows[:, :, never] = -math.inf
        found = [
            _prefix_beam(row[:length].cpu(), config, model.blank, ids)
            for row, length, ids in zip(rows, lengths, sources, strict=True)
        ]
    return [
        _ranked(row, length, texts, config, model.blank)
        for row, length, texts in zip(rows, lengths, found, strict=True)
    ]


def _best_paths(best: Tensor, lengths: list[int], blank: int) -> list[list[int]]:
    paths = [ids[:n] for ids, n in zip(best.tolist(), lengths, strict=True)]
    return [
        [token for n, token in enumerate(path) if token != blank and path[n - 1 : n] != [token]]
        for path in paths
    ]


def _prefix_beam(
    rows: Tensor, config: SearchConfig, blank: int, source: list[int]
) -> list[list[int]]:
    """The `beam` most probable prefixes after all rows [U, V], best first.

    Those shorter than search.min_length are left out, unless there are no others.
    """
    beam, size = config.beam, config.no_repeat_ngram
    repeats = 1 if size is None else most_repeated(source, size)
    values, tokens = rows.topk(min(2 * beam, rows.shape[1]))
    silent = rows[:, blank].tolist()
    prefixes: dict[Prefix, Ending] = {(): (0.0, -math.inf)}
    for here, some, nothing in zip(values.tolist(), tokens.tolist(), silent, strict=True):
        grown: dict[Prefix, Ending] = {}
        for prefix, (by_blank, by_token) in prefixes.items():
            total = _add(by_blank, by_token)
            _put(grown, prefix, total + nothing, -math.inf)
            for value, token in zip(here, some, strict=True):
                if token == blank or value == -math.inf:
                    continue
                same = bool(prefix) and prefix[-1] == token
                if same:
                    _put(grown, prefix, -math.inf, by_token + value)
                if _may_grow(prefix, token, config, repeats):
                    _put(grown, (*prefix, token), -math.inf, (by_blank if same else total) + value)
        best = sorted(grown.items(), key=lambda item: (-_add(*item[1]), item[0]))[:beam]
        prefixes = dict(best)
    long_enough = [prefix for prefix in prefixes if len(prefix) >= config.min_length]
    return [list(prefix) for prefix in long_enough or prefixes]


def _may_grow(prefix: Prefix, token: int, config: SearchConfig, repeats: int) -> bool:
    """Whether the token may follow: search.max_length and search.no_repeat_ngram."""
    if config.max_length is not None and len(prefix) >= config.max_length:
        return False
    size = config.no_repeat_ngram
    if size is None or len(prefix) < size:
        return True
    wanted = (*prefix[len(prefix) - size + 1 :], token)
    grams = zip(*(prefix[first:] for first in range(size)), strict=False)
    return sum(gram == wanted for gram in grams) < repeats


def _put(prefixes: dict[Prefix, Ending], prefix: Prefix, by_blank: float, by_token: float) -> None:
    before = prefixes.get(prefix, NEVER)
    prefixes[prefix] = (_add(before[0], by_blank), _add(before[1], by_token))


def _add(left: float, right: float) -> float:
    """log(exp(left) + exp(right))."""
    if left < right:
        left, right = right, left
    return left if right == -math.inf else left + math.log1p(math.exp(right - left))


def _ranked(
    rows: Tensor, length: int, texts: list[list[int]], config: SearchConfig, blank: int
) -> list[Hypothesis]:
    """The texts with their log-probability over all alignments, ranked by search's own norm."""
    sizes = torch.tensor([len(ids) for ids in texts])
    flat = torch.tensor([i for ids in texts for i in ids], dtype=torch.long)
    spread = rows[:length, None].expand(-1, len(texts), -1).cpu()
    emitted = torch.full((len(texts),), length)
    nll = functional.ctc_loss(spread, flat, emitted, sizes, blank, "none").tolist()
    found = [
        Hypothesis(ids, -value, config.normalize(-value, len(ids) + 1))
        for ids, value in zip(texts, nll, strict=True)
    ]
    return sorted(found, key=lambda one: -one.score)[: config.n_best]
