"""Texts as pieces and back, and HTML without its tags."""

import time
from collections import OrderedDict
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nmt_cli.data.text_profile import LineLengths, TextProfile
from nmt_cli.data.tokenization.imported import ImportedTokenizer
from nmt_cli.data.tokenization.tokenizer import TextTokenizer, TokenizerConfig
from nmt_cli.data.tokenization.training import train_tokenizer
from nmt_cli.inference.output import Candidate, Translation
from nmt_cli.serving.inspector import AlignSentences, InspectionWork
from nmt_cli.serving.texts import MAX_PIECE_CHARACTERS, SentencePair, TextPlanner, join_text, strip_tags
from nmt_cli.vocabulary import Vocabulary
from tests.conftest import examples
from tests.translators import PROFILE, echo, random_translator

PLANNER = TextPlanner(TextProfile("en", "de"))


@examples(300)
@example("语?语", True, True)
@given(st.text(st.sampled_from("ab. !?\n\r\t\u2028语。")), st.booleans(), st.booleans())
def test_pieces_that_are_copied_give_the_text_again(text: str, split: bool, short: bool) -> None:
    lines = PLANNER.plan(text, split=split, short_pieces=short)
    pieces = [piece for line in lines for piece in line.pieces]
    assert all(piece.text and piece.text == piece.text.strip() for piece in pieces)
    copied = "".join(line.before + "".join(p.text + p.separator for p in line.pieces) + line.after for line in lines)
    assert copied.replace(" ", "") == text.replace(" ", "")  # beside "。" and "语" a target may need a space
    assert copied == text or "。" in text or "语" in text


def test_a_line_of_many_sentences_is_cut_and_a_long_sentence_too() -> None:
    line = "The dog sleeps. " * 20
    assert [group.text.count(".") for group in PLANNER.plan(line)[0].pieces] == [8, 8, 4]
    assert len(PLANNER.plan(line[:200])[0].pieces) == 1
    assert len(PLANNER.plan(line, short_pieces=True)[0].pieces) == 20
    together = TextPlanner(TextProfile("en", "de", lengths=LineLengths({3: 100})))
    assert len(together.plan(line)[0].pieces) == 4  # of six
    words = PLANNER.plan("word " * 1000)[0].pieces
    assert len(words) == 4 and max(len(piece.text) for piece in words) <= MAX_PIECE_CHARACTERS
    assert {len(piece.text) for piece in PLANNER.plan("a" * 3000)[0].pieces} == {MAX_PIECE_CHARACTERS}


def test_every_piece_has_the_language_tag_of_its_line() -> None:
    planner = TextPlanner(TextProfile("en", "de", language_tags=("<2de>", "<2fr>")))
    lines = planner.plan("<2fr> The dog sleeps. It sleeps.\nThe cat sleeps. It sleeps.", short_pieces=True)
    pieces = [[piece.text for piece in line.pieces] for line in lines]
    assert pieces == [["<2fr> The dog sleeps.", "<2fr> It sleeps."], ["The cat sleeps.", "It sleeps."]]


def test_every_piece_has_the_language_code_of_an_imported_model() -> None:
    backend = train_tokenizer(lambda: ["the dog sleeps"], TokenizerConfig(vocab_size=300)).backend
    tokenizer = ImportedTokenizer(backend, [">>fra<<"], Vocabulary(source_size=1, target_size=1, joint=True))
    planner = TextPlanner(TextProfile("en", "fr"), tokenizer)
    lines = planner.plan(">>fra<< The dog sleeps. It sleeps.\n>>xyz<< The cat sleeps. It sleeps.", short_pieces=True)
    pieces = [[piece.text for piece in line.pieces] for line in lines]
    assert pieces == [[">>fra<< The dog sleeps.", ">>fra<< It sleeps."], [">>xyz<< The cat sleeps.", "It sleeps."]]


def test_the_sentences_of_a_text_have_their_language_tag_beside_them(tokenizer: TextTokenizer) -> None:
    profile = replace(PROFILE, language_tags=("<2de>", "<2fr>"))
    for short_pieces in (False, True):
        lines = TextPlanner(profile).plan("<2fr>\tThe dog sleeps. It sleeps.\nIt sleeps.", short_pieces=short_pieces)
        pieces = [piece.text for line in lines for piece in line.pieces]
        sentences = join_text(lines, echo(tokenizer, profile).translate(pieces), 1).sentences
        assert [(pair.language_tag, pair.source) for pair in sentences] == [
            ("<2fr> ", "The dog sleeps."), ("<2fr> ", "It sleeps."), ("", "It sleeps."),
        ]  # fmt: skip


def test_an_alignment_is_of_what_the_model_reads_and_does_not_count_the_tag(tokenizer: TextTokenizer) -> None:
    translator = random_translator(tokenizer, seed=1, align=True)
    pair = SentencePair(0, "The dog sleeps.", "Der Hund schläft.", language_tag="<2de> ")
    pairs = [pair, SentencePair(0, "12", "12", language_tag="<2de> ")]
    aligned, copied = InspectionWork({}, OrderedDict(run=translator))(AlignSentences("run", pairs))
    ids = [tokenizer.encode([text])[0] for text in (pair.language_tag + pair.source, pair.target)]
    (links,) = translator.word_alignments([(ids[0], ids[1])])
    assert links and aligned == [(source - 1, target) for source, target in links if source]
    assert copied == [(0, 0)]


