"""Averages of weights, which are validated and kept as best in place of the current ones."""

from torch import Tensor

from nmt_cli.errors import RunError
from nmt_cli.reporting import Reporter
from nmt_cli.training.checkpoints import Checkpoint, Checkpointer, NamedTensors, read_checkpoint
from nmt_cli.training.config import TrainingConfig
from nmt_cli.training.parameters import FlatParameters


class WeightAverager:
    """An exponential moving average of the weights, the mean of the last checkpoints, or neither."""

    def __init__(
        self, parameters: FlatParameters, config: TrainingConfig, checkpointer: Checkpointer, reporter: Reporter
    ) -> None:
        self.parameters, self.config, self.checkpointer, self.reporter = parameters, config, checkpointer, reporter
        self.moving_average = parameters.master.clone() if config.ema_decay else None

    def reset(self) -> None:
        """Start the moving average anew from the current weights."""
        if self.moving_average is not None:
            self.moving_average.copy_(self.parameters.master)

    def update(self, update_number: int) -> None:
        """Move the average towards the weights after an update; the decay is smaller for the first updates."""
        if self.moving_average is not None and self.config.ema_decay is not None:
            decay = min(self.config.ema_decay, (1 + update_number) / (10 + update_number))
            self.moving_average.lerp_(self.parameters.master, 1 - decay)

    def tensors(self) -> dict[str, NamedTensors]:
        """The groups of tensors to save in a checkpoint."""
        return {} if self.moving_average is None else {"average": self.parameters.unflatten(self.moving_average)}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore the moving average; ValueError or RunError if the checkpoint has none that fits."""
        if self.moving_average is not None:
            self.moving_average.copy_(self.parameters.flatten(checkpoint.tensors("average")))

    def validation_weights(self, update: int) -> Tensor:
        """The flat weights to validate after an update: an average, or the current ones."""
        if self.moving_average is not None:
            return self.moving_average
        if self.config.average_checkpoints == 1:
            return self.parameters.master
        total, count = self.parameters.master.clone(), 1
        checkpoint_folders = self.checkpointer.scheduled_folders(self.config.validate_every, before=update)
        for path in checkpoint_folders[1 - self.config.average_checkpoints :]:
            try:
                total += self.parameters.flatten(read_checkpoint(path).tensors())
                count += 1
            except RunError as error:
                self.reporter.warning(f"{error}; left out of the average")
        return total.div_(count)
