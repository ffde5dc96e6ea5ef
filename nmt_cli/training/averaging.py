"""Averages of weights: what is validated and kept as best, where it is not the present weights."""

from torch import Tensor

from nmt_cli.errors import RunError
from nmt_cli.reporting import Reporter
from nmt_cli.runs.checkpoint import Checkpoint, NamedTensors, read_checkpoint
from nmt_cli.runs.folder import RunFolder
from nmt_cli.training.config import TrainingConfig
from nmt_cli.training.parameters import FlatParameters


class WeightAverager:
    """An exponential moving average, the mean of the last checkpoints, or neither."""

    def __init__(
        self, parameters: FlatParameters, config: TrainingConfig, folder: RunFolder, reporter: Reporter
    ) -> None:
        self.parameters, self.config, self.folder, self.reporter = (parameters, config, folder, reporter)
        self.moving_average = parameters.master.clone() if config.ema_decay else None

    def reset(self) -> None:
        """Be the present weights."""
        if self.moving_average is not None:
            self.moving_average.copy_(self.parameters.master)

    def update(self, update_number: int) -> None:
        """Take in the weights after an update; the first ones count for more."""
        if self.moving_average is not None and self.config.ema_decay is not None:
            decay = min(self.config.ema_decay, (1 + update_number) / (10 + update_number))
            self.moving_average.lerp_(self.parameters.master, 1 - decay)

    def tensors(self) -> dict[str, NamedTensors]:
        """What a checkpoint keeps of it."""
        return {} if self.moving_average is None else {"average": self.parameters.unflatten(self.moving_average)}

    def restore(self, checkpoint: Checkpoint) -> None:
        """The way back from `tensors`; raises what `Weights.join` raises."""
        if self.moving_average is not None:
            self.moving_average.copy_(self.parameters.flatten(checkpoint.tensors("average")))

    def validation_weights(self, update: int) -> Tensor | None:
        """The weights to validate after an update; None: the present ones."""
        if self.moving_average is not None:
            return self.moving_average
        if self.config.average_checkpoints == 1:
            return None
        total, count = self.parameters.master.clone(), 1
        checkpoint_folders = self.folder.scheduled_checkpoints(self.config.validate_every, before=update)
        for path in checkpoint_folders[1 - self.config.average_checkpoints :]:
            try:
                total += self.parameters.flatten(read_checkpoint(path).tensors())
                count += 1
            except RunError as error:
                self.reporter.warning(f"{error}; left out of the average")
        return total / count if count > 1 else None
