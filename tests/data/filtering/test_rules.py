"""Each rule of content: what breaks it, what does not, and what the filters of a recipe make of it."""

import json
import random
import re
from collections import deque
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.data.cleaning import NO_PROFILE, CorpusCleaner, measure_corpus
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.filtering import rules
from nmt_cli.data.filtering.config import NO_FILTERS, FilterConfig
from nmt_cli.data.filtering.corpus_profile import CorpusProfile, LengthRatio, Scripts, even_sample, load_language_model
from nmt_cli.data.filtering.rules import RULES, Pair, PairRules, every_filter
from nmt_cli.data.filtering.said_language import unlike_said
from nmt_cli.data.filtering.shifts import WINDOW
from nmt_cli.data.filtering.usual import MIN_PAIRS
from nmt_cli.data.sources.base import RawPair
from nmt_cli.errors import DataError
from tests.data.filtering.test_language_model import speaker

ROWS: list[tuple[str, str, str]] = [
    # the rules that a pair breaks, source, target
    ("copies", "The weather was fine that day.", "the weather was fine that day"),
    ("", "Hotel Adlon", "Hotel Adlon"),
    ("", "It is fine weather, isn't it?", "Es ist schönes Wetter, nicht wahr?"),
    ("mojibake", "He is tired.", "Er ist mÃ¼de."),
    ("mojibake", "It costs 5 euros.", "Es kostet 5 â‚¬."),
    ("mojibake", "A quotation", "â€žEin Zitatâ€œ"),
    ("mojibake", "Hello", "Ð¿Ñ€Ð¸Ð²ÐµÑ‚"),
    ("mojibake", "He is tired.", "Er ist m\ufffdde."),
    ("", "A bank with a view", "Uma mãe não vê ÓRGÃO, NÃO «É» à São João"),
    ("", "The café", "« CAFÉ » à Łódź, naïve façade — “œuvre”, Ångström, Âge d’or"),
    ("entities", "Tea & coffee", "Tee &amp; Kaffee"),
    ("entities", "He is tired.", "Er ist m&uuml;de &#8211; oder?"),
    ("", "R&D; and A&B", "F&E; und A&B"),
    ("markup", "bold text", "<b>fetter</b> Text"),
    ("markup", "a line<br>", "eine Zeile"),
    ("", "a <b>bold</b> line", "eine <b>fette</b> Zeile"),
    ("", 'see <a href="/en/help">help</a><br>', 'siehe <a href="/de/hilfe">Hilfe</a><br />'),
    ("", "1 < 2 and a <placeholder>", "1 < 2 und ein <Platzhalter>"),
    ("controls", "a bell\x07 rings", "eine Glocke läutet"),
    ("", "a\tb", "a\u00a0b"),
    ("numbers", "5 men and 3 dogs", "6 Männer und 3 Hunde"),
    ("", "5 men", "fünf Männer"),
    ("", "1,234.5 metres", "1.234,5 Meter"),
    ("", "two men at 10", "10 Uhr"),
    ("addresses", "see https://example.org/a", "siehe dort"),
    ("addresses", "write to a@example.org", "schreib an b@example.org"),
    ("", "see https://example.org/a.", "siehe https://example.org/a"),
    ("brackets", "a list (short", "eine Liste"),
    ("", "（a） [b]", "(a) [b]"),
]


def names(source: str, target: str, profile: CorpusProfile = NO_PROFILE) -> str:
    rules = PairRules(every_filter(None), profile)
    return " ".join(rules.problems([Pair(source, target, source, target)])[0])


@pytest.mark.parametrize(("expected", "source", "target"), ROWS)
def test_a_pair_breaks_these_rules_and_no_others(expected: str, source: str, target: str) -> None:
    assert names(source, target) == expected
    assert names(target, source) == expected


def test_every_key_has_a_rule_and_a_recommended_value_that_the_recipe_takes() -> None:
    assert {rule.name for rule in RULES} == FilterConfig.model_fields.keys()
    for rule in RULES:
        section = FilterConfig.model_validate_json(json.dumps({rule.name: rule.recommended}))
        assert getattr(section, rule.name) == rule.recommended
        default = FilterConfig.model_fields[rule.name].default
        assert default in (None, rule.recommended)
    assert set(NO_FILTERS.model_dump().values()) == {None}


def test_escapes_of_tokenised_text_are_no_entities() -> None:
    tokenized = CorpusProfile(is_tokenized=True)
    assert names("it &apos;s late .", "es ist spät .", tokenized) == ""
    assert names("it &apos;s late .", "es ist sp&auml;t .", tokenized) == "entities"


