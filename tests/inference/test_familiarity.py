"""A line is marked where it is further from the training text than hardly any line of the development text."""

import io
import json
import pickle
from pathlib import Path

import pytest

from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.known_words import WordSet, unknown_share
from nmt_cli.data.text_profile import PROFILE_FILE, TextProfile, UnknownShares, fallback_share, rarely_exceeded
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.inference.familiarity import FamiliarityLimits
from nmt_cli.training.checkpoints import Checkpointer
from tests.conftest import Call
from tests.streams import translate_stream
from tests.translators import Echo, echo

LIMITS = FamiliarityLimits(UnknownShares(0.5, 0.4), 0.2)


@pytest.mark.parametrize(
    "words, tokens, probability, signs",
    [
        (0.5, 0.4, 0.2, {}),
        (0.51, 0.0, 0.9, {"unknown_words": 0.51}),
        (0.0, 0.41, 0.9, {"unknown_tokens": 0.41}),
        (0.0, 0.0, 0.19, {"token_probability": 0.19}),
        (0.0, 0.0, None, {}),
    ],
)
def test_a_sign_is_what_exceeds_its_limit(
    words: float, tokens: float, probability: float | None, signs: object
) -> None:
    assert LIMITS.signs(words, tokens, probability) == signs


def test_nothing_is_marked_where_nothing_was_measured() -> None:
    assert FamiliarityLimits().signs(1.0, 1.0, 0.0) == {}


def test_uniform_development_text_does_not_make_every_new_word_a_sign() -> None:
    uniform = FamiliarityLimits(UnknownShares(rarely_exceeded([0.0] * 50), rarely_exceeded([0.0] * 50)))
    assert uniform.signs(0.2, 0.2, 0.0) == {}
    assert uniform.signs(0.5, 0.5, 0.0) == {"unknown_words": 0.5, "unknown_tokens": 0.5}


def test_shares_are_of_all_words_and_tokens(tokenizer: TextTokenizer) -> None:
    assert unknown_share("the old quux, the 7 Zyx!", [WordSet(["the", "old"])]) == pytest.approx(2 / 5)
    assert unknown_share("7 +", [WordSet()]) == 0.0
    (ids,) = tokenizer.encode(["a ǂ"])
    assert fallback_share(ids, tokenizer.fallback_ids) == pytest.approx(2 / len(ids))  # the two bytes of ǂ
    assert fallback_share([], tokenizer.fallback_ids) == 0.0


def test_the_profile_keeps_what_was_measured(tmp_path: Path) -> None:
    corpus = CorpusConfig(source="en", target="de")
    TextProfile("en", "de", unknown=UnknownShares(0.25, 0.125), added_stops=0.5).save(tmp_path)
    profile = TextProfile.load(tmp_path, corpus)
    assert profile.unknown == UnknownShares(0.25, 0.125) and profile.added_stops == 0.5
    content = json.loads((tmp_path / PROFILE_FILE).read_text())
    (tmp_path / PROFILE_FILE).write_text(
        json.dumps({key: content[key] for key in ("source_sentences", "source_tokens")})
    )
    assert TextProfile.load(tmp_path, corpus).unknown == UnknownShares()  # a run of before


def test_the_least_probable_sentence_counts_and_copies_do_not(tokenizer: TextTokenizer) -> None:
    class Doubting(Echo):
        def search(self, sources, config, prefixes=None):  # type: ignore[no-untyped-def]
            self.doubts = [-float(len(ids) + 1) if len(ids) < 6 else -0.1 for ids in sources]
            hypotheses = super().search(sources, config, prefixes)
            return [
                [type(best)(best.ids, doubt, doubt)] for (best,), doubt in zip(hypotheses, self.doubts, strict=True)
            ]

    translator = echo(tokenizer, TextProfile("en", "de"), Doubting(), repair_degenerate=False)
    long = "The old man reads a book."
    sure, unsure, copied = translator.translate([long, f"{long} A book.", "1995"])
    assert sure.token_probability is not None and sure.token_probability > 0.9
    assert unsure.token_probability == pytest.approx(0.3679, abs=1e-3)
    assert copied.token_probability is None


def test_translate_marks_lines_and_says_on_a_terminal_how_many(
    nmt: Call, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    run = shutil.copytree(tiny_run, tmp_path / "run")
    TextProfile("en", "de", unknown=UnknownShares(0.0, 0.0)).save(run)
    WordSet(["the", "old", "man", "reads", "a", "book"]).save(run)
    text = b"The old man reads a book.\nfrobnicate quux\n\nhttp://example.org/x\n"
    options = ("--device", "cpu", "--processes", 1)
    records = [json.loads(line) for line in nmt("translate", run, "--jsonl", *options, stdin=text)[1].splitlines()]
    assert [sorted(record.get("unfamiliar", {})) for record in records] == [[], ["unknown_words"], [], []]
    assert "unlike" not in nmt("translate", run, *options, stdin=text)[2]
    monkeypatch.setattr("nmt_cli.reporting.Reporter.on_terminal", True)
    assert nmt("translate", run, "-q", *options, stdin=text)[2].splitlines() == [
        "warning: unlike the training text, so that translations are guesses: 1 line (2); --jsonl marks them"
    ]


def test_the_best_checkpoint_knows_its_validation(tiny_run: Path, tmp_path: Path) -> None:
    assert Checkpointer(tmp_path).best_validation() == {}
    assert Checkpointer(tiny_run / "checkpoints").best_validation()["update"] == 10


def test_fields_survive_the_way_from_a_worker(tokenizer: TextTokenizer) -> None:
    translator = echo(tokenizer, None, repair_degenerate=False)
    for line in translate_stream(translator, io.BytesIO("ǂ a. The old man.\n7\n".encode())):
        assert pickle.loads(pickle.dumps(line.translation)) == line.translation
