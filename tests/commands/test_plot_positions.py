"""nmt plot positions: both sinusoidal layouts beside what a run has learned."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nmt_cli.commands.plot_positions import plot_positions, position_tables
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.errors import UserError
from nmt_cli.models import MODELS
from nmt_cli.models.positions import sinusoid_table
from nmt_cli.recipe.loader import build_recipe
from nmt_cli.runs.folder import RunFolder
from nmt_cli.runs.loading import LoadedRun, build_model
from tests.plots.pictures import svg_size


@pytest.fixture
def learned(request: pytest.FixtureRequest, tokenizer: TextTokenizer, monkeypatch: pytest.MonkeyPatch) -> LoadedRun:
    """A run with 300 learned positions of 16 dimensions, wherever it is opened."""
    name = request.param
    model = MODELS[name].config_class.tiny_configs()[0]
    options = {"positions": "learned", "max_positions": 300} if name != "rnn" else {}
    content: dict[str, Any] = {
        "name": "x", "corpus": {"source": "en", "target": "de"},
        "model": model.model_copy(update=options).model_dump(mode="json"),
    }  # fmt: skip
    recipe, tokenizers = build_recipe(content), Tokenizers(tokenizer, tokenizer)
    run = LoadedRun(RunFolder(Path("x")), recipe, tokenizers, build_model(recipe, tokenizers.vocabulary), 1)
    monkeypatch.setattr("nmt_cli.commands.plot_positions.open_run", lambda *_: run)
    return run


def test_without_a_run_there_are_both_layouts(tmp_path: Path) -> None:
    tables = position_tables(None, 40, 24)
    assert list(tables) == ["sinusoidal", "sinusoidal_halves"]
    np.testing.assert_array_equal(tables["sinusoidal"], sinusoid_table(40, 24).numpy())
    halves = sinusoid_table(40, 24, "sinusoidal_halves").numpy()
    np.testing.assert_array_equal(tables["sinusoidal_halves"], halves)
    assert position_tables(None)["sinusoidal"].shape == (128, 128)
    plot_positions(tables, tmp_path / "a.svg")
    assert svg_size(tmp_path / "a.svg")[0] > 300
    assert "40 positions in 24 dimensions" in (tmp_path / "a.svg").read_text()


@pytest.mark.parametrize("learned", ["transformer"], indirect=True)
def test_a_run_shows_what_it_has_learned_on_both_sides(learned: LoadedRun) -> None:
    tables = position_tables(Path("x"))
    assert list(tables)[2:] == ["learned source", "learned target"]
    assert {table.shape for table in tables.values()} == {(256, 16)}
    weight = dict(learned.model.named_parameters())["source_positions.weight"]
    torch.testing.assert_close(torch.tensor(tables["learned source"]), weight.detach()[:256])
    assert position_tables(Path("x"), 20)["sinusoidal"].shape == (20, 16)


@pytest.mark.parametrize("learned", ["decoder_only"], indirect=True)
def test_a_single_stack_has_one_table(learned: LoadedRun) -> None:
    assert list(position_tables(Path("x")))[2:] == ["learned"]


@pytest.mark.parametrize("learned", ["transformer"], indirect=True)
@pytest.mark.parametrize(
    "count, width, message",
    [(None, 8, "--width 8: the positions of x have 16 dimensions"),
     (301, None, "--count 301: x has learned 300 positions")],
)  # fmt: skip
def test_sizes_that_the_run_does_not_have_are_refused(
    learned: LoadedRun, count: int | None, width: int | None, message: str
) -> None:
    with pytest.raises(UserError) as caught:
        position_tables(Path("x"), count, width)
    assert str(caught.value) == message


def test_a_run_that_learned_none_is_refused(tiny_run: Path) -> None:
    with pytest.raises(UserError, match="tiny: its positions are sinusoidal, not learned; leave"):
        position_tables(tiny_run)


@pytest.mark.parametrize("learned", ["rnn"], indirect=True)
def test_a_recurrent_model_has_no_positions(learned: LoadedRun) -> None:
    with pytest.raises(UserError, match="x: its positions are none, not learned"):
        position_tables(Path("x"))
