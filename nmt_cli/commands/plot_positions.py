"""nmt plot positions: sinusoidal encodings, beside those that a run has learned."""

from pathlib import Path

from nmt_cli.device import find_device
from nmt_cli.errors import UserError
from nmt_cli.models.configs import SinusoidType
from nmt_cli.models.positions import LearnedPositions, sinusoid_table
from nmt_cli.plots.positions import PositionTable, draw_positions
from nmt_cli.runs.loading import open_run

LAYOUTS: tuple[SinusoidType, ...] = ("sinusoidal", "sinusoidal_halves")
TABLE_SIDES = {"source_positions": "source", "target_positions": "target"}


def position_tables(run: Path | None, count: int | None = None, d_model: int | None = None) -> dict[str, PositionTable]:
    """Name and table [count, width] of both sinusoidal layouts and of what a run has learned.

    Without a run 128 positions of 128 dimensions; with one all of its positions, at most 256, and
    its width. UserError for a run that has learned none, or has another width than asked for.
    """
    learned = {} if run is None else _learned_tables(run, count, d_model)
    if learned:
        count, d_model = next(iter(learned.values())).shape
    tables: dict[str, PositionTable] = {
        name: sinusoid_table(count or 128, d_model or 128, name).numpy() for name in LAYOUTS
    }
    return tables | learned


def plot_positions(tables: dict[str, PositionTable], out: Path) -> None:
    """Draw them into a file."""
    count, d_model = next(iter(tables.values())).shape
    draw_positions(out, tables, f"{count} positions in {d_model} dimensions")


def _learned_tables(path: Path, count: int | None, d_model: int | None) -> dict[str, PositionTable]:
    run = open_run(path, find_device("cpu"), "fp32")
    tables = {
        name: module.weight.detach().numpy()
        for name, module in run.model.named_modules()
        if isinstance(module, LearnedPositions)
    }
    if not tables:
        kind = getattr(run.recipe.model, "positions", "none")
        raise UserError(f"{path}: its positions are {kind}, not learned; leave the run out")
    learned_count, learned_width = next(iter(tables.values())).shape
    if d_model is not None and d_model != learned_width:
        raise UserError(f"--width {d_model}: the positions of {path} have {learned_width} dimensions")
    if count is not None and count > learned_count:
        raise UserError(f"--count {count}: {path} has learned {learned_count} positions")
    shown_count = count or min(learned_count, 256)
    return {
        " ".join(["learned", TABLE_SIDES.get(name, "")]).strip(): table[:shown_count] for name, table in tables.items()
    }
