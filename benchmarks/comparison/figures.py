"""The figures of docs/comparison.md that are not drawn by nmt plot."""

from pathlib import Path
from typing import Any

from nmt_cli.plots.figure import add_grid, figure_style, line_style, new_figure, save_figure

KINDS = {"scaled": "with 1 / √d_k", "plain": "without"}


def draw_scaling(path: Path, measurement: dict[str, Any]) -> None:
    """Entropy, Jacobian and loss by d_k, with and without the factor."""
    widths = list(dict.fromkeys(int(key.split()[0]) for key in measurement))
    panels = {
        "initial entropy of the attention weights\n(relative to the highest possible)": "entropy",
        "initial gradient through the softmax\n(norm of its Jacobian)": "jacobian",
        "development loss after training\n(nats per token)": "dev_loss",
    }
    flat = {key: entry["trained"] | entry for key, entry in measurement.items()}
    with figure_style():
        figure = new_figure(10.5, 3.6, constrained=True)
        for index, (title, key) in enumerate(panels.items()):
            axes = figure.add_subplot(1, 3, index + 1)
            for style_index, (kind, label) in enumerate(KINDS.items()):
                by_width = {width: flat.get(f"{width} {kind}") for width in widths}
                points = {width: entry[key] for width, entry in by_width.items() if entry}
                _plot_line(axes, points, label, style_index)
            _use_log_axis(axes, widths, title, "d_k")
            if index < 2:
                axes.set_ylim(bottom=0)
        figure.axes[0].legend(fontsize=8, loc="center right")
        save_figure(figure, path, title="The scaling factor")


def draw_parallelism(path: Path, rates: dict[str, dict[str, float]]) -> None:
    """Target tokens per second in training by sequence length."""
    with figure_style():
        figure = new_figure(6.4, 3.8, constrained=True)
        axes = figure.add_subplot()
        for style_index, (label, rates_by_length) in enumerate(rates.items()):
            _plot_line(axes, {int(length): rate for length, rate in rates_by_length.items()}, label, style_index)
        lengths = [int(length) for length in next(iter(rates.values()))]
        _use_log_axis(axes, lengths, "target tokens/s in training", "sequence length")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=8)
        save_figure(figure, path, title="Training speed by length")


def _plot_line(axes: Any, points: dict[int, float], label: str, style_index: int) -> None:
    axes.plot(list(points), list(points.values()), label=label, **line_style(style_index)._asdict())


def _use_log_axis(axes: Any, values: list[int], title: str, label: str) -> None:
    """Ticks at powers of two."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(values, [f"{value:,}" for value in values])
    axes.minorticks_off()
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(label)
    add_grid(axes)
