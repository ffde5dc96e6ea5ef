"""nmt plot attention: lines in, maps and pictures out; what is cut, empty or unfit is said."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nmt_cli.commands.plot_attention import (
    _warn_of_line,
    attention_maps,
    attention_text,
    choose_selection,
    open_attention_run,
    write_attention,
)
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.errors import DataError, UserError
from nmt_cli.inference.line_plan import LinePlan, TranslationUnit
from nmt_cli.inference.lines import InputLine
from nmt_cli.inference.segments import Segment
from nmt_cli.models import MODELS
from nmt_cli.models.contract import Autoregressive
from nmt_cli.plots.attention import AttentionMap
from nmt_cli.recipe.loader import build_recipe, change_search
from nmt_cli.reporting import Reporter, Screen
from nmt_cli.runs.folder import RunFolder
from nmt_cli.runs.loading import LoadedRun, build_model
from tests.opening import open_translator
from tests.plots.pictures import png_size


class Said(Reporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def info(self, text: str, *, style: str = "") -> None:
        self.messages.append(text)

    def warning(self, text: str) -> None:
        self.messages.append(text)


def maps(run: LoadedRun, text: str, said: Said | None = None, **options: Any) -> list[AttentionMap]:
    stream = io.BytesIO(text.encode())
    return list(attention_maps(run, stream, said or Said(), **options))


@pytest.fixture(scope="module")
def run(tiny_run: Path) -> LoadedRun:
    return open_attention_run(tiny_run, "cpu")


def a_run(tokenizer: TextTokenizer, name: str, **options: Any) -> LoadedRun:
    """A run of any model, made in memory."""
    model = MODELS[name].config_class.tiny_configs()[0].model_copy(update=options)
    content = {
        "name": "x", "corpus": {"source": "en", "target": "de"},
        "model": model.model_dump(mode="json"), "search": {"beam": 1, "max_length": 5},
    }  # fmt: skip
    recipe, tokenizers = build_recipe(content), Tokenizers(tokenizer, tokenizer)
    built = build_model(recipe, tokenizers.vocabulary).eval()
    return LoadedRun(RunFolder(Path("x")), recipe, tokenizers, built, 1)


def test_the_map_is_of_the_translation_that_nmt_translate_gives(run: LoadedRun, tiny_run: Path) -> None:
    line = "The old man reads a book."
    (attention_map,) = maps(run, f"{line}\n")
    (translation,) = open_translator([tiny_run], [], "cpu").translate([line])
    (words,) = maps(run, f"{line}\n", words=True)
    assert words.target[-1] == "</s>" and " ".join(words.target[:-1]).split() == (translation.text.split())
    assert attention_map.line_number == 1 and attention_map.source[-1] == "</s>"
    layers, heads = 2, 4
    assert attention_map.weights.shape == (layers, heads, len(attention_map.target), len(attention_map.source))
    np.testing.assert_allclose(attention_map.weights.sum(-1), 1, rtol=1e-4)
    np.testing.assert_allclose(words.weights.sum(-1), 1, rtol=1e-4)
    assert words.source == ["The", "old", "man", "reads", "a", "book.", "</s>"]


def test_a_line_of_several_sentences_is_drawn_as_nmt_translate_translates_it(run: LoadedRun, tiny_run: Path) -> None:
    line = "The old man reads a book. Two dogs play. The old man reads a book."
    drawn = maps(run, f"a book\n{line}\n", words=True)
    assert [attention_map.name for attention_map in drawn] == [
        "line 1", "line 2, part 1", "line 2, part 2", "line 2, part 3",
    ]  # fmt: skip
    (translation,) = open_translator([tiny_run], [], "cpu").translate([line])
    assert " ".join(" ".join(each.target[:-1]) for each in drawn[1:]).split() == translation.text.split()
    assert [" ".join(each.source[:-1]) for each in drawn[1:]] == [
        "The old man reads a book.", "Two dogs play.", "The old man reads a book.",
    ]  # fmt: skip


def test_what_is_copied_is_said_and_not_drawn(run: LoadedRun) -> None:
    said = Said()
    (drawn,) = maps(run, "See https://x.org/a here.\nhttps://x.org\n", said, words=True)
    assert (drawn.name, drawn.source) == ("line 1", ["See", "here.", "</s>"])
    assert said.messages == [
        "line 1: copied, not read by the model, so not in the picture: https://x.org/a",
        "line 2: copied, not translated, so there is no picture of it",
    ]
    with pytest.raises(UserError, match=r"^standard input has no text to translate: there is nothing to plot$"):
        maps(run, "https://x.org\n")


def test_the_translation_that_took_the_place_of_a_degenerate_one_is_drawn(
    run: LoadedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def repair(sources: list[Any], hypotheses: list[list[Any]], *_: object) -> tuple[list[list[Any]], list[None]]:
        ((best, *_),) = hypotheses
        return [[best._replace(hypothesis=replace(best.hypothesis, ids=best.hypothesis.ids[:1]))]], [None]

    monkeypatch.setattr("nmt_cli.inference.translator.repair_degenerate", repair)
    run = replace(
        run, recipe=replace(run.recipe, search=change_search(run.recipe.search, {"repair_degenerate": True}, "test"))
    )
    (drawn,) = maps(run, "The old man reads a book.\n")
    assert len(drawn.target) == 2  # a token and the end


def test_a_given_translation_is_of_the_whole_line(run: LoadedRun, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("Ein Haus. Zwei Hunde.\n")
    (drawn,) = maps(run, "A house. Two dogs.\n", targets=tmp_path / "target", words=True)
    assert (drawn.name, drawn.source) == ("line 1", ["A", "house.", "Two", "dogs.", "</s>"])
    assert drawn.target == ["Ein", "Haus.", "Zwei", "Hunde.", "</s>"]


def test_pictures_of_parts_are_numbered_by_line_and_part(run: LoadedRun, tmp_path: Path) -> None:
    drawn = maps(run, "A book. Two dogs.\n")
    assert write_attention(drawn, (1, 1), tmp_path / "a.svg", "run", Said()) == [
        tmp_path / "a-1-1.svg", tmp_path / "a-1-2.svg",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name, options",
    [
        (name, config.model_dump(mode="json"))
        for name, model in MODELS.items()
        if issubclass(model, Autoregressive)
        for config in model.config_class.tiny_configs()
        if getattr(config, "attention", "") != "none" and not getattr(config, "local_window", None)
    ],
)
def test_every_model_with_attention_has_maps_whose_rows_sum_to_one(
    name: str, options: dict[str, Any], tokenizer: TextTokenizer, tmp_path: Path
) -> None:
    (tmp_path / "target").write_text("Der alte Mann\n")
    run = a_run(tokenizer, name, **options)
    (attention_map,) = maps(run, "The old man\n", targets=tmp_path / "target", words=True)
    assert (attention_map.source, attention_map.target) == (
        ["The", "old", "man", "</s>"], ["Der", "alte", "Mann", "</s>"],
    )  # fmt: skip
    np.testing.assert_allclose(attention_map.weights.sum(-1), 1, rtol=1e-4)
    shown = choose_selection(run, None, "mean")
    layers = attention_map.weights.shape[0]
    assert shown == (max(1, layers - 1), "mean")


def test_text_is_normalised_as_nmt_translate_does(run: LoadedRun, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("ein Buch\n")
    (tmp_path / "odd").write_text("ein\u00a0 Bu\u00adch\n")
    (expected,) = maps(run, "The old man\n", targets=tmp_path / "plain")
    (attention_map,) = maps(run, "The\u2009old \u200b man\n", targets=tmp_path / "odd")
    assert (attention_map.source, attention_map.target) == (expected.source, expected.target)
    said = Said()
    with pytest.raises(UserError):
        maps(run, "\u200b\n", said)
    assert said.messages == ["line 1: copied, not translated, so there is no picture of it"]


def test_a_given_translation_is_looked_at_instead(run: LoadedRun, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("ein Haus\n\nBuch\n")
    first, third = maps(run, "a house\n\na book\n", targets=tmp_path / "target", words=True)
    assert (first.line_number, first.target) == (1, ["ein", "Haus", "</s>"])
    assert (third.line_number, third.target) == (3, ["Buch", "</s>"])


@pytest.mark.parametrize("lines, wrong", [("x\n", "fewer"), ("x\ny\nz\n", "more")])
def test_a_file_of_translations_of_another_length_is_refused(
    lines: str, wrong: str, run: LoadedRun, tmp_path: Path
) -> None:
    (tmp_path / "target").write_text(lines)
    with pytest.raises(DataError, match=rf"target: {wrong} lines than the input"):
        maps(run, "a\nb\n", targets=tmp_path / "target")


def test_empty_and_damaged_lines_are_said(run: LoadedRun) -> None:
    said = Said()
    stream = io.BytesIO(b"a book\n  \n\xff man\n")
    assert [attention_map.line_number for attention_map in attention_maps(run, stream, said)] == [1, 3]
    assert said.messages == [
        "line 2: empty, so there is no picture of it",
        "line 3: invalid UTF-8 was replaced by U+FFFD",
    ]


def test_what_is_too_long_is_cut_and_said(tokenizer: TextTokenizer, tmp_path: Path) -> None:
    run = a_run(tokenizer, "transformer", positions="learned", max_positions=8)
    (tmp_path / "target").write_text("ein " * 20 + "\n")
    said = Said()
    (attention_map,) = maps(run, "a " * 30 + "\n", said, targets=tmp_path / "target")
    assert (len(attention_map.source), len(attention_map.target)) == (8, 8)
    assert said.messages == [
        "line 1: the picture shows the first 7 of 30 source subwords",
        "line 1: the picture shows the first 7 of 20 target subwords",
    ]


def test_an_empty_translation_is_its_end_of_sentence(run: LoadedRun, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("\n")
    for words in (False, True):
        (attention_map,) = maps(run, "a book\n", targets=tmp_path / "target", words=words)
        assert attention_map.target == ["</s>"]


@pytest.mark.parametrize("name, options", [("rnn", {"attention": "none"}), ("ctc", {})])
def test_a_model_without_attention_is_refused(
    name: str, options: dict[str, Any], tokenizer: TextTokenizer, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    made = a_run(tokenizer, name, **options)
    monkeypatch.setattr("nmt_cli.commands.plot_attention.open_run", lambda *_: made)
    with pytest.raises(UserError, match=r"x: this model has no attention to the source, so there is none to plot"):
        open_attention_run(Path("x"), "cpu")


@pytest.mark.parametrize("words", [False, True])
def test_the_weights_of_a_decoder_only_model_are_said_to_be_shares(tokenizer: TextTokenizer, words: bool) -> None:
    (attention_map,) = maps(a_run(tokenizer, "decoder_only"), "a book\n", words=words)
    assert attention_map.weight_label == "attention weight,\nas a share among\nsource words"


def test_layers_and_heads_that_the_model_lacks_are_refused(run: LoadedRun) -> None:
    with pytest.raises(UserError, match="--layer 3: this model has layers 1 to 2"):
        choose_selection(run, "3", "mean")
    with pytest.raises(UserError, match="--head x: this model has heads 1 to 4"):
        choose_selection(run, None, "x")
    assert choose_selection(run, "all", "2") == ("all", 2)


def test_one_line_makes_one_file_and_several_are_numbered(run: LoadedRun, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("ein Buch\n\nMann\n")
    first, three = maps(run, "a book\n\nThe man\n", targets=tmp_path / "target")
    shown, said = (1, "all"), Said()
    out = tmp_path / "a.png"
    assert write_attention([first], shown, out, "run", said) == [out]
    assert write_attention([first, three], shown, out, "run", said) == [
        tmp_path / "a-1.png", tmp_path / "a-3.png",
    ]  # fmt: skip
    assert png_size(tmp_path / "a-3.png")[0] > 300 and said.messages == []
    assert write_attention([first, three], shown, tmp_path / "a.html", "run", said) == [tmp_path / "a.html"]
    assert (tmp_path / "a.html").read_text().count('"name":"line ') == 2


@pytest.mark.parametrize("text", ["", "\n"])
def test_nothing_to_plot_is_a_mistake(text: str, run: LoadedRun) -> None:
    with pytest.raises(UserError, match=r"^standard input has no text to translate: there is nothing to plot$"):
        maps(run, text)


def test_letters_without_a_font_are_said(tmp_path: Path) -> None:
    attention_map = AttentionMap(1, ["\U0010fffd", "</s>"], ["a"], np.full((1, 1, 1, 2), 0.5, np.float32))
    said = Said()
    write_attention([attention_map], (1, 1), tmp_path / "a.svg", "run", said)
    assert len(said.messages) == 1 and said.messages[0].startswith(str(tmp_path / "a.svg"))
    assert "no font here has \U0010fffd, so boxes are drawn; install a font that has them" in said.messages[0]


def test_the_terminal_shows_each_chosen_head_below_its_name(run: LoadedRun) -> None:
    (attention_map,) = maps(run, "a book\n")
    screen = Screen(80, colours=False)
    text = [screen.render(row) for row in attention_text(attention_map, (2, "all"), screen)]
    heads = [line for line in text if line.startswith("line 1")]
    assert heads == [f"line 1 · layer 2 of 2, head {n}" for n in (1, 2, 3, 4)]
    assert sum(line.endswith(". </s>") for line in text) == 4 and text[-1] == ""


def test_weights_of_a_reversed_source_lie_forwards(tokenizer: TextTokenizer) -> None:
    """A model that reads backwards sees what the same model, given the source backwards, sees."""
    from nmt_cli.decoding.word_alignment import attention_weights

    backwards = a_run(tokenizer, "rnn", reverse_source=True, bidirectional=False).model
    forwards = a_run(tokenizer, "rnn", reverse_source=False, bidirectional=False).model
    forwards.load_state_dict(backwards.state_dict())
    end = backwards.vocabulary.end
    source, short, target = [7, 8, 9, 10], [11, 12], [20, 21]
    weights_per_pair = attention_weights(backwards, [source, short], [target, target])
    assert weights_per_pair is not None
    for ids, pair_weights in zip((source, short), weights_per_pair, strict=True):
        turned = [end, *ids[::-1]]  # what the reversed model reads, its end of sentence first
        weights = _weights_of(forwards, turned, target)
        torch.testing.assert_close(pair_weights[0, 0], weights.flip(-1), atol=1e-5, rtol=1e-4)


def _weights_of(model: Any, source: list[int], target: list[int]) -> torch.Tensor:
    from nmt_cli.models.contract import Sequences

    batch = [
        Sequences(torch.tensor([ids]), torch.tensor([len(ids)])) for ids in (source, [model.decoder_start_id, *target])
    ]
    with torch.inference_mode():
        weights: torch.Tensor = model.attention(*batch)[0, 0, 0]
    return weights


@pytest.mark.parametrize(
    "truncated_tokens, drawn, messages",
    [
        (0, 1, []),
        (1234, 1, ["line 7: the picture lacks its last 1,234 subwords, which the model does not read"]),
        (0, 0, ["line 7: search found no translation"]),
    ],
)
def test_what_a_picture_lacks_is_said(truncated_tokens: int, drawn: int, messages: list[str]) -> None:
    plan = LinePlan("a", units=[TranslationUnit(Segment("a", ""))], truncated_tokens=truncated_tokens)
    said = Said()
    _warn_of_line(InputLine(7, "a", False), plan, drawn, said)
    assert said.messages == messages
