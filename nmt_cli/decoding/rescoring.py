"""The probability that a model gives to a translation that somebody else made.

Legend: B pairs, T target positions, U emitted positions, D width, V vocabulary.
"""

from typing import Any

import torch
from torch.nn import functional

from nmt_cli.data.batching import in_batches_of, pad
from nmt_cli.models.contract import Aligned, Autoregressive, Sequences, TranslationModel

CHUNK = 1 << 23  # logits held at a time: 32 MiB in float32
Ids = list[int]


@torch.inference_mode()
def log_probabilities(
    model: TranslationModel[Any], sources: list[Ids], targets: list[Ids], budget: int
) -> list[float]:
    """log p(target | source) of each pair in nats, in the order of the pairs.

    Forced decoding: the sum over target and end of sentence. For a model that emits all positions
    at once the sum over all alignments (Graves et al. 2006, eq. 3); -inf where the target is too
    long to be emitted. Ids have no end of sentence. `budget` is the most positions, padding
    included, that are computed at once. The same number as `Hypothesis.log_probability`.
    """
    result = [0.0] * len(sources)
    sizes = [max(len(s), len(t)) + 1 for s, t in zip(sources, targets, strict=True)]
    score = _aligned if isinstance(model, Aligned) else _forced
    for group in in_batches_of(sizes, budget):
        found = score(model, [sources[n] for n in group], [targets[n] for n in group])
        for number, value in zip(group, found, strict=True):
            result[number] = value
    return result


def _forced(model: TranslationModel[Any], sources: list[Ids], targets: list[Ids]) -> list[float]:
    assert isinstance(model, Autoregressive)
    source = _sequences(model, [(ids, [model.vocabulary.end]) for ids in sources])
    target_in = _sequences(model, [([model.first_token], ids) for ids in targets])
    target_out = _sequences(model, [(ids, [model.vocabulary.end]) for ids in targets])
    hidden = model(source, target_in).flatten(0, 1)  # [B * T, D]
    wanted = target_out.ids.flatten()  # [B * T]
    size = max(1, CHUNK // model.vocabulary.target_size)
    parts = [
        model.project(some).float().log_softmax(-1).gather(1, ids[:, None]).squeeze(1)
        for some, ids in zip(hidden.split(size), wanted.split(size), strict=True)
    ]
    values = torch.cat(parts).view(target_out.ids.shape)
    padding = target_out.padding()
    if padding is not None:
        values = values.masked_fill(padding, 0.0)
    found: list[float] = values.sum(1).tolist()
    return found


def _aligned(model: TranslationModel[Any], sources: list[Ids], targets: list[Ids]) -> list[float]:
    assert isinstance(model, Aligned)
    source = _sequences(model, [(ids, [model.vocabulary.end]) for ids in sources])
    hidden, emitted = model(source)
    group = max(1, CHUNK // (hidden.shape[1] * model.vocabulary.target_size))
    found: list[float] = []
    for first in range(0, len(targets), group):
        some = targets[first : first + group]
        rows = model.project(hidden[first : first + group]).float().log_softmax(-1)  # [b, U, V]
        ids = torch.tensor([i for one in some for i in one], dtype=torch.long)
        sizes = torch.tensor([len(one) for one in some])
        nll = functional.ctc_loss(
            rows.transpose(0, 1).cpu(), ids, emitted[first : first + group].cpu(), sizes,
            model.blank, "none",
        )  # fmt: skip
        found += (-nll).tolist()
    return found


def _sequences(model: TranslationModel[Any], rows: list[tuple[Ids, Ids]]) -> Sequences:
    device = next(model.parameters()).device
    padded = pad(rows, model.vocabulary.pad)
    ids, lengths = (torch.from_numpy(one).to(device) for one in (padded.ids, padded.lengths))
    return Sequences(ids, lengths, int(padded.lengths.sum()))
