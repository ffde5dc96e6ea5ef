"""nmt import: a MarianMT folder that transformers wrote becomes a run."""

import errno
import io
import json
import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from nmt_cli.commands.average import average
from nmt_cli.commands.import_marian import import_marian
from nmt_cli.commands.train import train
from nmt_cli.data.tokenization.sentencepiece import read_sentencepiece
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.torch_engine import TorchEngine
from nmt_cli.errors import DataError, RunError, UserError
from nmt_cli.export import huggingface, marianmt
from nmt_cli.export.exporting import export
from nmt_cli.export.marianmt import MarianFolder, search_section
from nmt_cli.recipe.loader import build_recipe, load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder
from nmt_cli.runs.loading import open_run
from nmt_cli.runs.preparation import prepare_recipe
from nmt_cli.serving.jobs import JobQueue
from nmt_cli.serving.metrics import Metrics
from nmt_cli.serving.service import TranslationRequest, TranslationService
from nmt_cli.serving.settings import Limits, ServedRun
from nmt_cli.training.checkpoints import Checkpointer
from tests.margins import assert_found, clear_lines, watched
from tests.opening import open_translator

transformers = pytest.importorskip("transformers")
sentencepiece = pytest.importorskip("sentencepiece")
pytestmark = pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
QUIET = Reporter(quiet=True)
CPU = torch.device("cpu")
WORDS = """the a old new man woman dog house reads sees likes book letter and not very good
der die das ein alte neue Mann Frau Hund Haus liest sieht mag Buch Brief und nicht"""
ENGLISH, GERMAN = (line.split() for line in WORDS.splitlines())
LINES = ["The old man reads a book.", "two dogs  see 1995 ½ ﬁne houses Äpfel", ">>deu<< Café"]


def sentences(words: list[str], count: int = 300) -> list[str]:
    draw = random.Random(len(words))
    return [" ".join(draw.choices(words, k=draw.randint(2, 9))) + " ." for _ in range(count)]


def spm(words: list[str], kind: str) -> bytes:
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences(words)), model_writer=out, vocab_size=70,
        model_type=kind, minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    return out.getvalue()


def piece_names(model: bytes) -> list[str]:
    opened = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [opened.id_to_piece(number) for number in range(3, opened.get_piece_size())]


