"""nmt rescore gives the number that translate gives, for every model, one result a line."""

import gzip
import io
import itertools
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt_cli.commands.rescore import RescoredPair, rescore
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.rescoring import log_probabilities
from nmt_cli.decoding.torch_engine import TorchEngine
from nmt_cli.errors import DataError, RunError, UserError
from nmt_cli.inference.translator import Translator
from nmt_cli.models import MODELS
from nmt_cli.models.contract import Sequences
from tests.decoding.test_ctc_beam import Rows, everything
from tests.opening import open_translator
from tests.streams import translate_stream

SOURCES = ["The old man reads a book.", "a book", "dogs", "Two dogs see 1995 houses 🙂", "我喜欢"]


def files(folder: Path, source: bytes, target: bytes) -> tuple[Path, Path]:
    (folder / "s").write_bytes(source)
    (folder / "t").write_bytes(target)
    return folder / "s", folder / "t"


def scored(run: Path, folder: Path, source: bytes, target: bytes, *sets: str) -> list[RescoredPair]:
    return list(rescore([run], *files(folder, source, target), list(sets), "cpu"))


@pytest.mark.parametrize("name", list(MODELS))
def test_translations_are_given_the_score_that_translate_gave(name: str, tokenizer: TextTokenizer) -> None:
    torch.manual_seed(4)
    tokenizers = Tokenizers(tokenizer, tokenizer)
    model = MODELS[name](MODELS[name].config_class.tiny_configs()[0], tokenizers.vocabulary).eval()
    config = SearchConfig(beam=3, n_best=2, max_length=6, precision="fp32", split="long", keep="none")
    translations = Translator(TorchEngine(model), tokenizers, config).translate(SOURCES)
    sources, texts, expected = [], [], []
    for source, translation in zip(SOURCES, translations, strict=True):
        for candidate in translation.candidates:
            sources.append(source)
            texts.append(candidate.text.strip())
            expected.append(candidate.log_probability)
    ids = tokenizer.encode(sources), tokenizer.encode(texts)
    for budget in (1, 30, 4096):
        assert log_probabilities(model, *ids, budget) == pytest.approx(expected, abs=1e-4)


def test_nothing_is_scored_again_where_no_one_sees_the_score(tokenizer: TextTokenizer) -> None:
    torch.manual_seed(4)
    tokenizers = Tokenizers(tokenizer, tokenizer)
    model = MODELS["transformer"](MODELS["transformer"].config_class.tiny_configs()[0], tokenizers.vocabulary)
    config = SearchConfig(beam=3, n_best=2, max_length=6, precision="fp32")
    exact = Translator(TorchEngine(model.eval()), tokenizers, config)
    quick = Translator(TorchEngine(model), tokenizers, config, rescore_canonical=False)
    quick.engine.log_probabilities = None  # type: ignore[method-assign,assignment]
    pairs = list(zip(exact.translate(SOURCES), quick.translate(SOURCES), strict=True))
    assert all(exact_translation.text == other.text for exact_translation, other in pairs)
    assert any(exact_translation != other for exact_translation, other in pairs)


def test_the_numbers_of_jsonl_and_rescore_are_the_same(tiny_run: Path, tmp_path: Path) -> None:
    translator = open_translator([tiny_run], [], "cpu")
    text = "\n".join(SOURCES).encode()
    lines = [translated.record() for translated in translate_stream(translator, io.BytesIO(text))]
    target = "\n".join(line["translation"] for line in lines).encode()
    for line, pair in zip(lines, scored(tiny_run, tmp_path, text, target), strict=True):
        assert pair.log_probability == pytest.approx(line["log_probability"], abs=1e-4)
        assert pair.number == line["line"]


def test_an_ensemble_rescores_with_its_mean_probability(tiny_run: Path, tmp_path: Path) -> None:
    paths = files(tmp_path, b"a book\ndogs\n", b"ein Buch\nHund\n")
    single_scores = list(rescore([tiny_run], *paths, [], "cpu"))
    two = list(rescore([tiny_run, tiny_run], *paths, [], "cpu"))
    for a, b in zip(single_scores, two, strict=True):
        assert a.log_probability == pytest.approx(b.log_probability, abs=1e-4)


def test_ctc_sums_over_all_alignments() -> None:
    model = Rows(2)
    every = everything(model, 4)
    texts = [[], [4], [4, 4], [5, 6], [4, 5, 6]]
    log_probs = log_probabilities(model, [[4] * 3] * 5, texts, 100)
    assert log_probs == pytest.approx([math.log(every[tuple(ids)]) for ids in texts], abs=1e-4)
    assert log_probabilities(model, [[4]], [[4, 4]], 100) == [-math.inf]


def test_an_autoregressive_score_is_the_sum_over_positions(tokenizer: TextTokenizer) -> None:
    torch.manual_seed(5)
    vocabulary = Tokenizers(tokenizer, tokenizer).vocabulary
    model: Any = MODELS["rnn"](MODELS["rnn"].config_class.tiny_configs()[0], vocabulary).eval()
    with torch.inference_mode():
        state = model.init_state(Sequences(torch.tensor([[7, 8, 3]]), torch.tensor([3])), 1, 4)
        total, tokens = 0.0, [model.decoder_start_id, 9, 10, vocabulary.end]
        for before, after in itertools.pairwise(tokens):
            logits, state = model.decode_step(torch.tensor([before]), state)
            total += float(logits.log_softmax(-1)[0, after])
    assert log_probabilities(model, [[7, 8]], [[9, 10]], 10) == [pytest.approx(total, abs=1e-4)]


