"""The log of a run: log.jsonl, TensorBoard events if the recipe asks for them, what is said."""

from typing import Any

from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter
from nmt_cli.run_folder import RunFolder
from nmt_cli.training.state import TrainingState, Validation


def event_writer() -> Any:
    """The class that writes TensorBoard events; UserError without the extra."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError(
            "training.tensorboard: needs the extra: pip install 'nmt-cli[tensorboard]'"
        ) from error
    return SummaryWriter


class Records:
    """Writes each record of training to every log."""

    def __init__(self, folder: RunFolder, *, tensorboard: bool) -> None:
        self.folder = folder
        self._events: Any = None
        if tensorboard:
            self._events = event_writer()(str(folder.path / "tensorboard"))

    def write(self, record: dict[str, Any]) -> None:
        """One record; its numbers become TensorBoard scalars under its event's name."""
        self.folder.log(record)
        if self._events is not None:
            numbers = {**record, **record.get("scores", {})}
            for key, value in numbers.items():
                if isinstance(value, float):
                    self._events.add_scalar(f"{record['event']}/{key}", value, record["update"])
            self._events.flush()


def tell_validation(
    records: Records, reporter: Reporter, state: TrainingState, found: Validation, better: bool
) -> None:
    """Log and say what a validation found, with its samples; a star where it is the best so far."""
    records.write(
        {
            "event": "validation",
            "update": state.update,
            "loss": found.loss,
            "scores": found.scores,
            "best": better,
            "seconds": state.seconds,
            "samples": found.samples,
        }
    )
    scores = " · ".join(f"{name} {value:.2f}" for name, value in found.scores.items())
    star = " *" if better else ""
    reporter.say(
        f"{state.update:>7,} updates · {state.seconds / 60:5.1f} min · "
        f"dev loss {found.loss:.3f} · {scores}{star}"
    )
    for sample in found.samples:
        for key, text in sample.items():
            reporter.say(f"          {key:>10}: {text}", style="dim")