def test_a_script_that_a_side_hardly_has_is_foreign() -> None:
    russian, english = "Привет, как дела сегодня", "Hello, how are you today"
    profile = CorpusProfile(scripts=Scripts.of([(english, russian)] * 40 + [(russian, english)]))
    assert names(english, russian, profile) == ""
    assert names(russian, russian, profile) == "copies script"
    assert names("Sony TV", "телевизор Sony TV", profile) == ""
    assert names(english, "Hello there", profile) == "script"
    japanese = CorpusProfile(scripts=Scripts.of([(english, "これは日本語の文章です")]))
    assert names(english, "コーヒーショップ", japanese) == ""


def lines(count: int) -> list[tuple[str, str]]:
    """Pairs whose lengths agree, as those of a translation do."""
    source, target = speaker(1, "aeioubdfgklm"), speaker(2, "aeiounprstvz")
    return [(" ".join(source() for _ in range(1 + i % 3)) + ".",
             " ".join(target() for _ in range(1 + i % 3)) + ".") for i in range(count)]  # fmt: skip


@pytest.mark.parametrize("stop", ".።")
def test_length_is_judged_by_what_is_usual_and_by_the_missing_end(stop: str) -> None:
    pairs = [("a" * n + ".", "b" * (2 * n + n % 7) + stop) for n in [*range(20, 120)] * 30]
    ratio = LengthRatio.fit(pairs)
    kept, cut, cut_with_end = ratio.distances(
        ["a" * 60 + "."] * 3, ["b" * 122 + stop, "b" * 41, "b" * 40 + stop]
    ).tolist()
    assert kept < 2 < 4 < cut_with_end and cut == pytest.approx(cut_with_end + 2, abs=0.5)
    without_ends = LengthRatio.fit([(source, target[:-1]) for source, target in pairs])
    assert not without_ends.ends_count


def test_no_length_is_unusual_by_less_than_a_few_characters() -> None:
    pairs = [("a" * n + ".", "b" * (n + 3) + ".") for n in (10, 11, 30)] * 800
    ratio = LengthRatio.fit(pairs)
    assert ratio.ends_count and ratio.distances(*zip(*pairs, strict=True)).max() < 1
    assert ratio.distances(["a" * 30 + "."], ["b" * 60 + "."])[0] > 5


@pytest.mark.parametrize("offset", [-2, 1])
def test_a_stretch_of_shifted_lines_is_dropped_and_its_neighbours_are_not(offset: int) -> None:
    draw = random.Random(1)
    long = [draw.randint(10, 120) for _ in range(10 * WINDOW)]
    sources = ["a" * n for n in long]
    targets = ["b" * (n + draw.randint(0, 9)) for n in long]
    middle = slice(4 * WINDOW, 7 * WINDOW)
    shifted = targets[4 * WINDOW + offset : 7 * WINDOW + offset]
    targets[middle] = shifted
    problems = PairRules(FilterConfig(), CorpusProfile()).problems(
        [Pair(s, t, s, t) for s, t in zip(sources, targets, strict=True)]
    )
    dropped = [index for index, found in enumerate(problems) if found == ["shifted"]]
    assert len({*range(middle.start, middle.stop)} - {*dropped}) < 0.05 * 3 * WINDOW
    assert len({*dropped} - {*range(middle.start, middle.stop)}) <= 2 * WINDOW // 2


def test_no_stretch_is_shifted_where_lengths_say_nothing() -> None:
    same = [Pair("aaaa", "bbbb", "aaaa", "bbbb")] * (3 * WINDOW)
    assert PairRules(FilterConfig(), CorpusProfile()).problems(same) == [[]] * (3 * WINDOW)


def config(**options: Any) -> CorpusConfig:
    return CorpusConfig.model_validate_json(json.dumps({"source": "xx", "target": "yy", **options}))


def raw(pairs: list[tuple[str, str]]) -> list[RawPair]:
    return [RawPair(source.encode(), target.encode(), number) for number, (source, target) in enumerate(pairs, 1)]


