"""Position encodings: dot products by distance, and the figure."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from nmt_cli.models.configs import SinusoidType
from nmt_cli.models.positions import sinusoid_table
from nmt_cli.plots import positions
from nmt_cli.plots.positions import dot_products_by_distance, draw_positions
from tests.plots.pictures import png_size


@pytest.mark.parametrize("kind, slowest", [("sinusoidal", 16), ("sinusoidal_halves", 15)])
def test_products_of_sinusoids_depend_on_the_distance_alone(kind: SinusoidType, slowest: int) -> None:
    mean, least, largest = dot_products_by_distance(sinusoid_table(40, 32, kind).numpy())
    np.testing.assert_allclose(least, largest, atol=1e-4)
    rate = 10000.0 ** -(np.arange(16) / slowest)
    expected = [np.cos(distance * rate).mean() for distance in range(40)]
    np.testing.assert_allclose(mean, expected, atol=1e-4)


def test_products_of_others_spread_around_their_mean() -> None:
    table = np.random.default_rng(1).normal(size=(50, 16)).astype(np.float32)
    mean, least, largest = dot_products_by_distance(table)
    assert mean[0] == pytest.approx(1) and len(mean) == 50
    assert (least <= mean + 1e-6).all() and (mean <= largest + 1e-6).all()
    assert largest[1] - least[1] > 0.5 and abs(mean[1:20]).max() < 0.3
    np.testing.assert_allclose(dot_products_by_distance(7 * table)[0], mean, rtol=1e-4)


def test_vectors_of_zero_have_products_of_zero() -> None:
    assert not any(part.any() for part in dot_products_by_distance(np.zeros((3, 4), np.float32)))


@pytest.mark.parametrize("is_learned", [False, True])
def test_shading_is_explained_only_where_there_is_some(
    is_learned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels: list[str] = []

    def write(picture: Any, path: Path, *, title: str) -> None:
        labels.extend(axes.get_xlabel() for axes in picture.findobj(Axes))

    monkeypatch.setattr(positions, "save_figure", write)
    tables = {"sinusoidal": sinusoid_table(20, 8).numpy()}
    if is_learned:
        tables["learned"] = np.random.default_rng(1).normal(size=(20, 8)).astype(np.float32)
    draw_positions(tmp_path / "a.png", tables, "20 positions")
    note = "mean over all pairs; shaded: minimum to maximum" if is_learned else "mean over all pairs"
    assert f"distance ({note})" in labels


@pytest.mark.parametrize("count", [1, 2, 4, 5])
@pytest.mark.slow
def test_tables_stand_side_by_side(count: int, tmp_path: Path) -> None:
    table = sinusoid_table(20, 8).numpy()
    draw_positions(tmp_path / "a.png", {f"table {n}": table for n in range(count)}, "20 positions")
    width, height = png_size(tmp_path / "a.png")
    assert width > (1000 if count < 4 else 2000) and height > (1400 if count == 5 else 900)
