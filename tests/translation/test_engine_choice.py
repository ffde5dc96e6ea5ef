"""Which engine `--engine auto` is for every kind of run and option, and that it translates by the one it names."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import weakref
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.torch_engine import TorchEngine
from nmt_cli.decoding.word_alignment import attention_weights
from nmt_cli.errors import DeviceError, UserError
from nmt_cli.export import automatic, ctranslate2_support
from nmt_cli.export.cached import AUTO_FILE, exports_folder
from nmt_cli.export.ctranslate2_engine import CTranslate2Engine
from nmt_cli.export.parity import Parity, Sample
from nmt_cli.inference.lines import BlockReader
from nmt_cli.inference.output import Candidate, Translation
from nmt_cli.recipe.loader import build_recipe, load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder
from nmt_cli.translation import opening, parallel
from nmt_cli.translation.engine_choice import ENGINE_VARIABLE, EngineChoice, choose_engine, own_search_reason
from nmt_cli.translation.opening import TranslatorSpec
from tests.conftest import Call, Listener
from tests.inference.test_translator import TABLE
from tests.margins import clear_lines
from tests.opening import open_translator

pytest.importorskip("ctranslate2")


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path, auto_engine: None) -> Path:
    """A run that was trained before training exported anything."""
    shutil.copytree(tiny_run, tmp_path / "run")
    return tmp_path / "run"


def choice(
    *runs: Path, settings: tuple[str, ...] = (), reporter: Reporter | None = None, **options: Any
) -> EngineChoice:
    recipe = load_recipe(runs[0] / "recipe.yaml", settings)
    return choose_engine(runs, recipe, reporter or Reporter(quiet=True), device="cpu", **options)


def test_an_old_run_is_exported_once(run: Path) -> None:
    listener = Listener()
    assert choice(run, reporter=listener).engine == "ctranslate2"
    assert listener.said == [f"exporting {run} for CTranslate2, once for this checkpoint"]
    assert isinstance(open_translator([run], [], "cpu", reporter=listener).engine, CTranslate2Engine)
    assert len(listener.said) == 1
    folder = RunFolder(run)
    changed = {name: value * 1.5 for name, value in folder.checkpoints.best().tensors().items()}
    folder.checkpoints.save_best(20, changed, {})
    assert choice(run, reporter=listener).engine == "ctranslate2"
    assert len(listener.said) == 2, "an export belongs to a checkpoint"


@pytest.mark.parametrize(
    "setting",
    [
        "search.sampling=true", "search.n_best=2", "search.no_repeat_ngram=2", "search.coverage_penalty=0.1",
        "search.precision=bf16",
    ],
)  # fmt: skip
def test_what_means_something_else_there_is_left_to_our_own_search(
    setting: str, exported: Path, auto_engine: None
) -> None:
    chosen = choice(exported, settings=(setting,))
    assert chosen.engine == "torch" and chosen.reason.startswith(setting.partition("=")[0])
    if setting == "search.precision=bf16":
        assert chosen.text == "engine torch (nmt's own search): search.precision: bf16 is asked for"
    with pytest.raises(UserError, match="quantization: only with engine ctranslate2; search"):
        choice(exported, settings=(setting,), quantization="int8")


@pytest.mark.parametrize(
    "setting", ["search.beam=3", "search.patience=1", "search.max_length=4", "search.min_length=2", "search.split=none"]
)
def test_what_means_the_same_there_is_not(setting: str, exported: Path, auto_engine: None) -> None:
    assert choice(exported, settings=(setting,)).engine == "ctranslate2"


def test_ensembles_alignments_and_other_models_are_left_to_our_own_search(exported: Path, auto_engine: None) -> None:
    assert choice(exported, exported).reason == "several runs form an ensemble"
    assert choice(exported, align=True).reason == "alignments are asked for"
    assert choice(exported, quantization="int8").reason == "as asked for"
    chosen = choice(exported, settings=("model={type: rnn}", "tokenizer.joint=true"))
    assert chosen.engine == "torch" and chosen.reason.startswith("model.type")


@pytest.mark.parametrize(
    "names, align, message",
    [
        ("a", True, "a: alignments need a model with attention"),
        ("ab", False, "an ensemble needs models that write from left to right, not all positions at once"),
    ],
)
def test_what_a_model_lacks_is_said(names: str, align: bool, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = SimpleNamespace(
        tokenizers=SimpleNamespace(digest=str), model=SimpleNamespace(has_attention=False),
        recipe=SimpleNamespace(corpus=SimpleNamespace(normalization=None)),
    )  # fmt: skip
    monkeypatch.setattr("nmt_cli.runs.loading.open_run", lambda *arguments: run)
    with pytest.raises(UserError) as error:
        opening._open_torch_engine([Path(name) for name in names], SearchConfig(), "cpu", align=align)
    assert str(error.value) == message


def test_without_ctranslate2_it_is_our_own_search(
    exported: Path, auto_engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ImportError

    monkeypatch.setattr(ctranslate2_support, "import_ctranslate2", missing)
    assert choice(exported) == EngineChoice("torch", None, "ctranslate2 is not installed here")
    translator = open_translator([exported], [], "cpu")
    assert not isinstance(translator.engine, CTranslate2Engine) and translator.translate(["a book"])[0].text


def test_an_old_ctranslate2_is_none(exported: Path, auto_engine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        __version__ = "4.8.4"

    monkeypatch.setattr(ctranslate2_support, "import_ctranslate2", Old)
    assert choice(exported).reason == "ctranslate2 4.8.4 is older than 4.8.5"


@pytest.mark.parametrize("seen, usable, device", [(0, None, "cpu"), (1, False, "cpu"), (1, True, "cuda")])
def test_a_gpu_that_pytorch_cannot_use_is_none(
    seen: int, usable: bool | None, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = None if usable is None else SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: usable))
    monkeypatch.setitem(sys.modules, "torch", torch)
    stub = SimpleNamespace(get_cuda_device_count=lambda: seen)
    monkeypatch.setattr(ctranslate2_support, "import_ctranslate2", lambda: stub)
    assert ctranslate2_support.resolve_device("auto") == (device, 0)
    monkeypatch.setattr(ctranslate2_support, "missing_reason", lambda: None)
    monkeypatch.delenv(ENGINE_VARIABLE)
    reason = own_search_reason([Path("run")], build_recipe({"name": "x", "corpus": {"source": "a", "target": "b"}}))
    assert reason == ("CTranslate2 is for CPUs here" if device == "cuda" else None)


@pytest.mark.parametrize(
    "name, count, devices",
    [("cuda", 0, "0 GPUs"), ("cuda:1", 1, "1 GPU"), ("cpu:0", 2, "2 GPUs"), ("tpu", 0, "0 GPUs")],
)
def test_the_devices_of_ctranslate2_are_said(
    name: str, count: int, devices: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = SimpleNamespace(get_cuda_device_count=lambda: count)
    monkeypatch.setattr(ctranslate2_support, "import_ctranslate2", lambda: stub)
    with pytest.raises(DeviceError) as error:
        ctranslate2_support.resolve_device(name)
    assert str(error.value) == f"--device {name}: CTranslate2 can use cpu and {devices} here"


@pytest.mark.parametrize("refusal", ["access", "writing"])
def test_a_folder_that_cannot_be_written_is_translated_by_our_own_search(
    refusal: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise PermissionError(13, "Permission denied")

    if refusal == "access":
        monkeypatch.setattr(os, "access", lambda *arguments: False)
    else:
        monkeypatch.setattr(automatic, "export_automatically", refuse)
    assert "cannot be written" in choice(run).reason
    assert open_translator([run], [], "cpu").translate(["a book"])[0].text


def test_an_export_that_translates_otherwise_is_not_used_and_not_made_again(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Parity(100, 0.5, 0.5, None, None, "greedy: 50 of 100 lines have the same translation")
    monkeypatch.setattr(automatic, "compare", lambda *arguments, **options: failed)
    chosen = choice(run)
    assert chosen.engine == "torch" and "50 of 100" in chosen.reason
    assert [path.name for path in exports_folder(run).iterdir() if path.is_dir()] == []
    monkeypatch.delattr(automatic, "export_automatically")
    assert choice(run) == chosen


@pytest.mark.parametrize("chrf, weight_type", [(39.8, "int8"), (39.6, "float32")])
def test_the_type_of_weights_is_measured_once_and_stands_in_the_run(
    chrf: float, weight_type: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = None if chrf > 39.7 else "chrF is lower"
    measured = Parity(20, 0.9, None, (20.0, 19.9), "signature", problem, (40.0, chrf))
    monkeypatch.setattr(automatic, "compare_quantized", lambda *arguments: measured)
    monkeypatch.setattr(automatic, "development_sample", lambda *arguments: Sample(["a"], ["b"]))
    recipe = run / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("precision: fp32", "precision: auto"))
    chosen = choice(run)
    assert (chosen.engine, chosen.quantization) == ("ctranslate2", weight_type)
    scores = "BLEU 19.90 against 20.00, chrF 39.80 against 40.00"
    as_good = f"int8 is as good as float32: {scores}, greedily on 20 development lines"
    assert chosen.reason == as_good if problem is None else problem in chosen.reason
    record = json.loads((exports_folder(run) / AUTO_FILE).read_text())
    assert record["quantization"] == weight_type and record["figures"]["float32"]["greedy"] >= 0.99
    assert (exports_folder(run) / "ctranslate2-int8").exists() == (problem is None)
    assert choice(run, settings=("search.precision=fp32",)).quantization == "float32"


@pytest.mark.parametrize("record", ["{", "[]", '{"engine": "ctranslate2"}', "engine of a newer version"])
def test_a_record_of_exports_that_cannot_be_used_is_made_anew(record: str, run: Path) -> None:
    choice(run)
    path, listener = exports_folder(run) / AUTO_FILE, Listener()
    written = json.loads(path.read_text())
    path.write_text(json.dumps(written | {"engine": "tensorrt"}) if "newer" in record else record)
    assert choice(run, reporter=listener).engine == "ctranslate2"
    assert listener.said == [f"exporting {run} for CTranslate2, once for this checkpoint"]
    assert json.loads(path.read_text())["engine"] == "ctranslate2"


def test_without_development_text_weights_are_not_rounded(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automatic, "development_sample", lambda *arguments: None)
    recipe = run / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("precision: fp32", "precision: auto"))
    assert choice(run).text == "engine ctranslate2, float32: there is no development text to judge int8 by"


@pytest.mark.parametrize(
    "flags, instructions",
    [
        ("fpu avx2 avx512f avx512bw avx512cd avx512dq avx512vl avx512_bf16 amx_tile", "AVX512"),
        ("fpu avx2 avx512f avx512bw avx512cd avx512dq avx512vl", None),  # of the first generation
        ("fpu avx2", None),
        (None, None),  # not Linux, or not x86-64
    ],
)
def test_ctranslate2_uses_avx512_where_that_is_faster(
    flags: str | None, instructions: str | None, tmp_path: Path
) -> None:
    cpu_info = tmp_path / "cpuinfo"
    if flags is not None:
        cpu_info.write_text(f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert ctranslate2_support.fastest_instructions(cpu_info) == instructions


def test_where_nobody_asks_greedy_search_computes_no_scores(
    exported: Path, auto_engine: None, nmt: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And translates as with them."""
    asked: list[tuple[int, bool]] = []

    def search_options(self: CTranslate2Engine, config: SearchConfig) -> dict[str, Any]:
        options = own_options(self, config)
        asked.append((config.beam, options["return_scores"]))
        return options

    own_options = CTranslate2Engine._options
    monkeypatch.setattr(CTranslate2Engine, "_options", search_options)
    lines = "".join(line.decode(errors="replace").strip() + "\n" for line in TABLE).encode()
    command = ["translate", exported, "--device", "cpu", "--set", "search.repair_degenerate=false", "--beam"]
    _, greedy, _ = nmt(*command, "1", stdin=lines)
    assert set(asked) == {(1, False)}
    asked.clear()
    nmt(*command, "5", stdin=lines)
    assert set(asked) == {(5, True)}
    asked.clear()
    _, records, _ = nmt(*command, "1", "--jsonl", stdin=lines)
    assert set(asked) == {(1, True)}
    assert [json.loads(record)["translation"] for record in records.split("\n")[:-1]] == greedy.split("\n")[:-1]