def opus_folder(folder: Path, kind: str = "unigram", **config: Any) -> Path:
    """A folder as those of OPUS-MT: two SentencePiece models over one list of pieces."""
    folder.mkdir(parents=True)
    models = {"source": spm(ENGLISH, kind), "target": spm(GERMAN, kind)}
    names = [name for model in models.values() for name in piece_names(model)]
    # as in OPUS-MT, some pieces of SentencePiece are missing in the list
    pieces = ["</s>", "<unk>", *dict.fromkeys(names[5:]), ">>deu<<", "<pad>"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    for side, model in models.items():
        (folder / f"{side}.spm").write_bytes(model)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    tokenizer = transformers.MarianTokenizer(
        str(folder / "source.spm"), str(folder / "target.spm"), str(folder / "vocab.json"),
        source_lang="en", target_lang="de",
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    last = len(pieces) - 1
    settings = {
        "vocab_size": len(pieces), "d_model": 16, "encoder_layers": 2, "decoder_layers": 1,
        "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 24,
        "decoder_ffn_dim": 24, "activation_function": "swish", "scale_embedding": True,
        "max_position_embeddings": 64, "pad_token_id": last, "decoder_start_token_id": last,
        "eos_token_id": 0, "forced_eos_token_id": None, "init_std": 0.4,
    }  # fmt: skip
    torch.manual_seed(2)
    model = transformers.MarianMTModel(transformers.MarianConfig(**settings | config))
    model.final_logits_bias.normal_()
    model.final_logits_bias[0, 0] = -6.0  # few ends
    model.generation_config = transformers.GenerationConfig(
        num_beams=3, length_penalty=0.8, bad_words_ids=[[last]], max_length=20, early_stopping=True,
        pad_token_id=last, eos_token_id=0, decoder_start_token_id=last,
    )  # fmt: skip
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def opus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return opus_folder(tmp_path_factory.mktemp("hub") / "opus-mt-en-de")


@pytest.fixture(scope="module")
def run(opus: Path) -> Path:
    out = opus.parent / "run"
    import_marian(opus, out)
    return out


def generated(folder: Path, lines: list[str], longest: int = 10) -> tuple[list[list[int]], Any]:
    model = transformers.MarianMTModel.from_pretrained(folder)
    tokenizer = transformers.MarianTokenizer.from_pretrained(folder)
    batch = tokenizer(lines, return_tensors="pt", padding=True)
    output_ids = model.generate(
        input_ids=batch.input_ids, attention_mask=batch.attention_mask, num_beams=1,
        max_length=longest + 1, early_stopping=False, length_penalty=1.0,
    )  # fmt: skip
    end = tokenizer.eos_token_id
    rows = [row[1 : row.index(end, 1) if end in row[1:] else None] for row in output_ids.tolist()]
    return rows, tokenizer


VARIANTS: dict[str, dict[str, Any]] = {
    "opus": {},
    "bpe": {"kind": "bpe"},
    "unscaled": {"scale_embedding": False, "activation_function": "gelu"},
    "own_output": {"tie_word_embeddings": False},
    "own_tables": {"share_encoder_decoder_embeddings": False},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(VARIANTS))
def test_both_cut_score_and_translate_alike(tmp_path: Path, name: str) -> None:
    folder = opus_folder(tmp_path / "hub", **VARIANTS[name])
    import_marian(folder, tmp_path / "run")
    opened = open_run(tmp_path / "run", CPU, "fp32")
    expected, tokenizer = generated(folder, LINES)
    ids = opened.tokenizers.source.encode(LINES)
    assert [[*token_ids, 0] for token_ids in ids] == tokenizer(LINES).input_ids
    assert opened.tokenizers.target.encode(GERMAN) == [
        token_ids[:-1] for token_ids in tokenizer(text_target=GERMAN).input_ids
    ]
    greedy = SearchConfig(beam=1, max_length=10)
    assert all(sure for sure, _ in watched(opened.model, ids, greedy))
    best = [hypotheses[0].ids for hypotheses in TorchEngine(opened.model).search(ids, greedy)]
    assert best == expected and all(best)
    hidden = tokenizer.unk_token_id
    shown = [[i for i in row if i != hidden] for row in best]
    assert opened.tokenizers.target.decode(shown) == tokenizer.batch_decode(shown, skip_special_tokens=True)


def test_the_recipe_says_what_the_folder_said(run: Path) -> None:
    recipe = load_recipe(run / "recipe.yaml")
    assert (recipe.corpus.source, recipe.corpus.target) == ("en", "de")
    assert (recipe.search.beam, recipe.search.length_penalty) == (3, 0.8)
    assert recipe.tokenizer.type == "unigram" and recipe.tokenizer.joint
    assert recipe.model.model_dump()["positions"] == "sinusoidal_marianmt"


@pytest.mark.precision
def test_an_imported_run_translates_lines_with_its_own_settings(run: Path) -> None:
    texts = [translation.text for translation in open_translator([run], []).translate([*LINES, ""])]
    assert len(texts) == 4 and all(texts[:3]) and texts[3] == ""


@pytest.mark.precision
def test_each_part_of_a_long_line_has_its_language_code(run: Path) -> None:
    opened = open_translator([run], ["search.max_source_length=12"])
    source = opened.tokenizers.source
    line = ">>deu<< The old man reads a book. Two dogs see a house. The woman likes a letter."
    (plan,) = opened.planner.plan([line])
    parts = plan.units
    (code,) = source.encode([">>deu<<"])[0]
    assert len(parts) > 2 and all(part.source_ids[0] == code and len(part.source_ids) <= 12 for part in parts)
    assert not any(">>" in part.segment.text for part in parts)
    plain = line.removeprefix(">>deu<< ")
    assert "".join(part.segment.text for part in parts).replace(" ", "") == plain.replace(" ", "")


def test_each_part_of_a_served_text_has_its_language_code(run: Path) -> None:
    served = ServedRun("run", run, "en", "de", "transformer", True)
    service = TranslationService([served], JobQueue(10, Metrics()), Limits())
    request = TranslationRequest([">>deu<< The old man reads. Two dogs see it."], "en", "de", assess=True)
    ((line,),) = service._plan(request.texts, [served], request)
    assert [piece.text for piece in line.pieces] == [">>deu<< The old man reads.", ">>deu<< Two dogs see it."]


@pytest.mark.parametrize("line", [">> two dogs <<", ">> Two << dogs.", ">>xyz<< two dogs", ">><< two dogs"])
def test_what_is_no_language_code_of_the_model_is_translated(line: str, run: Path) -> None:
    opened = open_translator([run], ["search.precision=fp32"])
    source = opened.tokenizers.source
    assert source.language_tag(line) == "" and len(source.encode([line])[0]) > 2
    assert " ".join(unit.segment.text for unit in opened.planner.plan([line])[0].units) == line
    assert source.language_tag(f">>deu<< {line}") == ">>deu<< "


def test_an_imported_run_is_exported_to_the_folder_it_came_from(run: Path, opus: Path) -> None:
    out = run.parent / "back"
    out.mkdir()
    opened = open_run(run, CPU, "fp32")
    huggingface.export_model(opened.model, opened.tokenizers, SearchConfig(), out, "float32")
    before, after = (load_file(path / "model.safetensors") for path in (opus, out))
    assert set(before) == set(after)
    for name in before:
        if name != "final_logits_bias":  # the token that must not be written has got a low one
            assert torch.equal(before[name], after[name]), name
    assert generated(out, LINES)[0] == generated(opus, LINES)[0]


@pytest.mark.slow
def test_an_imported_run_is_translated_by_ctranslate2(run: Path) -> None:
    pytest.importorskip("ctranslate2")
    sources = [*LINES, *sentences(ENGLISH, 40)]
    for beam in (1, 4):
        settings = [f"search.beam={beam}", "search.repair_degenerate=false", "search.precision=fp32"]
        ours = open_translator([run], settings, "cpu")
        theirs = open_translator([run], settings, "cpu", engine="ctranslate2").translate(sources)
        assert len({translation.text for translation in theirs}) > 5
        for sure, our_translation, other in zip(
            clear_lines(ours, sources), ours.translate(sources), theirs, strict=True
        ):
            assert not sure or our_translation.text == other.text
    config = json.loads((run / "exports" / "ctranslate2-float32" / "config.json").read_text())
    assert config["decoder_start_token"] == "<pad>" and config["eos_token"] == "</s>"


def test_what_nmt_export_wrote_can_be_imported(tmp_path: Path, tiny_run: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    recipe = (run / "recipe.yaml").read_text()
    changed = recipe.replace("norm_position: pre", "norm_position: post")
    (run / "recipe.yaml").write_text(changed)
    weights = {
        name: value
        for name, value in RunFolder(run).checkpoints.best().tensors().items()
        if not name.startswith(("encoder_norm", "decoder_norm"))
    }
    RunFolder(run).checkpoints.save_best(10, weights, {})
    export(run, "huggingface", tmp_path / "out", QUIET)
    import_marian(tmp_path / "out", tmp_path / "again", "en", "de")
    text = (run / "tokenizer.json").read_text()
    tokenizers = [Tokenizers.load(path) for path in (run, tmp_path / "again")]
    assert tokenizers[1].source.encode(["Ein Haus"]) == tokenizers[0].source.encode(["Ein Haus"])
    assert json.loads(text)["model"]["vocab"]
    ours, again = (open_run(path, CPU, "fp32") for path in (run, tmp_path / "again"))
    search = SearchConfig(beam=1, max_length=6)
    assert_found(TorchEngine(again.model).search([[9, 20], [30]], search), ours.model, [[9, 20], [30]], search)


def tuning(root: Path, run: Path) -> dict[str, Any]:
    for side, words in (("en", ENGLISH), ("de", GERMAN)):
        for name, count in (("train", 120), ("dev", 10)):
            lines = sentences(words[: len(words) - len(name)], count)
            (root / f"{name}.{side}").write_text("".join(f"{line}\n" for line in lines))
    return {
        "name": "tuned",
        "corpus": {"root": str(root), "source": "en", "target": "de", "dev": "dev"},
        "training": {
            "init_from": str(run), "updates": 20, "validate_every": 10, "tokens_per_batch": 512,
            "metric": "loss", "learning_rate": 0.01, "warmup_updates": 0,
        },
        "search": {"beam": 2},
    }  # fmt: skip


@pytest.mark.precision
def test_an_imported_run_is_fine_tuned_and_averaged_and_exported(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train(build_recipe(tuning(tmp_path, run)), tmp_path / "tuned", QUIET)
    records = [json.loads(x) for x in (tmp_path / "tuned/log.jsonl").read_text().splitlines()]
    losses = [record["loss"] for record in records if record["event"] == "validation"]
    assert losses[-1] < 0.7 * losses[0]
    opened = open_run(tmp_path / "tuned", CPU, "fp32")
    assert opened.model.vocabulary == open_run(run, CPU, "fp32").model.vocabulary
    average(tmp_path / "tuned", tmp_path / "mean")
    (tmp_path / "out").mkdir()
    mean = open_run(tmp_path / "mean", CPU, "fp32")
    huggingface.export_model(mean.model, mean.tokenizers, SearchConfig(), tmp_path / "out", "float32")
    rows, _ = generated(tmp_path / "out", ["the old man"])
    assert rows[0]


def test_variants_of_an_imported_tokenizer_are_refused(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content = tuning(tmp_path, run) | {"tokenizer": {"subword_samples": 2}}
    content["tokenizer"] |= {"type": "unigram"}
    with pytest.raises(DataError) as caught:
        prepare_recipe(build_recipe(content), QUIET)
    advice = "an imported tokenizer has only one encoding of a text: use 1"
    assert str(caught.value) == f"tokenizer.subword_samples: {advice}"


def test_a_pickle_is_never_read(tmp_path: Path, opus: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(opus, folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(RunError) as caught:
        import_marian(folder, tmp_path / "run")
    assert str(caught.value) == (
        f"{folder}: has no model.safetensors, only pytorch_model.bin, a pickle, which can run code "
        'when it is read. If you trust it: python -c "from transformers import MarianMTModel as '
        f"M; M.from_pretrained('{folder}').save_pretrained('{folder}')\""
    )
    assert not (tmp_path / "run").exists()


def changed(opus: Path, folder: Path, **config: Any) -> Path:
    shutil.copytree(opus, folder)
    content = json.loads((folder / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    "config, said",
    [
        ({"model_type": "bart"}, "model_type is bart; nmt import reads marian"),
        (
            {"normalize_before": True, "decoder_ffn_dim": 99},
            "not a Transformer that nmt can import: normalize_before: True; "
            "ffn_dim: 24 in the encoder, 99 in the decoder",
        ),
        ({"activation_function": "tanh"}, "not a Transformer that nmt can import: activation_function: tanh"),
        ({"vocab_size": 20}, "has 44 subwords, the model has 20 embeddings"),
        ({"eos_token_id": [0, 1]}, "the two vocabularies have different special tokens"),
    ],
)
def test_a_model_that_does_not_fit_is_said_in_one_line(
    tmp_path: Path, opus: Path, config: dict[str, Any], said: str
) -> None:
    folder = changed(opus, tmp_path / "hub", **config)
    with pytest.raises(RunError) as caught:
        import_marian(folder, tmp_path / "run", "en", "de")
    assert str(caught.value) == f"{folder}: {said}"


@pytest.mark.parametrize(
    "name, said",
    [
        ("config.json", "{}: not a MarianMT folder: it has no config.json"),
        ("target.spm", "{}: has no target.spm"),
        ("source.spm vocab.json", "{}: has no source.spm and no vocab.json"),
        ("model.safetensors", "{}: has no model.safetensors"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, opus: Path, name: str, said: str) -> None:
    folder = changed(opus, tmp_path / "hub")
    for missing in name.split():
        (folder / missing).unlink()
    with pytest.raises(RunError) as caught:
        import_marian(folder, tmp_path / "run", "en", "de")
    assert str(caught.value) == said.format(folder)


def test_a_tensor_that_is_missing_is_named(tmp_path: Path, opus: Path) -> None:
    folder = changed(opus, tmp_path / "hub")
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith("fc1.weight"))
    save_file({key: value for key, value in tensors.items() if key != name}, folder / "model.safetensors")
    with pytest.raises(RunError) as caught:
        import_marian(folder, tmp_path / "run", "en", "de")
    assert str(caught.value) == f"{folder / 'model.safetensors'}: has no {name}"


def test_a_model_in_the_format_of_marian_is_to_be_converted(tmp_path: Path) -> None:
    (tmp_path / "opus.npz").touch()
    with pytest.raises(RunError, match="Marian's own format: convert it with transformers first"):
        import_marian(tmp_path, tmp_path / "run")


def test_weights_that_may_not_be_read_are_not_called_damaged(
    tmp_path: Path, opus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: object) -> None:  # tests may run as a user who may read everything
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(marianmt, "open", refuse, raising=False)
    with pytest.raises(RunError, match=r"model\.safetensors: cannot be read: Permission denied$"):
        import_marian(opus, tmp_path / "imported")


def test_damaged_files_are_named(tmp_path: Path, opus: Path) -> None:
    folder = changed(opus, tmp_path / "hub")
    (folder / "source.spm").write_bytes(b"\x0a\xff\xff")
    with pytest.raises(DataError, match=r"source\.spm: not a SentencePiece model"):
        import_marian(folder, tmp_path / "run")
    vocabulary = json.loads((opus / "vocab.json").read_text())
    for content, said in (({"a": 0, "b": 2}, "the ids are not 0 to 1"), ({"a": 0}, "vocab.json has no <unk>")):
        shutil.copyfile(opus / "source.spm", folder / "source.spm")
        (folder / "vocab.json").write_text(json.dumps(content))
        with pytest.raises(RunError, match=said):
            import_marian(folder, tmp_path / "run")
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "model.safetensors").write_bytes(b"no")
    with pytest.raises(RunError, match=r"model\.safetensors: damaged"):
        import_marian(folder, tmp_path / "run")
    (folder / "config.json").write_text("[]")
    with pytest.raises(RunError, match=r"config\.json: missing or damaged: not a JSON object"):
        import_marian(folder, tmp_path / "run")


def test_languages_must_be_known(tmp_path: Path, opus: Path) -> None:
    folder = changed(opus, tmp_path / "hub")
    (folder / "tokenizer_config.json").write_text("{}")
    with pytest.raises(UserError) as caught:
        import_marian(folder, tmp_path / "run")
    assert str(caught.value) == f"{folder}: its languages are unknown"
    assert caught.value.hint == "use --source and --target"
    named = folder.rename(tmp_path / "opus-mt-en-de")
    assert import_marian(named, tmp_path / "run").folder == tmp_path / "run"
    assert load_recipe(tmp_path / "run/recipe.yaml").corpus.target == "de"


def test_a_missing_weight_is_named_and_a_run_is_never_overwritten(tmp_path: Path, opus: Path, run: Path) -> None:
    folder = changed(opus, tmp_path / "hub", encoder_layers=3)
    with pytest.raises(RunError, match=r"has no model\.encoder\.layers\.2\.self_attn\.k_proj"):
        import_marian(folder, tmp_path / "run")
    with pytest.raises(RunError, match="exists: choose another folder"):
        import_marian(opus, run)


def test_an_import_that_fails_leaves_nothing_that_blocks_the_next(
    tmp_path: Path, opus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise RunError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Checkpointer, "save_best", fail)
        with pytest.raises(RunError, match="No space left"):
            import_marian(opus, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
    assert open_run(import_marian(opus, tmp_path / "run").folder, CPU, "fp32").update == 0


def test_the_command_says_that_text_may_change(
    tmp_path: Path, opus: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nmt_cli.cli.entry import run

    for name, options in (("run", []), ("quiet", ["--quiet"])):
        monkeypatch.setattr(sys, "argv", ["nmt", "import", str(opus), "--out", str(tmp_path / name), *options])
        with pytest.raises(SystemExit) as stopped:
            run()
        said = capsys.readouterr().err
        assert stopped.value.code == 0
        assert (said == "") if options else said.startswith(f"{tmp_path / 'run'}: ") and "; SentencePiece " in said


def test_the_search_options_of_a_folder_are_those_of_the_recipe() -> None:
    settings = {"num_beams": 3, "length_penalty": 0.6, "no_repeat_ngram_size": 2, "min_new_tokens": 4}
    expected = {"beam": 3, "length_penalty": 0.6, "no_repeat_ngram": 2, "min_length": 4}
    assert search_section(MarianFolder(Path(), {}, settings, {})) == expected
    assert search_section(MarianFolder(Path(), {"no_repeat_ngram_size": 0}, {}, {})) == {}


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "cannot read: No such file or directory"),
        (b"", "not a SentencePiece model of type unigram or bpe"),
        (b"\x12\x02\x18\x03", "not a SentencePiece model of type unigram or bpe"),  # of words
        (b"\x0a\x05\x0a\x01x\x18\x04", "has user defined symbols, which are not understood here"),
        (b"\x0a\x05\x0a\x01x", "not a SentencePiece model"),  # cut short
        (b"\x0b", "not a SentencePiece model"),  # no wire type
    ],
)
def test_why_a_sentencepiece_model_cannot_be_read_is_said(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "source.spm"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_sentencepiece(path)
    assert str(error.value) == f"{path}: {message}"
