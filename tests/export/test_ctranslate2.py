"""CTranslate2 finds what our own search finds, for every variant of the Transformer."""

import json
import math
import os
import random
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from nmt_cli.data.tokenization.tokenizer import TextTokenizer, TokenizerConfig
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.data.tokenization.training import train_tokenizer
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Hypothesis
from nmt_cli.decoding.rescoring import log_probabilities
from nmt_cli.decoding.torch_engine import TorchEngine
from nmt_cli.errors import DeviceError, UserError
from nmt_cli.export import ctranslate2, ctranslate2_support, huggingface
from nmt_cli.export.ctranslate2_engine import CTranslate2Engine
from nmt_cli.export.exporting import export
from nmt_cli.export.format import position_limit
from nmt_cli.models import MODELS
from nmt_cli.models.configs import TransformerConfig
from nmt_cli.models.transformer import Transformer
from nmt_cli.reporting import Reporter
from tests.conftest import translated_by_documented
from tests.margins import assert_found, clear_lines, rounding, watched
from tests.opening import open_translator

pytest.importorskip("ctranslate2")
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
def tokenizers(tokenizer: TextTokenizer) -> Tokenizers:
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
    size = tokenizers.source.vocab_size
    return [[draw.randrange(4, size) for _ in range(1 + i % 11)] for i in range(count)]


def opened(model: Transformer, tokenizers: Tokenizers, folder: Path, patience: float = 1000) -> CTranslate2Engine:
    """So much patience that it goes on until no hypothesis is left, as ours may."""
    folder.mkdir(exist_ok=True)
    ctranslate2.export_model(model, tokenizers, SearchConfig(), folder, "float32")
    engine = CTranslate2Engine(folder, "cpu", "float32")
    engine.patience = patience
    return engine


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(options, id=name, marks=[] if name in QUICK else pytest.mark.slow)
        for name, options in VARIANTS.items()
    ],
)
def test_every_variant_is_searched_as_here(variant: dict[str, Any], tokenizers: Tokenizers, tmp_path: Path) -> None:
    model = random_model(config(**variant), tokenizers)
    theirs, source_ids = opened(model, tokenizers, tmp_path), sources(tokenizers)
    for beam in (1, 5):
        search = SearchConfig(beam=beam)
        assert_found(theirs.search(source_ids, search), model, source_ids, search)


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
    options: dict[str, Any], tokenizers: Tokenizers, tmp_path: Path
) -> None:
    model = random_model(config(norm="rms"), tokenizers)
    theirs, source_ids = opened(model, tokenizers, tmp_path), sources(tokenizers)
    search = SearchConfig.model_validate(options)
    assert_found(theirs.search(source_ids, search), model, source_ids, search)


