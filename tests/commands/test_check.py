"""nmt check: each thing that would go wrong later is found, and nothing is written."""

import gzip
import json
import re
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nmt_cli.commands import check as command
from nmt_cli.commands.check import check
from nmt_cli.commands.check_text import Finding
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.inspection import token_lengths
from nmt_cli.data.prepared.build import train_tokenizers
from nmt_cli.data.sources import quickstart
from nmt_cli.data.sources.quickstart import read_quickstart
from nmt_cli.data.tokenization.tokenizer import TokenizerConfig
from nmt_cli.errors import DataError
from nmt_cli.models import MODELS
from nmt_cli.models.contract import Sequences
from nmt_cli.recipe.loader import build_recipe, load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.loading import build_model
from nmt_cli.runs.preparation import prepare_recipe
from nmt_cli.training.memory_estimate import PROBE_PAIRS, estimate_memory
from nmt_cli.vocabulary import Vocabulary
from nmt_cli.yaml12 import write_yaml
from tests.conftest import SYLLABLES, TINY_MODELS, Call, Listener, toy_content

pytestmark = pytest.mark.precision


def findings(folder: Path, *settings: str, **content: Any) -> list[Finding]:
    recipe = folder / "toy.yaml"
    recipe.write_text(write_yaml(toy_content(folder / "text") | content))
    return check(recipe, list(settings), None, Reporter(quiet=True), "cpu")


def said(reported: list[Finding], level: str) -> str:
    return "\n".join(f"{finding.about}: {finding.text}" for finding in reported if finding.level == level)


def test_a_sound_recipe_has_no_errors_and_nothing_is_written(toy: Path) -> None:
    before = sorted(toy.rglob("*"))
    reported = findings(toy)
    assert said(reported, "error") == ""
    notes = said(reported, "note")
    for text in (
        "train.ab: 300 pairs", "dev.ab: 20 pairs", "source lengths: words: half below",
        "parameters; 12 updates are ", "GiB for the largest batch", "checkpoints, ",
    ):  # fmt: skip
        assert text in notes
    assert sorted(toy.rglob("*")) == sorted([*before, toy / "toy.yaml"])


