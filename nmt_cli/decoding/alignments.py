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

    None where the model has no attention.
    """
    if not isinstance(model, Autoregressive):
        return None
    vocabulary, device = model.vocabulary, next(model.parameters()).device
    source = pad([(ids, [vocabulary.end]) for ids in sources], vocabulary.pad)
    target = pad([([model.first_token], ids) for ids in targets], vocabulary.pad)
    batch = [
        Sequences(torch.from_numpy(x.ids).to(device), torch.from_numpy(x.lengths).to(device))
        for x in (source, target)
    ]
    weights = model.attention(batch[0], batch[1])
    if weights is None:
        return None
    sizes = zip(target.lengths.tolist(), source.lengths.tolist(), strict=True)
    return [one[:, :, :t, :s].float().cpu() for one, (t, s) in zip(weights, sizes, strict=True)]


def word_alignment(
    weights: Tensor, source_pieces: list[str], target_pieces: list[str]
) -> list[tuple[int, int]]:
    """Pairs (source word, target word), counted from 0; words are what spaces separate.

    The mean over heads of `alignment_layer` is used.
    """
    layer = weights[alignment_layer(weights.shape[0])].mean(0)  # [T, S]
    source_words, target_words = word_numbers(source_pieces), word_numbers(target_pieces)
    if not source_words or not target_words:
        return []
    table = torch.zeros(target_words[-1] + 1, source_words[-1] + 1)
    rows = torch.tensor(target_words)[:, None].expand(-1, len(source_words))
    columns = torch.tensor(source_words).expand(len(target_words), -1)
    inside = layer[: len(target_words), : len(source_words)]
    table.index_put_((rows, columns), inside, accumulate=True)
    return [(int(row.argmax()), number) for number, row in enumerate(table)]


def alignment_layer(layers: int) -> int:
    """The layer before the last, from 0, whose mean over heads aligns best in Transformers.

    Garg et al. 2019, section 4.
    """
    return max(0, layers - 2)


def word_numbers(pieces: list[str]) -> list[int]:
    """The word that each piece belongs to; a piece that begins with a space begins a word."""
    numbers, word = [], -1
    for number, piece in enumerate(pieces):
        if number == 0 or piece.startswith(" "):
            word += 1
        numbers.append(word)
    return numbers
