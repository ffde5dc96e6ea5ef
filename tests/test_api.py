"""The Python API: its examples run, it is imported without torch, and its errors have no words of the command line."""

import doctest
import inspect
import os
import pickle
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nmt_cli
from nmt_cli import api
from nmt_cli.commands.plot_attention import attention_maps, open_attention_run
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.torch_engine import TorchEngine
from nmt_cli.errors import DataError, DeviceError, RecipeError, RunError, UserError
from nmt_cli.inference.output import Attention, Candidate, Translation
from nmt_cli.reporting import Reporter
from nmt_cli.yaml12 import write_yaml
from tests.conftest import ROOT, environment, in_float32, toy_content

FUNCTIONS = [name for name in nmt_cli.__all__ if name != "__version__"]
PAGE = (ROOT / "docs/python.md").read_text(encoding="utf-8")


@pytest.fixture
def recipe(toy: Path) -> Path:
    path = toy / "mine.yaml"
    path.write_text(write_yaml(in_float32(toy_content(Path("text")))))
    return path


def test_every_function_has_one_example_and_all_run(recipe: Path) -> None:
    examples = {name: doctest.DocTestParser().get_examples(getattr(nmt_cli, name).__doc__) for name in FUNCTIONS}
    assert all(examples.values())
    values: dict[str, Any] = {"nmt_cli": nmt_cli}
    results = {}
    for name in ("prepare", "train", "load_run", "translate", "score"):
        *statements, last = examples.pop(name)
        for statement in statements:
            exec(statement.source, values)
        results[name] = eval(last.source, values)
    assert not examples
    assert results["prepare"] == 300
    assert [name for name, _ in results["train"]] == ["bleu", "chrf"]
    assert len(results["load_run"]) == 1 and isinstance(results["load_run"][0], str)
    assert isinstance(results["translate"], str)
    assert 0 < results["score"] < 100


