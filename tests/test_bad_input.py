"""Bad input gets one clear line: a table of cases, each held to the same promises.

A case exits with 2, says its message in exactly one line that begins with `nmt:` (a recipe: one a
problem), shows no traceback, prints nothing on standard output, and leaves every file as it was.
"""

import ctypes
import gzip
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import zstandard

from nmt_cli.data.tokenization.tokenizer import TokenizerConfig
from nmt_cli.data.tokenization.training import train_tokenizer
from nmt_cli.recipe.loader import load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.preparation import prepare_recipe
from nmt_cli.yaml12 import write_yaml
from tests.conftest import NMT, Call, environment, in_float32, start, toy_content, write_syllables

PAIRS = 30
BOMB = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path) -> Path:
    """A folder with text, a recipe, its prepared data, and a run."""
    folder = tmp_path_factory.mktemp("world")
    write_syllables(folder / "text", {"train": PAIRS, "dev": 4, "test": 4}, longest=4)
    content = in_float32(toy_content(Path("text")))
    content["tokenizer"] = {"type": "word", "vocab_size": 40}
    (folder / "toy.yaml").write_text(write_yaml(content))
    shutil.copytree(tiny_run, folder / "run")
    shutil.rmtree(folder / "run" / "checkpoints" / "step-000010")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        prepare_recipe(load_recipe("toy.yaml"), Reporter(quiet=True))
    (folder / "ref.txt").write_text("a b c\nd e f\n")
    return folder


