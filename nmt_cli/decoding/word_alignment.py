"""Word alignments from attention weights, and the coverage of the source."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nmt_cli.decoding.engine import Hypothesis
from nmt_cli.decoding.host import batch_with_end, batch_with_start
from nmt_cli.errors import UserError
from nmt_cli.models.contract import Autoregressive, Sequences, TranslationModel

MIN_ATTENTION = 1e-6  # lower bound of the attention to a token, whose logarithm is taken


@torch.inference_mode()
def attention_weights(
    model: TranslationModel[Any], sources: list[list[int]], targets: list[list[int]]
) -> list[Tensor] | None:
    """Attention weights [layers, heads, T, S] of each pair, ends of sentence included; None without attention.

    UserError for a model that says that it has attention, and returns none, or what cannot be attention weights.
    """
    if not isinstance(model, Autoregressive):
        return None
    source, target_in = batch_with_end(model, sources), batch_with_start(model, targets)
    weights = model.attention(source, target_in)
    if weights is None:
        if model.has_attention:
            raise UserError(
                f"model {model.config.type}: has_attention is true, but attention() returned None: "
                "return weights [B, layers, heads, T, S], or make has_attention false"
            )
        return None
    batch_size, target_length, source_length = *target_in.ids.shape, source.ids.shape[1]
    shape = list(weights.shape)
    if len(shape) != 5 or 0 in shape or shape != [batch_size, *shape[1:3], target_length, source_length]:
        raise UserError(
            f"model {model.config.type}: attention() returned shape {shape}: return weights [B, layers, heads, T, S], "
            f"here [{batch_size}, layers, heads, {target_length}, {source_length}]"
        )
    pairs_weights = [
        pair_weights[:, :, : len(target) + 1, : len(source) + 1].float().cpu()
        for pair_weights, source, target in zip(weights, sources, targets, strict=True)
    ]
    if not all(pair_weights.isfinite().all() for pair_weights in pairs_weights):
        raise UserError(
            f"model {model.config.type}: attention() returned numbers that are not finite: return weights of at least 0"
        )
    return pairs_weights


def word_alignment(weights: Tensor, source_tokens: list[str], target_tokens: list[str]) -> list[tuple[int, int]]:
    """For each target word the source word with the most attention, as (source word, target word) from 0.

    Words are separated by spaces; a text without any word has no alignment. `weights` are [layers, heads, T, S], of
    which the mean over heads of `alignment_layer` is used.
    """
    layer = weights[alignment_layer(weights.shape[0])].mean(0)  # [T, S]
    source_words, target_words = (token_word_indices(source_tokens), token_word_indices(target_tokens))
    if not "".join(source_tokens).strip() or not "".join(target_tokens).strip():
        return []
    word_weights = torch.zeros(target_words[-1] + 1, source_words[-1] + 1)
    target_index = torch.tensor(target_words)[:, None].expand(-1, len(source_words))
    source_index = torch.tensor(source_words).expand(len(target_words), -1)
    token_weights = layer[: len(target_words), : len(source_words)]
    word_weights.index_put_((target_index, source_index), token_weights, accumulate=True)
    return [(int(row.argmax()), target_word) for target_word, row in enumerate(word_weights)]


def token_weights(weights: Tensor) -> list[list[float]]:
    """The attention of each target to each source token: [layers, heads, T, S] as a list of T lists of S numbers."""
    rows: list[list[float]] = weights[alignment_layer(weights.shape[0])].mean(0).tolist()
    return rows


def alignment_layer(layer_count: int) -> int:
    """The last layer but one, from 0, which aligns best in Transformers (Garg et al. 2019, section 4)."""
    return max(0, layer_count - 2)


def token_word_indices(tokens: list[str]) -> list[int]:
    """The index of each token's word; a token that begins with a space begins a word, unless only spaces are before it.

    Spaces at the end belong to the last word.
    """
    word_indices, word, has_text = [], 0, False
    for token in tokens:
        if has_text and token.startswith(" "):
            word, has_text = word + 1, False
        has_text = has_text or bool(token.strip())
        word_indices.append(word)
    return word_indices if has_text else [min(index, max(0, word - 1)) for index in word_indices]


def add_coverage_penalty(
    model: Autoregressive[Any, Any], source: Sequences, hypotheses: list[list[Hypothesis]], beta: float
) -> list[list[Hypothesis]]:
    """The hypotheses of each sentence with beta * coverage added to their scores; unchanged without attention.

    This takes one forward pass per sentence.
    """
    source_rows = zip(source.ids.tolist(), source.lengths.tolist(), strict=True)
    rescored = []
    for (ids, length), sentence_hypotheses in zip(source_rows, hypotheses, strict=True):
        weights = attention_weights(
            model, [ids[: length - 1]] * len(sentence_hypotheses), [h.ids for h in sentence_hypotheses]
        )
        if weights is None:
            return hypotheses
        rescored.append(
            [
                replace(hypothesis, score=hypothesis.score + beta * coverage_score(hypothesis_weights))
                for hypothesis, hypothesis_weights in zip(sentence_hypotheses, weights, strict=True)
            ]
        )
    return rescored


def coverage_score(weights: Tensor) -> float:
    """The sum over source tokens of log min(1, attention to the token): Wu et al. 2016, eq. 14.

    `weights` are [layers, heads, T, S], of which the mean over heads of `alignment_layer` is used; the source's end
    of sentence is not counted. The weights of local attention, whose rows sum to less than 1, are taken as they are.
    """
    attention_mass = weights[alignment_layer(weights.shape[0])].mean(0).sum(0)[:-1]  # [S - 1]
    return float(torch.log(attention_mass.clamp(MIN_ATTENTION, 1.0)).sum())
