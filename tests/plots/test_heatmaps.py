"""Heatmaps: one, grids, lines of heads, sentences of any length."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt_cli.plots import heatmaps
from nmt_cli.plots.attention import Selection, attention_panels
from nmt_cli.plots.heatmaps import draw_attention
from tests.plots.pictures import png_size, svg_size


def draw(path: Path, source: list[str], target: list[str], layers: int, heads: int, *chosen: Selection) -> None:
    draws = np.random.default_rng(1).random((layers, heads, len(target), len(source)), np.float32)
    draw_attention(path, source, target, attention_panels(draws, *chosen), "run")


def test_a_grid_names_its_sides_and_its_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def write(figure: Any, path: Path, *, title: str) -> None:
        labels = [[axes.get_xlabel(), axes.get_ylabel(), *(t.get_text() for t in axes.texts)] for axes in figure.axes]
        seen.extend(labels)

    monkeypatch.setattr(heatmaps, "save_figure", write)
    weights = np.full((2, 2, 3, 4), 0.25, np.float32)
    panels = attention_panels(weights, "all", "all")
    draw_attention(tmp_path / "a.png", words(4), words(3), panels, "run", "share among source words")
    assert seen == [
        ["source", "target"], ["source", "layer 1"], ["", "target", "head 1"], ["", "layer 2", "head 2"],
        ["", "share among source words"],
    ]  # fmt: skip


@pytest.mark.parametrize("weight", [0.1, 0.6, 1.0])
@pytest.mark.parametrize("chosen", ["all", "mean"])
def test_a_colour_stands_for_the_same_weight_in_every_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weight: float, chosen: Selection
) -> None:
    colours: list[Any] = []
    ticks: list[list[float]] = []

    def write(figure: Any, path: Path, *, title: str) -> None:
        colours.extend(image.cmap(image.norm(weight)) for axes in figure.axes for image in axes.images)
        ticks.append(list(figure.axes[-1].get_yticks()))

    monkeypatch.setattr(heatmaps, "save_figure", write)
    for largest in (weight, 1.0):
        panels = attention_panels(np.full((2, 2, 3, 4), largest, np.float32), chosen, chosen)
        draw_attention(tmp_path / "a.png", words(4), words(3), panels, "run")
    assert len(set(colours)) == 1 and len(colours) == (8 if chosen == "all" else 2)
    assert all(places[0] == 0 and places[-1] == 1 for places in ticks)


def words(count: int) -> list[str]:
    return [f"word{number}" for number in range(count - 1)] + ["</s>"]


@pytest.mark.slow
def test_a_picture_grows_with_its_sentence(tmp_path: Path) -> None:
    sizes = []
    for count in (1, 8, 61):
        draw(tmp_path / f"{count}.png", words(count), words(count), 1, 1, "mean", "mean")
        sizes.append(png_size(tmp_path / f"{count}.png"))
    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[2][1] > 61 * 0.12 * 160  # inches of a row, dots an inch


def test_heads_make_a_grid_as_wide_as_there_are_heads(tmp_path: Path) -> None:
    draw(tmp_path / "all.svg", words(4), words(3), 2, 3, "all", "all")
    draw(tmp_path / "one.svg", words(4), words(3), 2, 3, 1, 1)
    assert svg_size(tmp_path / "all.svg")[0] > 1.05 * svg_size(tmp_path / "one.svg")[0]


def test_many_heads_of_one_layer_are_wrapped(tmp_path: Path) -> None:
    for heads in (4, 6):
        draw(tmp_path / f"{heads}.png", words(4), words(4), 1, heads, 1, "all")
    four, six = (png_size(tmp_path / f"{heads}.png") for heads in (4, 6))
    assert six[0] == pytest.approx(four[0], abs=8) and six[1] > 1.3 * four[1]


def labels_of(path: Path, source: list[str], target: list[str], monkeypatch: object) -> list[str]:
    """All texts of a picture."""
    seen: list[str] = []
    original = heatmaps.save_figure

    def write(figure: object, place: Path, *, title: str) -> None:
        from matplotlib.text import Text

        original(figure, place, title=title)
        seen.extend(t.get_text() for t in figure.findobj(Text) if t.get_text() and t.get_visible())  # type: ignore[attr-defined]

    monkeypatch.setattr(heatmaps, "save_figure", write)  # type: ignore[attr-defined]
    draw(path, source, target, 2, 2, 2, 1)
    return seen


def test_every_word_is_written_once_and_oddities_are_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ["a", "x" * 200, "$b$", "tab\t", "مرحبا"]
    seen = labels_of(tmp_path / "a.png", source, ["y", "</s>"], monkeypatch)
    expected = ["a", "x" * 27 + "…", "$b$", "tab<U+0009>", "مرحبا", "y", "</s>"]
    for label in [*expected, "run · layer 2 of 2, head 1 of 2", "attention weight", "source", "target"]:
        assert seen.count(label) == 1, label


@pytest.mark.slow
def test_labels_do_not_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are higher than their letters, at 1 and at 60 pieces, alone and in a grid."""
    tick_heights: list[tuple[float, float]] = []

    def write(figure: object, place: Path, *, title: str) -> None:
        axes = figure.axes[0]  # type: ignore[attr-defined]
        rows = axes.transData.transform([(0, 0), (0, 1)])
        tall = max(label.get_fontsize() for label in axes.get_yticklabels())
        tick_heights.append((abs(rows[1][1] - rows[0][1]) * 72 / figure.dpi, tall))  # type: ignore[attr-defined]

    monkeypatch.setattr(heatmaps, "save_figure", write)
    for count in (1, 12, 60):
        draw(tmp_path / "a.png", words(count), words(count), 2, 2, 1, 1)
        draw(tmp_path / "a.png", words(count), words(count), 2, 2, "all", "all")
    assert len(tick_heights) == 6 and all(height >= 1.1 * letters for height, letters in tick_heights), tick_heights