def test_sentences_without_a_space_between_them_get_one_where_the_target_has_spaces() -> None:
    chinese = TextPlanner(TextProfile("zh", "en"))
    lines = chinese.plan("他去了北京。他看到了长城。", short_pieces=True)
    assert [piece.text for piece in lines[0].pieces] == ["他去了北京。", "他看到了长城。"]
    for sentences, text in ((("He went.", "He saw."), "He went. He saw."), (("他去。", "他看。"), "他去。他看。")):
        translations = [Translation([Candidate(sentence, 0.0, 0.0)]) for sentence in sentences]
        assert join_text(lines, translations, 1).texts == [text]


@pytest.mark.parametrize(
    "kept",
    ["{n, plural, one {You have one message. Open it.} other {You have # messages. Open them.}}",
     '<a title="Read this. Then go on.">', "`make. Then go`", f"https://a.example/{'x' * 2 * MAX_PIECE_CHARACTERS}"],
)  # fmt: skip
def test_nothing_is_cut_inside_what_must_not_change(kept: str) -> None:
    pieces = PLANNER.plan(f"The dog sleeps. It sees {kept} here. The cat sleeps.", short_pieces=True)[0].pieces
    assert sum(kept in piece.text for piece in pieces) == 1 and len(pieces) >= 3


def test_a_blank_text_comes_out_as_it_is() -> None:
    for count in (1, 3):
        assert join_text(PLANNER.plan("\n \n"), [], count).texts == ["\n \n"]


def test_alternatives_of_a_text_are_its_best_combinations() -> None:
    lines = PLANNER.plan("A.\nB.\n" * 300)
    translations = [
        Translation([Candidate("x", 0.0, 0.0), Candidate(f"y{number}", -1.0 - number, 0.0)]) for number in range(600)
    ]
    texts = join_text(lines, translations, 4).texts
    changed = [[line for line in text.split("\n") if line.startswith("y")] for text in texts]
    assert changed == [[], ["y0"], ["y1"], ["y0", "y1"]] or changed == [[], ["y0"], ["y1"], ["y2"]]


@pytest.mark.parametrize(
    "translations, warnings",
    [
        (["Auf 9,5 bar.", "<3> 2"], []),
        (["Auf 55 bar.", "2"], ["check the numbers: 9.5 only in the text, 55 only in the translation"]),
        (["Auf bar.", "2"], ["check the numbers: 9.5 only in the text"]),
        (["9,5", "2 3 4 5 6 7 8"], ["check the numbers: 3, 4, 5, 6, 7, ... only in the translation"]),
        (["9,5", None], []),
    ],
)
def test_numbers_that_a_translation_changes_are_named(translations: list[str | None], warnings: list[str]) -> None:
    tags = ["", "<3> "]
    joined = join_text(
        PLANNER.plan("Set it to 9.5 bar.\n<3> 2"),
        [
            Translation([] if text is None else [Candidate(text.removeprefix(tag), 0.0, 0.0)], language_tag=tag)
            for text, tag in zip(translations, tags, strict=True)
        ],
        1,
    )
    assert joined.warnings == warnings


@pytest.mark.parametrize(
    "markup, text",
    [
        ("a <b>bold</b> word", "a bold word"), ("<p>one</p><p>two</p>", "one\ntwo"),
        ("<p>The <b>dog</b>.</p>\n", "The dog."), ("<p>a<br>", "a"), ("a<br/>b", "a\nb"),
        ("x<script>alert('<b>')</script>y", "xy"), ("<STYLE>p{}</STYLE>z", "z"), ("a<!-- <b> -->b", "ab"),
        ('<a href="x>y">link</a>', "link"), ("1 < 2 & 3 > 2", "1 < 2 & 3 > 2"), ("&lt;b&gt; &amp;", "<b> &"),
        ("<p>The old man\n  reads</p>\n\n<p>a&nbsp; book", "The old man reads\na\xa0 book"),
        ("a<pre>b\n  c</pre> d", "a\nb\n  c\nd"),
        ("<li>One <img> </li><li>Two", "One \nTwo"),
        ("<!DOCTYPE html>a", "a"), ("a <b unclosed", "a <b unclosed"), ("<script>never closed", ""), ("a<", "a<"),
        ("İİ<script>x</SCRIPT>y", "İİy"), ("İİ<!-- x -->y", "İİy"),  # İ in lower case is two characters
    ],
)  # fmt: skip
def test_tags_are_taken_out(markup: str, text: str) -> None:
    assert strip_tags(markup)[0] == text


@pytest.mark.parametrize("markup", ["<a ", "<!--", "<", "<a '", "</", "<script>", "&", "<p>"])
def test_that_takes_linear_time(markup: str) -> None:
    start = time.process_time()
    strip_tags(markup * (100_000 // len(markup)))
    assert time.process_time() - start < 2  # a quadratic one takes minutes
