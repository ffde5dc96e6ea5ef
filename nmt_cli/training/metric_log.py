"""The log of a run: log.jsonl, TensorBoard events if the recipe asks for them, what is said."""

from typing import Any

from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder
from nmt_cli.training.state import TrainingState, ValidationResult


def tensorboard_writer_class() -> Any:
    """The class that writes TensorBoard events; UserError without the extra."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError("training.tensorboard: needs the extra: pip install 'nmt-cli[tensorboard]'") from error
    return SummaryWriter


class MetricLogger:
    """Writes each record of training to every log."""

    def __init__(self, folder: RunFolder, *, tensorboard: bool) -> None:
        self.folder = folder
        self._tensorboard_writer: Any = None
        if tensorboard:
            self._tensorboard_writer = tensorboard_writer_class()(str(folder.path / "tensorboard"))

    def log(self, record: dict[str, Any]) -> None:
        """One record; its numbers become TensorBoard scalars under its event's name."""
        self.folder.log(record)
        if self._tensorboard_writer is not None:
            values_by_name = {**record, **record.get("scores", {})}
            for key, value in values_by_name.items():
                if isinstance(value, float):
                    self._tensorboard_writer.add_scalar(f"{record['event']}/{key}", value, record["update"])
            self._tensorboard_writer.flush()


def log_validation(
    metric_logger: MetricLogger, reporter: Reporter, state: TrainingState, validation: ValidationResult, is_best: bool
) -> None:
    """Log and say what a validation found, with its samples; a star where it is the best so far."""
    metric_logger.log(
        {
            "event": "validation",
            "update": state.update,
            "loss": validation.loss,
            "scores": validation.scores,
            "best": is_best,
            "seconds": state.training_seconds,
            "samples": validation.samples,
        }
    )
    scores = " · ".join(f"{name} {value:.2f}" for name, value in validation.scores.items())
    star = " *" if is_best else ""
    reporter.info(
        f"{state.update:>7,} updates · {state.training_seconds / 60:5.1f} min · "
        f"dev loss {validation.loss:.3f} · {scores}{star}"
    )
    for sample in validation.samples:
        for key, text in sample.items():
            reporter.info(f"          {key:>10}: {text}", style="dim")
