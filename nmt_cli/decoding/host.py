"""Where a search waits for the device: the one function that reads tensors back."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt_cli.decoding.engine import TokenIds
from nmt_cli.models.contract import Sequences

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


def source_ids(source: Sequences) -> list[TokenIds]:
    """The ids of each sentence, without its end."""
    (ids,) = to_host(source.ids)
    return [row[: length - 1] for row, length in zip(ids.tolist(), source.lengths_on_cpu().tolist(), strict=True)]