def test_the_example_of_the_page_runs(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(example, {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "300 training pairs" and len(lines) == 7
    assert re.fullmatch(r"\(1, 2, \d+, \d+\) \[.*'</s>'\] \[.*'</s>'\]", lines[-2])


def test_the_page_has_every_parameter_and_every_field() -> None:
    for name in FUNCTIONS:
        signature = inspect.signature(getattr(nmt_cli, name))
        bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
        assert f"`{name}{inspect.Signature(bare)}`" in PAGE
    names = {field.name for kind in (Translation, Candidate, Attention) for field in fields(kind)}
    assert {name for name in names if f"`{name}`" not in PAGE} == set()


@pytest.mark.parametrize("use", ["", "nmt_cli.load_run; nmt_cli.train", "nmt_cli.score(['a b'], ['a b'])"])
def test_torch_is_imported_only_when_it_computes(use: str) -> None:
    code = f"import sys, nmt_cli; {use}\nassert 'torch' not in sys.modules and dir(nmt_cli)"
    subprocess.run([sys.executable, "-c", code], check=True, env=environment())


def test_names_are_typed_and_others_are_unknown() -> None:
    assert nmt_cli.load_run is api.load_run
    assert set(FUNCTIONS) <= set(dir(nmt_cli))
    with pytest.raises(AttributeError, match="module 'nmt_cli' has no attribute 'open_translator'"):
        nmt_cli.open_translator  # noqa: B018


def test_errors_have_no_words_of_the_command_line(recipe: Path, tiny_run: Path) -> None:
    def message(error: type[UserError], call: Any) -> str:
        with pytest.raises(error) as caught:
            call()
        assert "--" not in str(caught.value)
        return str(caught.value)

    assert message(RecipeError, lambda: nmt_cli.prepare(recipe, {"training.updates": 0})).startswith("training.updates")
    assert message(RecipeError, lambda: nmt_cli.train(recipe, "run", {"updates.x": 1})).startswith("updates: unknown")
    assert message(RecipeError, lambda: nmt_cli.load_run(tiny_run, search={"beam": 0})).startswith("search.beam: ")
    assert message(RunError, lambda: nmt_cli.load_run("nowhere")).startswith("nowhere: no such run folder")
    assert message(UserError, nmt_cli.load_run) == "load_run: needs at least one run folder"
    ensemble = message(UserError, lambda: nmt_cli.load_run(tiny_run, tiny_run, engine="ctranslate2"))
    assert ensemble == "engine ctranslate2: an ensemble needs engine torch"
    aligned = message(UserError, lambda: nmt_cli.load_run(tiny_run, engine="ctranslate2", alignments=True))
    assert aligned == "engine ctranslate2: alignments need engine torch"
    unknown = message(UserError, lambda: nmt_cli.load_run(tiny_run, engine="other"))
    assert unknown.startswith("engine other: use one of ") and "ctranslate2" in unknown
    assert message(RunError, lambda: nmt_cli.train(recipe, tiny_run)) == f"{tiny_run} exists"


def test_one_text_is_not_taken_for_its_letters(tiny_run: Path) -> None:
    translator = nmt_cli.load_run(tiny_run)
    wrong: Any
    for wrong in ("The dog sleeps.", [None], 7):
        with pytest.raises(DataError, match="translate: needs a list of lines"):
            translator.translate(wrong)
    for wrong in ("D", [None]):
        with pytest.raises(DataError, match="translate: prefixes: needs a list of lines"):
            translator.translate(["A"], wrong)


def test_a_search_key_that_does_nothing_is_warned_of(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nmt_cli.load_run(tiny_run, search={"temperature": 0.5}, device="cpu", engine="torch")
    assert capsys.readouterr().err == "warning: search.temperature: does nothing without sampling: true\n"


@pytest.mark.parametrize("engine", ["torch", "ctranslate2"])
def test_attention_is_that_of_the_picture(engine: str, tiny_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    source, target = "The old man reads a book.", "Der alte Mann liest ein Buch."
    (tmp_path / "target").write_text(f"{target}\n")
    attention = nmt_cli.load_run(run, engine=engine, device="cpu").attention(source, target)
    (picture,) = attention_maps(
        open_attention_run(run, "cpu"), BytesIO(source.encode()), Reporter(quiet=True), tmp_path / "target"
    )
    assert attention.weights.dtype == np.float32 and attention.weights.shape == picture.weights.shape
    np.testing.assert_allclose(attention.weights, picture.weights, rtol=1e-5, atol=1e-6)
    for tokens, labels, text in (
        (attention.source, picture.source, source),
        (attention.target, picture.target, target),
    ):
        assert len(tokens) == len(labels) and tokens[-1] == "</s>"
        assert "".join(tokens[:-1]).replace("▁", " ").strip() == text


def test_attention_takes_any_two_texts(tiny_run: Path) -> None:
    translator = nmt_cli.load_run(tiny_run, engine="torch", device="cpu")
    for source, target in (("a\nb\ud800", "c\nd\ud800"), ("a", ""), ("a", " "), ("a b " * 2000, "b a " * 2000)):
        attention = translator.attention(source, target)
        assert attention.weights.shape[2:] == (len(attention.target), len(attention.source))


def test_attention_that_there_is_none_of_is_an_error(tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = nmt_cli.load_run(tiny_run, engine="torch")
    wrong: Any = ["The dog"]
    for texts in ((wrong, "Der"), ("The", wrong), ("The", None)):
        with pytest.raises(DataError, match=r"^attention: needs a text and its translation$"):
            translator.attention(*texts)
    with pytest.raises(DataError, match=r"^attention: the source has no text$"):
        translator.attention(" ", "Der")
    monkeypatch.setattr(translator.engine, "attention", lambda *_: None)
    with pytest.raises(
        UserError, match=r"^attention: the model has no attention to the source, or engine onnx shows none"
    ):
        translator.attention("The", "Der")


def test_what_is_no_dictionary_and_no_recipe_is_refused(tiny_run: Path) -> None:
    wrong: Any = "beam=3"
    with pytest.raises(UserError, match="search: needs a dictionary"):
        nmt_cli.load_run(tiny_run, search=wrong)
    with pytest.raises(UserError, match="overrides: needs a dictionary"):
        nmt_cli.prepare("quickstart", wrong)
    wrong = {"corpus": {}}
    with pytest.raises(UserError, match="recipe: needs a path or a name"):
        nmt_cli.prepare(wrong)


def test_a_translator_does_not_pickle(tiny_run: Path) -> None:
    with pytest.raises(UserError, match="cannot be pickled"):
        pickle.dumps(nmt_cli.load_run(tiny_run, engine="torch"))


FORK = """
import multiprocessing, sys, nmt_cli
translator = nmt_cli.load_run(sys.argv[1], engine=sys.argv[2])
expected = [line.text for line in translator.translate(["The old man."])]
def check():
    assert [line.text for line in translator.translate(["The old man."])] == expected
child = multiprocessing.get_context("fork").Process(target=check)
child.start()
child.join(60)
code = child.exitcode
child.kill()
sys.exit(code is None or code)
"""


def test_a_translator_on_a_gpu_does_not_translate_in_a_forked_process() -> None:
    engine = TorchEngine.__new__(TorchEngine)
    engine.device = torch.device("cuda")
    engine._follow_fork()
    said = "a translator on a GPU does not work after a fork: open it in the process that translates"
    with pytest.raises(DeviceError) as error:
        engine.search([[5]], SearchConfig())
    assert str(error.value) == said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("engine", ["torch", "ctranslate2", pytest.param("onnx", marks=pytest.mark.slow)])
def test_a_translator_works_in_a_forked_process(engine: str, tiny_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    command = [sys.executable, "-W", "ignore", "-c", FORK, run, engine]
    subprocess.run(command, check=True, env=environment())


def test_lines_come_from_any_iterable(tiny_run: Path, tmp_path: Path) -> None:
    lines = ["The dog sleeps.", "The sun shines."]
    (tmp_path / "text").write_text("".join(f"{line}\n" for line in lines))
    translator = nmt_cli.load_run(tiny_run)
    with open(tmp_path / "text") as file:
        assert [line.text for line in translator.translate(file)] == [line.text for line in translator.translate(lines)]
    with pytest.raises(DataError, match="1 prefixes for 2 lines"):
        translator.translate(lines, ["Der"])


def test_overrides_may_be_numbers_of_numpy_and_paths(recipe: Path) -> None:
    overrides = {
        "training.updates": np.int64(7),
        "training.learning_rate": np.float32(0.5),
        "corpus.root": recipe.parent,
    }
    loaded = api._load_recipe(recipe, overrides, Reporter(quiet=True))
    assert (loaded.training.updates, loaded.training.learning_rate) == (7, 0.5)
    assert str(loaded.corpus.root) == str(recipe.parent)


def test_metrics_are_named_in_a_list_or_separated_by_commas() -> None:
    for metrics in ("bleu, chrf", ["bleu", "chrf"]):
        assert [score.name for score in nmt_cli.score(["a"], ["a"], metrics=metrics)] == ["bleu", "chrf"]  # type: ignore[arg-type]
    assert [score.name for score in nmt_cli.score(["a"], ["a"], metrics="ter")] == ["ter"]


def test_errors_of_scores_say_what_is_wrong() -> None:
    wrong: Any = ["bleurt"]
    for error, call, text in (
        (DataError, lambda: nmt_cli.score(["a"], ["a", "b"]), "score: 1 hypotheses, but 2 references"),
        (DataError, lambda: nmt_cli.score(["a"]), "score: needs hypotheses and at least one list of references"),
        (DataError, lambda: nmt_cli.score("a", "b"), "score: needs a list of lines, each a text"),
        (DataError, lambda: nmt_cli.score(iter(["a", wrong]), ["a", "b"]), "score: needs a list of lines, each a text"),
        (DataError, lambda: nmt_cli.score([], []), "score: needs hypotheses and at least one list of references"),
        (UserError, lambda: nmt_cli.score(["a"], ["a"], metrics=wrong), "bleurt: no such metric; there are "),
        (UserError, lambda: nmt_cli.score(["a"], ["a"], metrics="bleu,x"), "x: no such metric; there are "),
        (UserError, lambda: nmt_cli.score(["a"], ["a"], tokenize="none such"), "tokenize none such: use one of "),
    ):
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value).startswith(text) and "--" not in str(caught.value)
