"""A MarianMT folder, loaded by transformers' own classes."""

import errno
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.torch_engine import TorchEngine
from nmt_cli.errors import RunError, UserError
from nmt_cli.export import huggingface
from nmt_cli.export.exporting import export
from nmt_cli.fs import atomic_write_text
from nmt_cli.models.configs import RNNConfig, TransformerConfig
from nmt_cli.models.contract import Sequences
from nmt_cli.recipe.loader import build_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder
from nmt_cli.runs.loading import build_model, open_run
from nmt_cli.vocabulary import Vocabulary
from tests.margins import give_clear_text, watched

transformers = pytest.importorskip("transformers")
QUIET = Reporter(quiet=True)
SMALL = {
    "d_model": 16, "heads": 4, "encoder_layers": 2, "decoder_layers": 2, "d_ff": 32,
    "norm_position": "post", "norm_epsilon": 1e-5,
}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    "as_marian": {"positions": "sinusoidal_marianmt", "activation": "swish"},
    "halves_gelu_target": {
        "positions": "sinusoidal_halves", "activation": "gelu", "tied_embeddings": "target",
    },
    "learned_none_grouped": {
        "positions": "learned", "max_positions": 48, "tied_embeddings": "none",
        "key_value_heads": 2, "decoder_layers": 1,
    },
    "unscaled_no_positions": {"positions": "none", "scaled_attention": False},
    "paper": {"positions": "sinusoidal"},
}  # fmt: skip


def random_run(folder: Path, tokenizers: Tokenizers, model: dict[str, Any]) -> Path:
    """A run with random weights, biases included, that seldom ends a sentence."""
    run = RunFolder(folder)
    run.checkpoints.folder.mkdir(parents=True)
    recipe = build_recipe(
        {
            "name": "random",
            "corpus": {"source": "en", "target": "de"},
            "tokenizer": {"joint": tokenizers.joint},
            "model": {"type": "transformer", **model},
            "search": {"beam": 3, "max_length": 12, "precision": "fp32"},
        }
    )
    atomic_write_text(run.recipe_path, recipe.to_yaml())
    run.write_json("manifest.json", {"fingerprint": "0"})
    tokenizers.save(folder)
    draw = torch.Generator().manual_seed(3)
    tensors = {
        name: value.detach() + scale * torch.randn(value.shape, generator=draw)
        for name, value in build_model(recipe, tokenizers.vocabulary).named_parameters()
        for scale in [0.6 if "coder." in name else 0.1]
    }
    tensors["output.bias"][3] -= 4
    run.checkpoints.save_best(10, tensors, {})
    return folder


@pytest.fixture(scope="module", params=list(VARIANTS))
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory,
    tokenizer: TextTokenizer,
) -> tuple[Path, Path]:  # fmt: skip
    """The run and what was made of it."""
    model = SMALL | VARIANTS[request.param]
    joint = model.get("tied_embeddings", "all") == "all"
    other = tokenizer if joint else TextTokenizer(tokenizer.backend)
    folder = tmp_path_factory.mktemp("huggingface")
    run = random_run(folder / "run", Tokenizers(tokenizer, other), model)
    opened = open_run(run, torch.device("cpu"), "fp32")
    (folder / "out").mkdir()
    search = opened.recipe.search
    huggingface.export_model(opened.model, opened.tokenizers, search, folder / "out", "float32")
    return run, folder / "out"


def test_an_export_is_checked_against_the_run(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    model = SMALL | {"norm_epsilon": 1e-6, "decoder_layers": 1}
    run = random_run(tmp_path / "run", Tokenizers(tokenizer, tokenizer), model)
    count = give_clear_text(run)
    export_result = export(run, "huggingface", tmp_path / "out", QUIET)
    assert (export_result.parity.lines, export_result.parity.greedy, export_result.parity.beam) == (count, 1.0, 1.0)
    written = json.loads((tmp_path / "out/export.json").read_text())
    assert set(written["files"]) == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json",
    }  # fmt: skip
    languages = {"source_lang": "en", "target_lang": "de"}
    assert languages.items() <= json.loads((tmp_path / "out/tokenizer_config.json").read_text()).items()


