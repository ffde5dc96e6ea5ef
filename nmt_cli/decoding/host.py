"""Between lists of ids and the device: batches for a model, and the one function that reads tensors back."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt_cli.data.batching import pad
from nmt_cli.decoding.engine import TokenIds
from nmt_cli.models.contract import Autoregressive, Sequences, TranslationModel

Array = NDArray[Any]


def to_host(*tensors: Tensor) -> list[Array]:
    """Tensors of float32, int64 below 2^31 or bool as arrays, in one transfer; on a CPU without a copy."""
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return [tensor.detach().numpy() for tensor in tensors]
    packed = torch.cat([_as_int32(tensor).flatten() for tensor in tensors]).cpu().numpy()
    parts = np.split(packed, np.cumsum([tensor.numel() for tensor in tensors])[:-1])
    return [_from_int32(part, tensor) for part, tensor in zip(parts, tensors, strict=True)]


def _as_int32(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(torch.int32) if tensor.dtype == torch.float32 else tensor.to(torch.int32)


def _from_int32(values: Array, like: Tensor) -> Array:
    types: dict[torch.dtype, Any] = {torch.int64: np.int64, torch.bool: np.bool_}
    array = values.view(np.float32) if like.dtype == torch.float32 else values.astype(types[like.dtype])
    return array.reshape(tuple(like.shape))


def batch_with_end(model: TranslationModel[Any], sequences: list[TokenIds]) -> Sequences:
    """Sources, or the tokens that a decoder is to predict: ids with an end of sentence each."""
    return _to_batch(model, [(ids, [model.vocabulary.end]) for ids in sequences])


def batch_with_start(model: Autoregressive[Any, Any], targets: list[TokenIds]) -> Sequences:
    """What a decoder reads: ids after the token that every target begins with."""
    return _to_batch(model, [([model.decoder_start_id], ids) for ids in targets])


def _to_batch(model: TranslationModel[Any], rows: list[tuple[TokenIds, TokenIds]]) -> Sequences:
    return Sequences.from_numpy(*pad(rows, model.vocabulary.pad), model.device)


def source_ids(source: Sequences) -> list[TokenIds]:
    """The ids of each sentence, without its end."""
    (ids,) = to_host(source.ids)
    return [row[: length - 1] for row, length in zip(ids.tolist(), source.lengths_on_cpu().tolist(), strict=True)]
