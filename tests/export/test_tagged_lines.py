"""Runs whose tokenizer has tags as pieces translate tagged lines alike in every format."""

from pathlib import Path

import pytest
import torch

from nmt_cli.data.text_profile import TextProfile
from nmt_cli.data.tokenization.tokenizer import TextTokenizer, TokenizerConfig
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.data.tokenization.training import train_tokenizer
from nmt_cli.export.exporting import FORMATS
from nmt_cli.inference.translator import Translator
from nmt_cli.runs.loading import open_run
from tests.export.test_huggingface import SMALL, random_run
from tests.margins import clear_lines
from tests.opening import open_translator

TAGS = ("<2de>", ">>nl<<", "__fr__")
PACKAGES = {"ctranslate2": "ctranslate2", "onnx": "onnxruntime", "huggingface": "transformers"}
WORDS = ["The old man", "reads a book.", "two dogs", "see houses", "1995", "don't"]
LINES = [f"{tag} {words}" for words in WORDS for tag in TAGS]


@pytest.fixture(scope="module")
def tagged_tokenizer() -> TextTokenizer:
    lines = [*LINES, "Der alte Mann liest ein Buch.", "zwei Häuser — „schön“"] * 4
    return train_tokenizer(lambda: lines, TokenizerConfig(vocab_size=330), tags=TAGS)


@pytest.fixture(scope="module")
def tagged_run(tagged_tokenizer: TextTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = SMALL | {"positions": "sinusoidal_marianmt", "activation": "swish"}
    folder = tmp_path_factory.mktemp("tagged") / "run"
    run = random_run(folder, Tokenizers(tagged_tokenizer, tagged_tokenizer), model)
    TextProfile(language_tags=TAGS).save(run)
    return run


@pytest.mark.parametrize("format_name", PACKAGES)
def test_tagged_lines_are_translated_as_by_the_run(format_name: str, tagged_run: Path, tmp_path: Path) -> None:
    pytest.importorskip(PACKAGES[format_name])
    opened = open_run(tagged_run, torch.device("cpu"), "fp32")
    FORMATS[format_name].export_model(opened.model, opened.tokenizers, opened.recipe.search, tmp_path, "float32")
    exported = FORMATS[format_name].load_engine(tmp_path, "cpu", "float32")
    translator = open_translator([tagged_run], ["search.beam=1", "search.repair_degenerate=false"], "cpu")
    lines = [line for line, sure in zip(LINES, clear_lines(translator, LINES), strict=True) if sure]
    assert all(plan.language_tag for plan in translator.planner.plan(lines))
    theirs = Translator(exported, opened.tokenizers, translator.config, translator.planner.profile)
    engines = (translator.engine, exported)
    texts = [[line.text for line in each.translate(lines)] for each in (translator, theirs)]
    assert texts[0] == texts[1]
    ids = opened.tokenizers.source.encode(lines)
    ours, found = ([best.log_probability for best, *_ in engine.search(ids, translator.config)] for engine in engines)
    if format_name != "huggingface":  # which gives a forced end of sentence no score
        assert found == pytest.approx(ours, abs=1e-3)
    assert len({round(score, 2) for score in ours}) > len(lines) / 2  # each tag makes another one of the same words


def test_the_tokenizer_of_transformers_cuts_tagged_lines_alike(
    tagged_run: Path, tagged_tokenizer: TextTokenizer, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    opened = open_run(tagged_run, torch.device("cpu"), "fp32")
    FORMATS["huggingface"].export_model(opened.model, opened.tokenizers, opened.recipe.search, tmp_path, "float32")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    lines = [*LINES, "The <2de> man", "<2de>", "<2de>man", " <2de> man", "<2de>  man </s>"]
    ids = tagged_tokenizer.encode(lines)
    assert theirs(lines).input_ids == [[*line_ids, 3] for line_ids in ids]
    assert theirs.batch_decode(ids, clean_up_tokenization_spaces=False) == tagged_tokenizer.decode(ids)
