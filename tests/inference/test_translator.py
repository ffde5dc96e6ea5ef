"""One line in, one line out, whatever the line holds; with a random model."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.decoding.engine import Hypothesis
from nmt_cli.errors import RecipeError, RunError, UserError
from nmt_cli.inference.lines import to_single_line
from nmt_cli.inference.translator import Translator
from tests.margins import clear_lines
from tests.opening import open_translator
from tests.streams import translate_stream
from tests.translators import random_translator

TABLE: list[bytes] = [
    b"The old man reads a book.", b"", b" ", b"\t", "\u3000".encode(), b"\xef\xbb\xbf", b"\x00",
    b"\x01\x02\x7f\x1b[31m", b"a\rb\r", "a\u2028b\u2029".encode(), b"\xff\xfe", b"caf\xe9",
    "</s> <pad> ▁".encode(), "我喜欢读书。".encode(), "🙂👩‍👧".encode(),
    "e\u0301".encode(), b"x" * 3000, b".", b"a",
]  # fmt: skip


def translator(tokenizer: TextTokenizer, align: bool = False, **options: Any) -> Translator:
    settings = {"beam": 2, "max_length": 6, "repair_degenerate": False, **options}
    return random_translator(tokenizer, seed=3, align=align, **settings)


@pytest.mark.parametrize("last", [b"", b"\n"])
def test_as_many_lines_come_out_as_went_in(last: bytes, tokenizer: TextTokenizer) -> None:
    stream = io.BytesIO(b"\n".join(TABLE) + last)
    translated_lines = list(translate_stream(translator(tokenizer), stream))
    assert [translated.line.number for translated in translated_lines] == list(range(1, len(TABLE) + 1))
    for raw, translated in zip(TABLE, translated_lines, strict=True):
        assert "\n" not in translated.translation.text
        blank = not raw.decode(errors="replace").strip()
        assert (translated.translation.candidates == []) == blank


def test_what_was_replaced_or_cut_is_said(tokenizer: TextTokenizer) -> None:
    translated_lines = list(translate_stream(translator(tokenizer), io.BytesIO(b"\n".join(TABLE))))
    damaged = [n for n, translated in enumerate(translated_lines) if "invalid UTF-8" in str(translated.warnings)]
    assert damaged == [TABLE.index(b"\xff\xfe"), TABLE.index(b"caf\xe9")]
    cut = [
        n for n, translated in enumerate(translated_lines) if "longer than the model reads" in str(translated.warnings)
    ]
    assert cut == [TABLE.index(b"x" * 3000)]


def test_ten_thousand_words_are_one_line_translated_in_parts(tokenizer: TextTokenizer) -> None:
    line = "The old man reads a book. " * 1666 + "a book a book"
    small = translator(tokenizer, beam=1, max_length=2, split="long")
    long, short = small.translate([line, "a book"])
    assert "\n" not in long.text and len(long.text) > 50 and len(long.candidates) == 1
    assert long.warnings and "translated in" in long.warnings[0] and not short.warnings


def test_other_search_settings_count(tokenizer: TextTokenizer) -> None:
    plain, lines = translator(tokenizer), ["The old man reads a book.", "dogs"]
    short = plain.with_search(max_source_length=5, split="long", n_best=np.int64(2), keep_patterns=["dogs"])
    expected = translator(tokenizer, max_source_length=5, split="long", n_best=2, keep_patterns=("dogs",))
    assert short.translate(lines) == expected.translate(lines) != plain.translate(lines)
    assert short.with_search(**plain.config.model_dump()).translate(lines) == plain.translate(lines)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"beem": 1}, r"^with_search: search\.beem: unknown key; did you mean beam\?$"),
        ({"beam": "1"}, r"^with_search: search\.beam: should be an integer, not the text \"1\"$"),
        ({"n_best": 3}, r"^with_search: search\.n_best: 3 is more than beam 2: raise beam as well$"),
        ({"keep_patterns": [""]}, r"^with_search: search\.keep_patterns\.0: “” matches the empty string: say what"),
        ({"keep_patterns": ["a", r"\b"]}, r"^with_search: search\.keep_patterns\.1: “\\b” matches the empty string"),
        ({"keep_patterns": ["("]}, r"^with_search: search\.keep_patterns\.0: not a regular expression"),
        ({"keep_patterns": ["a{99999999999}"]}, r"^with_search: search\.keep_patterns\.0: not a regular expression"),
        ({"keep_patterns": ["(" * 5000]}, r"^with_search: search\.keep_patterns\.0: not a regular expression"),
        (
            {"precision": "bf16"},
            r"^with_search: search\.precision: the weights are loaded already; open the run with it: load_run\(",
        ),
        ({"correct_typos": True}, r"^with_search: search\.correct_typos: the words of the training text are not "),
    ],
)
def test_search_settings_that_cannot_count_are_refused(
    changes: dict[str, Any], message: str, tokenizer: TextTokenizer
) -> None:
    with pytest.raises(UserError, match=message):
        translator(tokenizer).with_search(**changes)


def test_parts_are_as_long_as_the_model_reads_and_hold_the_whole_line(tokenizer: TextTokenizer) -> None:
    small = translator(tokenizer, max_source_length=9, keep="none")
    line = "The old man reads. Two dogs don't see 1995 houses 我喜欢读书。 " + "z" * 40 + "🙂🙂🙂"
    (plan,) = small.planner.plan([line])
    parts = [part.source_ids for part in plan.units]
    assert all(0 < len(part) <= 9 for part in parts)
    texts = tokenizer.decode(parts)
    assert "".join("".join(texts).split()) == "".join(line.split())


def test_a_translation_does_not_depend_on_the_other_lines(tokenizer: TextTokenizer) -> None:
    batch_translator = translator(tokenizer, n_best=2)
    lines = ["a book", "The old man reads a book.", "", "dogs", "z " * 30, "a book"]
    together = batch_translator.translate(lines)
    assert together[0] == together[-1]
    for line, translation, sure in zip(lines, together, clear_lines(batch_translator, lines), strict=True):
        (alone,) = batch_translator.translate([line])
        assert not sure or [c.text for c in alone.candidates] == [c.text for c in translation.candidates]
        for a, b in zip(alone.candidates, translation.candidates, strict=True):
            assert not sure or a.score == pytest.approx(b.score, abs=1e-4)


def test_blanks_around_a_line_stand_around_its_translation(tokenizer: TextTokenizer) -> None:
    plain, padded, blank = translator(tokenizer).translate(["a book", "\t a book  ", " \t"], ["", "", ""])
    assert padded.text == f"\t {plain.text}  " and blank.text == ""
    assert replace(padded, candidates=plain.candidates) == plain
    begun = translator(tokenizer).translate(["\t a book"], ["Der"])[0]
    assert begun.text.startswith("Der")


def test_no_lines_give_no_translations(tokenizer: TextTokenizer) -> None:
    assert translator(tokenizer).translate([]) == []
    assert list(translate_stream(translator(tokenizer), io.BytesIO(b""))) == []


def test_translations_begin_with_their_prefixes(tokenizer: TextTokenizer) -> None:
    lines, prefixes = ["a book", "", "The old man", "dogs"], ["Der alte", "x", "", "ein Haus"]
    translations = translator(tokenizer).translate(lines, prefixes)
    assert translations[0].text.startswith("Der alte") and translations[3].text.startswith("ein Haus")
    assert translations[1].candidates == []
    assert translations[2].text == translator(tokenizer).translate(lines)[2].text
    assert translator(tokenizer).translate(lines, ["Der alte \r", "x", "\r", "ein Haus "]) == translations


def test_prefixes_go_with_their_lines_over_many_blocks(tokenizer: TextTokenizer, tmp_path: Path) -> None:
    (tmp_path / "prefixes").write_text("".join(f"{n % 2}\n" for n in range(60)))
    stream = translate_stream(
        translator(tokenizer, beam=1, max_length=2), io.BytesIO(b"a\n" * 60), tmp_path / "prefixes"
    )
    assert [translated.translation.text[0] for translated in stream] == ["0", "1"] * 30


def test_alignments_count_the_words_of_both_sides(tokenizer: TextTokenizer) -> None:
    line = "The old man reads a book."
    translations = translator(tokenizer, align=True, min_length=3).translate([line, "", "a"])
    pairs = translations[0].candidates[0].alignment
    assert pairs and all(0 <= source < len(line.split(" ")) for source, _ in pairs)
    assert [target for _, target in pairs] == list(range(len(translations[0].text.split(" "))))
    assert translator(tokenizer).translate([line])[0].candidates[0].alignment is None
    parts = translator(tokenizer, align=True, min_length=3, max_source_length=9).translate([line * 3])[0]
    pairs = parts.candidates[0].alignment
    assert pairs and max(source for source, _ in pairs) > len(line.split(" "))
    assert all(0 <= source < len((line * 3).split(" ")) for source, _ in pairs)
    assert [target for _, target in pairs] == list(range(len(parts.text.split())))


def test_line_feeds_that_pieces_spell_become_spaces(tokenizer: TextTokenizer) -> None:
    feed = tokenizer.visible_tokens_to_ids(["<0x0A>"])
    assert tokenizer.decode([feed]) == ["\n"]
    assert to_single_line("a\nb\r\n") == "a b\r "


def test_bytes_that_form_no_character_are_in_no_text_and_count_as_no_word(
    tokenizer: TextTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    aligned = translator(tokenizer, align=True, keep="none")
    tokens = ["▁", "<0xE2>", "<0x82>", "▁a", "▁", "<0xFF>", "▁b", "<0xC3>", "<0xA9>", "<0xE2>", "▁", "<0x80>"]
    hypothesis = Hypothesis(tokenizer.visible_tokens_to_ids(tokens), -1.0, -1.0)
    monkeypatch.setattr(aligned.engine, "search", lambda sources, *_: [[hypothesis] for _ in sources])
    (candidate,) = aligned.translate(["The old man reads"])[0].candidates
    assert candidate.text.split() == ["a", "bé"] and "\ufffd" not in candidate.text
    assert [target for _, target in candidate.alignment or []] == [0, 1]


def test_samples_have_no_replacement_characters(tokenizer: TextTokenizer) -> None:
    sampled = translator(tokenizer, sampling=True, n_best=9, min_length=5)
    (translation,) = sampled.translate(["The old man reads"])
    assert len(translation.candidates) == 9
    assert not any("\ufffd" in candidate.text for candidate in translation.candidates)


def test_a_record_tells_everything_about_a_line(tokenizer: TextTokenizer) -> None:
    translator_n_best = translator(tokenizer, n_best=2, align=True)
    first, blank = (x.record() for x in translate_stream(translator_n_best, io.BytesIO(b"a \xff book\n \n")))
    assert first["line"] == 1 and first["source"] == "a \ufffd book"
    assert first["score"] == first["candidates"][0]["score"] >= first["candidates"][1]["score"]
    assert first["warnings"] == ["invalid UTF-8 was replaced by U+FFFD"]
    assert isinstance(first["alignment"], list)
    assert first["candidates"][0]["alignment"] == first["alignment"]
    assert blank == {
        "line": 2, "source": " ", "translation": " ", "score": None, "log_probability": None,
    }  # fmt: skip


def test_a_run_is_opened_with_its_best_weights_and_its_recipe(tiny_run: Path) -> None:
    plain = open_translator([tiny_run], [], "cpu")
    assert (plain.config.beam, plain.config.max_length) == (2, 8)
    wide = open_translator([tiny_run], ["search.beam=3", "search.n_best=3"], "cpu")
    assert len(wide.translate(["a book"])[0].candidates) == 3
    twice = open_translator([tiny_run, tiny_run], [], "cpu")
    assert twice.translate(["a book"])[0].text == plain.translate(["a book"])[0].text


def test_what_cannot_be_opened_is_named(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such run folder; nmt train RECIPE makes one"):
        open_translator([tmp_path / "no"], [], "cpu")
    with pytest.raises(RunError, match=r"not a run folder: it has no recipe.yaml"):
        open_translator([tmp_path], [], "cpu")
    with pytest.raises(UserError, match=r"--set model.heads=1: a finished run can only be given"):
        open_translator([tiny_run], ["model.heads=1"], "cpu")
    with pytest.raises(RecipeError, match=r"--set search.beam: should be greater than or equal"):
        open_translator([tiny_run], ["search.beam=0"], "cpu")
    (tmp_path / "recipe.yaml").write_bytes((tiny_run / "recipe.yaml").read_bytes())
    (tmp_path / "tokenizer.json").write_bytes((tiny_run / "tokenizer.json").read_bytes())
    (tmp_path / "manifest.json").write_bytes((tiny_run / "manifest.json").read_bytes())
    with pytest.raises(RunError, match="no checkpoint yet"):
        open_translator([tmp_path], [], "cpu")