@pytest.mark.parametrize("beam", [1, 5])
def test_what_does_not_end_has_the_length_that_its_own_source_allows(
    beam: int, tokenizers: Tokenizers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sentences are searched with the maximum of longer ones; a greedy search is cut to its own, not repeated."""
    model = random_model(config(), tokenizers)
    with torch.no_grad():
        model.output.bias[tokenizers.vocabulary.end] = -30
    theirs, source_ids = opened(model, tokenizers, tmp_path), sources(tokenizers)
    queued: list[int] = []
    search_once = theirs._search
    monkeypatch.setattr(theirs, "_search", lambda *given: queued.append(len(given[0])) or search_once(*given))
    search = SearchConfig(beam=beam)
    results = theirs.search(source_ids, search)
    assert_found(results, model, source_ids, search)
    assert all(
        len(best.ids) == search.max_target_length(len(ids)) and best.truncated
        for ids, (best, *_) in zip(source_ids, results, strict=True)
    )
    assert queued == [12] if beam == 1 else queued[1:]


@pytest.mark.parametrize("beam, n_best, patience", [(5, 5, 0.5), (5, 1, 0.1), (7, 3, 0.4), (3, 3, 1.0)])
def test_little_patience_leaves_as_many_translations_as_are_asked_for(
    beam: int, n_best: int, patience: float, tokenizers: Tokenizers, tmp_path: Path
) -> None:
    theirs = opened(random_model(config(), tokenizers), tokenizers, tmp_path)
    results = theirs.search(sources(tokenizers, 4), SearchConfig(beam=beam, n_best=n_best, patience=patience))
    assert [len(hypotheses) for hypotheses in results] == [n_best] * 4


@pytest.mark.parametrize("option", [{"min_length": 6}, {"no_repeat_ngram": 1}], ids=str)
def test_translations_with_forbidden_tokens_have_their_full_probability(
    option: dict[str, int], tokenizers: Tokenizers, tmp_path: Path
) -> None:
    """CTranslate2 divides by the probability of what is not forbidden; the scores here do not."""
    model = random_model(config(), tokenizers)
    theirs, source_ids = opened(model, tokenizers, tmp_path), sources(tokenizers)
    search = SearchConfig(beam=5, **option)
    results = theirs.search(source_ids, search)
    expected = log_probabilities(model, source_ids, [hypothesis.ids for (hypothesis,) in results], 4096)
    bounds = [bound for _, bound in watched(model, source_ids, search)]
    for (hypothesis,), score, bound in zip(results, expected, bounds, strict=True):
        assert len(hypothesis.ids) >= search.min_length
        assert hypothesis.log_probability == pytest.approx(score, abs=bound)


@pytest.mark.parametrize("beam", [1, 5])
def test_prefixes_are_kept_and_counted(beam: int, tokenizers: Tokenizers, tmp_path: Path) -> None:
    model = random_model(config(), tokenizers)
    theirs, source_ids = opened(model, tokenizers, tmp_path), sources(tokenizers)
    draw = random.Random(3)
    starts = [[draw.randrange(4, 300) for _ in range(i % 3)] for i in range(len(source_ids))]
    search = SearchConfig(beam=beam, length_normalization="none")
    results = theirs.search(source_ids, search, starts)
    assert_found(results, model, source_ids, search, starts)
    for start, (best, *_) in zip(starts, results, strict=True):
        assert best.ids[: len(start)] == start


@pytest.mark.parametrize("beam", [1, 5])
def test_a_prefix_longer_than_the_limit_is_not_cut(beam: int, tokenizers: Tokenizers, tmp_path: Path) -> None:
    model = random_model(config(), tokenizers)
    theirs, source_ids = opened(model, tokenizers, tmp_path), sources(tokenizers)
    prefixes = [list(range(5, 5 + 3 * (number % 4))) for number in range(len(source_ids))]
    search = SearchConfig(beam=beam, max_length=6)
    for prefix, (best, *_) in zip(prefixes, theirs.search(source_ids, search, prefixes), strict=True):
        assert best.ids[: len(prefix)] == prefix and len(best.ids) <= max(6, len(prefix))


def test_separate_vocabularies_keep_their_own_ids(tokenizer: TextTokenizer, tmp_path: Path) -> None:
    lines = ["Ein alter Mann liest ein Buch über Häuser.", "Zwei Hunde sehen zwei Häuser."] * 4
    other = train_tokenizer(lambda: lines, TokenizerConfig(vocab_size=330))
    apart = Tokenizers(tokenizer, other)
    for tied in ("target", "none"):
        model = random_model(config(tied_embeddings=tied), apart)
        theirs = opened(model, apart, tmp_path / tied)
        source_ids, search = sources(apart), SearchConfig(beam=5)
        assert_found(theirs.search(source_ids, search), model, source_ids, search)
        assert len(theirs.source_tokens) == tokenizer.vocab_size != len(theirs.target_tokens)


@pytest.mark.slow
def test_pieces_of_any_characters_are_kept_apart(tmp_path: Path) -> None:
    """Spaces, tabs, quotes, backslashes, U+2028 and text that spells a special token."""
    lines = [' "a\\b"', "\t\tx", "a\u2028b", " </s> <unk>", "  two  spaces", "\\n \x85 \x00"] * 9
    odd = train_tokenizer(lambda: lines, TokenizerConfig(type="character", vocab_size=300))
    tokenizers = Tokenizers(odd, odd)
    assert any(piece.isspace() and len(piece) == 1 for piece in odd.ids_to_tokens(range(odd.vocab_size)))
    model = random_model(config(), tokenizers)
    theirs = opened(model, tokenizers, tmp_path)
    assert theirs.source_tokens == odd.ids_to_tokens(range(odd.vocab_size))
    source_ids, search = [[i] for i in range(4, odd.vocab_size)], SearchConfig(beam=1, max_length=4)
    assert_found(theirs.search(source_ids, search), model, source_ids, search)


def test_samples_come_with_their_probability_and_in_order(tokenizers: Tokenizers, tmp_path: Path) -> None:
    model = random_model(config(), tokenizers)
    theirs = opened(model, tokenizers, tmp_path)
    search = SearchConfig(sampling=True, n_best=5, temperature=0.7, top_k=4)
    for source, drawn in zip(source_ids := sources(tokenizers, 6), theirs.search(source_ids, search), strict=True):
        assert len(drawn) == 5 and len({tuple(sample.ids) for sample in drawn}) > 1
        assert [sample.score for sample in drawn] == sorted((sample.score for sample in drawn), reverse=True)
        scores = log_probabilities(model, [source] * 5, [sample.ids for sample in drawn], 4096)
        for sample, score in zip(drawn, scores, strict=True):
            bound = rounding(model, len(sample.ids) + 1, token=abs(score), total=abs(score))
            assert sample.log_probability == pytest.approx(score, abs=bound)


def test_workers_do_not_draw_the_same(tokenizers: Tokenizers, tmp_path: Path) -> None:
    ctranslate2.export_model(random_model(config(), tokenizers), tokenizers, SearchConfig(), tmp_path, "float32")
    engine = CTranslate2Engine(tmp_path, "cpu", "float32", workers=4)
    engine.max_batch_tokens = 1  # each sentence is a batch, so all workers get some
    search = SearchConfig(sampling=True, min_length=12, max_length=12, temperature=3.0)
    samples = engine.search([[4, 5, 6, 7]] * 200, search)
    assert len({tuple(hypothesis.ids) for (hypothesis,) in samples}) == 200


@pytest.mark.parametrize("top_k", [1, "vocabulary", 100_000])
def test_the_fewest_and_the_most_tokens_to_sample_from(top_k: Any, tokenizers: Tokenizers, tmp_path: Path) -> None:
    model, source_ids = random_model(config(), tokenizers), sources(tokenizers, 6)
    theirs = opened(model, tokenizers, tmp_path)
    top_k = tokenizers.target.vocab_size if top_k == "vocabulary" else top_k
    results = theirs.search(source_ids, SearchConfig(sampling=True, n_best=3, max_length=6, top_k=top_k))
    assert [len(drawn) for drawn in results] == [3] * 6
    if top_k == 1:
        assert all(drawn == [drawn[0]] * 3 for drawn in results)
        greedy = SearchConfig(beam=1, max_length=6)
        assert_found([drawn[:1] for drawn in results], model, source_ids, greedy)
    else:
        assert any(len({tuple(sample.ids) for sample in drawn}) > 1 for drawn in results)


def scored(engine: CTranslate2Engine, sources: list[Ids], results: list[list[Hypothesis]]) -> list[float]:
    """The log-probabilities that CTranslate2 gives to hypotheses."""
    given = (
        [engine._to_source_tokens(ids) for ids in sources],
        [engine._to_target_tokens(hypothesis.ids) for (hypothesis,) in results],
    )
    return [sum(scoring_result.log_probs) for scoring_result in engine.translator.score_batch(*given)]


def test_quantizing_leaves_the_model_as_it_was_and_stays_close(tokenizers: Tokenizers, tmp_path: Path) -> None:
    """A weight of 7 bits errs by a step of 1/63 of the greatest in its row, an input of 8 bits by
    1/127, evenly spread (standard deviation: the step / sqrt 12); the greatest is about 3 standard
    deviations, so a product errs by 1.6 % of its size, and a logit (size about 1) by the root of
    the number of layers before it times as much. Four standard deviations, over all tokens."""
    model = random_model(config(d_model=64, d_ff=128), tokenizers)
    before = {name: value.clone() for name, value in model.named_parameters()}
    ctranslate2.export_model(model, tokenizers, SearchConfig(), tmp_path, "int8")
    assert all(torch.equal(before[name], value) for name, value in model.named_parameters())
    theirs = ctranslate2.load_engine(tmp_path, "cpu", "int8")
    assert isinstance(theirs, CTranslate2Engine)
    results = TorchEngine(model).search(source_ids := sources(tokenizers), SearchConfig(beam=1))
    product = 3 / math.sqrt(12) * math.hypot(1 / 63, 1 / 127)
    layers = 2 * 4 + 2 * 6 + 1  # one after another: attention has 2 (values, output), as has d_ff
    for (ours,), score in zip(results, scored(theirs, source_ids, results), strict=True):
        deviation = product * math.sqrt(layers * (len(ours.ids) + 1))
        assert score == pytest.approx(ours.log_probability, abs=4 * deviation)


@pytest.mark.parametrize("tied", ["all", "target", "none"])
def test_matrices_of_int8_have_seven_bits_a_row(tied: str, tokenizers: Tokenizers, tmp_path: Path) -> None:
    """More would overflow in the matrix product of a CPU without VNNI instructions."""
    model = random_model(config(d_model=64, d_ff=128, tied_embeddings=tied), tokenizers)
    with torch.no_grad():  # the worst case: products of the largest values, all of one sign
        for layer in model.decoder:
            layer.feed_forward.network.contract.weight.fill_(0.5)
    ctranslate2.export_model(model, tokenizers, SearchConfig(), tmp_path, "int8")
    theirs = ctranslate2.load_engine(tmp_path, "cpu", "int8")
    assert isinstance(theirs, CTranslate2Engine)
    results = TorchEngine(model).search(source_ids := sources(tokenizers), SearchConfig(beam=1))
    for (ours,), score in zip(results, scored(theirs, source_ids, results), strict=True):
        assert score == pytest.approx(ours.log_probability, rel=0.02, abs=0.2)


def test_attention_is_computed_in_one_thread_whoever_asks(tokenizers: Tokenizers, tmp_path: Path) -> None:
    """The C allocator keeps what each thread has freed."""
    engine = opened(random_model(config(), tokenizers), tokenizers, tmp_path)
    computing: list[int] = []

    class OwnEngine:
        def __init__(self) -> None:
            computing.append(threading.get_ident())

        def max_attention_positions(self, search: SearchConfig) -> int:
            computing.append(threading.get_ident())
            return 7

        def attention(self, sources: list[Ids], targets: list[Ids]) -> list[Any]:
            computing.append(threading.get_ident())
            return [(sources, targets)]

    engine.open_own_engine = OwnEngine
    everybody = threading.Barrier(3)

    def ask(number: int) -> tuple[int, Any]:
        everybody.wait()
        return engine.max_attention_positions(SearchConfig()), engine.attention([[number]], [[number]])

    with ThreadPoolExecutor(3) as askers:
        answers = list(askers.map(ask, range(3)))
    assert answers == [(7, [([[number]], [[number]])]) for number in range(3)]
    assert len(computing) == 7
    assert len(set(computing)) == 1


def test_a_type_that_the_device_does_not_run_is_refused(tokenizers: Tokenizers, tmp_path: Path) -> None:
    model = random_model(config(), tokenizers)
    ctranslate2.export_model(model, tokenizers, SearchConfig(), tmp_path, "float16")
    with pytest.raises(DeviceError, match=r"CTranslate2 does not support float16 on this cpu; it supports") as error:
        ctranslate2.load_engine(tmp_path, "cpu", "float16")
    offered = str(error.value).partition("it supports ")[2].split(", ")
    assert "float32" in offered and set(offered) <= set(ctranslate2.QUANTIZATIONS)


def test_a_folder_whose_name_the_locale_does_not_decode_is_opened(tokenizers: Tokenizers, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"\xff")
    folder.mkdir()
    ctranslate2.export_model(random_model(config(), tokenizers), tokenizers, SearchConfig(), folder, "float32")
    assert ctranslate2.load_engine(folder, "cpu", "float32").search([[5]], SearchConfig())


def test_the_table_of_positions_is_as_long_as_search_asks_for(tokenizers: Tokenizers, tmp_path: Path) -> None:
    assert position_limit(None, SearchConfig(), 2048) == 2048
    assert position_limit(None, SearchConfig(max_source_length=2000), 2048) == 3011
    assert position_limit(None, SearchConfig(max_length=5000), 2048) == 5001
    model = random_model(config(positions="learned", max_positions=12), tokenizers)
    engine = opened(model, tokenizers, tmp_path)
    assert engine.max_source_positions == engine.max_target_positions == 12
    long = engine.search([[7] * 11], SearchConfig(beam=1))
    assert_found(long, model, [[7] * 11], SearchConfig(beam=1))
    assert all(len(hypothesis.ids) <= 11 for (hypothesis,) in long)


@pytest.mark.parametrize("name", MODELS)
def test_what_cannot_be_exported_is_said_before_training(name: str) -> None:
    for model_config in MODELS[name].config_class.tiny_configs():
        reasons = ctranslate2.incompatibilities(model_config, SearchConfig())
        expected = [] if name == "transformer" else [f"model.type: CTranslate2 runs transformer, not {name}"]
        assert reasons == expected

    class OwnConfig(TransformerConfig):
        type: Literal["own"] = "own"  # type: ignore[assignment]

    for module, what in ((ctranslate2, "CTranslate2 runs transformer"), (huggingface, "MarianMT is a transformer")):
        assert module.incompatibilities(OwnConfig(), SearchConfig()) == [f"model.type: {what}, not own"]
    (problem,) = ctranslate2.incompatibilities(config(), SearchConfig(coverage_penalty=0.2))
    assert problem == "search.coverage_penalty: CTranslate2 computes it from one layer's attention: set it to 0"


def test_an_open_translator_takes_no_search_settings_that_ctranslate2_means_otherwise(
    tiny_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"  # its export is kept in its folder
    shutil.copytree(tiny_run, run)
    plain = open_translator([run], [], "cpu", engine="ctranslate2")
    assert len(plain.with_search(n_best=2).translate(["a book"])[0].candidates) == 2
    for key, value, reason in (
        ("sampling", True, "draws other samples, which are not reproducible"),
        ("coverage_penalty", 0.2, "computes it from one layer's attention"),
        ("no_repeat_ngram", 2, "forbids what the source itself repeats"),
    ):
        with pytest.raises(
            UserError, match=rf"^with_search: search\.{key}: CTranslate2 {reason}; open the run with it"
        ):
            plain.with_search(**{key: value})
    assert ctranslate2_support.search_differences(SearchConfig(n_best=2)) == [
        "search.n_best: CTranslate2 may stop before the others of the n best have ended"
    ]
    sampling = open_translator([run], ["search.sampling=true"], "cpu", engine="ctranslate2")
    assert sampling.with_search(temperature=2.0).config.temperature == 2.0  # asked for when it was opened


def test_the_folder_says_what_ctranslate2_needs_to_know(tokenizers: Tokenizers, tmp_path: Path) -> None:
    ctranslate2.export_model(random_model(config(), tokenizers), tokenizers, SearchConfig(), tmp_path, "float32")
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json", "model.bin", "shared_vocabulary.json",
    }  # fmt: skip
    content = json.loads((tmp_path / "config.json").read_text())
    assert content["add_source_eos"] is True and content["decoder_start_token"] == "<s>"


def test_the_program_in_the_docs_begins_as_the_run_does(tmp_path: Path, tiny_run: Path) -> None:
    export(tiny_run, "ctranslate2", tmp_path / "out", Reporter(quiet=True))
    lines = ["The old man reads a book.", "dogs", "Two dogs don't see 1995 houses"]
    printed = translated_by_documented("import ctranslate2", tmp_path / "out", lines)
    greedy = open_translator([tiny_run], ["search.beam=1", "search.repair_degenerate=false"], "cpu")
    assert all(clear_lines(greedy, lines))
    texts = [translation.text[:12] for translation in greedy.translate(lines)]
    assert all(texts)
    assert [printed_line[: len(text)] for printed_line, text in zip(printed, texts, strict=True)] == texts
