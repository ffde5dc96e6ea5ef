"""Nothing let in: no code is read from a file, and nothing reaches out of the folder it came in."""

import ast
import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nmt_cli.recipe.loader import load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.preparation import prepare_recipe
from nmt_cli.yaml12 import write_yaml
from tests.conftest import ROOT, Call, in_float32, toy_content, write_syllables

# 1. What the source may not say.

FORBIDDEN_MODULES = {
    "pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal",
    "jsonpickle",
}  # fmt: skip
FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "__import__", "execfile", "os.system", "os.popen", "torch.load",
    "torch.save", "torch.jit.load", "torch.hub.load", "torch.package.PackageImporter", "yaml.load",
    "yaml.load_all", "yaml.full_load", "yaml.full_load_all", "yaml.unsafe_load", "runpy.run_path",
    "yaml.unsafe_load_all", "importlib.import_module", "subprocess.getoutput", "extractall",
}  # fmt: skip
EMPTY_KEYWORDS = {"shell": True, "trust_remote_code": True, "allow_pickle": True}


def dotted(node: ast.expr) -> str:
    """`a.b.c` for a name with attributes; `?.c` where what stands before it is no name."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before or '?'}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def offences(source: str) -> Iterator[str]:
    """What a source does that could run code out of a file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = {alias.name.partition(".")[0] for alias in node.names}
            yield from (f"import {name}" for name in names & FORBIDDEN_MODULES)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module.partition(".")[0] in FORBIDDEN_MODULES:
                yield f"from {module} import"
            whole = {f"{module}.{alias.name}" for alias in node.names}
            yield from (f"from {name}" for name in whole & FORBIDDEN_CALLS)
        elif isinstance(node, ast.Call):
            yield from _offences_of_call(node)


def _offences_of_call(node: ast.Call) -> Iterator[str]:
    name = dotted(node.func)
    short = {"numpy.load": "np.load"}.get(name, name)
    if name in FORBIDDEN_CALLS or name.rpartition(".")[2] in {"extractall", "Unpickler"}:
        yield name
    given = {keyword_argument.arg: keyword_argument.value for keyword_argument in node.keywords}
    for key, value in EMPTY_KEYWORDS.items():
        if key in given and not (isinstance(given[key], ast.Constant) and given[key].value is not value):
            yield f"{name}({key}=)"
    if short == "np.load":
        allowed = given.get("allow_pickle")
        if not (isinstance(allowed, ast.Constant) and allowed.value is False):
            yield "np.load without allow_pickle=False"


SOURCES = [path for folder in ("nmt_cli", "examples") for path in sorted((ROOT / folder).rglob("*.py"))]


# A name that stands in the source and not in a file: is a package of an extra installed?
ALLOWED = {  # each with names that stand in the source
    "nmt_cli/export/format.py: importlib.import_module",
    "nmt_cli/export/ctranslate2_support.py: from importlib.import_module",
    "nmt_cli/models/__init__.py: from importlib.import_module",
}


def test_no_source_runs_code_out_of_a_file() -> None:
    assert len(SOURCES) > 90
    offenders = {f"{path.relative_to(ROOT)}: {offence}" for path in SOURCES for offence in offences(path.read_text())}
    assert offenders == ALLOWED


BAD_SOURCES = [
    "import pickle", "import joblib.numpy_pickle as j", "from shelve import open",
    "import dill as d",
    "def f():\n    import marshal", "torch.load(x)", "torch.load(x, weights_only=True)",
    "from torch import load", "np.load(x)", "np.load(x, allow_pickle=True)", "numpy.load(x)",
    "np.load(x, allow_pickle=y)", "yaml.load(x, Loader=yaml.SafeLoader)", "eval(x)", "exec(x)",
    "subprocess.run(x, shell=True)", "subprocess.run(x, shell=y)", "os.system(x)",
    "AutoModel.from_pretrained(x, trust_remote_code=True)", "tarfile.open(x).extractall(y)",
    "importlib.import_module(name)",
]  # fmt: skip


@pytest.mark.parametrize("source", BAD_SOURCES)
def test_each_way_to_run_code_would_be_found(source: str) -> None:
    assert list(offences(source))


@pytest.mark.parametrize(
    "source",
    ["np.load(x, allow_pickle=False)", "re.compile(x)", "model.eval()", "subprocess.run([x])",
     "json.load(x)", "safetensors.torch.load_file(x)", "subprocess.run(x, shell=False)"],
)  # fmt: skip
def test_what_runs_no_code_is_left_alone(source: str) -> None:
    assert list(offences(source)) == []


# 2. What a hostile file does: nothing.