def test_the_environment_can_ask_for_our_own_search(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENGINE_VARIABLE, "torch")
    assert choice(exported).reason == f"{ENGINE_VARIABLE} is set"


def test_all_processes_of_a_translation_open_the_same_engine(exported: Path, auto_engine: None) -> None:
    spec, chosen = TranslatorSpec((str(exported),), device="cpu").resolve(Listener())
    assert (spec.engine, spec.quantization) == (chosen.engine, chosen.quantization) == ("ctranslate2", "float32")


def test_a_translation_reads_its_recipe_once(
    exported: Path, auto_engine: None, nmt: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    load = opening.load_run_recipe
    monkeypatch.setattr(opening, "load_run_recipe", lambda *given, **named: read.append(given) or load(*given, **named))
    assert nmt("translate", exported, "--device", "cpu", "--keep", "book", stdin=b"a book\n")[0] == 0
    assert len(read) == 1


@pytest.mark.parametrize(
    "options, engine",
    [
        ([], "ctranslate2"), (["--exact"], "torch"), (["--n-best", "2"], "torch"), (["--alignments"], "torch"),
        (["--prefix", "prefixes"], "ctranslate2"), (["--beam", "1", "--jsonl"], "ctranslate2"),
        (["--processes", "2"], "ctranslate2"),
    ],
)  # fmt: skip
def test_every_option_works_by_the_engine_that_is_said(
    options: list[str],
    engine: str,
    exported: Path,
    auto_engine: None,
    nmt: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("prefixes").write_text("Der\n\n\n")
    monkeypatch.setattr(Reporter, "on_terminal", True)
    monkeypatch.setattr(Reporter, "line_progress", lambda *arguments: nullcontext())
    code, out, err = nmt("translate", exported, "--device", "cpu", *options, stdin=b"a book\n\ntwo dogs\n")
    said = [line for line in err.splitlines() if line.startswith("engine ")]
    assert code == 0 and len(said) == 1 and said[0].split()[1].rstrip(",") == engine, err
    assert len(out.splitlines()) == (5 if "--n-best" in options else 3)
    assert "--prefix" not in options or out.startswith("Der")


def test_where_a_word_must_be_put_in_by_attention_it_is_that_of_our_own_model(exported: Path) -> None:
    own, theirs = (open_translator([exported], [], "cpu", engine=engine) for engine in ("torch", "ctranslate2"))
    pairs = [([5, 6, 7], [8, 9]), ([5], [6])]
    assert theirs.word_alignments(pairs) == own.word_alignments(pairs) != [None, None]


def test_where_the_checkpoint_cannot_be_read_what_is_copied_is_put_in_proportion_as_is_said_once(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(exported, tmp_path / "run")
    for weights in run.rglob("*.safetensors"):
        weights.unlink()
    translator = open_translator([run], [], "cpu", engine="ctranslate2")
    lines = ["a book", "see https://example.org/a for the book"]
    for _ in range(2):
        first, second = translator.translate(lines)
        assert first.text and "https://example.org/a" in second.text
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith("warning: ")
    assert "; without attention, copied text is placed about where it stands in the source" in warning


def test_attention_beside_ctranslate2_is_used_batch_by_batch(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = ["search.beam=1", "search.tokens_per_batch=24"]
    translator = open_translator([exported], overrides, "cpu", engine="ctranslate2")
    shapes: list[tuple[int, int]] = []
    last_weights: list[weakref.ref[Any]] = []

    def attention(self: TorchEngine, sources: list[list[int]], targets: list[list[int]]) -> Any:
        assert not any(weights() is not None for weights in last_weights)
        shapes.append((len(sources), max(map(len, sources)) + 1))
        all_weights = attention_weights(self.model, sources, targets)
        last_weights[:] = map(weakref.ref, all_weights or [])
        return all_weights

    monkeypatch.setattr(TorchEngine, "attention", attention)
    assert None not in translator.word_alignments([([5] * length, [6]) for length in (3, 2, 30, 3, 11, 2, 2, 2)])
    assert shapes == [(1, 31), (2, 12), (5, 4)]


def test_a_line_does_not_depend_on_its_batch(exported: Path) -> None:
    lines = [line.decode(errors="replace") for line in TABLE]
    own = open_translator([exported], ["search.max_length=6"], "cpu", engine="torch")
    certain = clear_lines(own, lines)
    translator = open_translator([exported], ["search.max_length=6"], "cpu", engine="ctranslate2")
    together = translator.translate(lines)
    for line, sure, translation in zip(lines, certain, together, strict=True):
        (alone,) = translator.translate([line])
        assert not sure or alone.text == translation.text
        assert alone.warnings == translation.warnings


def test_blocks_that_are_translated_at_a_time_do_not_disturb_each_other(exported: Path) -> None:
    lines = [line.decode(errors="replace").strip() for line in TABLE] * 3
    own = open_translator([exported], ["search.max_length=6"], "cpu", engine="torch")
    certain = clear_lines(own, lines)
    translator = open_translator([exported], ["search.max_length=6"], "cpu", engine="ctranslate2")
    assert translator.engine.concurrent_searches > 1
    blocks = BlockReader(io.BytesIO("".join(f"{line}\n" for line in lines).encode()))
    blocks.block_lines = 1
    at_a_time = [translated.translation for translated in parallel.translate_blocks(translator, blocks)]
    for sure, translation, expected in zip(certain, at_a_time, translator.translate(lines), strict=True):
        assert not sure or translation.text == expected.text
        assert translation.warnings == expected.warnings


class Recorder:
    """Translates blocks of one line: into its capital, where the next line has arrived meanwhile."""

    def __init__(self, concurrent_searches: int) -> None:
        self.engine = SimpleNamespace(concurrent_searches=concurrent_searches)
        self.begun: dict[str, threading.Event] = {line: threading.Event() for line in "abc"}
        self.threads: set[int] = set()

    def translate(self, lines: list[str], prefixes: None) -> list[Translation]:
        (line,) = lines
        self.threads.add(threading.get_ident())
        self.begun[line].set()
        if line == "a" and self.engine.concurrent_searches > 1:
            assert self.begun["b"].wait(30)
        return [Translation([Candidate(line.upper(), 0.0, 0.0)])]


@pytest.mark.parametrize("concurrent_searches", [1, 2])
def test_blocks_are_translated_at_a_time_as_far_as_the_engine_can(concurrent_searches: int) -> None:
    """What has arrived is begun; what has not is not waited for while there is something to answer."""
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb", buffering=0) as stream, os.fdopen(write_end, "wb", buffering=0) as source:
        blocks = BlockReader(stream)
        blocks.block_lines = 1
        source.write(b"a\nb\n")
        recorder: Any = Recorder(concurrent_searches)
        generator = parallel.translate_blocks(recorder, blocks)
        translated = [next(generator), next(generator)]
        source.write(b"c\n")
        source.close()
        translated += generator
    assert [each.text for each in translated] == ["A", "B", "C"]
    assert (threading.get_ident() in recorder.threads) == (concurrent_searches == 1)


SLOW_SEARCH = """
import time
from nmt_cli.cli.entry import main
from nmt_cli.export.ctranslate2_engine import CTranslate2Engine
CTranslate2Engine.search = lambda *arguments: print("searching", flush=True) or time.sleep(100)
main()
"""


def test_an_interrupt_does_not_wait_for_what_is_searched(exported: Path, auto_engine: None) -> None:
    command = [sys.executable, "-c", SLOW_SEARCH, "translate", str(exported), "--device", "cpu"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(b"a book\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"searching\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(50) == 130
        assert process.stderr.read() == b"nmt: interrupted\n"