def test_many_texts_share_the_pairs_that_are_looked_at(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them are kept in memory until the lengths are known."""
    corpus = toy_content(toy / "text")["corpus"]
    texts = [{"name": "train"}] * 3
    for limit, max_pairs in ((1_000_000, 100_000), (100, 33), (2, 1)):
        monkeypatch.setattr(command, "MAX_CORPUS_PAIRS", limit)
        limits: list[int] = []

        def refuse(*arguments: Any, limits: list[int] = limits) -> None:
            limits.append(arguments[2])
            raise DataError("enough")

        monkeypatch.setattr(command, "inspect_corpus", refuse)
        assert "enough" in said(findings(toy, corpus=corpus | {"train": texts}), "error")
        assert limits == [max_pairs]


@pytest.mark.parametrize(
    ("setting", "about"),
    [
        ("training.plateau_factor=0.3", "plateau_factor: does nothing without schedule: plateau"),
        ("training.plateau_patience=3", "plateau_patience: does nothing without schedule"),
        ("training.warmup_updates=12", "warmup_updates: 12, with only 12 updates"),
        ("training.validate_every=13", "validate_every: 13 is more than 12 updates"),
        ("training.average_checkpoints=3", "average_checkpoints: 3, with only 2 checkpoints"),
        ("training.patience=2", "patience: 2, with only 2 validations"),
        ("search.temperature=2", "temperature: does nothing without sampling: true"),
        ("search.seed=2", "seed: does nothing without sampling"),
        ("tokenizer.subword_sampling=0.2", "subword_sampling: does nothing without subword_samples"),
        ("tokenizer.character_coverage=0.5", "character_coverage: does nothing with type: word"),
        ("model.max_positions=99", "max_positions: does nothing with positions: sinusoidal"),
        ("tokenizer.vocab_size=500", "vocab_size: 500, but the text gives only 18 words"),
    ],
)  # fmt: skip
def test_an_option_that_does_nothing_is_named(toy: Path, setting: str, about: str) -> None:
    assert about in said(findings(toy, setting), "warning")
    assert about not in said(findings(toy), "warning")


@pytest.mark.parametrize(
    ("settings", "about"),
    [
        (["search.beam=1", "search.length_penalty=2"], "length_penalty: does nothing with beam: 1"),
        (["search.beam=1", "search.patience=2"], "patience: does nothing with beam: 1"),
        (["search.sampling=true", "search.patience=2"], "patience: does nothing with sampling"),
        (["training.schedule=plateau", "training.patience=2"], "plateau_patience: 2, but patience: 2 ends the run"),
        (["search.sampling=true", "search.coverage_penalty=0.1"], "coverage_penalty: does nothing with sampling"),
        (["search.length_normalization=none", "search.length_penalty=2"],
         "length_penalty: does nothing with length_normalization: none"),
        (["search.sampling=true", "search.beam=3"], "beam: does nothing with sampling: true"),
        (["search.max_length=9", "search.max_length_factor=2"],
         "max_length_factor: does nothing beside max_length"),
        (["search.max_length=101"], "max_length: 101 without patience: search goes on long after the best"),
        (["training.metric=loss", "training.samples=1"], "samples: does nothing with metric: loss"),
    ],
)  # fmt: skip
def test_options_that_cancel_each_other_are_named(toy: Path, settings: list[str], about: str) -> None:
    assert about in said(findings(toy, *settings), "warning")


@pytest.mark.parametrize("setting", ["max_length=100", "patience=2", "beam=1", "length_penalty=0", "sampling=true"])
def test_a_greatest_length_that_does_not_prolong_a_search_is_no_warning(toy: Path, setting: str) -> None:
    warnings = said(findings(toy, "search.max_length=200", f"search.{setting}"), "warning")
    assert "without patience" not in warnings


def test_options_of_other_models_are_looked_at_too(toy: Path) -> None:
    model = {"type": "rnn", "attention": "none", "input_feeding": False, "hidden_size": 8}
    reported = findings(toy, "search.coverage_penalty=0.5", model=model)
    assert "input_feeding: does nothing with attention: none" in said(reported, "warning")
    assert "coverage_penalty: does nothing: rnn has no attention" in said(reported, "warning")


def test_options_beside_the_embedded_corpus_are_named(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quickstart, "read_quickstart", lambda split: islice(read_quickstart(split), 300))
    corpus = {"name": "quickstart", "root": "x", "source": "en", "target": "de"}
    reported = findings(toy, "tokenizer.type=bpe", "tokenizer.vocab_size=400", corpus=corpus)
    assert "root: does nothing with name: quickstart" in said(reported, "warning")


def test_formats_that_the_model_does_not_fit_are_named(toy: Path) -> None:
    assert "ctranslate2" not in said(findings(toy), "note")
    notes = said(findings(toy, model=TINY_MODELS["rnn"]), "note")
    expected = "nmt export: not to ctranslate2: model.type: CTranslate2 runs transformer, not rnn"
    assert expected in notes.splitlines()


def test_formats_are_not_spoken_of_where_the_recipe_chose_nothing_or_is_wrong(toy: Path) -> None:
    transformer = {"type": "transformer", "d_model": 16, "heads": 2, "d_ff": 16}
    assert "nmt export" not in said(findings(toy, model=transformer), "note")
    chosen = said(findings(toy, model=transformer | {"norm_position": "pre"}), "note")
    assert "nmt export: not to huggingface: model.norm_position: MarianMT does not support pre" in chosen
    assert "nmt export" not in said(findings(toy, "corpus.train=missing", model=TINY_MODELS["rnn"]), "note")


def test_an_error_in_a_text_stands_once_under_its_key(toy: Path) -> None:
    assert said(findings(toy, "corpus.train=missing"), "error").startswith("corpus.train: no file missing.ab and ")


def test_every_mistake_in_a_recipe_is_an_error(toy: Path) -> None:
    reported = findings(toy, "training.warmupp=3", "model.heads=0")
    assert [finding.level for finding in reported] == ["error", "error"]
    assert "warmupp: unknown key" in said(reported, "error") and "heads" in said(reported, "error")


def test_heads_that_do_not_divide_are_an_error(toy: Path) -> None:
    assert "not divisible by heads 3" in said(findings(toy, "model.heads=3"), "error")


@pytest.mark.parametrize(
    ("damage", "level", "about"),
    [
        (lambda f: (f / "train.ba").unlink(), "error", "no file train.ba"),
        (lambda f: (f / "train.ba").write_text("le\n"), "error", "train.ab has 300 lines"),
        (lambda f: [(f / f"dev.{s}").write_text("") for s in ("ab", "ba")],
         "error", "dev.ab: the text is empty"),
        (lambda f: [(f / f"train.{s}").write_text("\n\n") for s in ("ab", "ba")],
         "error", "no pair is left to train on"),
        (lambda f: (f / "dev.ab").write_bytes(b"ba\n\xff\n" + b"le\n" * 18),
         "warning", "dev.ab: not UTF-8: line 2"),
        (lambda f: [(f / f"train.{s}").write_text("ba le\n" * 300) for s in ("ab", "ba")],
         "warning", "99.7% dropped: duplicate, as in train.ab:2: ba le ||| ba le"),
    ],
)  # fmt: skip
def test_text_that_cannot_be_used_is_found(toy: Path, damage: Any, level: str, about: str) -> None:
    damage(toy / "text")
    assert about in said(findings(toy), level)


def test_each_text_of_a_list_is_checked(toy: Path) -> None:
    for side in ("ab", "ba"):
        (toy / f"text/empty.{side}").write_text("")
    corpus = {"root": str(toy / "text"), "source": "ab", "target": "ba", "train": "train"}
    corpus |= {"dev": ["dev", {"name": "test", "tag": "<2ba>"}], "test": ["test", "empty"]}
    about = findings(toy, corpus=corpus)
    assert "corpus.test: empty.ab: the text is empty" in said(about, "error")
    assert all(f"corpus.dev: {name}.ab: " in said(about, "note") for name in ("dev", "test"))


def test_a_single_pair_is_refused_as_training_refuses_it(toy: Path) -> None:
    for side in ("ab", "ba"):
        (toy / f"text/train.{side}").write_text("ba\n")
    corpus = {"root": str(toy / "text"), "source": "ab", "target": "ba"}
    assert "one pair is too few to hold out development text" in said(findings(toy, corpus=corpus), "error")
    assert "one pair" not in said(findings(toy), "error")


def test_few_pairs_that_would_be_held_out_are_warned_of_with_what_to_do(toy: Path) -> None:
    corpus = {"root": str(toy / "text"), "source": "ab", "target": "ba", "train": "train"}
    few = "corpus.dev: only 15 pairs are held out: scores of so few vary by chance; corpus.dev names more"
    reported = findings(toy, corpus=corpus)
    assert few in said(reported, "warning")
    assert "corpus.test: none: training ends without a test score" in said(reported, "warning")
    assert "corpus.dev: none: about 15 training pairs will be held out" in said(reported, "note")


def test_a_text_in_another_encoding_is_an_error(toy: Path) -> None:
    lines = (toy / "text/train.ba").read_text().splitlines()
    (toy / "text/train.ba").write_bytes("".join(f"é {line}\n" for line in lines).encode("cp1252"))
    assert "train.ba: 300 of 300 pairs are not UTF-8" in said(findings(toy), "error")
    (toy / "text/train.ba").write_text("".join(f"{line}\n" for line in lines))
    (toy / "text/dev.ba").write_bytes("é\n".encode("cp1252") * 20)
    assert "dev.ba: 20 of 20 pairs are not UTF-8" in said(findings(toy), "error")
    (toy / "text/dev.ab").write_bytes("é\n".encode("cp1252") * 20)
    assert "dev.ab and dev.ba: 20 of 20 pairs are not UTF-8" in said(findings(toy), "error")


def test_a_language_that_is_no_code_is_warned_of(toy: Path) -> None:
    corpus = toy_content(toy / "text")["corpus"]
    warnings = said(findings(toy, corpus=corpus | {"source": "english"}), "warning")
    assert "corpus.source: english is not a language code such as en" in warnings and "corpus.target" not in warnings
    assert "language code" not in said(findings(toy, corpus=corpus | {"source": "sr-Latn"}), "warning")


def test_a_metric_that_cannot_be_computed_is_an_error(toy: Path) -> None:
    assert "training.metric_tokenize: " in said(findings(toy, "training.metric_tokenize=ja-mecab"), "error")


def test_bad_rows_are_named_with_their_share(toy: Path) -> None:
    rows = [f"{source}\t{source}\n" for source in (toy / "text/train.ab").read_text().splitlines()]
    (toy / "text/x.tsv").write_text("".join(["ab\tba\n", *rows[:99], "ba\n", "ba\n"]))
    corpus = {"root": str(toy / "text"), "source": "ab", "target": "ba", "train": [{"tsv": "x.tsv"}]}
    warnings = said(findings(toy, corpus=corpus), "warning")
    path = toy / "text/x.tsv"
    assert f"2 rows dropped: no tab, as in {path}:101: ba (2.0%)" in warnings
    assert f"1 row dropped: header, as in {path}:1: ab ⇥ ba; header: true in its entry" in warnings


def test_a_broken_archive_is_found(toy: Path) -> None:
    whole = gzip.compress((toy / "text/train.ab").read_bytes())
    (toy / "text/train.ab").unlink()
    (toy / "text/train.ab.gz").write_bytes(whole[:100])
    assert "train.ab.gz: cannot read" in said(findings(toy), "error")


def test_what_is_cut_or_does_not_fit_is_found(toy: Path) -> None:
    assert "longer than 3 words and are dropped" in said(findings(toy, "corpus.max_length=3"), "warning")
    learned = ["model.positions=learned", "model.max_positions=8"]
    (toy / "text/train.ab").write_text("ba " * 40 + "\n" + (toy / "text/train.ab").read_text())
    (toy / "text/train.ba").write_text("ce " * 40 + "\n" + (toy / "text/train.ba").read_text())
    assert "the model has 8 positions, the longest source needs 41" in said(findings(toy, *learned), "error")
    for side in ("ab", "ba"):
        (toy / f"text/dev.{side}").write_text("ba " * 50 + "\n" + (toy / f"text/dev.{side}").read_text())
    longer = ["model.positions=learned", "model.max_positions=41"]
    error = "the model has 41 positions, the longest target of the development text needs 51"
    assert error in said(findings(toy, *longer, "corpus.max_length_ratio=null"), "error")
    assert said(findings(toy, longer[0], "model.max_positions=51"), "error") == ""


def test_how_often_subwords_occur_is_told_and_warned_of_where_it_is_seldom(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported = findings(toy)
    assert re.search(r"tokenizer.vocab_size: each of the 18 words occurs \d+ times on average$",
                     said(reported, "note"), re.MULTILINE)  # fmt: skip
    assert "words occurs" not in said(reported, "warning")
    monkeypatch.setattr(command, "MIN_SUBWORD_FREQUENCY", 10**6)
    warnings = said(findings(toy), "warning")
    assert re.search(r"each of the \d+ words occurs \d+ times on average; a smaller vocabulary learns", warnings)


@pytest.mark.parametrize(
    "tokenizer_type, tokens", [("bpe", "subwords"), ("character", "characters"), ("word", "words")]
)
def test_tokens_are_called_what_the_tokenizer_cuts_text_into(toy: Path, tokenizer_type: str, tokens: str) -> None:
    settings = (f"tokenizer.type={tokenizer_type}", "tokenizer.vocab_size=290", "corpus.max_length=9")
    reported = findings(toy, *settings)
    text = "\n".join(finding.text for finding in reported)
    assert set(re.findall(r"\d (subwords|characters|words)\b", text)) == {tokens}
    assert f"target lengths: {tokens}: half below " in said(reported, "note")
    listener = Listener()
    prepare_recipe(load_recipe("toy.yaml", list(settings)), listener)
    (line,) = [line for line in listener.said if " pairs read, " in line]
    assert re.search(rf"; \d+ {tokens}$", line)


def vocabulary_warnings(pairs: list[tuple[str, str]], **tokenizer: Any) -> str:
    config = TokenizerConfig.model_validate(tokenizer)
    corpus = CorpusConfig(source="en", target="de")
    tokenizers = train_tokenizers(lambda side: [pair[side == "target"] for pair in pairs], config, corpus, ())
    lengths, ones = token_lengths(tokenizers, pairs), np.ones(len(pairs))
    sample = command._CorpusSample(tokenizers, pairs, *lengths, ones, ones, True, None)
    return said([*command._check_vocabulary(config, sample)], "warning")


@pytest.mark.parametrize(
    ("tokenizer_type", "vocab_size", "warning"),
    [
        (
            "bpe",
            360,
            r"target: a word is cut into [34]\.\d subwords on average, hardly more than its letters; a larger ",
        ),
        ("unigram", 360, r"source: a word is cut into [34]\.\d subwords on average"),
        ("bpe", 600, None),
        ("character", 360, None),
        (
            "word",
            200,
            r"target: [2-6]\d% of the words are not among the 200 of the vocabulary, .*; use a larger one, or ",
        ),
        ("word", 2000, None),
    ],
)
def test_a_vocabulary_that_cuts_words_into_letters_or_does_not_know_them_is_warned_of(
    tokenizer_type: str, vocab_size: int, warning: str | None
) -> None:
    pairs = [(pair.source.decode(), pair.target.decode()) for pair in islice(read_quickstart("train"), 2000)]
    warnings = vocabulary_warnings(pairs, type=tokenizer_type, vocab_size=vocab_size)
    pattern = warning or "hardly more than its letters|are not among the"
    assert bool(re.search(pattern, warnings)) == (warning is not None), warnings


def test_lines_without_spaces_are_not_taken_for_words() -> None:
    kana = {code: chr(0x3042 + 2 * (code - 97)) for code in range(97, 123)}
    english = [pair.source.decode().lower().strip("?.!") for pair in islice(read_quickstart("train"), 2000)]
    japanese = [line.replace(" ", "").translate(kana) for line in english]
    warnings = vocabulary_warnings(list(zip(english, japanese, strict=True)), vocab_size=360)
    assert "source: a word" in warnings and "target: a word" not in warnings


def test_a_vocabulary_that_the_text_cannot_fill_is_told_even_where_pairs_are_dropped(toy: Path) -> None:
    for side in ("ab", "ba"):
        lines = (toy / f"text/train.{side}").read_text()
        (toy / f"text/train.{side}").write_text(lines + lines[: lines.index("\n") + 1])  # a duplicate
    reported = findings(toy, "tokenizer.vocab_size=5000")
    assert "vocab_size: 5,000, but the text gives only 18 words" in said(reported, "warning")
    assert "vocab_size: each of the 18 words occurs " in said(reported, "note")


def epochs(reported: list[Finding]) -> tuple[bool, float]:
    """Whether they are the most that there may be, and how many."""
    match = re.search(r"updates are (at most )?([\d,.]+) epochs", said(reported, "note"))
    assert match
    return match[1] is not None, float(match[2].replace(",", ""))


def test_epochs_are_those_of_training(toy: Path) -> None:
    tokens = sum(len(line.split()) + 1 for line in (toy / "text/train.ba").read_text().splitlines())
    given = ["training.updates=1000", "training.tokens_per_batch=500"]
    assert epochs(findings(toy, *given)) == (False, pytest.approx(1000 * 500 / tokens, abs=0.1))
    corpus = toy_content(toy / "text")["corpus"]
    weighted = corpus | {"train": [{"name": "train", "weight": 2.5}]}
    assert epochs(findings(toy, *given, corpus=weighted))[1] == pytest.approx(1000 * 500 / tokens / 2.5, abs=0.1)
    held_out = {key: value for key, value in corpus.items() if key != "dev"}
    assert epochs(findings(toy, *given, corpus=held_out))[1] == pytest.approx(500_000 / tokens / 0.95, rel=0.01)
    auto = findings(toy, given[0], "training.tokens_per_batch=auto")
    assert epochs(auto) == (True, pytest.approx(1000 * 256 / tokens, abs=0.1))  # of so little text it takes 256
    for side in ("ab", "ba"):
        path = toy / f"text/train.{side}"
        path.write_text(path.read_text() * 2)  # duplicates, which are dropped
    assert epochs(findings(toy, *given))[1] == pytest.approx(1000 * 500 / tokens, abs=0.1)


def test_targets_that_a_model_cannot_emit_are_told(toy: Path) -> None:
    for side, line in (("ab", "ba"), ("ba", "ba " * 30)):
        path = toy / f"text/train.{side}"
        path.write_text(f"{line}\n{path.read_text()}")
    text = "1 of 301 pairs (0.33%) cannot be learned: their targets have more tokens than the model emits"
    assert text not in said(findings(toy, "corpus.max_length_ratio=99"), "note")
    model = MODELS["ctc"].config_class.tiny_configs()[0].model_dump(mode="json") | {"upsample": 3}
    assert text in said(findings(toy, "corpus.max_length_ratio=99", model=model), "note")
    (toy / "text/train.ba").write_text("ba ba ba\n" * 300 + "ba ba\n")  # 5 and 3 outputs
    (toy / "text/train.ab").write_text("ba\n" * 300 + "ba le\n")  # 4 and 6 with upsample: 2
    warnings = said(findings(toy, "corpus.deduplicate=false", model=model | {"upsample": 2}), "warning")
    assert "model: 300 of 301 pairs (99.67%) cannot be learned" in warnings


def test_targets_that_search_could_not_write_are_found(toy: Path) -> None:
    text = "% of the training targets are longer than a translation may be"
    reported = findings(toy, "search.max_length=1", "search.max_source_length=4")
    warnings = said(reported, "warning")
    assert "search.max_length: 9" in warnings and text in warnings
    assert "% of the training sources are longer and would be translated in parts" in said(reported, "note")
    assert text not in said(findings(toy), "warning")


def test_a_length_that_drops_every_pair_is_an_error(toy: Path) -> None:
    for side in ("ab", "ba"):
        (toy / f"text/train.{side}").write_text("".join(f"{syllable} {syllable}\n" for syllable in SYLLABLES))
    assert "corpus.max_length: 1 drops every pair: raise it" in said(findings(toy, "corpus.max_length=1"), "error")


def test_too_little_memory_or_disk_is_an_error(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt_cli.training.memory.available_memory", lambda place: 1000)
    monkeypatch.setattr(command.shutil, "disk_usage", lambda path: type("Free", (), {"free": 7}))
    errors = said(findings(toy), "error")
    assert "0.0 GiB are free; reduce training.tokens_per_batch or corpus.max_length" in errors
    assert "disk: 0.00 GiB for 3 checkpoints" in errors


def test_what_is_missing_but_can_be_fetched_is_a_warning(toy: Path) -> None:
    corpus = {
        "root": "elsewhere", "source": "ab", "target": "ba", "train": "train",
        "download": {"address": "https://example.org/", "sha256": {"train.ab": "0" * 64}},
    }  # fmt: skip
    reported = findings(toy, corpus=corpus)
    assert "nmt prepare will fetch https://example.org/train.ab" in said(reported, "warning")


def test_an_extra_that_training_needs_is_missed_before_it(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    reported = findings(toy, "training.tensorboard=true")
    assert said(reported, "error") == 'training.tensorboard: needs the extra: pip install "nmt-cli[tensorboard]"'
    monkeypatch.setattr(command, "find_spec", lambda _: object())
    assert said(findings(toy, "training.tensorboard=true"), "error") == ""


def test_a_run_folder_that_exists_is_said(toy: Path) -> None:
    (toy / "runs/toy").mkdir(parents=True)
    assert "runs/toy exists: continue with --resume" in said(findings(toy), "warning")


def test_memory_is_linear_in_sentences_and_counts_what_the_backward_pass_needs() -> None:
    recipe = build_recipe(toy_content(Path(".")))
    vocabulary = Vocabulary(source_size=60, target_size=60, joint=True)
    model = build_model(recipe, vocabulary)
    single, ten = (estimate_memory(model, torch.float32, 12, 10, n * PROBE_PAIRS) for n in (1, 10))
    assert ten.activation_bytes == 10 * single.activation_bytes > 0
    half = estimate_memory(model, torch.bfloat16, 12, 10, PROBE_PAIRS)
    assert half.activation_bytes == single.activation_bytes // 2
    count = sum(parameter.numel() for parameter in model.parameters())
    assert single.checkpoint_bytes == 12 * count and single.weight_bytes == 16 * count
    assert half.weight_bytes == 20 * count
    shared = estimate_memory(model, torch.bfloat16, 12, 10, PROBE_PAIRS, replica_count=3)
    assert shared.weight_bytes == half.weight_bytes + 2 * 2 * count
    most_shared = estimate_memory(model, torch.bfloat16, 12, 10, 10**6, replica_count=3)
    assert most_shared.logit_bytes == 3 * 12 << 22
    averaged = estimate_memory(model, torch.float32, 12, 10, PROBE_PAIRS, has_moving_average=True)
    assert (averaged.checkpoint_bytes, averaged.weight_bytes) == (16 * count, 20 * count)
    assert single.logit_bytes == 12 * PROBE_PAIRS * 12 * 60
    most = [estimate_memory(model, torch.float32, 12, 10, 10**6, kind).logit_bytes for kind in ("cpu", "cuda")]
    assert most == [12 << 22, 12 << 27]
    by_hand = _kept_by_autograd(model, 12, 10, PROBE_PAIRS)
    assert 0.5 < single.activation_bytes / by_hand < 2.0


def _kept_by_autograd(model: Any, source: int, target: int, sentences: int) -> int:
    """Bytes that the graph holds after a forward pass, walked from its end."""
    ids = [torch.full((sentences, n), 2) for n in (source, target)]
    lengths = [torch.full((sentences,), n) for n in (source, target)]
    hidden = model(Sequences(ids[0], lengths[0]), Sequences(ids[1], lengths[1]))
    seen, bytes_by_address, todo = (set(), {}, [model.output_logits(hidden).log_softmax(-1).sum().grad_fn])
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        todo += [parent for parent, _ in node.next_functions]
        for name in dir(node):
            if name.startswith("_saved_") and torch.is_tensor(value := getattr(node, name)):
                bytes_by_address[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    return sum(size for place, size in bytes_by_address.items() if place not in own)


def test_the_command_prints_a_line_each_and_fails_where_training_would(toy: Path, nmt: Call) -> None:
    (toy / "toy.yaml").write_text(write_yaml(toy_content(toy / "text")))
    arguments = ["check", "toy.yaml", "--device", "cpu"]
    code, out, _ = nmt(*arguments)
    assert code == 0 and "note     corpus.train: train.ab: 300 pairs" in out.splitlines()
    _, quiet, _ = nmt(*arguments, "--quiet")
    assert "warning  " in quiet and "note  " not in quiet
    code, out, _ = nmt(*arguments, "--json", "--set", "training.updates=0")
    assert code == 2
    (only,) = json.loads(out)
    assert only["level"] == "error" and "training.updates" in only["text"]
