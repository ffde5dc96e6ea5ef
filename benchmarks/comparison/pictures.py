"""The pictures of docs/comparison.md that no command of nmt draws."""

from pathlib import Path
from typing import Any

from nmt_cli.plots.figure import add_grid, figure_style, line_style, new_figure, save_figure

KINDS = {"scaled": "with 1 / √d_k", "plain": "without"}


def draw_scaling(path: Path, measurement: dict[str, Any]) -> None:
    """Entropy, Jacobian and loss by d_k, with and without the factor."""
    widths = list(dict.fromkeys(int(key.split()[0]) for key in measurement))
    panels = {
        "entropy of the weights at the start\n(of the highest possible)": "entropy",
        "gradient through the softmax at the\nstart (norm of its Jacobian)": "jacobian",
        "development loss after training\n(nats a piece)": "dev_loss",
    }
    flat = {key: entry["trained"] | entry for key, entry in measurement.items()}
    with figure_style():
        figure = new_figure(10.5, 3.6, constrained=True)
        for place, (title, key) in enumerate(panels.items()):
            axes = figure.add_subplot(1, 3, place + 1)
            for number, (kind, label) in enumerate(KINDS.items()):
                by_width = {width: flat.get(f"{width} {kind}") for width in widths}
                points = {width: entry[key] for width, entry in by_width.items() if entry}
                _line(axes, points, label, number)
            _by_power(axes, widths, title, "d_k, the width of a head")
            if place < 2:
                axes.set_ylim(bottom=0)
        figure.axes[0].legend(fontsize=8, loc="center right")
        save_figure(figure, path, title="The scaling factor")


def draw_parallelism(path: Path, rates: dict[str, dict[str, float]]) -> None:
    """Target tokens a second in training, by length, of each system."""
    with figure_style():
        figure = new_figure(6.4, 3.8, constrained=True)
        axes = figure.add_subplot()
        for number, (label, rates_by_length) in enumerate(rates.items()):
            _line(axes, {int(length): rate for length, rate in rates_by_length.items()}, label, number)
        lengths = [int(length) for length in next(iter(rates.values()))]
        _by_power(axes, lengths, "target tokens a second in training", "positions of a sequence")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=8)
        save_figure(figure, path, title="Training speed by length")


def _line(axes: Any, points: dict[int, float], label: str, number: int) -> None:
    axes.plot(list(points), list(points.values()), label=label, **line_style(number)._asdict())


def _by_power(axes: Any, values: list[int], title: str, label: str) -> None:
    """Powers of two along the axis."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(values, [f"{value:,}" for value in values])
    axes.minorticks_off()
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(label)
    add_grid(axes)