@pytest.fixture
def workdir(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the world to work in, with no GPU and no data elsewhere."""
    folder = tmp_path / "here"
    shutil.copytree(world, folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("NMT_DATA", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return folder


def snapshot(folder: Path) -> dict[str, Any]:
    """Every name below a folder with how much it holds, and since when.

    But prepared/inputs.json, notes that are renewed whenever prepared data could be used.
    """
    entries: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name == "prepared/inputs.json":
            continue
        if path.is_symlink():
            entries[name] = os.readlink(path)
        elif path.is_dir():
            entries[name] = None
        else:
            entries[name] = path.stat().st_size, path.stat().st_mtime_ns
    return entries


@contextmanager
def without_privilege() -> Iterator[None]:
    """Permissions hold for root as well: without CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.

    Only for this thread and those it starts; where tests do not run as root nothing changes.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("<Ii", 0x20080522, 0)
    data = ctypes.create_string_buffer(24)
    if os.geteuid() != 0:
        yield
        return
    assert libc.capget(header, data) == 0
    words = list(struct.unpack("<6I", data.raw))
    lowered = struct.pack("<6I", words[0] & ~0b110, *words[1:])
    assert libc.capset(header, lowered) == 0
    try:
        yield
    finally:
        assert libc.capset(header, data) == 0


# What is done to the world before a command runs in it.


Damage = Callable[[], None]


def put(name: str, content: bytes | str) -> Damage:
    def act() -> None:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return act


def gone(*names: str) -> Damage:
    def act() -> None:
        for name in names:
            shutil.rmtree(name) if Path(name).is_dir() else Path(name).unlink()

    return act


def folder(name: str) -> Damage:
    def act() -> None:
        if Path(name).exists():
            Path(name).unlink()
        Path(name).mkdir()

    return act


def copied(name: str, to: str) -> Damage:
    def act() -> None:
        shutil.copytree(name, to) if Path(name).is_dir() else shutil.copy(name, to)

    return act


def unreadable(name: str) -> Damage:
    return lambda: os.chmod(name, 0)


def link(name: str, target: str) -> Damage:
    def act() -> None:
        Path(name).unlink(missing_ok=True)
        Path(name).symlink_to(target)

    return act


def all_of(*damages: Damage) -> Damage:
    def act() -> None:
        for damage in damages:
            damage()

    return act


def changed(name: str, **values: Any) -> Damage:
    """A JSON file with other values; None takes a key away."""

    def act() -> None:
        content = json.loads(Path(name).read_text()) | values
        filtered = {key: value for key, value in content.items() if value is not None}
        Path(name).write_text(json.dumps(filtered))

    return act


def train_text(source: bytes, target: bytes) -> Damage:
    return all_of(put("text/train.ab", source), put("text/train.ba", target))


def recipe(text: str) -> Damage:
    return put("my.yaml", text)


def tsv(content: bytes) -> Damage:
    head = "corpus:\n  source: ab\n  target: ba\n  root: text\n  train: [{tsv: x.tsv}]\n"
    return all_of(recipe(head), put("text/x.tsv", content))


def jsonl(content: bytes) -> Damage:
    head = "corpus:\n  source: ab\n  target: ba\n  root: text\n  train: [{jsonl: x.jsonl}]\n"
    return all_of(recipe(head), put("text/x.jsonl", content))


STEPS = ("run/checkpoints/step-000020", "run/checkpoints/step-000030")
BEST = "run/checkpoints/best-000010"


def archive(name: str, *members: str) -> Damage:
    def act() -> None:
        with zipfile.ZipFile(name, "w") as file:
            for member in members:
                file.writestr(member, "ba\n")

    return act


def weights(content: bytes | Callable[[bytes], bytes]) -> Damage:
    """Other bytes as the only weights, with their SHA-256 noted: whoever made them could do it."""

    def act() -> None:
        gone(*STEPS)()
        path = Path(BEST, "model.safetensors")
        path.write_bytes(content if isinstance(content, bytes) else content(path.read_bytes()))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        changed(f"{BEST}/state.json", files={"model.safetensors": digest})()

    return act


def tensors(header: dict[str, Any], length: int | None = None, data: bytes = b"") -> bytes:
    """A .safetensors file whose header may lie."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def other_tokenizer(size: int) -> Damage:
    def act() -> None:
        lines = ["ein ganz anderer Text", "mit anderen Wörtern"] * 9
        tokenizer = train_tokenizer(lambda: lines, TokenizerConfig(vocab_size=size))
        tokenizer.save(Path("run/tokenizer.json"))

    return act


def noted_tokenizer() -> None:
    """The run's manifest as training writes it; then a tokenizer that differs in two merges."""
    path = Path("run/tokenizer.json")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    changed("run/manifest.json", format=1, tokenizers={"tokenizer.json": digest})()
    content = json.loads(path.read_text())
    content["model"]["merges"].reverse()
    path.write_text(json.dumps(content))


def tokenizer(edit: Callable[[dict[str, Any]], object]) -> Damage:
    def act() -> None:
        content = json.loads(Path("run/tokenizer.json").read_text())
        edit(content)
        Path("run/tokenizer.json").write_text(json.dumps(content))

    return act


def prepared(act: Callable[[Path], object]) -> Damage:
    """Something done to the folder of prepared data."""
    return lambda: act(next(Path("prepared").glob("toy-*"))) and None


def array(name: str, content: Any) -> Damage:
    return prepared(lambda folder: np.save(folder / name, content))


class Case(NamedTuple):
    """What is typed, what must be said, and what is done before."""

    label: str
    command: str
    says: str
    damage: Damage | None = None
    stdin: bytes = b"a book\n"
    lines: int = 1


CORPUS_HEAD = "corpus: {source: ab, target: ba, root: text}\n"

FILES = [
    Case("missing text", "prepare toy.yaml", "corpus.train: no file train.ab (look",
         gone("text/train.ab")),
    Case("missing dev", "train toy.yaml", "corpus.dev: no file dev.ba", gone("text/dev.ba")),
    Case("missing root", "prepare toy.yaml --set corpus.root=nowhere", "corpus.train: no file"),
    Case("no such user", "prepare toy.yaml --set corpus.root=~nosuchuser/x",
         "corpus: ~nosuchuser/x: there is no such user"),
    Case("empty text", "prepare toy.yaml",
         "corpus.train: no pair is left to train on: the text is empty", train_text(b"", b"")),
    Case("unequal text", "prepare toy.yaml", "text/train.ab has 1 line and ",
         put("text/train.ab", b"ba\n")),
    Case("empty dev", "train toy.yaml", "corpus.dev: the text is empty",
         all_of(put("text/dev.ab", b""), put("text/dev.ba", b""))),
    Case("empty test", "train toy.yaml", "corpus.test: the text is empty",
         all_of(put("text/test.ab", b""), put("text/test.ba", b""))),
    Case("folder for text", "prepare toy.yaml", "corpus.train: no file train.ab",
         folder("text/train.ab")),
    Case("unreadable text", "prepare toy.yaml", "text/train.ab: cannot read: Permission denied",
         unreadable("text/train.ab")),
    Case("unreadable root", "prepare toy.yaml", "Permission denied", unreadable("text")),
    Case("utf-16 text", "prepare toy.yaml",
         "text/train.ab: UTF-16 or binary, not UTF-8 text: save it as UTF-8, or iconv -f UTF-16 -t UTF-8 converts it",
         train_text("ba ce\n".encode("utf-16"), "ce ba\n".encode("utf-16"))),
    Case("utf-16 text without a mark", "prepare toy.yaml", "text/train.ba: UTF-16 or binary",
         train_text(b"ba ce\n", "ce ba\n".encode("utf-16-be"))),
    Case("latin-1 text", "prepare toy.yaml",
         "corpus.train: no pair is left to train on: dropped 2 not UTF-8",
         train_text("bä\ncö\n".encode("latin-1"), b"ab\noc\n")),
    Case("all lines dropped", "prepare toy.yaml",
         "corpus.train: no pair is left to train on: dropped 1 empty, 1 length ratio",
         train_text(b"\nba\n", b"x\n" + b"ba " * 50 + b"\n")),
    Case("one pair only", "prepare toy.yaml --set corpus.dev=null",
         "corpus.train: one pair is too few to hold out development text",
         train_text(b"ba\n", b"ab\n")),
    Case("not a gzip file", "prepare toy.yaml", "text/train.ab.gz: cannot read: Not a gzipped file",
         all_of(gone("text/train.ab"), put("text/train.ab.gz", b"\0ba ce\n"))),
    Case("truncated gzip", "prepare toy.yaml", "text/train.ab.gz: cannot read: Compressed file end",
         all_of(gone("text/train.ab"), put("text/train.ab.gz", gzip.compress(b"ba ce\n" * 99)[:-12]))),
    Case("not a zst file", "prepare toy.yaml", "text/train.ab.zst: cannot read: zstd",
         all_of(gone("text/train.ab"), put("text/train.ab.zst", b"\0ba ce\n"))),
    Case("truncated zst", "prepare toy.yaml", "text/train.ab.zst: cannot read: Compressed file end",
         all_of(gone("text/train.ab"),
              put("text/train.ab.zst", zstandard.compress(os.urandom(999))[:-9]))),
    Case("tsv without a tab", "prepare my.yaml",
         "text/x.tsv: 20 of 21 rows cannot be used: 20 no tab (", tsv(b"a\tb\n" + b"c d\n" * 20)),
    Case("csv with commas", "prepare my.yaml",
         "columns must be separated by tabs, not by commas: save the table as tab-separated text",
         all_of(tsv(b""), recipe("corpus: {source: ab, target: ba, root: text, train: [{tsv: x.csv}]}\n"),
                put("text/x.csv", b"a,b\n" * 20))),
    Case("what to do about a tsv without a tab", "prepare my.yaml", "; columns: [NUMBER, NUMBER] or [NAME, NAME] chooses columns, "
         "corpus.max_bad_rows (now 0.01) allows a larger share", tsv(b"a\tb\n" + b"c d\n" * 20)),
    Case("tsv without a column", "prepare my.yaml --set corpus.train.0.columns=[x,b]",
         "text/x.tsv: columns: no column 'x' in its header: a, b", tsv(b"a\tb\nc\td\n")),
    Case("jsonl that is not json", "prepare my.yaml", "text/x.jsonl: 20 of 21 rows cannot be used: 20 not JSON (",
         jsonl(b'{"ab": "a", "ba": "b"}\n' + b"c d\n" * 20)),
    Case("jsonl without a key", "prepare my.yaml",
         "text/x.jsonl: 11 of 11 rows cannot be used: 11 missing key (",
         jsonl(b'{"ab": "a", "xx": "b"}\n' * 11)),
    Case("text with old line ends", "prepare toy.yaml", "text/train.ab: its lines end with CR alone, not with LF",
         put("text/train.ab", b"ba\rce\r")),
    Case("jsonl that is latin-1", "prepare my.yaml",
         "corpus.train: no pair is left to train on: dropped 1 not UTF-8",
         jsonl(b'{"ab": "\xe4", "ba": "b"}\n')),
    Case("vocabulary without room", "prepare toy.yaml --set tokenizer={type: bpe, vocab_size: 262}",
         "tokenizer.vocab_size: 262 has no room for 4 specials, 256 bytes, the"),
    Case("download without tls", "prepare my.yaml", "http://192.0.2.1/train.ab: only https",
         recipe("corpus:\n  root: x\n  source: ab\n  target: ba\n  download:\n"
                "    address: http://192.0.2.1/\n    sha256: {train.ab: '0'}\n")),
    Case("download out of the cache", "prepare my.yaml", "corpus.root: ../x: downloads stay in",
         recipe("corpus:\n  root: ../x\n  source: ab\n  target: ba\n  download:\n"
                "    address: https://192.0.2.1/\n    sha256: {train.ab: '0'}\n")),
    Case("archive with several texts", "prepare toy.yaml --set corpus.train=../x.zip",
         "text/../x.zip: has several texts in ab: a.ab, b.ab; unpack it, and write {source: FILE, target: FILE}",
         archive("x.zip", "a.ab", "b.ab", "a.ba")),
    Case("no scores", "prepare my.yaml", "corpus.train: no file s.txt (scores) (looked in ",
         recipe("corpus: {source: ab, target: ba, root: text, train: [{name: train, scores: s.txt, min_score: 1}]}\n")),
    Case("download of what is shipped", "corpora fetch quickstart en de",
         "nmt: quickstart is shipped with nmt, with nothing to download: a recipe says corpus.name: quickstart"),
    Case("prepared is a file", "prepare toy.yaml", "prepared",
         all_of(gone("prepared"), put("prepared", b""))),
]  # fmt: skip

RECIPES = [
    Case("no recipe", "train nowhere.yaml", "nowhere.yaml: no such recipe, neither a file in "),
    Case("nearly a recipe", "train quickstrat", " nor a "
         "shipped one; did you mean quickstart?"),
    Case("folder for a recipe", "prepare text",
         "text: this is a folder; a recipe is a YAML file"),
    Case("unreadable recipe", "train toy.yaml", "toy.yaml: cannot read the recipe: Permission",
         unreadable("toy.yaml")),
    Case("latin-1 recipe", "train my.yaml", "my.yaml: cannot read the recipe: not UTF-8 text: save it as UTF-8",
         put("my.yaml", "name: schön\n".encode("latin-1"))),
    Case("utf-16 recipe", "train my.yaml", "my.yaml: cannot read the recipe: not UTF-8 text: save it as UTF-8",
         put("my.yaml", CORPUS_HEAD.encode("utf-16"))),
    Case("latin-1 recipe shown", "recipes show my.yaml", "my.yaml: cannot read the recipe: not UTF",
         put("my.yaml", "name: schön\n".encode("latin-1"))),
    Case("huge recipe", "train my.yaml", "my.yaml: longer than 1,000,000 characters",
         recipe("# x\n" * 300_000)),
    Case("gigantic recipe", "train my.yaml", "my.yaml: cannot read the recipe: more than 4,000,000",
         recipe("# x\n" * 1_100_000)),
    Case("empty recipe", "train my.yaml", "my.yaml: a recipe is a mapping with the keys name, corp",
         recipe("")),
    Case("list for a recipe", "train my.yaml", "my.yaml: a recipe is a mapping", recipe("- a\n")),
    Case("number for a recipe", "train my.yaml", "my.yaml: a recipe is a mapping", recipe("5\n")),
    Case("tab in a recipe", "train my.yaml", "my.yaml: line 2: not YAML: found character '\\t'",
         recipe("corpus:\n\tsource: ab\n")),
    Case("key twice", "train my.yaml", "my.yaml: line 2: duplicate key corpus",
         recipe(CORPUS_HEAD * 2)),
    Case("anchors that explode", "train my.yaml", "my.yaml: line 1: anchors are not allowed here",
         recipe("a0: &a0 [x]\n" + BOMB)),
    Case("tag", "train my.yaml", "my.yaml: line 1: tags are not allowed here",
         recipe("name: !!python/object/apply:os.system [touch hacked]\n")),
    Case("nested too deeply", "train my.yaml", "my.yaml: line 1: nested too deeply",
         recipe("name: " + "[" * 5000)),
    Case("half a character", "train my.yaml", "my.yaml: line 1: not a character: '\\ud800x'",
         recipe('name: "\\ud800x"\n')),
    Case("nul in a recipe", "train my.yaml", "my.yaml: not YAML: unacceptable character",
         recipe("name: a\0b\n")),
    Case("name that leads out", "train my.yaml", "my.yaml:2: name: should be a name without slashes"
         ", at most 100 characters, not beginning with a dot", recipe(CORPUS_HEAD + "name: ..\n")),
    Case("name with nul", "train my.yaml", "my.yaml:2: name: should be a name",
         recipe(CORPUS_HEAD + 'name: "a\\0b"\n')),
    Case("unknown keys", "train my.yaml", "my.yaml:2: trian: unknown key; did you mean training?",
         recipe(CORPUS_HEAD + "trian: {}\nmodel: {dmodel: 4}\n"), lines=2),
    Case("unknown model", "train my.yaml",
         "my.yaml:2: model.type: no model 'transfomer'; did you mean transformer?; see nmt models",
         recipe(CORPUS_HEAD + "model: {type: transfomer}\n")),
    Case("values out of range", "train my.yaml",
         "my.yaml:2: training.updates: should be greater than or equal to 1, not 0",
         recipe(CORPUS_HEAD + "training: {updates: 0, seed: -1}\nsearch: {beam: 0}\n"), lines=3),
    Case("seed beyond 64 bits", "train toy.yaml --set training.seed=18446744073709551616",
         "--set training.seed: should be less than 9223372036854775808, not"),
    Case("vocabulary of a billion", "train toy.yaml --set tokenizer.vocab_size=1000000000",
         "--set tokenizer.vocab_size: should be less than or equal to 10000000"),
    Case("model larger than memory", "train toy.yaml --set model.d_model=4000000000000 --device cpu",
         "not enough memory: try a smaller model (model.*), training.tokens_per_batch or search.beam"),
    Case("more cases than lines", "train toy.yaml --set training.augment.upper=0.6 --set training.augment.title=0.6",
         "--set training.augment.upper: more than 1 together with title: lower one of them"),
    Case("quotes in lines", "prepare my.yaml", "my.yaml:1: corpus.train.0: quotes: only for tsv",
         recipe("corpus: {source: ab, target: ba, train: [{name: train, quotes: true}]}\n")),
    Case("nothing but a name", "train my.yaml", "my.yaml: corpus: missing: a recipe must say where",
         recipe("name: x\n")),
    Case("set without a value", "train toy.yaml --set search.beam",
         "--set search.beam: write it as section.key=value"),
    Case("set of an unknown key", "train toy.yaml --set search.beem=3",
         "--set search.beem: unknown key; did you mean beam?"),
    Case("set beyond a list", "train my.yaml --set corpus.train.2.weight=2",
         "--set corpus.train.2: corpus.train is a list; its entries are 0 to 0", tsv(b"a\tb\n")),
    Case("set of a list by name", "train my.yaml --set corpus.train.x=2",
         "--set corpus.train.x: corpus.train is a list; its entries are 0 to 0", tsv(b"a\tb\n")),
    Case("set in a list", "train my.yaml --set corpus.train.0.weight=-1",
         "--set corpus.train.0.weight: should be greater than 0, not -1", tsv(b"a\tb\n")),
    Case("set and file together", "train my.yaml --set search --set search.beam=[ --set a.b=1",
         "my.yaml:2: tokenizer.typ: unknown key; did you mean type?",
         recipe(CORPUS_HEAD + "tokenizer: {typ: bpe}\n"), lines=4),
    Case("set and a broken file", "train my.yaml --set search", "my.yaml: line 2: not YAML",
         recipe("[\n"), lines=2),
    Case("copy onto a file", "recipes copy quickstart ref.txt", "ref.txt exists: choose another"),
    Case("copy onto a link", "recipes copy quickstart x.yaml", "x.yaml exists: choose another",
         link("x.yaml", "nowhere")),
    Case("copy into nothing", "recipes copy quickstart no/x.yaml", "no/x.yaml: cannot write: No su"),
    Case("copy into no folder", "recipes copy quickstart no/", "no/: no such folder: make it first"),
    Case("copy of nothing", "recipes copy x y", "x: no such recipe, neither a file in "),
    Case("no model of this name", "models show transfomer",
         "no model 'transfomer'; did you mean transformer?"),
    Case("no model like it", "models show x", "no model 'x'; choose from "),
]  # fmt: skip

RUNS = [
    Case("no run", "translate nowhere", "nowhere: no such run folder in "),
    Case("file for a run", "translate ref.txt", "ref.txt: a file, not a run folder: a run comes first"),
    Case("export for a run", "translate text", "text: not a run folder: it is an export; name the run",
         put("text/export.json", "{}")),
    Case("folder that is no run", "translate text", "text: not a run folder: it has no recipe.yaml"),
    Case("abstaining below nothing", "translate run --abstain copy", "--abstain: says how to treat translations below a confidence"),
    Case("precision twice", "translate run --exact --set search.precision=int8", "--exact and --set search.precision: "),
    Case("precision of scores twice", "rescore run a b --exact --set search.precision=int8",
         "--exact and --set search.precision: leave one of them out"),
    Case("exact with another engine", "translate run --exact --engine ctranslate2",
         "--exact means engine torch in float32: leave out --engine and --quantization"),
    Case("exact with other weights", "translate run --exact --quantization int8", "--exact means engine torch in float"),
    Case("exact scores of another engine", "rescore run a b --exact --engine onnx", "--exact means engine torch in fl"),
    Case("quantization of our own engine", "translate run --engine torch --quantization int8",
         "quantization: only with engine ctranslate2; "),
    Case("beam twice", "translate run --beam 2 --set search.beam=3", "--beam and --set search.beam: leave one of them out"),
    Case("no such engine", "translate run --engine marian",
         "nmt: engine marian: use one of auto, torch, ctranslate2, onnx"),
    Case("damaged profile of the text", "translate run",
         "nmt: run/text.json: missing or damaged: not a JSON object: copy the run folder again", put("run/text.json", "[]")),
    Case("run without tokenizer", "translate run", "run: no tokenizer.json here",
         gone("run/tokenizer.json")),
    Case("run without checkpoints", "translate run", "run: no checkpoint yet",
         gone("run/checkpoints")),
    Case("run without manifest", "translate run", "run/manifest.json: missing or damaged: No such file or directory: copy the run",
         gone("run/manifest.json")),
    Case("manifest that is a list", "translate run",
         "run/manifest.json: missing or damaged: not a JSON object: copy the run folder again; prepared data: delete",
         put("run/manifest.json", "[]")),
    Case("manifest without bound", "translate run",
         "run/manifest.json: missing or damaged: more than 16,777,216 bytes",
         put("run/manifest.json", b" " * (17 << 20))),
    Case("run of a newer version", "translate run", "run: a run of format 2; this version of nmt reads 1: use the version that wrote it",
         changed("run/manifest.json", format=2)),
    Case("checkpoint of a newer version", "translate run", "checkpoint of format 2; this version",
         all_of(gone(*STEPS), changed(f"{BEST}/state.json", format=2))),
    Case("checkpoint that lists no files", "translate run", "damaged checkpoint: state.json is not what was written",
         all_of(gone(*STEPS), changed(f"{BEST}/state.json", files=None))),
    Case("average of a checkpoint that lists no files", "average run --out mean",
         "step-000030: damaged checkpoint: state.json is not what was written",
         changed("run/checkpoints/step-000030/state.json", files=None)),
    Case("half a checkpoint", "translate run", "damaged checkpoint: model.safetensors is not what",
         all_of(gone(*STEPS), put(f"{BEST}/model.safetensors", b"half"))),
    Case("header longer than memory", "translate run", "model.safetensors: damaged or missing: ",
         weights(tensors({}, length=1 << 62))),
    Case("header longer than the file", "translate run", "model.safetensors: damaged or missing: ",
         weights(tensors({}, length=10_000))),
    Case("tensor longer than the file", "translate run", "model.safetensors: damaged or missing: ",
         weights(tensors({"x": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}))),
    Case("weights of another model", "translate run", "come from another run: copy the whole folder again",
         weights(tensors({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}},
                         data=b"abcd"))),
    Case("weights cut short", "translate run", "model.safetensors: damaged or missing: ",
         weights(lambda content: content[:-4])),
    Case("tokenizer of another run", "translate run", "come from another run: copy the whole folder again",
         other_tokenizer(300)),
    Case("tokenizer of another run, same size", "translate run",
         "run: its tokenizer is not the one that it was trained with: some of its files were changed", noted_tokenizer),
    Case("recipe that is a list", "translate run", "run/recipe.yaml: a recipe is a mapping",
         put("run/recipe.yaml", "- a")),
    Case("recipe of another model", "translate run", "run: the weights do not fit the recipe",
         put("run/recipe.yaml", CORPUS_HEAD + "model: {type: rnn, hidden_size: 8}\n"
             "search: {precision: fp32}\n")),
    Case("tokenizer that is not json", "tokenize run", "run/tokenizer.json: missing or damaged: Exp",
         put("run/tokenizer.json", "{")),
    Case("tokenizer that is a list", "tokenize run", "run/tokenizer.json: missing or damaged: not a JSON object: copy the run",
         put("run/tokenizer.json", "[]")),
    Case("tokenizer of another kind", "tokenize run", "run/tokenizer.json: not a tokenizer file: ",
         tokenizer(lambda content: content["model"].update(type="Magic"))),
    Case("tokenizer with ids in the billions", "tokenize run", "made by nmt prepare: its ids have",
         tokenizer(lambda content: content["model"]["vocab"].update(zzz=4_000_000_000))),
    Case("tokenizer that cuts text short", "tokenize run", "by nmt prepare: it has truncation",
         tokenizer(lambda content: content.update(truncation={
             "direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0}))),
    Case("tokenizer without specials", "tokenize run", "made by nmt prepare: <pad> is not subword 0",
         tokenizer(lambda content: content["model"]["vocab"].update({"<pad>": 1, "<unk>": 0}))),
    Case("tokenizer without normalizer", "tokenize run", "it has no normalizer or pre_tokenizer",
         tokenizer(lambda content: content.update(normalizer=None))),
    Case("tokenizer that spells otherwise", "tokenize run", "made by nmt prepare: its decoder is another",
         tokenizer(lambda content: content.update(decoder=None))),
    Case("damaged imported tokenizer", "translate run", "run/tokenizer.vocabulary.json: damaged: it has no pieces: copy the run",
         put("run/tokenizer.vocabulary.json", "{}")),
    Case("recipe without a mapping", "tokenize run", "nmt: run/recipe.yaml: damaged: corpus.normalization is not what was",
         put("run/recipe.yaml", "corpus: {normalization: [a]}")),
    Case("recipe of a run that is no YAML", "tokenize run", "nmt: run/recipe.yaml: line 1: not YAML: ", put("run/recipe.yaml", "[")),
    Case("unreadable tokenizer", "tokenize run/tokenizer.json", "tokenizer.json: cannot be read: Permission denied",
         unreadable("run/tokenizer.json")),
    Case("no tokenizer", "tokenize nowhere", "nowhere: no such run folder or tokenizer file"),
    Case("unknown subword", "detokenize run", "line 1: 'qqqqq' is not a subword of this tokenizer",
         stdin=b"qqqqq\n"),
    Case("unknown side", "tokenize run --side left", "--side left: choose source or target"),
    Case("average of nothing", "average run --out mean", "run: has no step checkpoints to average, only best", gone(*STEPS)),
    Case("average of too many", "average run --out mean --last 9", "run: has 2 checkpoints, not 9; "),
    Case("average of a damaged one", "average run --out mean", "step-000030: damaged checkpoint: mod",
         put("run/checkpoints/step-000030/model.safetensors", b"x")),
    Case("average of half a run", "average run --out mean", "run: damaged: it has no manifest.json",
         gone("run/manifest.json")),
    Case("average onto a run", "average run --out run", "run exists: choose another folder"),
    Case("average into a file", "average run --out ref.txt/mean", "Not a directory"),
    Case("ensemble of strangers", "translate run other", "other and run have different tokenizers",
         all_of(copied("run", "other"), tokenizer(lambda content: content["model"]["merges"].reverse()))),
]  # fmt: skip

ELSEWHERE = [
    Case("tokenizer that is a link out", "tokenize run",
         "run/tokenizer.json: a link that leads out of run; copy the file instead",
         all_of(copied("run/tokenizer.json", "t.json"),
              link("run/tokenizer.json", "../t.json"))),
    Case("tokenizer in a circle of links", "translate run", "run/tokenizer.json: ",
         link("run/tokenizer.json", "tokenizer.json")),
    Case("recipe that is a link out", "translate run", "run/recipe.yaml: a link that leads out of run",
         link("run/recipe.yaml", "../toy.yaml")),
    Case("manifest that is a link out", "translate run", "run/manifest.json: a link that leads out",
         link("run/manifest.json", "/etc/hostname")),
    Case("averaging a link out", "average run --out mean", "run/tokenizer.json: a link that leads out",
         link("run/tokenizer.json", "../toy.yaml")),
    Case("best checkpoint elsewhere", "translate run", "best.json: names no checkpoint of this run",
         all_of(gone(*STEPS), put("run/checkpoints/best.json", '{"folder": "../../elsewhere"}'))),
    Case("prepared text that is a link out", "train toy.yaml", "dev.source.txt: a link that leads out of",
         prepared(lambda folder: link(str(folder / "dev.source.txt"), "../../ref.txt")())),
    Case("prepared array that is a link out", "train toy.yaml", "train.source.0.ids.npy: a link that leads out",
         prepared(lambda folder: link(str(folder / "train.source.0.ids.npy"), "/dev/zero")())),
]  # fmt: skip

PREPARED = [
    Case("prepared by a newer version", "train toy.yaml", "prepared data of format 9, this version",
         prepared(lambda folder: changed(str(folder / "manifest.json"), format=9)())),
    Case("prepared manifest is a list", "train toy.yaml",
         "manifest.json: missing or damaged: not a JSON object: delete the folder and run nmt prepare again",
         prepared(lambda folder: (folder / "manifest.json").write_text("[]"))),
    Case("prepared manifest lacks a key", "train toy.yaml", "damaged prepared data: splits in manif",
         prepared(lambda folder: changed(str(folder / "manifest.json"), splits=None)())),
    Case("prepared parts of nothing", "train toy.yaml", "the parts in manifest.json do not cover",
         prepared(lambda folder: changed(str(folder / "manifest.json"), parts=[
             {"label": "x", "first": 0, "end": 10**9, "weight": 1.0}])())),
    Case("prepared array missing", "train toy.yaml", "damaged prepared data: train.target.0.ids.npy",
         prepared(lambda folder: (folder / "train.target.0.ids.npy").unlink())),
    Case("prepared array with a long header", "train toy.yaml", "damaged prepared data: train.source",
         prepared(lambda folder: (folder / "train.source.0.ids.npy").write_bytes(
             b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<u2', 'fortran_order': False, 'shape': "
             b"(1099511627776,), }".ljust(117) + b"\n"))),
    Case("prepared array of objects", "train toy.yaml", "damaged prepared data: train.source.0.ids",
         array("train.source.0.ids.npy", np.array([{"a": 1}], dtype=object))),
    Case("prepared array of other numbers", "train toy.yaml", "train.source.0 is not what was writt",
         array("train.source.0.ids.npy", np.zeros(999, dtype=np.float64))),
    Case("prepared array of two dimensions", "train toy.yaml", "train.source.0.ids.npy is not what",
         array("train.source.0.ids.npy", np.zeros((9, 9), dtype=np.uint16))),
    Case("prepared ids beyond the vocabulary", "train toy.yaml", "has subwords that its tokenizer lac",
         array("train.source.0.ids.npy", np.full(999, 65535, dtype=np.uint16))),
    Case("prepared offsets out of order", "train toy.yaml", "train.source.0.offsets.npy is not in o",
         array("train.source.0.offsets.npy", np.array([0, 9, 3, 5], dtype=np.int64))),
    Case("prepared offsets beyond the end", "train toy.yaml", "train.source.0 is not what was writt",
         array("train.source.0.offsets.npy", np.array([0, 10**12], dtype=np.int64))),
    Case("prepared sides unequal", "train toy.yaml", "train.target.0 has 1;",
         array("train.target.0.offsets.npy", np.array([0, 1], dtype=np.int64))),
    Case("prepared text that is not utf-8", "train toy.yaml", "dev.source.txt: not UTF-8 text",
         prepared(lambda folder: (folder / "dev.source.txt").write_bytes(b"\xff\n"))),
    Case("prepared text too short", "train toy.yaml", "the files of dev have different numbers of l",
         prepared(lambda folder: (folder / "dev.source.txt").write_bytes(b"a\n"))),
]  # fmt: skip

OPTIONS = [
    Case("no gpu", "translate run --device cuda",
         "--device cuda: no GPU that PyTorch can use; try --device cpu"),
    Case("no gpu 7", "train toy.yaml --device cuda:7", "--device cuda:7: no GPU that PyTorch can"),
    Case("no such device", "train toy.yaml --device tpu", "--device tpu: use auto, cpu, cuda, cuda:N or mps"),
    Case("odd device number", "train toy.yaml --device cuda:", "--device cuda:: use auto, cpu, cuda"),
    Case("out is a file", "train toy.yaml --out ref.txt",
         "ref.txt: ref.txt is a file, not a folder: choose another --out"),
    Case("out is below a file", "train toy.yaml --out ref.txt/run", "is a file, not a folder"),
    Case("out is a full device", "train toy.yaml --out /dev/full", "/dev/full: /dev/full is a file"),
    Case("out exists", "train toy.yaml --out run", "run exists: continue with --resume, or choose"),
    Case("out is no run", "train toy.yaml --out text --resume", "text: not a run folder: choose another"),
    Case("out cannot be written", "train toy.yaml --out shut/run", "cannot write into ",
         lambda: Path("shut").mkdir(0o555)),
    Case("other settings", "train toy.yaml --out run --resume --set training.updates=30",
         ": change them back, or use another --out"),
    Case("fewer updates", "train toy.yaml --out run --resume", "run: has done 30 updates, more than the training.updates"),
    Case("settings of a finished run", "translate run --set model.heads=1",
         "--set model.heads=1: a finished run can only be given search.* settings"),
    Case("beam of nothing", "translate run --beam 0", "--set search.beam: should be greater than or"),
    Case("more best than beams", "translate run --beam 2 --n-best 9", "9 is more than beam 2"),
    Case("no prefix file", "translate run --prefix nowhere", "nowhere: cannot read: No such file"),
    Case("folder of prefixes", "translate run --prefix text", "text: cannot read: Is a directory"),
    Case("prefixes that are latin-1", "translate run --prefix p", "p:1: not UTF-8 text",
         put("p", b"\xe4\n")),
    Case("too few prefixes", "translate run --prefix p", "p: fewer lines than the input", put("p", "")),
    Case("unequal scores", "score ref.txt", "ref.txt has 2 lines and standard input has 1"),
    Case("no reference", "score nowhere", "nowhere: cannot read: No such file or directory"),
    Case("folder of references", "score text", "text: this is a folder, not a file"),
    Case("unreadable reference", "score ref.txt", "ref.txt: cannot read: Permission denied",
         unreadable("ref.txt")),
    Case("nothing to score", "score ref.txt", "standard input: no hypotheses to score", stdin=b""),
    Case("hypotheses that are utf-16", "score ref.txt",
         "standard input: UTF-16 or binary, not UTF-8 text: save it as UTF-8, or iconv -f UTF-16 -t UTF-8 converts it",
         stdin="a\nb\n".encode("utf-16")),
    Case("reference that is utf-32", "score x", "x: UTF-32 or binary, not UTF-8 text",
         put("x", "a\nb\n".encode("utf-32"))),
    Case("utf-16 to translate", "translate run", "input: UTF-16 or binary, not UTF-8 text",
         stdin="ba ce\n".encode("utf-16")),
    Case("utf-16 without a mark to translate", "translate run --processes 2", "input: UTF-16 or binary",
         stdin="ba ce\n".encode("utf-16-be")),
    Case("utf-16 to translate in shards", "translate run --shard 1/2 --input x --out y",
         "x: UTF-16 or binary, not UTF-8 text", put("x", "ba ce\n".encode("utf-16"))),
    Case("utf-16 to tokenize", "tokenize run", "input: UTF-16 or binary, not UTF-8 text",
         stdin="ba ce\n".encode("utf-16")),
    Case("utf-16 to rescore", "rescore run x x", "x: UTF-16 or binary, not UTF-8 text",
         put("x", "ba ce\n".encode("utf-16"))),
    Case("systems of unequal length", "score ref.txt -i ref.txt -i x", "x has 1 line and ref.txt has 2",
         put("x", "a\n")),
    Case("one system twice", "score ref.txt -i ref.txt -i ref.txt", "the name ref.txt is used twice: rename one of them"),
    Case("sentences of two systems", "score ref.txt -i ref.txt -i x --sentences",
         "--sentences: scores one system; give a single -i FILE"),
    Case("two choices of a tokenizer", "score ref.txt --language zh --tokenize zh",
         "--tokenize and --language both choose a tokenizer: use one of them"),
    Case("reference that is a broken gzip", "score x.gz", "x.gz: cannot read: Not a gzipped file",
         put("x.gz", b"\0a b\n")),
    Case("no such metric", "score ref.txt --metrics bleu,x", "--metrics bleu,x: use some of bleu, ch"),
    Case("no such scoring tokenizer", "score ref.txt --tokenize x", "--tokenize x: use one of "),
    Case("host with a path", "serve run --allow-host example.org/nmt",
         "--allow-host example.org/nmt: use the name of a host alone, such as translate.example.org"),
    Case("no such command", "translat run", "No such command 'translat'"),
    Case("no such subcommand", "models shwo", "No such command 'shwo'"),
    Case("no such option", "train toy.yaml --upates 5", "No such option"),
    Case("no argument", "train", "Missing argument"),
    Case("no number", "translate run --beam many", "--beam"),
]  # fmt: skip

OTHERS = [
    Case("nothing to rescore", "rescore x y", "nmt: nmt rescore RUN... SOURCE TARGET: give a run folder"),
    Case("rescoring with no run", "rescore nowhere y z", "nmt: nowhere: no such run folder in "),
    Case("detokenizing without a tokenizer", "detokenize text", "nmt: text: no tokenizer.json here"),
    Case("average of no run", "average nowhere --out x", "nmt: nowhere: no such run folder in "),
    Case("average of none", "average run --out x --last 0", "nmt: Invalid value for '--last': "),
    Case("attention of no run", "plot attention nowhere", "nmt: nowhere: no such run folder in "),
    Case("picture of another kind", "plot attention x -o a.gif",
         "nmt: -o a.gif: the file name must end in .png, .svg, .pdf or .html"),
    Case("picture in no folder", "plot positions -o no/a.png", "nmt: -o no/a.png: no such folder: no"),
    Case("curves of no run", "plot curves nowhere -o a.svg", "nmt: nowhere: no such run folder"),
    Case("curves as a page", "plot curves x -o a.html", "nmt: -o a.html: the file name must end in .png, .svg or .pdf"),
    Case("lengths of nothing", "plot lengths --source x --reference y", "nmt: name a run, or a file of"),
    Case("lengths without a text", "plot lengths x", "nmt: Missing "),
    Case("no such picture", "plot picture", "nmt: No such command"),
    Case("recipe to show", "recipes show x", "nmt: x: no such recipe"),
    Case("no reference named", "score", "nmt: Missing "),
    Case("option by its name", "score --bogus x", "nmt: No such option: --bogus"),
]  # fmt: skip

CASES = [*FILES, *RECIPES, *RUNS, *ELSEWHERE, *PREPARED, *OPTIONS, *OTHERS]


def words(command: str) -> list[str]:
    """A command line as a shell cuts it, but for a value with spaces, which goes to the end."""
    head, brace, value = command.partition("={")
    parts = head.split()
    return [*parts[:-1], parts[-1] + brace + value] if brace else parts


@pytest.mark.parametrize("case", CASES, ids=[case.label for case in CASES])
def test_bad_input_is_one_clear_line(case: Case, workdir: Path, nmt: Call) -> None:
    if case.damage is not None:
        case.damage()
    before = snapshot(workdir)
    with without_privilege():
        code, out, err = nmt(*words(case.command), stdin=case.stdin)
    said = [line for line in err.splitlines() if line.startswith("nmt:")]
    assert (code, out) == (2, ""), err
    assert len(said) == case.lines and any(case.says in line for line in said), err
    assert "Traceback" not in err and 'File "' not in err
    assert err.splitlines()[-case.lines :] == said, err  # nothing comes after them
    assert snapshot(workdir) == before


def test_the_table_is_long_and_names_each_case_once() -> None:
    assert len(CASES) >= 80
    assert len({case.label for case in CASES}) == len(CASES)


# What takes a process of its own: full disks, closed streams, signals.


def shell(line: str, folder: Path, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """A line of shell, with nmt as the program."""
    program = " ".join(map(shlex.quote, NMT))
    return subprocess.run(
        ["sh", "-c", f'nmt() {{ exec {program} "$@"; }}; {line}'],
        input=stdin, capture_output=True, cwd=folder, env=environment(), timeout=120,
    )  # fmt: skip


STREAMS = [
    ("nmt translate run --device cpu >/dev/full", "standard output: cannot write: No space left on"),
    ("nmt recipes >/dev/full", "standard output: cannot write: No space left on device"),
    ("nmt --help >/dev/full", "input or output: No space left on device"),
    ("nmt score ref.txt -i ref.txt >&-", "standard output is closed"),
    ("nmt tokenize run <&-", "standard input is closed"),
    ("nmt score ref.txt <&-", "standard input is closed"),
]


@pytest.mark.parametrize(
    "line, says",
    [pytest.param(*one, id=one[0], marks=pytest.mark.slow if "translate" in one[0] else []) for one in STREAMS],
)
def test_a_stream_that_cannot_be_used_is_one_clear_line(line: str, says: str, workdir: Path) -> None:
    before = snapshot(workdir)
    done = shell(line, workdir, b"a book\n")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(f"nmt: {says}") and done.stderr.count(b"\n") == 1
    assert snapshot(workdir) == before


def test_nobody_listening_to_the_mistake_changes_no_exit_code(workdir: Path) -> None:
    assert shell("nmt score nowhere 2>/dev/full", workdir).returncode == 2
    assert shell("nmt score nowhere 2>&-", workdir).returncode == 2
    assert shell("nmt tokenize $(printf 'not\\377UTF-8') 2>&-", workdir).returncode == 2


@pytest.mark.slow
def test_data_that_do_not_fit_on_the_disk_leave_what_was_there(workdir: Path) -> None:
    """A limit on the size of files stands for the full disk."""
    before = snapshot(workdir)
    line = "trap '' XFSZ; ulimit -f 1; nmt prepare toy.yaml --set corpus.deduplicate=false"
    write_syllables(workdir / "more", {"train": 400}, longest=6)
    done = shell(line + " --set corpus.train=../more/train", workdir)
    assert done.returncode == 2, done.stderr
    said = [line_of_stderr for line_of_stderr in done.stderr.decode().splitlines() if line_of_stderr.startswith("nmt:")]
    assert len(said) == 1 and b"Traceback" not in done.stderr
    assert re.match(r"nmt: prepared/toy-\w+: cannot be written: File too large; free disk space and run ", said[0])
    after = {name: held for name, held in snapshot(workdir).items() if not name.startswith("more")}
    assert after == before


def interrupted(process: "subprocess.Popen[bytes]", ready: Callable[[], bool], stdin: bytes = b"") -> list[str]:
    """What a command says that gets Ctrl-C as soon as it is `ready`; its exit code must be 130."""
    assert process.stdin and process.stdout and process.stderr
    with process:
        if stdin:
            process.stdin.write(stdin)
            process.stdin.flush()
        until = time.monotonic() + 60
        while not ready():
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        code, said = process.wait(60), process.stderr.read().decode()
    assert code == 130, said
    assert "Traceback" not in said
    return [line for line in said.splitlines() if line.startswith("nmt:")]


@pytest.mark.parametrize("command", ["tokenize run", "detokenize run", "score ref.txt"])
def test_ctrl_c_while_reading_is_one_line(command: str, workdir: Path) -> None:
    """More than a pipe holds: when all is written, the command has begun to read."""
    before = snapshot(workdir)
    process = start(*command.split(), cwd=workdir)
    drain = threading.Thread(target=lambda: process.stdout and process.stdout.read(), daemon=True)
    drain.start()
    assert interrupted(process, lambda: True, b"\n" * 200_000) == ["nmt: interrupted"]
    assert snapshot(workdir) == before


def test_ctrl_c_while_torch_is_loaded_is_one_line(workdir: Path) -> None:
    process = start("translate", "run", "--device", "cpu", cwd=workdir)

    def loading() -> bool:
        return "libtorch" in Path(f"/proc/{process.pid}/maps").read_text()

    assert interrupted(process, loading) == ["nmt: interrupted"]


@pytest.mark.slow
def test_ctrl_c_while_preparing_leaves_nothing(workdir: Path) -> None:
    write_syllables(workdir / "text", {"big": 60_000}, longest=9)
    before = snapshot(workdir)
    settings = ["--set", "corpus.train=big", "--set", "tokenizer={type: bpe, vocab_size: 400}"]
    process = start("prepare", "toy.yaml", *settings, cwd=workdir)
    ready = lambda: any((workdir / "prepared").glob(".toy-*"))  # noqa: E731
    assert interrupted(process, ready) == ["nmt: interrupted"]
    assert snapshot(workdir) == before


CLOSABLE = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


@pytest.mark.slow
def test_a_terminal_that_closes_while_preparing_leaves_nothing(workdir: Path) -> None:
    write_syllables(workdir / "text", {"big": 60_000}, longest=9)
    before = snapshot(workdir)
    settings = ["--set", "corpus.train=big", "--set", "tokenizer={type: bpe, vocab_size: 400}"]
    ours, theirs = os.openpty()
    os.set_blocking(ours, False)
    process = subprocess.Popen(
        [sys.executable, "-c", CLOSABLE, *NMT, "prepare", "toy.yaml", *settings], stdin=theirs, stdout=theirs,
        stderr=theirs, cwd=workdir, env=environment(), start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    until = time.monotonic() + 60
    while not any((workdir / "prepared").glob(".toy-*")):
        with suppress(BlockingIOError):
            os.read(ours, 1 << 16)  # progress
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.01)
    os.close(ours)
    assert process.wait(60) == 129
    assert snapshot(workdir) == before


@pytest.mark.slow
def test_ctrl_c_while_training_saves_and_says_how_to_go_on(workdir: Path) -> None:
    long = ["--set", "training.updates=1000000", "--set", "training.log_every=1"]
    process = start("train", "toy.yaml", "--device", "cpu", *long, cwd=workdir)
    (said,) = interrupted(process, lambda: (workdir / "runs/toy/log.jsonl").is_file())
    assert said.startswith("nmt: stopped by SIGINT at update ")
    assert "; saved. Resume with: nmt train toy.yaml " in said and said.endswith(" --resume")


# What is no mistake, but must be seen or work.


def test_an_entry_of_a_list_can_be_set(workdir: Path) -> None:
    tsv(b"a\tb\n")()
    loaded = load_recipe("my.yaml", ["corpus.train.0.weight=2", "corpus.train.0.tsv=y.tsv"])
    assert isinstance(loaded.corpus.train, tuple)
    assert (loaded.corpus.train[0].weight, loaded.corpus.train[0].tsv) == (2.0, "y.tsv")


def test_bytes_that_are_not_utf_8_are_dropped_and_counted_from_json_lines(workdir: Path, nmt: Call) -> None:
    jsonl(b'{"ab": "\xe4", "ba": "b"}\n' + b'{"ab": "a", "ba": "b"}\n{"ab": "c", "ba": "d"}\n')()
    code, _, err = nmt("prepare", "my.yaml", "--set", "tokenizer.type=word")
    assert code == 0 and "dropped 1 (33.33%): not UTF-8\n" in err


def test_a_vocabulary_larger_than_the_text_can_fill_is_said(workdir: Path, nmt: Call) -> None:
    code, _, err = nmt("prepare", "toy.yaml", "--set", "tokenizer.vocab_size=9000")
    assert code == 0 and "the text has only 18 words, not the 9,000 of tokenizer.vocab_size" in err