def test_a_pair_is_scored_alike_alone_and_among_others(tiny_run: Path, tmp_path: Path) -> None:
    source, target = b"a book\ndogs\nThe old man\n", b"ein Buch\n\nDer alte Mann liest\n"
    together = scored(tiny_run, tmp_path, source, target)
    for number, pair in enumerate(together):
        alone = scored(tiny_run, tmp_path, source.split(b"\n")[number], target.split(b"\n")[number]
                       or b"\n")  # fmt: skip
        assert alone[0].log_probability == pytest.approx(pair.log_probability, abs=1e-4)


def test_average_and_counts_include_the_end_of_sentence(tiny_run: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizers.load(tiny_run).source
    (pair,) = scored(tiny_run, tmp_path, b"a book\n", b"ein Buch\n")
    assert pair.source_tokens == len(tokenizer.encode(["a book"])[0]) + 1
    assert pair.target_tokens == len(tokenizer.encode(["ein Buch"])[0]) + 1
    assert pair.log_probability is not None and pair.average_log_probability is not None
    assert pair.average_log_probability == pytest.approx(pair.log_probability / pair.target_tokens)
    assert pair.text.split("\t")[2:] == [str(pair.source_tokens), str(pair.target_tokens)]
    assert json.loads(json.dumps(pair.record()))["average"] == pair.average_log_probability


def test_what_cannot_be_scored_keeps_its_line_and_says_why(tiny_run: Path, tmp_path: Path) -> None:
    source = b" \na\n" + b"x " * 300 + b"\na\nb\xff\n"
    target = b"x\n\n" + b"y\n" + b"z " * 3000 + b"\nc\n"
    blank, empty, long, wide, damaged = scored(tiny_run, tmp_path, source, target)
    assert blank.warnings == ["the source is blank: not scored"]
    assert blank.log_probability is None and blank.text.startswith("-inf\t-inf\t")
    assert blank.record()["log_probability"] is None and blank.record()["average"] is None
    assert empty.warnings == [] and empty.target_tokens == 1 and empty.log_probability is not None
    assert long.log_probability is None and long.warnings[0].endswith(
        "source subwords are more than search.max_source_length or the model allows (256): not scored"
    )
    assert wide.log_probability is None and wide.warnings[0].endswith(": not scored")
    assert damaged.warnings == ["invalid UTF-8 was replaced by U+FFFD"]
    assert damaged.log_probability is not None
    assert [record.number for record in (blank, empty, long, wide, damaged)] == [1, 2, 3, 4, 5]


def test_what_the_model_cannot_write_says_so(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with CTC, whose output is only so many times as long as its source."""
    monkeypatch.setattr(TorchEngine, "log_probabilities", lambda *arguments: [-math.inf])
    (pair,) = scored(tiny_run, tmp_path, b"a\n", b"b\n")
    assert pair.warnings == ["the model cannot write so many subwords for this source"]
    assert pair.log_probability is None and pair.text.startswith("-inf\t-inf\t")


def test_only_a_copy_is_certain(tiny_run: Path, tmp_path: Path) -> None:
    copy, changed, blank = scored(tiny_run, tmp_path, b"12345\n12345\n \n", b"12345\n99 % !!!\n\n")
    assert (copy.log_probability, copy.warnings) == (0, [])
    assert changed.log_probability is not None and changed.log_probability < -1 and changed.target_tokens > 1
    assert (blank.log_probability, blank.warnings) == (None, ["the source is blank: not scored"])


def test_longer_pairs_are_scored_where_that_is_asked_for(tiny_run: Path, tmp_path: Path) -> None:
    (pair,) = scored(tiny_run, tmp_path, b"x " * 300, b"y", "search.max_source_length=2000")
    assert pair.log_probability is not None and pair.warnings == []


def test_unequal_files_are_named_with_their_counts(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"s has 2 lines and .*t has 1"):
        scored(tiny_run, tmp_path, b"a\nb\n", b"x\n")


def test_files_may_be_compressed_and_the_mistakes_of_translate_are_mistakes_here(
    tiny_run: Path, tmp_path: Path
) -> None:
    plain = scored(tiny_run, tmp_path, b"a book\n", b"ein Buch\n")
    for name, text in (("s.gz", b"a book\n"), ("t.gz", b"ein Buch\n")):
        (tmp_path / name).write_bytes(gzip.compress(text))
    assert list(rescore([tiny_run], tmp_path / "s.gz", tmp_path / "t.gz", [], "cpu")) == plain
    with pytest.raises(RunError, match="no such run folder"):
        list(rescore([tmp_path / "no"], tmp_path / "s", tmp_path / "t", [], "cpu"))
    with pytest.raises(UserError, match="can only be given"):
        list(rescore([tiny_run], tmp_path / "s", tmp_path / "t", ["model.heads=1"], "cpu"))


def test_many_pairs_are_answered_block_by_block(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt_cli.commands.rescore.MAX_PAIRS_PER_BATCH", 4)
    paths = files(tmp_path, b"a\n" * 10, b"b\n" * 9)
    pairs = rescore([tiny_run], *paths, [], "cpu")
    assert [next(pairs).number for _ in range(8)] == list(range(1, 9))  # before the end is read
    with pytest.raises(DataError):
        list(pairs)


def test_the_page_explains_every_key_of_a_pair() -> None:
    pair = RescoredPair(1, -1.0, 2, 3, ["cut"], 0.5)
    page = (Path(__file__).parents[2] / "docs/translating.md").read_text(encoding="utf-8")
    table = page.partition("| key of a pair |")[2].partition("\n\n")[0]
    keys = [key for row in table.splitlines() for key in re.findall("`(.*?)`", row.split(" | ")[0])]
    assert keys == list(pair.record())
