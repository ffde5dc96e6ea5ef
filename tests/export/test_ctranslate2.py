"""CTranslate2 finds what our own search finds, for every variant of the Transformer."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt_cli.commands.export import export
from nmt_cli.commands.translate import open_translator
from nmt_cli.data.prepared import Tokenizers
from nmt_cli.data.tokenizer import TextTokenizer, TokenizerConfig
from nmt_cli.data.tokenizer_training import train_tokenizer
from nmt_cli.decoding.engine import TorchEngine
from nmt_cli.decoding.hypothesis import Hypothesis, SearchConfig
from nmt_cli.decoding.rescoring import log_probabilities
from nmt_cli.errors import DeviceError
from nmt_cli.export import ctranslate2
from nmt_cli.export.ctranslate2_engine import CTranslate2Engine
from nmt_cli.models import MODELS
from nmt_cli.models.transformer import Transformer, TransformerConfig
from nmt_cli.reporting import Reporter
from tests.conftest import translated_by_documented
from tests.margins import assert_found, clear_lines, rounding, watched

pytest.importorskip("ctranslate2")
CPU = torch.device("cpu")
Ids = list[int]

VARIANTS: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "post-norm": {"norm_position": "post"},
    "RMSNorm": {"norm": "rms"},
    "RMSNorm, post-norm": {"norm": "rms", "norm_position": "post"},
    "rotary": {"positions": "rotary"},
    "rotary, SwiGLU, grouped-query, RMSNorm": {
        "positions": "rotary", "activation": "swiglu", "key_value_heads": 2, "norm": "rms",
    },
    "multi-query": {"key_value_heads": 1},
    "gelu": {"activation": "gelu"},
    "swish": {"activation": "swish"},
    "swiglu": {"activation": "swiglu"},
    "learned positions": {"positions": "learned", "max_positions": 40},
    "sinusoids in halves": {"positions": "sinusoidal_halves"},
    "sinusoids of MarianMT": {"positions": "sinusoidal_marianmt"},
    "a large epsilon": {"norm_epsilon": 0.1},
    "no positions": {"positions": "none"},
    "unscaled attention": {"scaled_attention": False},
    "unscaled attention, rotary, post-norm": {
        "scaled_attention": False, "positions": "rotary", "norm_position": "post",
    },
    "target tied": {"tied_embeddings": "target"},
    "nothing tied": {"tied_embeddings": "none"},
    "a deep encoder and a shallow decoder": {"encoder_layers": 3, "decoder_layers": 1},
    "a deep decoder": {"encoder_layers": 1, "decoder_layers": 3},
}  # fmt: skip

QUICK = {"the defaults", "RMSNorm, post-norm", "rotary, SwiGLU, grouped-query, RMSNorm",
         "sinusoids in halves", "nothing tied"}  # fmt: skip


@pytest.fixture(scope="module")
def both(tokenizer: TextTokenizer) -> Tokenizers:
    return Tokenizers(tokenizer, tokenizer)


def config(**options: Any) -> TransformerConfig:
    small = {"d_model": 16, "heads": 4, "encoder_layers": 2, "decoder_layers": 2, "d_ff": 32}
    return TransformerConfig.model_validate(small | {"dropout": 0.0} | options)


def random_model(config: TransformerConfig, tokenizers: Tokenizers) -> Transformer:
    """Norms and biases random too; likely enough to end before the longest length."""
    torch.manual_seed(5)
    model = Transformer(config, tokenizers.vocabulary).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter += 0.2 * torch.randn_like(parameter)
        model.output.bias += torch.randn_like(model.output.bias)
        model.output.bias[tokenizers.vocabulary.end] = 2.5
    return model


def sources(tokenizers: Tokenizers, count: int = 12) -> list[Ids]:
    draw = random.Random(2)
    size = tokenizers.source.size
    return [[draw.randrange(4, size) for _ in range(1 + i % 11)] for i in range(count)]


def opened(
    model: Transformer, both: Tokenizers, folder: Path, patience: float = 1000
) -> CTranslate2Engine:
    """So much patience that it goes on until no hypothesis is left, as ours may."""
    folder.mkdir(exist_ok=True)
    ctranslate2.write(model, both, SearchConfig(), folder, "float32")
    return CTranslate2Engine(folder, CPU, "float32", patience)


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(options, id=name, marks=[] if name in QUICK else pytest.mark.slow)
        for name, options in VARIANTS.items()
    ],
)
def test_every_variant_is_searched_as_here(
    variant: dict[str, Any], both: Tokenizers, tmp_path: Path
) -> None:
    model = random_model(config(**variant), both)
    theirs, some = opened(model, both, tmp_path), sources(both)
    for beam in (1, 5):
        search = SearchConfig(beam=beam)
        assert_found(theirs.search(some, search), model, some, search)


@pytest.mark.parametrize(
    "options",
    [
        {"beam": 5, "length_normalization": "gnmt", "length_penalty": 0.6},
        {"beam": 4, "length_normalization": "none"},
        {"beam": 3, "length_penalty": 1.4},
        {"beam": 4, "length_normalization": "none", "n_best": 3},
        {"beam": 5, "max_length": 3},
        {"beam": 2, "max_length_factor": 0.5},
        {"beam": 1, "min_length": 4},
        {"beam": 5, "tokens_per_batch": 16},
    ],
    ids=str,
)
def test_every_setting_of_search_means_the_same(
    options: dict[str, Any], both: Tokenizers, tmp_path: Path
) -> None:
    model = random_model(config(norm="rms"), both)
    theirs, some = opened(model, both, tmp_path), sources(both)
    search = SearchConfig.model_validate(options)
    assert_found(theirs.search(some, search), model, some, search)


def test_translations_of_at_least_some_length_have_their_full_probability(
    both: Tokenizers, tmp_path: Path
) -> None:
    """CTranslate2 divides by the probability of not ending yet; the scores here do not."""
    model = random_model(config(), both)
    theirs, some = opened(model, both, tmp_path), sources(both)
    search = SearchConfig(beam=5, min_length=6)
    found = theirs.search(some, search)
    wanted = log_probabilities(model, some, [one.ids for (one,) in found], 4096)
    bounds = [bound for _, bound in watched(model, some, search)]
    for (one,), score, bound in zip(found, wanted, bounds, strict=True):
        assert len(one.ids) >= 6
        assert one.log_probability == pytest.approx(score, abs=bound)


@pytest.mark.parametrize("beam", [1, 5])
def test_prefixes_are_kept_and_counted(beam: int, both: Tokenizers, tmp_path: Path) -> None:
    model = random_model(config(), both)
    theirs, some = opened(model, both, tmp_path), sources(both)
    draw = random.Random(3)
    starts = [[draw.randrange(4, 300) for _ in range(i % 3)] for i in range(len(some))]
    search = SearchConfig(beam=beam, length_normalization="none")
    found = theirs.search(some, search, starts)
    assert_found(found, model, some, search, starts)
    for start, (best, *_) in zip(starts, found, strict=True):
        assert best.ids[: len(start)] == start


def test_separate_vocabularies_keep_their_own_ids(tokenizer: TextTokenizer, tmp_path: Path) -> None:
    lines = ["Ein alter Mann liest ein Buch über Häuser.", "Zwei Hunde sehen zwei Häuser."] * 4
    other = train_tokenizer(lambda: lines, TokenizerConfig(vocab_size=330))
    apart = Tokenizers(tokenizer, other)
    for tied in ("target", "none"):
        model = random_model(config(tied_embeddings=tied), apart)
        theirs = opened(model, apart, tmp_path / tied)
        some, search = sources(apart), SearchConfig(beam=5)
        assert_found(theirs.search(some, search), model, some, search)
        assert len(theirs.source_pieces) == tokenizer.size != len(theirs.target_pieces)


def test_pieces_of_any_characters_are_kept_apart(tmp_path: Path) -> None:
    """Spaces, tabs, quotes, backslashes, U+2028 and text that spells a special token."""
    lines = [' "a\\b"', "\t\tx", "a\u2028b", " </s> <unk>", "  two  spaces", "\\n \x85 \x00"] * 9
    odd = train_tokenizer(lambda: lines, TokenizerConfig(type="character", vocab_size=300))
    both = Tokenizers(odd, odd)
    assert any(piece.isspace() and len(piece) == 1 for piece in odd.pieces(range(odd.size)))
    model = random_model(config(), both)
    theirs = opened(model, both, tmp_path)
    assert theirs.source_pieces == odd.pieces(range(odd.size))
    some, search = [[i] for i in range(4, odd.size)], SearchConfig(beam=1, max_length=4)
    assert_found(theirs.search(some, search), model, some, search)


def test_samples_come_with_their_probability_and_in_order(both: Tokenizers, tmp_path: Path) -> None:
    model = random_model(config(), both)
    theirs = opened(model, both, tmp_path)
    search = SearchConfig(sampling=True, n_best=5, temperature=0.7, top_k=4)
    for source, drawn in zip(some := sources(both, 6), theirs.search(some, search), strict=True):
        assert len(drawn) == 5 and len({tuple(one.ids) for one in drawn}) > 1
        assert [one.score for one in drawn] == sorted((one.score for one in drawn), reverse=True)
        scores = log_probabilities(model, [source] * 5, [one.ids for one in drawn], 4096)
        for one, score in zip(drawn, scores, strict=True):
            bound = rounding(model, len(one.ids) + 1, token=abs(score), total=abs(score))
            assert one.log_probability == pytest.approx(score, abs=bound)


def scored(
    engine: CTranslate2Engine, sources: list[Ids], found: list[list[Hypothesis]]
) -> list[float]:
    """The log-probabilities that CTranslate2 gives to hypotheses."""
    given = [engine._source(ids) for ids in sources], [engine._target(one.ids) for (one,) in found]
    return [sum(one.log_probs) for one in engine.translator.score_batch(*given)]


def test_quantizing_leaves_the_model_as_it_was_and_stays_close(
    both: Tokenizers, tmp_path: Path
) -> None:
    """A weight of 7 bits errs by a step of 1/63 of the greatest in its row, an input of 8 bits by
    1/127, evenly spread (standard deviation: the step / sqrt 12); the greatest is about 3 standard
    deviations, so a product errs by 1.6 % of its size, and a logit (size about 1) by the root of
    the number of layers before it times as much. Four standard deviations, over all tokens."""
    model = random_model(config(d_model=64, d_ff=128), both)
    before = {name: value.clone() for name, value in model.named_parameters()}
    ctranslate2.write(model, both, SearchConfig(), tmp_path, "int8")
    assert all(torch.equal(before[name], value) for name, value in model.named_parameters())
    theirs = ctranslate2.engine(tmp_path, "cpu", "int8")
    assert isinstance(theirs, CTranslate2Engine)
    found = TorchEngine(model).search(some := sources(both), SearchConfig(beam=1))
    product = 3 / math.sqrt(12) * math.hypot(1 / 63, 1 / 127)
    layers = 2 * 4 + 2 * 6 + 1  # one after another: attention has 2 (values, output), as has d_ff
    for (ours,), score in zip(found, scored(theirs, some, found), strict=True):
        deviation = product * math.sqrt(layers * (len(ours.ids) + 1))
        assert score == pytest.approx(ours.log_probability, abs=4 * deviation)


@pytest.mark.parametrize("tied", ["all", "target", "none"])
def test_matrices_of_int8_have_seven_bits_a_row(
    tied: str, both: Tokenizers, tmp_path: Path
) -> None:
    """More would overflow in the matrix product of a CPU without VNNI instructions."""
    model = random_model(config(d_model=64, d_ff=128, tied_embeddings=tied), both)
    with torch.no_grad():  # the worst case: products of the largest values, all of one sign
        for layer in model.decoder:
            layer.feed_forward.network.contract.weight.fill_(0.5)
    ctranslate2.write(model, both, SearchConfig(), tmp_path, "int8")
    theirs = ctranslate2.engine(tmp_path, "cpu", "int8")
    assert isinstance(theirs, CTranslate2Engine)
    found = TorchEngine(model).search(some := sources(both), SearchConfig(beam=1))
    for (ours,), score in zip(found, scored(theirs, some, found), strict=True):
        assert score == pytest.approx(ours.log_probability, rel=0.02, abs=0.2)


def test_a_type_that_the_device_does_not_run_is_refused(both: Tokenizers, tmp_path: Path) -> None:
    model = random_model(config(), both)
    ctranslate2.write(model, both, SearchConfig(), tmp_path, "float16")
    with pytest.raises(
        DeviceError, match=r"CTranslate2 does not run float16 on this cpu; it runs .*float32"
    ):
        ctranslate2.engine(tmp_path, "cpu", "float16")


def test_the_table_of_positions_is_as_long_as_search_asks_for(
    both: Tokenizers, tmp_path: Path
) -> None:
    plain = config()
    assert ctranslate2.table_size(plain, SearchConfig()) == 2048
    assert ctranslate2.table_size(plain, SearchConfig(max_source_length=2000)) == 3011
    assert ctranslate2.table_size(plain, SearchConfig(max_length=5000)) == 5001
    model = random_model(config(positions="learned", max_positions=12), both)
    engine = opened(model, both, tmp_path)
    assert engine.longest_source == engine.longest_target == 12
    long = engine.search([[7] * 11], SearchConfig(beam=1))
    assert_found(long, model, [[7] * 11], SearchConfig(beam=1))
    assert all(len(one.ids) <= 11 for (one,) in long)


@pytest.mark.parametrize("name", MODELS)
def test_what_cannot_be_exported_is_said_before_training(name: str) -> None:
    for one in MODELS[name].config_class.tiny():
        found = ctranslate2.problems(one, SearchConfig(), True)
        wanted = (
            []
            if name == "transformer"
            else [f"model.type: CTranslate2 runs transformer, not {name}"]
        )
        assert found == wanted
    (problem,) = ctranslate2.problems(config(), SearchConfig(coverage_penalty=0.2), True)
    assert problem.startswith("search.coverage_penalty: CTranslate2 adds up one layer's attention")


def test_the_folder_says_what_ctranslate2_needs_to_know(both: Tokenizers, tmp_path: Path) -> None:
    ctranslate2.write(random_model(config(), both), both, SearchConfig(), tmp_path, "float32")
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json", "model.bin", "shared_vocabulary.json",
    }  # fmt: skip
    content = json.loads((tmp_path / "config.json").read_text())
    assert content["add_source_eos"] is True and content["decoder_start_token"] == "<s>"


def test_the_program_in_the_docs_begins_as_the_run_does(tmp_path: Path, tiny_run: Path) -> None:
    export(tiny_run, "ctranslate2", tmp_path / "out", Reporter(quiet=True))
    lines = ["The old man reads a book.", "dogs", "Two dogs don't see 1995 houses"]
    printed = translated_by_documented("import ctranslate2", tmp_path / "out", lines)
    greedy = open_translator([tiny_run], ["search.beam=1", "search.guard=false"], "cpu")
    assert all(clear_lines(greedy, lines))
    texts = [one.text[:12] for one in greedy.translate(lines)]
    assert all(texts)
    assert [one[: len(text)] for one, text in zip(printed, texts, strict=True)] == texts