def test_the_cleaner_drops_by_what_the_corpus_teaches(tmp_path: Any) -> None:
    pairs = lines(MIN_PAIRS + 500)
    for index in range(0, 1000, 20):
        source, target = pairs[index]
        pairs[index], pairs[index + 1] = (target, source), (source, pairs[1000 + index][0])
    corpus = config()
    profile = measure_corpus([raw(pairs)], corpus)
    cleaner = CorpusCleaner(corpus, profile=profile)
    kept = list(cleaner.clean(raw(pairs), "train.xx"))
    dropped = {name: stats.count for name, stats in cleaner.report.items() if stats.count}
    assert dropped["swapped"] >= 49 and dropped["language"] >= 49
    assert len(pairs) - len(kept) <= 105
    assert cleaner.report["swapped"].examples[0].startswith("train.xx:1: ")
    off = config(filters=None)
    assert len(list(CorpusCleaner(off, profile=profile).clean(raw(pairs), "train.xx"))) == len(pairs)
    profile.save(tmp_path)
    model = load_language_model(tmp_path)
    assert model is not None and model.identify(pairs[-1][0])[0] == "xx"
    (tmp_path / "languages.json").write_text("{}")
    with pytest.raises(DataError, match=r"languages.json: damaged: it has no order$"):
        load_language_model(tmp_path)


def test_a_corpus_that_is_named_twice_teaches_no_more_than_once() -> None:
    pairs = lines(MIN_PAIRS - 100)
    assert measure_corpus([raw(pairs), raw(pairs)], config()).language_model is None


def test_an_audit_drops_the_same_and_says_more() -> None:
    pairs = [("5 men (old)", "6 Männer"), ("Fine.", "Sch&ouml;n."), ("a", "b"), ("a", "c"), ("a", "b"), ("", "x")]
    plain, audit = CorpusCleaner(config()), CorpusCleaner(config(), audit=True)
    assert list(plain.clean(raw(pairs), "t")) == list(audit.clean(raw(pairs), "t"))
    assert plain.report == audit.report and plain.problems == []
    assert sorted((problem.line_number, problem.name) for problem in audit.problems) == [
        (1, "brackets"), (1, "numbers"), (2, "entities"), (4, "source with another target"), (5, "duplicate"),
        (6, "empty"),
    ]  # fmt: skip


@pytest.mark.parametrize("count", [0, 5, 19, 20, 21, 1000, 12345])
def test_a_sample_is_evenly_spaced_and_neither_small_nor_large(count: int) -> None:
    sample = even_sample(range(count), 10)
    gaps = {second - first for first, second in pairwise(sample)}
    assert len(gaps) <= 1 and min(count, 10) <= len(sample) <= 20
    assert sample[:1] == [0][:count]


ENGLISH = ["The man is with the woman in the house, and they are at the table."] * 30
GERMAN = ["Der Mann ist mit der Frau in dem Haus, und sie sind an dem Tisch."] * 30
CYRILLIC = r"^\d+% of its letters are CYRILLIC, not LATIN$"
RUSSIAN = ["Мужчина с женщиной в доме, и они за столом."] * 40
ADLAM = ["".join(map(chr, range(0x1E922, 0x1E944)))] * 40
SERBIAN = ["Čovek je u kući sa ženom, i oni su danas za stolom, ali ne i ja."] * 30


@pytest.mark.parametrize(
    ("texts", "language", "reason"),
    [
        (ENGLISH, "en", None), (GERMAN, "de", None), (RUSSIAN, "ru", None), (ENGLISH, "en-GB", None),
        (ENGLISH, "de", r"^\d+% of its words are common in en, \d+% in de$"), (GERMAN, "en", "common in de"),
        (RUSSIAN, "en", CYRILLIC),
        (RUSSIAN, "rus_Cyrl", None), (RUSSIAN, "sah", None), (RUSSIAN, "qqq", None),
        (RUSSIAN, "sr-Latn", CYRILLIC), (ENGLISH, "uz", None), (SERBIAN, "sr", None),
        (SERBIAN, "hr", None), (ENGLISH, "sr", "common in en"),
        (ENGLISH, "ru", "LATIN, not CYRILLIC"), (ENGLISH, "xx", None), (ADLAM, "ff", None),
        (ENGLISH, "ff", None), (ADLAM, "ff-Adlm", None), (ENGLISH, "ff-Adlm", "LATIN, not ADLAM"),
        (RUSSIAN, "az", None), (RUSSIAN, "bs", "common in ru"), (ENGLISH, "tk", None), (RUSSIAN, "tk", None),
        (RUSSIAN, "ms", "CYRILLIC, not ARABIC or LATIN"), (ENGLISH, "iu", None),
        (RUSSIAN, "pa", "CYRILLIC, not ARABIC or GURMUKHI"), (GERMAN[:3], "en", None), ([], "en", None),
    ],
)  # fmt: skip
def test_a_language_other_than_said_is_noticed(texts: list[str], language: str, reason: str | None) -> None:
    said = unlike_said(texts, language)
    assert said is None if reason is None else said is not None and re.search(reason, said)