class Payload:
    """Unpickled, it makes a file."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, ("hacked", "w")


PICKLE = pickle.dumps(Payload())
OBJECTS = np.array([Payload()], dtype=object)


@pytest.fixture
def workdir(tmp_path: Path, tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a recipe, its prepared data and a run with one checkpoint."""
    monkeypatch.chdir(tmp_path)
    write_syllables(tmp_path / "text", {"train": 30, "dev": 4, "test": 4}, longest=4)
    Path("toy.yaml").write_text(write_yaml(in_float32(toy_content(Path("text")))))
    prepare_recipe(load_recipe("toy.yaml"), Reporter(quiet=True))
    shutil.copytree(tiny_run, "run")
    for step in Path("run/checkpoints").glob("step-*"):
        shutil.rmtree(step)
    return tmp_path


def test_the_payload_would_do_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(PICKLE).close()
    assert Path("hacked").exists()


def hostile_array(path: Path) -> None:
    np.save(path, OBJECTS, allow_pickle=True)


def hostile_pickle(path: Path) -> None:
    path.write_bytes(PICKLE)


def hostile_yaml(path: Path) -> None:
    path.write_text("!!python/object/apply:builtins.open [hacked, w]\n")


TRANSLATE = ["translate", "run", "--device", "cpu"]
TRAIN = ["train", "toy.yaml", "--device", "cpu"]
ATTACKS: list[tuple[str, list[str], Callable[[Path], None]]] = [
    ("run/checkpoints/best-000010/model.safetensors", TRANSLATE, hostile_pickle),
    ("run/checkpoints/best-000010/state.json", TRANSLATE, hostile_pickle),
    ("run/checkpoints/best.json", TRANSLATE, hostile_pickle),
    ("run/tokenizer.json", TRANSLATE, hostile_pickle),
    ("run/tokenizer.json", ["tokenize", "run/tokenizer.json"], hostile_pickle),
    ("run/recipe.yaml", TRANSLATE, hostile_pickle),
    ("run/recipe.yaml", TRANSLATE, hostile_yaml),
    ("run/manifest.json", TRANSLATE, hostile_pickle),
    ("toy.yaml", TRAIN, hostile_pickle),
    ("toy.yaml", TRAIN, hostile_yaml),
    ("toy.yaml", ["recipes", "show", "toy.yaml"], hostile_pickle),
    ("prepared/*/train.source.0.ids.npy", TRAIN, hostile_array),
    ("prepared/*/train.source.0.ids.npy", TRAIN, hostile_pickle),
    ("prepared/*/train.target.0.offsets.npy", TRAIN, hostile_array),
    ("prepared/*/dev.target.ids.npy", TRAIN, hostile_array),
    ("prepared/*/dev.source.txt", TRAIN, hostile_pickle),
    ("prepared/*/manifest.json", TRAIN, hostile_pickle),
    ("prepared/*/tokenizer.json", TRAIN, hostile_pickle),
    ("text/train.ab", TRAIN, hostile_pickle),
    ("text/ref", ["score", "text/ref"], hostile_pickle),
]


@pytest.mark.parametrize("where, command, attack", ATTACKS, ids=[f"{a.__name__} as {w}" for w, _, a in ATTACKS])
def test_a_hostile_file_is_refused_in_one_line_and_does_nothing(
    where: str, command: list[str], attack: Callable[[Path], None], workdir: Path, nmt: Call
) -> None:
    path = next(workdir.glob(where), workdir / where)
    attack(path)
    state = workdir / "run/checkpoints/best-000010/state.json"
    if path.suffix == ".safetensors":  # whoever made the file can note its hash as well
        content = json.loads(state.read_text())
        content["files"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        state.write_text(json.dumps(content))
    code, out, err = nmt(*command, stdin=b"a\n")
    assert (code, out) == (2, ""), err
    assert err.count("nmt: ") == 1 and "Traceback" not in err
    assert not (workdir / "hacked").exists()


def test_notes_about_inputs_that_are_a_pickle_are_made_anew(workdir: Path, nmt: Call) -> None:
    hostile_pickle(workdir / "prepared/inputs.json")
    assert nmt("prepare", "toy.yaml")[0] == 0
    assert "text/train.ab" in (workdir / "prepared/inputs.json").read_text()
    assert not (workdir / "hacked").exists()


# 3. Nothing leads out of a folder.


def test_a_run_folder_may_itself_be_a_link(workdir: Path, nmt: Call) -> None:
    os.symlink("run", "latest")
    assert nmt("translate", "latest", "--device", "cpu", stdin=b"a\n")[0] == 0


def test_a_link_that_stays_inside_is_followed(workdir: Path, nmt: Call) -> None:
    os.rename("run/tokenizer.json", "run/kept.json")
    os.symlink("kept.json", "run/tokenizer.json")
    assert nmt("tokenize", "run", stdin=b"a\n")[0] == 0
