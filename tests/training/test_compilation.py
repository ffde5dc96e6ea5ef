"""Compiled layers give the numbers of uncompiled ones, and nothing is compiled twice."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt_cli.commands.train import train
from nmt_cli.models import MODELS, attention
from nmt_cli.models.contract import Sequences
from nmt_cli.recipe.loader import build_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.training import gradients
from nmt_cli.training.compilation import compile_layers, compiled_graph_count, should_compile, uncompile_layers
from nmt_cli.training.loss import forward_backward
from nmt_cli.vocabulary import Vocabulary
from tests.conftest import in_float32, log_records, toy_content, toy_recipe

# PyTorch's tracer warns itself of its own doings, which pytest would make errors of.
pytestmark = pytest.mark.filterwarnings("default")

SIZES = [(8, 12, 10), (6, 9, 14), (7, 11, 11), (9, 5, 6)]
COMPILED = [pytest.param(name, marks=[] if name == "ctc" else pytest.mark.slow) for name in MODELS if name != "rnn"]


def batch(count: int, size: int, *, padded: bool) -> Sequences:
    missing = torch.arange(count) % 3 if padded else torch.zeros(count, dtype=torch.long)
    lengths = size - missing
    return Sequences(torch.randint(4, 80, (count, size)), lengths)


@pytest.fixture(autouse=True)
def without_generating_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers are traced as always, but no C++ is made of them, which takes minutes on a CPU."""
    monkeypatch.setattr(gradients, "compile_layers", lambda model: compile_layers(model, backend="eager"))


def test_auto_compiles_on_a_gpu_only() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert [should_compile("auto", device) for device in (cpu, gpu)] == [False, True]
    assert should_compile("on", cpu) and not should_compile("off", gpu)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_the_gradient_is_the_same_and_a_new_shape_needs_no_new_graph(name: str) -> None:
    torch._dynamo.reset()
    vocabulary = Vocabulary(source_size=80, target_size=80, joint=True)
    plain, compiled = (MODELS[name](MODELS[name].config_class.tiny_configs()[0], vocabulary).train() for _ in range(2))
    compiled.load_state_dict(plain.state_dict())
    entropy = compile_layers(compiled, backend="eager")
    counts = []
    for count, source, target in SIZES:
        for padded in (False, True):
            texts = batch(count, source, padded=padded), batch(count, target, padded=padded)
            sides = texts[0], texts[1], texts[1]
            plain_loss = forward_backward(plain, *sides, smoothing=0.1, scale=0.01)
            other = forward_backward(compiled, *sides, smoothing=0.1, scale=0.01, gradient_function=entropy)
            torch.testing.assert_close(plain_loss, other)
        counts.append(compiled_graph_count())
    parameter_pairs = zip(plain.named_parameters(), compiled.named_parameters(), strict=True)
    for (key, one_), (_, other_) in parameter_pairs:
        torch.testing.assert_close(one_.grad, other_.grad, msg=key)
    assert counts[0] > 0 and counts[1:] == [counts[0]] * 3


def test_a_bias_laid_out_as_on_a_gpu_needs_one_graph_for_all_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    torch._dynamo.reset()
    gpu, aligned_length = torch.device("cuda"), attention.aligned_length
    monkeypatch.setattr(attention, "aligned_length", lambda length, _: aligned_length(length, gpu))
    layer = attention.MultiHeadAttention(36, 2, 2, dropout=0.0)
    layer.compile(dynamic=True, backend="eager")
    counts = []
    for length in (13, 24):  # no other size or stride is one of these, or 16 or 32
        x, padding = torch.ones(5, length, 36), torch.zeros(5, 1, 1, length, dtype=torch.bool)
        layer(layer.queries(x), *layer.keys_values(x), attention.additive_mask(padding, x))
        counts.append(compiled_graph_count())
    assert counts[0] > 0 and counts[1] == counts[0]


def test_a_recurrent_model_has_nothing_to_compile() -> None:
    vocabulary = Vocabulary(source_size=80, target_size=80, joint=True)
    assert MODELS["rnn"](MODELS["rnn"].config_class.tiny_configs()[0], vocabulary).compilable_layers() == []


@pytest.mark.slow
def test_a_compiled_run_says_so_and_counts_its_graphs(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without dropout, whose masks are other ones, its losses are the same up to rounding.

    A loss adds up 256 tokens x 60 logits, and each of the 24 updates adds its own roundings.
    """
    torch._dynamo.reset()
    content = in_float32(toy_content(toy / "text", updates=24, validate_every=6, log_every=6))
    content["model"]["dropout"] = 0.0
    content["training"]["compile"] = "on"
    train(build_recipe(content), toy / "run", Reporter())
    said = capsys.readouterr().err
    assert "layers compiled by torch.compile; the log counts their graphs" in said
    counts = [record["graphs"] for record in log_records(toy / "run", "train")]
    assert counts[0] > 0 and counts[2:] == [counts[2]] * 3  # validations added none
    content["training"]["compile"] = "off"
    train(build_recipe(content), toy / "plain", Reporter(quiet=True))
    losses = [[record["loss"] for record in log_records(toy / run, "train")] for run in ("run", "plain")]
    assert losses[0] == pytest.approx(losses[1], rel=24 * 2**-24 * math.sqrt(256 * 60))
    assert "graphs" not in log_records(toy / "plain", "train")[0]


@pytest.mark.slow
@pytest.mark.precision
def test_where_it_cannot_compile_a_run_goes_on_without(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(model: Any) -> Any:
        def entropy(*_: Any, **__: Any) -> Any:
            raise RuntimeError("no C++ compiler\nand more about it")

        compile_layers(model, backend="eager")
        return entropy

    monkeypatch.setattr(gradients, "compile_layers", fails)
    train(toy_recipe(toy / "text", updates=4, compile="on"), toy / "run", Reporter())
    said = capsys.readouterr().err
    assert "\nwarning: training.compile: not on this machine: no C++ compiler\n" in said
    train(toy_recipe(toy / "text", updates=4), toy / "plain", Reporter(quiet=True))
    results = [(toy / run / "test.hypotheses.txt").read_text() for run in ("run", "plain")]
    assert results[0] == results[1]


@pytest.mark.slow
def test_a_run_that_has_nothing_to_compile_says_so(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = in_float32(toy_content(toy / "text", "rnn", updates=2, compile="on"))
    train(build_recipe(content), toy / "run", Reporter())
    assert "\nwarning: training.compile: on does nothing with this model" in capsys.readouterr().err


def test_forgetting_leaves_the_model_as_it_was() -> None:
    vocabulary = Vocabulary(source_size=80, target_size=80, joint=True)
    model = MODELS["transformer"](MODELS["transformer"].config_class.tiny_configs()[0], vocabulary)
    compile_layers(model, backend="eager")
    assert all(layer._compiled_call_impl is not None for layer in model.compilable_layers())
    uncompile_layers(model)
    assert all(layer._compiled_call_impl is None for layer in model.compilable_layers())
