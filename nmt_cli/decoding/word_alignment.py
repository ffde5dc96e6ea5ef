"""Which source word each target word looked at most, from attention weights."""

from typing import Any

import torch
from torch import Tensor

from nmt_cli.data.batching import pad
from nmt_cli.models.contract import Autoregressive, Sequences, TranslationModel


@torch.inference_mode()
def attention_weights(
    model: TranslationModel[Any], sources: list[list[int]], targets: list[list[int]]
) -> list[Tensor] | None:
    """For each pair the weights [layers, heads, T, S], both ends of sentence included.

    None if the model has no attention.
    """
    if not isinstance(model, Autoregressive):
        return None
    vocabulary, device = model.vocabulary, next(model.parameters()).device
    source = pad([(ids, [vocabulary.end]) for ids in sources], vocabulary.pad)
    target = pad([([model.decoder_start_id], ids) for ids in targets], vocabulary.pad)
    weights = model.attention(Sequences.from_numpy(*source, device), Sequences.from_numpy(*target, device))
    if weights is None:
        return None
    sizes = zip(target.lengths.tolist(), source.lengths.tolist(), strict=True)
    return [
        pair_weights[:, :, :target_length, :source_length].float().cpu()
        for pair_weights, (target_length, source_length) in zip(weights, sizes, strict=True)
    ]


def word_alignment(weights: Tensor, source_tokens: list[str], target_tokens: list[str]) -> list[tuple[int, int]]:
    """Pairs (source word, target word), counted from 0; words are what spaces separate.

    The mean over heads of `alignment_layer` is used.
    """
    layer = weights[alignment_layer(weights.shape[0])].mean(0)  # [T, S]
    source_words, target_words = (token_word_indices(source_tokens), token_word_indices(target_tokens))
    if not source_words or not target_words:
        return []
    word_weights = torch.zeros(target_words[-1] + 1, source_words[-1] + 1)
    target_index = torch.tensor(target_words)[:, None].expand(-1, len(source_words))
    source_index = torch.tensor(source_words).expand(len(target_words), -1)
    token_weights = layer[: len(target_words), : len(source_words)]
    word_weights.index_put_((target_index, source_index), token_weights, accumulate=True)
    return [(int(row.argmax()), target_word) for target_word, row in enumerate(word_weights)]


def alignment_layer(layer_count: int) -> int:
    """The layer before the last, from 0, whose mean over heads aligns best in Transformers.

    Garg et al. 2019, section 4.
    """
    return max(0, layer_count - 2)


def token_word_indices(tokens: list[str]) -> list[int]:
    """The word that each piece belongs to; a piece that begins with a space begins a word."""
    word_indices, word = [], -1
    for position, token in enumerate(tokens):
        if position == 0 or token.startswith(" "):
            word += 1
        word_indices.append(word)
    return word_indices
