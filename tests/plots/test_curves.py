"""The figure of curves: which panels there are, one run or several."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from nmt_cli.plots import curves, figure
from nmt_cli.plots.curves import available_quantities, draw_curves
from nmt_cli.plots.training_log import TrainingHistory, read_training_history
from tests.plots.pictures import png_size, svg_size
from tests.plots.test_training_log import train, validation, write_log


def course(folder: Path, bleu: float | None = 20.0) -> TrainingHistory:
    records = [train(10 * n, 9 / n) for n in range(1, 6)]
    return read_training_history(write_log(folder, *records, validation(50, 2, bleu)))


def test_only_what_was_measured_gets_panels(tmp_path: Path) -> None:
    full, without = course(tmp_path / "a"), course(tmp_path / "b", None)
    labels = ["loss", "BLEU", "chrF", "learning rate", "tokens/s"]
    assert [quantity.label for quantity in available_quantities({"a": full, "b": without})] == labels
    assert [quantity.label for quantity in available_quantities({"b": without})] == [
        "loss",
        "learning rate",
        "tokens/s",
    ]
    only = read_training_history(write_log(tmp_path / "c", validation(5, 2)))
    assert [quantity.label for quantity in available_quantities({"c": only})] == ["loss"]
    by_ter = {**validation(5, 2), "scores": {"ter": 60.0}}
    edits = read_training_history(write_log(tmp_path / "d", by_ter))
    assert [quantity.label for quantity in available_quantities({"d": edits})] == ["loss", "TER"]


@pytest.mark.parametrize("runs", [1, 6])
def test_runs_are_overlaid_and_named(runs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def write(picture: object, path: Path, *, title: str) -> None:
        figure.save_figure(picture, path, title=title)
        drawn.append(picture)

    monkeypatch.setattr(curves, "save_figure", write)
    draw_curves(tmp_path / "a.svg", {f"run {n}": course(tmp_path / str(n)) for n in range(runs)})
    (picture,) = drawn
    (key,) = picture.legends  # type: ignore[attr-defined]
    assert [text.get_text() for text in key.get_texts()] == [f"run {n}" for n in range(runs)]
    panels = picture.axes  # type: ignore[attr-defined]
    assert len(panels) == 10 and len(panels[0].lines) == 2 * runs
    assert list(panels[0].lines[0].get_xdata()) == [10, 20, 30, 40, 50]
    assert list(panels[1].lines[0].get_xdata()) == [1, 2, 3, 4, 5]
    assert list(panels[0].lines[1].get_ydata()) == [2]
    assert [axes.get_ylabel() for axes in panels[::2]] == [
        "loss (nats/token)", "BLEU", "chrF", "learning rate", "tokens/s",
    ]  # fmt: skip
    assert [axes.get_xlabel() for axes in panels[-2:]] == ["updates", "minutes of training"]
    assert svg_size(tmp_path / "a.svg")[0] > 600


@pytest.mark.slow
@pytest.mark.parametrize("runs", [2, 4])
def test_equal_runs_are_all_seen(runs: int, tmp_path: Path) -> None:
    history = course(tmp_path / "a")
    draw_curves(tmp_path / "a.png", {f"run {n}": history for n in range(runs)})
    pixels = imread(tmp_path / "a.png")[..., :3]
    panels = pixels[len(pixels) // 8 :]  # below the legend
    for colour in figure.COLOURS[:runs]:
        distance = np.abs(panels - np.array(list(bytes.fromhex(colour[1:]))) / 255).max(-1)
        assert np.count_nonzero(distance < 0.02) > 200, colour


@pytest.mark.parametrize(("model", "is_said"), [("ctc", True), ("rnn", False)])
def test_the_loss_of_a_ctc_model_is_said_to_be_another_quantity(
    model: str, is_said: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr(curves, "save_figure", lambda picture, path, *, title: drawn.append(picture))
    (tmp_path / "recipe.yaml").write_text(f"model: {{type: {model}}}\n")
    draw_curves(tmp_path / "a.svg", {"x": course(tmp_path)})
    title = drawn[0].axes[1].get_legend().get_title().get_text()
    assert title == ("of a CTC model: summed over all alignments" if is_said else "")


@pytest.mark.parametrize("model", ["ctc", "rnn"])
def test_the_key_of_the_losses_covers_no_curve_and_no_other_key(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(curves, "save_figure", lambda picture, path, *, title: drawn.append(picture))
    (tmp_path / "recipe.yaml").write_text(f"model: {{type: {model}}}\n")
    draw_curves(tmp_path / "a.svg", {f"a run with a long name {number}": course(tmp_path) for number in range(4)})
    (picture,) = drawn
    picture.canvas.draw()
    left, right = picture.axes[:2]
    runs_key, losses_key = (key.get_window_extent() for key in (picture.legends[0], right.get_legend()))
    assert right.get_window_extent().y1 <= losses_key.y0 and losses_key.y1 <= runs_key.y0
    assert losses_key.x0 >= left.get_window_extent().x1 and losses_key.x1 <= right.get_window_extent().x1 + 1


def test_a_run_with_a_single_record_can_be_drawn(tmp_path: Path) -> None:
    draw_curves(tmp_path / "a.png", {"x": read_training_history(write_log(tmp_path / "x", train(1, 5)))})
    assert png_size(tmp_path / "a.png")[0] > 1000


def test_a_single_point_of_the_training_does_not_look_like_a_validation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr(curves, "save_figure", lambda picture, path, *, title: drawn.append(picture))
    draw_curves(tmp_path / "a.svg", {"x": read_training_history(write_log(tmp_path, train(1, 5), validation(1, 4)))})
    training, dev = drawn[0].axes[0].lines
    _, validation_key = drawn[0].axes[1].get_legend().get_lines()
    assert (training.get_marker(), dev.get_marker(), validation_key.get_marker()) == ("_", "o", "o")
