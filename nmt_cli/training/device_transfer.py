"""Moving a batch from NumPy arrays on the host to tensors on the device."""

from typing import NamedTuple

import torch

from nmt_cli.data.batching import Batch, PaddedSequences
from nmt_cli.models.contract import Sequences


class TensorBatch(NamedTuple):
    """A batch as a model takes it: ids [B, S] of the source, [B, T] of the decoder's input and of its labels."""

    source: Sequences
    target_in: Sequences
    target_out: Sequences

    @property
    def tokens(self) -> int:
        """Target positions without padding, with the end of each sentence."""
        return self.target_out.num_tokens()


def to_device(batch: Batch, device: torch.device) -> TensorBatch:
    """Copy a batch to the device; to a GPU from pinned memory, without waiting for it."""

    def to_sequences(padded: PaddedSequences) -> Sequences:
        ids, lengths = torch.from_numpy(padded.ids), torch.from_numpy(padded.lengths)
        if device.type == "cuda":
            ids, lengths = ids.pin_memory(), lengths.pin_memory()
        ids, lengths = (tensor.to(device, non_blocking=True) for tensor in (ids, lengths))
        return Sequences(ids, lengths, int(padded.lengths.sum()))

    return TensorBatch(*(to_sequences(padded) for padded in batch))
