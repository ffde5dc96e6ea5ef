"""Tags for the language of the translation: found in a text, read before each sentence, and left as they are."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from nmt_cli.data.augmentation import AugmentConfig, Augmenter
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.language_tags import find_language_tags, leading_tag
from nmt_cli.data.perturbation import KINDS, perturb_lines
from nmt_cli.data.text_profile import TextProfile
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.inference.hidden_spans import HiddenSpan
from nmt_cli.inference.joining import join_candidates
from nmt_cli.inference.lines import InputLine
from nmt_cli.inference.output import Candidate, TranslatedLine
from nmt_cli.inference.translator import Translator
from tests.data.test_augmentation import prepared
from tests.translators import PROFILE, Echo, echo

TAGGED = replace(PROFILE, language_tags=("<2fr>", "<2nl>"))


@pytest.mark.parametrize("tag", ["<2de>", "<de>", "<<de>>", ">>de<<", "__de__", "<to_de>", "<2zh-Hans>"])
def test_tags_are_first_words_that_most_targets_do_not_have(tag: str) -> None:
    plain = [("a dog", "ein Hund")] * 90
    assert find_language_tags([*plain, *[(f"{tag} a dog", "ein Hund")] * 10]) == (tag,)
    assert find_language_tags([*plain, *[(f"{tag} a dog", f"{tag} ein Hund")] * 10]) == ()  # markup
    assert find_language_tags([*plain * 20, *[(f"{tag} a dog", "ein Hund")] * 10]) == ()  # a stray one
    assert (leading_tag(f"a {tag} dog"), leading_tag(tag)) == ("", tag)


def test_tags_of_small_languages_may_be_rare() -> None:
    large = [(f"<2{tag}> a dog", "ein Hund") for tag in ("de", "nl") for _ in range(5000)]
    assert find_language_tags([*large, *[("<2dv> a dog", "x")] * 5]) == ("<2de>", "<2dv>", "<2nl>")
    assert find_language_tags([*large, *[("<2dv> a dog", "x")] * 4]) == ("<2de>", "<2nl>")


@pytest.mark.parametrize(
    ("begins", "expected"),
    [
        ({"<em>": 75}, []),
        ({"<em>": 75, "<laughter>": 5}, []),
        ({"<br>": 75, "<BT>": 4500}, ["<BT>"]),
        ({"<br>": 75, "<2de>": 4500}, ["<2de>"]),
        ({"<br>": 75, "<de>": 75}, ["<br>", "<de>"]),
        ({"<br>": 5, "<zh-Hans>": 4500}, ["<br>", "<zh-Hans>"]),
        ({"<tr>": 2500, "<th>": 2500}, ["<th>", "<tr>"]),
        ({"<tr>": 5000}, ["<tr>"]),
    ],
)
def test_an_element_is_a_tag_where_most_sources_begin_with_one_or_beside_others(
    begins: dict[str, int], expected: list[str]
) -> None:
    """Breton, Thai and Turkish have the codes of elements."""
    pairs = [(f"{tag} a dog", "ein Hund") for tag, count in begins.items() for _ in range(count)]
    pairs += [("a dog", "ein Hund")] * (6000 - len(pairs))
    assert [*find_language_tags(pairs)] == expected


@pytest.mark.parametrize("first", ["(Laughter)", "[Music]", '"Yes"', "-", "<i>A", "< 2"])
def test_other_first_words_are_none(first: str) -> None:
    assert find_language_tags([(f"{first} dog", "ein Hund")] * 10) == ()


def test_a_model_reads_the_tag_before_each_sentence(tokenizer: TextTokenizer) -> None:
    translator = echo(tokenizer, TAGGED)
    (plan,) = translator.planner.plan(["<2nl> The old man reads. Two dogs see it."])
    read = tokenizer.decode([unit.source_ids for unit in plan.units])
    assert read == ["<2nl> The old man reads.", "<2nl> Two dogs see it."]
    assert [translator.planner.read_form(unit) for unit in plan.units] == read
    assert translator.planner.plan(["<2nl>\tThe old man"])[0].language_tag == "<2nl> "
    assert [translation.text for translation in translator.translate(["<2nl>", "<2nl> "])] == ["", ""]


def test_a_tag_that_the_run_does_not_know_is_read_as_one_and_warned_of(tokenizer: TextTokenizer) -> None:
    translator = echo(tokenizer, TAGGED)
    (plan,) = translator.planner.plan(["<2xx> The old man reads."])
    assert plan.language_tag == "<2xx> " and plan.units[0].hidden is None
    unknown, copied, known = translator.translate(["<2xx> The old man reads.", "<2FR> 123", "<2fr> The old man reads."])
    assert unknown.warnings == [
        "<2xx> is not a language tag of the run, so its translation may be in any language: the run knows <2fr>, <2nl>"
    ]
    assert copied.text == "123" and copied.warnings[0].startswith("<2FR> is not")
    assert known.warnings == []


def test_a_line_without_a_tag_is_warned_of_where_nearly_all_sources_have_one(tokenizer: TextTokenizer) -> None:
    lines = ["The old man reads.", "<em> The old man reads.", "<2nl>The man.", "", "123", "<2nl> The old man reads."]
    untagged = (
        "the line does not begin with a language tag and a space, so its translation may be in any language: "
        "the run knows <2fr>, <2nl>"
    )
    for share, expected in ((1.0, [untagged]), (0.5, []), (None, [untagged])):
        translations = echo(tokenizer, replace(TAGGED, tagged_share=share)).translate(lines)
        assert [translation.warnings for translation in translations] == [expected, expected, expected, [], [], []]
        assert [span.text for span in _hidden(tokenizer, replace(TAGGED, tagged_share=share), lines[1])] == ["<em>"]
    many = replace(TAGGED, language_tags=tuple(f"<2{chr(97 + n)}x>" for n in range(12)))
    (translation,) = echo(tokenizer, many).translate(lines[:1])
    assert translation.warnings[0].endswith(
        "the run knows <2ax>, <2bx>, <2cx>, <2dx>, <2ex>, <2fx>, <2gx>, <2hx>, <2ix>, <2jx> and 2 more"
    )


def test_markup_is_no_tag_unless_the_run_expects_one_of_that_form(tokenizer: TextTokenizer) -> None:
    for tags, unknown in ((("<de>", "<fr>"), "<br>"), (("__de__", "__fr__"), "__id__")):  # Breton, Indonesian
        optional = replace(PROFILE, language_tags=tags, tagged_share=0.5)
        expecting = replace(optional, tagged_share=1.0)
        for profile, tag in ((optional, ""), (expecting, f"{unknown} ")):
            assert echo(tokenizer, profile).planner.plan([f"{unknown} The old man reads."])[0].language_tag == tag


@pytest.mark.parametrize(
    "known, tags, others",
    [
        (("<de>", "<fr>"), ["<nl>", "<nds>", "<zh-Hans>"], ["<strong>", "<NAME>", "<h1>", "<2nl>", "<a>"]),
        (("__de__", "__zh_CN__"), ["__nl__", "__pt_BR__"], ["__name__", "__user_id__", "<nl>"]),
        (("<2de>", "<2german>"), ["<2nl>"], ["<2dutch>", "<nl>"]),
        (("<to_de>", "<to_fr>"), ["<to_nl>"], ["<2nl>"]),
    ],
)
def test_an_unknown_tag_has_the_code_of_a_language(known: tuple[str, ...], tags: list[str], others: list[str]) -> None:
    profile = replace(PROFILE, language_tags=known, tagged_share=1.0)
    for first in [*known, *tags]:
        assert profile.language_tag(f"{first} Hello") == f"{first} "
    assert [first for first in others if profile.language_tag(f"{first} Hello")] == []


@pytest.mark.parametrize("share", [0.5, 1.0, None])
def test_a_single_tag_is_neither_asked_for_nor_are_there_others_like_it(
    share: float | None, tokenizer: TextTokenizer
) -> None:
    single = replace(PROFILE, language_tags=("<BT>",), tagged_share=share)  # may mark what was translated back
    lines = ["The old man reads.", "<em> The old man reads.", "<NAME> The old man reads."]
    assert not any(translation.warnings for translation in echo(tokenizer, single).translate(lines))
    assert [single.language_tag(line) for line in [*lines, "<BT> The old man reads."]] == ["", "", "", "<BT> "]


def _hidden(tokenizer: TextTokenizer, profile: TextProfile, line: str) -> list[HiddenSpan]:
    (plan,) = echo(tokenizer, profile).planner.plan([line])
    hidden = plan.units[0].hidden
    return [] if hidden is None else list(hidden.spans)


def test_alignments_count_the_tag_of_a_copied_line(tokenizer: TextTokenizer) -> None:
    translator = Translator(Echo(), Tokenizers(tokenizer, tokenizer), SearchConfig(), TAGGED, align=True)
    (translation,) = translator.translate(["<2nl> 123"])
    assert (translation.text, translation.candidates[0].alignment) == ("123", [(1, 0)])


def test_nothing_is_aligned_to_a_tag(tokenizer: TextTokenizer) -> None:
    (plan,) = echo(tokenizer, TAGGED).planner.plan(["<2nl> The dog sees it."])
    plan.units[0].candidates = [Candidate("De hond", -1.5, -2.5, [(0, 0), (2, 1)])]
    candidates, _ = join_candidates(plan, SearchConfig())
    assert candidates == [Candidate("De hond", -1.5, -2.5, [(2, 1)])]


@pytest.mark.parametrize("space", [" ", "   ", "\t", "\xa0", "\u3000"])
def test_a_tag_is_no_number_of_the_line(space: str, tokenizer: TextTokenizer) -> None:
    line = f"<2nl>{space}7 dogs"
    (translation,) = echo(tokenizer, TAGGED).translate([line])
    candidates = [replace(translation.candidates[0], text="7 honden")]
    translated = TranslatedLine(InputLine(1, line, False), replace(translation, candidates=candidates))
    assert translated.missing_numbers == translated.added_numbers == []


def test_a_tag_is_not_changed_as_people_type() -> None:
    lines = ["<2nyx> the old man reads"] * 200
    assert all(line.startswith("<2nyx> ") for kind in KINDS for line in perturb_lines(lines, kind))
    config = AugmentConfig(typos=1, upper=0.5, title=0.5, spaces=1, join=1)
    block = ([f"{draw} {line}" for draw, line in zip(_draws(), lines, strict=True)], ["alter Mann liest"] * 200)
    changed = Augmenter(config, CorpusConfig(source="en", target="de"))(block, 0)
    assert len(changed) == 200
    assert all(source.startswith(block[0][index].split()[0] + " ") for index, (source, _) in changed.items())
    assert all(target.count(" ") == 2 for _, target in changed.values())  # joined, only one language would be said


def _draws() -> list[str]:
    draw = random.Random(1)
    return [draw.choice(["<2de>", "<2fr>"]) for _ in range(200)]


def test_prepared_data_know_the_tags_of_their_text(tmp_path: Path) -> None:
    for part, syllable in (("train", "ba"), ("dev", "di")):
        texts = [f"{' '.join([syllable] * (1 + n % 3))} {n}" for n in range(40)]
        sources = [f"<2{tag}> {text}" for text in texts for tag in ("de", "fr")]
        for language, lines in (("en", sources), ("de", [text[::-1] for text in texts for _ in range(2)])):
            (tmp_path / f"{part}.{language}").write_text("".join(f"{line}\n" for line in lines))
    data = prepared(tmp_path, "data", None)
    profile = TextProfile.load(data.folder, CorpusConfig(source="en", target="de"))
    assert (profile.language_tags, profile.tagged_share) == (("<2de>", "<2fr>"), 1.0)
