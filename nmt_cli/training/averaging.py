"""Averages of weights: what is validated and kept as best, where it is not the present weights."""

from torch import Tensor

from nmt_cli.checkpoint import Checkpoint, Tensors, read_checkpoint
from nmt_cli.errors import RunError
from nmt_cli.reporting import Reporter
from nmt_cli.run_folder import RunFolder
from nmt_cli.training.settings import TrainingConfig
from nmt_cli.training.weights import Weights


class Average:
    """An exponential moving average, the mean of the last checkpoints, or neither."""

    def __init__(
        self, weights: Weights, config: TrainingConfig, folder: RunFolder, reporter: Reporter
    ) -> None:
        self.weights, self.config, self.folder, self.reporter = weights, config, folder, reporter
        self.moving = weights.master.clone() if config.average_decay else None

    def begin(self) -> None:
        """Be the present weights."""
        if self.moving is not None:
            self.moving.copy_(self.weights.master)

    def add(self, update: int) -> None:
        """Take in the weights after an update; the first ones count for more."""
        if self.moving is not None and self.config.average_decay is not None:
            decay = min(self.config.average_decay, (1 + update) / (10 + update))
            self.moving.lerp_(self.weights.master, 1 - decay)

    def tensors(self) -> dict[str, Tensors]:
        """What a checkpoint keeps of it."""
        return {} if self.moving is None else {"average": self.weights.split(self.moving)}

    def restore(self, checkpoint: Checkpoint) -> None:
        """The way back from `tensors`; raises what `Weights.join` raises."""
        if self.moving is not None:
            self.moving.copy_(self.weights.join(checkpoint.tensors("average")))

    def flat(self, update: int) -> Tensor | None:
        """The weights to validate after an update; None: the present ones."""
        if self.moving is not None:
            return self.moving
        if self.config.average == 1:
            return None
        total, count = self.weights.master.clone(), 1
        steps = self.folder.regular(self.config.validate_every, before=update)
        for path in steps[1 - self.config.average :]:
            try:
                total += self.weights.join(read_checkpoint(path).tensors())
                count += 1
            except RunError as error:
                self.reporter.warn(f"{error}; left out of the average")
        return total / count if count > 1 else None