def dropped(pairs: list[tuple[str, str]], corpus: CorpusConfig, *, audit: bool = False) -> dict[str, int]:
    """How many pairs each filter drops of a training text that is all of the corpus."""
    cleaner = CorpusCleaner(corpus, profile=measure_corpus([raw(pairs)], corpus), audit=audit)
    deque(cleaner.clean(raw(pairs), "t"), maxlen=0)
    return {name: stats.count for name, stats in cleaner.report.items() if stats.count}


@pytest.mark.parametrize("letters", ["aeiounprstvz", "абвгежзиклмн"])
@pytest.mark.parametrize("audit", [False, True])
def test_text_that_is_its_own_source_is_kept_where_copies_are_meant(letters: str, audit: bool) -> None:
    source, target, third = speaker(1, "aeioubdfgklm"), speaker(2, letters), speaker(3, "aeioubdfgklm")
    copies = [(text, text) for text in (target() for _ in range(1500))]
    pairs = [(source(), target()) for _ in range(MIN_PAIRS + 500)] + copies
    pairs[:50] = [(source(), third()) for _ in range(50)]
    lost = dropped(pairs, config(filters={"copies": None, "length": 4.0}, deduplicate=False), audit=audit)
    assert lost.pop("script", 0) + lost.pop("language", 0) + lost.pop("length", 0) in range(45, 70) and not lost
    lost = dropped(pairs, config(deduplicate=False), audit=audit)
    assert lost["copies"] > 1000


@pytest.mark.parametrize("tags", [[], ["<BT> "], [">>yy<< "], ["<2yy> ", "<2zz> "]])
def test_a_third_language_is_dropped_beside_one_tag_and_not_beside_several(tags: list[str]) -> None:
    """As of back-translations that are marked, and of several target languages."""
    source, target, third = speaker(1, "aeioubdfgklm"), speaker(2, "aeiounprstvz"), speaker(3, "aeioustlmnrd")
    pairs = [(source(), third() if index < 150 else target()) for index in range(MIN_PAIRS)]
    pairs += [((tags[index % len(tags)] if tags else "") + source(), target()) for index in range(2 * MIN_PAIRS)]
    lost = dropped(pairs, config(deduplicate=False))
    assert lost.get("language", 0) in (range(1) if len(tags) > 1 else range(130, 170))
    profile = measure_corpus([raw(pairs)], config())
    assert profile.tags == tuple(tag.strip() for tag in tags)
    idle = profile.idle_filters(FilterConfig(script=None))
    if len(tags) < 2:
        assert idle is None
    else:
        assert idle is not None and "(<2yy>, <2zz>)" in idle and idle.endswith(": swapped, language")
    assert profile.idle_filters(None) is None and profile.idle_filters(NO_FILTERS) is None


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"<BT>": 750, "<2yy>": 5}, False),
        ({"<BT>": 750, "<2yy>": 8}, True),
        ({"<2yy>": 900, "<2zz>": 5, "<2xx>": 5}, True),
        ({"<2yy>": 490, "<2zz>": 10}, False),
    ],
)
def test_few_sources_with_another_tag_make_no_corpus_in_several_languages(
    counts: dict[str, int], expected: bool
) -> None:
    pairs = [(f"{tag} a dog", "ein Hund") for tag, count in counts.items() for _ in range(count)]
    pairs += [("a dog", "ein Hund")] * (1000 - len(pairs))
    profile = CorpusProfile.measure(("xx", "yy"), pairs)
    assert profile.tags == tuple(sorted(counts)) and profile.is_multilingual == expected


def test_markup_that_begins_some_sources_is_found_as_markup() -> None:
    pairs = [("<em> " * (index < 20) + source, target) for index, (source, target) in enumerate(lines(1000))]
    assert dropped(pairs, config(filters={"markup": 1}, deduplicate=False)) == {"markup": 20}


def test_a_tag_is_no_part_of_what_a_rule_looks_at() -> None:
    tagged = CorpusProfile(tags=("<2yy>", "__9yy__"))
    assert names("<2yy> The weather was fine.", "The weather was fine.", tagged) == "copies"
    assert names("__9yy__ In 5 days", "In fünf Tagen, 7", tagged) == "numbers"
    assert names("__9yy__ In some days", "In 7 Tagen", tagged) == ""


@given(st.text(st.sampled_from("aZÃÂâï»¿Ð¸Ñ€åœ„à\x80\xa0\ufffd")))
def test_all_mojibake_has_a_character_that_hardly_any_other_text_has(text: str) -> None:
    assert rules._MOJIBAKE.search(text) is None or rules._PART_OF_MOJIBAKE.search(text)
