"""nmt plot positions: sinusoidal encodings, beside those that a run has learned."""

from pathlib import Path

from nmt_cli.commands.runs import open_run
from nmt_cli.device import find_device
from nmt_cli.errors import UserError
from nmt_cli.models.positions import LearnedPositions, Sinusoids, sinusoids
from nmt_cli.plots.positions import Table, draw_positions

LAYOUTS: tuple[Sinusoids, ...] = ("sinusoidal", "sinusoidal_halves")
SIDES = {"source_positions": "source", "target_positions": "target"}


def position_tables(
    run: Path | None, count: int | None = None, width: int | None = None
) -> dict[str, Table]:
    """Name and table [count, width] of both sinusoidal layouts and of what a run has learned.

    Without a run 128 positions of 128 dimensions; with one all of its positions, at most 256, and
    its width. UserError for a run that has learned none, or has another width than asked for.
    """
    learned = {} if run is None else _learned(run, count, width)
    if learned:
        count, width = next(iter(learned.values())).shape
    found: dict[str, Table] = {
        name: sinusoids(count or 128, width or 128, name).numpy() for name in LAYOUTS
    }
    return found | learned


def plot_positions(tables: dict[str, Table], out: Path) -> None:
    """Draw them into a file."""
    count, width = next(iter(tables.values())).shape
    draw_positions(out, tables, f"{count} positions in {width} dimensions")


def _learned(path: Path, count: int | None, width: int | None) -> dict[str, Table]:
    run = open_run(path, find_device("cpu"), "fp32")
    tables = {
        name: module.weight.detach().numpy()
        for name, module in run.model.named_modules()
        if isinstance(module, LearnedPositions)
    }
    if not tables:
        kind = getattr(run.recipe.model, "positions", "none")
        raise UserError(f"{path}: its positions are {kind}, not learned; leave the run out")
    limit, there = next(iter(tables.values())).shape
    if width is not None and width != there:
        raise UserError(f"--width {width}: the positions of {path} have {there} dimensions")
    if count is not None and count > limit:
        raise UserError(f"--count {count}: {path} has learned {limit} positions")
    shown = count or min(limit, 256)
    return {
        " ".join(["learned", SIDES.get(name, "")]).strip(): table[:shown]
        for name, table in tables.items()
    }
