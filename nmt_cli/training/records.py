"""The log of a run: log.jsonl, and TensorBoard events where the recipe asks for them."""

from typing import Any

from nmt_cli.checkpoint import RunFolder
from nmt_cli.errors import UserError


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