@pytest.mark.parametrize("error", [SafetensorError("No space left on device"), OSError(errno.ENOSPC, "No space left")])
def test_a_full_disk_is_said_with_the_folder(
    error: Exception, tmp_path: Path, tokenizer: TextTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    run = random_run(tmp_path / "run", Tokenizers(tokenizer, tokenizer), SMALL)
    monkeypatch.setattr(huggingface, "write_tensors", fail)
    with pytest.raises(RunError, match=f"^{tmp_path / 'out'}: cannot be written: No space left"):
        export(run, "huggingface", tmp_path / "out", QUIET)
    assert not (tmp_path / "out").exists()


def test_logits_are_the_same(exported: tuple[Path, Path]) -> None:
    ours = open_run(exported[0], torch.device("cpu"), "fp32").model
    theirs = transformers.MarianMTModel.from_pretrained(exported[1]).eval()
    source = Sequences(torch.tensor([[9, 280, 17, 3], [290, 3, 0, 0]]), torch.tensor([4, 2]))
    target = Sequences(torch.tensor([[2, 270, 40], [2, 280, 7]]), torch.tensor([3, 3]))
    with torch.no_grad():
        expected = ours.output_logits(ours(source, target))
        mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
        logits = theirs(source.ids, attention_mask=mask, decoder_input_ids=target.ids).logits
    assert expected.std() > 0.1
    assert torch.allclose(expected, logits, atol=1e-4), (expected - logits).abs().max()


def test_transformers_alone_translates_text_to_the_same_text(exported: tuple[Path, Path]) -> None:
    run, folder = exported
    model = transformers.MarianMTModel.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    target = folder / "target"
    decoder = transformers.AutoTokenizer.from_pretrained(target if target.is_dir() else folder)
    lines = ["The old man reads a book.", "two dogs </s> — „schön“", "don't"]
    batch = tokenizer(lines, return_tensors="pt", padding=True)
    opened = open_run(run, torch.device("cpu"), "fp32")
    ids = opened.tokenizers.source.encode(lines)
    assert [row[:n] for row, n in zip(batch.input_ids.tolist(), batch.attention_mask.sum(1), strict=True)] == [
        [*token_ids, 3] for token_ids in ids
    ]
    output_ids = model.generate(
        input_ids=batch.input_ids, attention_mask=batch.attention_mask,
        num_beams=1, early_stopping=False, length_penalty=1.0, max_length=13,
    )  # fmt: skip
    texts = decoder.batch_decode(output_ids, skip_special_tokens=True)
    config = SearchConfig(beam=1, max_length=12)
    assert all(sure for sure, _ in watched(opened.model, ids, config))
    best = [hypotheses[0].ids for hypotheses in TorchEngine(opened.model).search(ids, config)]
    assert [row[1 : row.index(3) if 3 in row else None] for row in output_ids.tolist()] == best
    ours = opened.tokenizers.target.decode(best)
    for text, our_text in zip(texts, ours, strict=True):  # of bytes that form no character the library makes U+FFFD
        assert text == our_text or ("\ufffd" in text and "\ufffd" not in our_text)
    assert all(best)


def test_what_search_finds_when_it_is_told_nothing_is_what_the_recipe_says(exported: tuple[Path, Path]) -> None:
    settings = transformers.GenerationConfig.from_pretrained(exported[1])
    assert (settings.num_beams, settings.length_penalty) == (3, 1.0)
    assert (settings.decoder_start_token_id, settings.eos_token_id) == (2, 3)


@pytest.mark.parametrize(
    "option, said",
    [
        ({"norm_position": "pre"}, "model.norm_position: MarianMT does not support pre"),
        ({"norm": "rms"}, "model.norm: MarianMT does not support rms"),
        ({"activation": "swiglu"}, "model.activation: MarianMT does not support swiglu"),
        ({"positions": "rotary"}, "model.positions: MarianMT does not support rotary"),
    ],
)
def test_what_does_not_fit_is_said_before_training(option: dict[str, str], said: str) -> None:
    config = TransformerConfig.model_validate(SMALL | option)
    assert huggingface.incompatibilities(config, SearchConfig()) == [said]


def test_other_models_and_searches_are_said() -> None:
    assert huggingface.incompatibilities(RNNConfig(), SearchConfig()) == [
        "model.type: MarianMT is a transformer, not rnn"
    ]
    search = SearchConfig(length_normalization="gnmt", coverage_penalty=0.1)
    assert huggingface.incompatibilities(TransformerConfig.model_validate(SMALL), search) == [
        "search.length_normalization: transformers supports average and none, not gnmt",
        "search.coverage_penalty: transformers does not support it: set it to 0",
    ]


def test_the_engine_refuses_what_generate_does_not_do_as_we_do(exported: tuple[Path, Path]) -> None:
    engine = huggingface.load_engine(exported[1], "cpu", "float32")
    for config, prefixes in ((SearchConfig(sampling=True), None), (SearchConfig(), [[5]])):
        with pytest.raises(UserError, match=r"no search\.sampling and no prefixes") as caught:
            engine.search([[5]], config, prefixes)
        assert caught.value.hint == "use engine torch"


def test_generation_is_told_what_the_recipe_says_of_lengths_and_repetitions() -> None:
    search = SearchConfig(beam=1, min_length=2, max_length=30, no_repeat_ngram=3)
    vocabulary = Vocabulary(source_size=60, target_size=60, joint=True)
    generation_config = huggingface._generation_config(vocabulary, search, 512)
    assert (generation_config.min_new_tokens, generation_config.max_length, generation_config.no_repeat_ngram_size) == (
        2,
        32,
        3,
    )
    assert huggingface._generation_config(vocabulary, SearchConfig(), 512).max_length == 512
