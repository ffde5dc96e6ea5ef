"""Graphs of every model, run by onnxruntime."""

import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.torch_engine import TorchEngine
from nmt_cli.errors import UserError
from nmt_cli.export import onnx, onnx_engine
from nmt_cli.export.exporting import export
from nmt_cli.export.onnx_engine import OnnxEngine
from nmt_cli.models import MODELS
from nmt_cli.models.contract import Autoregressive, NonAutoregressive, Sequences, TranslationModel
from nmt_cli.models.rnn import RNN
from nmt_cli.reporting import Reporter
from nmt_cli.runs.loading import open_run
from nmt_cli.vocabulary import Vocabulary
from tests.conftest import translated_by_documented
from tests.margins import assert_found, give_clear_text, watched

onnxruntime = pytest.importorskip("onnxruntime")
CPU = torch.device("cpu")
CASES = [
    pytest.param(name, n, marks=pytest.mark.slow if n else [])
    for name, m in MODELS.items()
    for n in range(len(m.config_class.tiny_configs()))
]
SHAPES = ((2, 3, 4), (5, 9, 3), (1, 1, 6))  # sentences, source and target tokens; none as in tracing
Model = TranslationModel[Any]
NO_TOKENIZERS: Any = None  # graphs read and write ids


def random_model(name: str, number: int) -> Model:
    config = MODELS[name].config_class.tiny_configs()[number]
    joint = getattr(config, "tied_embeddings", "all") == "all"
    size = 23 if joint else 19
    torch.manual_seed(4)
    vocabulary = Vocabulary(source_size=size, target_size=23, joint=joint)
    model = MODELS[name](config, vocabulary).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_exporter_of_pytorch_says_nothing_on_the_terminal(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = random_model(name, 0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        onnx.export_model(model, NO_TOKENIZERS, SearchConfig(), tmp_path, "float32")
    assert (capfd.readouterr(), [str(warning.message) for warning in caught]) == (("", ""), [])


def test_what_a_model_or_another_library_says_is_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = random_model("rnn", 0)

    def warn(*_: object) -> None:
        warnings.warn("of the model", stacklevel=1)
        os.write(2, b"of a library in C++\n")

    model.register_forward_pre_hook(warn)
    next(model.children()).register_forward_pre_hook(warn)
    with pytest.warns(UserWarning, match="of the model"):
        onnx.export_model(model, NO_TOKENIZERS, SearchConfig(), tmp_path, "float32")
    assert set(capfd.readouterr().err.splitlines()) == {"of a library in C++"}


def source_of(count: int, size: int) -> Sequences:
    draw = torch.Generator().manual_seed(count)
    lengths = torch.randint(1, size + 1, (count,), generator=draw)
    return Sequences(torch.randint(4, 19, (count, size), generator=draw), lengths)


@torch.no_grad()
def difference(ours: Model, theirs: Model, count: int, size: int, steps: int) -> float:
    """The largest absolute difference between the logits of a model and of its export."""
    source = source_of(count, size)
    if isinstance(ours, NonAutoregressive):
        assert isinstance(theirs, NonAutoregressive)
        hidden, emitted = ours(source)
        logits, lengths = theirs(source)
        assert torch.equal(emitted, lengths)
        real = torch.arange(hidden.shape[1]) < emitted[:, None]
        return float((ours.output_logits(hidden) - logits).abs()[real].max())
    assert isinstance(ours, Autoregressive)
    ids = torch.randint(4, 19, (count, steps), generator=torch.Generator().manual_seed(steps))
    target = Sequences(ids, torch.full((count,), steps))
    return float((ours.output_logits(ours(source, target)) - theirs(source, target)).abs().max())


@pytest.mark.parametrize("name, number", CASES)
def test_scores_and_searches_are_the_same(
    tmp_path: Path, name: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_model(name, number)
    onnx.export_model(model, NO_TOKENIZERS, SearchConfig(), tmp_path, "float32")
    engine = OnnxEngine(tmp_path, CPU)
    for shape in SHAPES:
        assert difference(model, engine.model, *shape) < 1e-4, shape
    sources = [[5, 6], [7, 8, 9, 10, 11, 12, 13], [11]]
    targets = [[6, 5, 9], [], [12]]
    for method in ("log_probabilities", "token_log_probabilities"):  # of logits that differ by less than 1e-4
        expected, scores = (getattr(e, method)(sources, targets, SearchConfig()) for e in (TorchEngine(model), engine))
        assert (scores is None) == (expected is None)
        for score, expected_score in zip(scores or (), expected or (), strict=True):
            assert score == pytest.approx(expected_score, abs=1e-3)
        with monkeypatch.context() as patch:  # each pair by itself, so that fewer logits are kept
            patch.setattr(onnx_engine, "MAX_LOGITS", 8 * engine.model.vocabulary.target_size)
            assert engine._max_pair_positions(SearchConfig()) == 8
            for score, expected_score in zip(
                getattr(engine, method)(sources, targets, SearchConfig()) or (), expected or (), strict=True
            ):
                assert score == pytest.approx(expected_score, abs=1e-3)
    for beam in (1, 3):
        config = SearchConfig(beam=beam, max_length=9)
        results = engine.search(sources, config)
        if isinstance(model, Autoregressive):
            assert_found(results, model, sources, config)
        else:  # the best path's score is the sum of the best of each position, whichever these are
            scores = [hypotheses[0].score for hypotheses in TorchEngine(model).search(sources, config)]
            assert [hypotheses[0].score for hypotheses in results] == pytest.approx(scores, abs=1e-4)


class Untraceable(RNN):
    """Fails as a model does that PyTorch cannot trace."""

    def init_state(self, source: Sequences, beam_size: int, max_steps: int) -> Any:
        raise RuntimeError("no such operator\nand a long explanation")


def test_a_model_that_cannot_be_traced_is_a_user_error_in_one_line(tmp_path: Path) -> None:
    model = random_model("rnn", 0)
    model.__class__ = Untraceable
    with pytest.raises(UserError, match=r"^model\.type: rnn cannot be exported to onnx: no such operator$"):
        onnx.export_model(model, NO_TOKENIZERS, SearchConfig(), tmp_path, "float32")


def test_a_model_whose_state_is_not_made_of_tensors_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RNN, "exportable_state", None)
    (reason,) = onnx.incompatibilities(RNN.config_class(type="rnn"), SearchConfig())
    assert reason == "model.type: the state of rnn is not made of named tensors (exportable_state)"


def test_config_json_names_what_goes_in_and_out(tmp_path: Path) -> None:
    onnx.export_model(random_model("rnn", 1), NO_TOKENIZERS, SearchConfig(beam=4), tmp_path, "float32")
    config = json.loads((tmp_path / "config.json").read_text())
    for part in ("encoder", "decoder_step"):
        session = onnxruntime.InferenceSession(str(tmp_path / config[part]["file"]))
        assert config[part]["outputs"] == [tensor_info.name for tensor_info in session.get_outputs()]
        assert {tensor_info.name for tensor_info in session.get_inputs()} <= set(config[part]["inputs"])
    assert set(config["encoder"]["outputs"]) == {*config["memory"], *config["state"]}
    assert config["special_tokens"] == {"pad": 0, "unknown": 1, "start": 2, "end": 3}
    assert (config["model"], config["beam"], config["first_token"]) == ("rnn", 4, 2)


@pytest.mark.parametrize("name", ["transformer", "ctc"])
def test_a_folder_whose_name_the_locale_does_not_decode_is_written_and_opened(name: str, tmp_path: Path) -> None:
    folders = [tmp_path / "text", tmp_path / os.fsdecode(b"\xff")]
    for folder in folders:
        folder.mkdir()
        onnx.export_model(random_model(name, 0), NO_TOKENIZERS, SearchConfig(), folder, "float32")
    for file in folders[0].iterdir():
        assert (folders[1] / file.name).read_bytes() == file.read_bytes()
    texts, undecoded = (OnnxEngine(folder, CPU).search([[5, 6]], SearchConfig()) for folder in folders)
    assert texts == undecoded


def test_tables_of_positions_are_as_long_as_search_asks_for(tmp_path: Path) -> None:
    model = random_model("transformer", 0)
    search = SearchConfig(max_source_length=1200, max_length=1500)
    onnx.export_model(model, NO_TOKENIZERS, search, tmp_path, "float32")
    engine = OnnxEngine(tmp_path, CPU)
    assert (engine.max_source_positions, engine.max_target_positions) == (1501, 1501)
    assert difference(model, engine.model, 1, 1150, 2) < 1e-4
    (reason,) = engine.search_differences(SearchConfig(coverage_penalty=0.2))
    assert reason == "search.coverage_penalty: the graphs do not return attention"


def test_the_program_in_the_docs_translates_as_the_run_does(tmp_path: Path, tiny_run: Path) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    give_clear_text(tmp_path / "run")
    exported = export(tmp_path / "run", "onnx", tmp_path / "out", Reporter(quiet=True))
    assert (exported.parity.greedy, exported.parity.beam) == (1.0, 1.0)
    lines = ["The old man reads a book.", "dogs", "Two dogs don't see 1995 houses"]
    printed = translated_by_documented("import onnxruntime", tmp_path / "out", lines)
    run = open_run(tiny_run, CPU, "fp32")
    ids = Tokenizers.load(tiny_run).source.encode(lines)
    longest = int(1.5 * (max(map(len, ids)) + 1) + 10)
    search = SearchConfig(beam=1, max_length=longest)
    assert all(sure for sure, _ in watched(run.model, ids, search))
    best = [hypotheses[0].ids for hypotheses in TorchEngine(run.model).search(ids, search)]
    assert all(best)
    texts = [text[:12] for text in run.tokenizers.target.decode(best)]
    assert [text[:12] for text in printed] == texts
