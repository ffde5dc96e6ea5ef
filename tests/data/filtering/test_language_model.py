"""The language model of a corpus: what it learns from noisy text, when it abstains, and what it takes for foreign."""

import base64
import json
import random
import re
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.data.filtering import language_model
from nmt_cli.data.filtering.language_model import LanguageModel, NGrams, _unpack
from nmt_cli.data.filtering.usual import MIN_PAIRS, Usual
from tests.conftest import examples

LANGUAGES = ("xx", "yy")
THRESHOLD = 9.5
PAIRS = 3000


def speaker(seed: int, letters: str) -> Callable[[], str]:
    """Lines of an invented language: words of its own syllables."""
    draw = random.Random(seed)
    syllables = ["".join(draw.choices(letters, k=draw.randint(2, 3))) for _ in range(60)]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 3))) for _ in range(400)]
    return lambda: " ".join(draw.choices(words, k=draw.randint(3, 12)))


@pytest.fixture(scope="module")
def sides() -> tuple[list[str], list[str], list[str]]:
    """Lines of three languages with the same letters."""
    languages = [speaker(seed, "aeioubdfgklmnprst") for seed in (1, 2, 3)]
    first, second, third = ([speak() for _ in range(PAIRS)] for speak in languages)
    return first, second, third


@pytest.fixture(scope="module")
def model(sides: tuple[list[str], list[str], list[str]]) -> LanguageModel:
    fitted = LanguageModel.fit(LANGUAGES, sides[0], sides[1])
    assert fitted is not None
    return fitted


def test_each_side_fits_and_other_languages_do_not(model: LanguageModel, sides: tuple[list[str], ...]) -> None:
    for side in (0, 1):
        assert np.mean(model.judge(sides[side], side)[0] > THRESHOLD) < 0.001
        for other in {0, 1, 2} - {side}:
            assert np.mean(model.judge(sides[other], side)[0] > THRESHOLD) > 0.98


@pytest.mark.parametrize("share", [0.05, 0.1])
def test_noise_is_not_learned(share: float, sides: tuple[list[str], ...]) -> None:
    first, second, third = sides
    sources, targets = list(first), list(second)
    width = int(share * PAIRS)
    swapped, foreign, untranslated = (slice(k * width, (k + 1) * width) for k in range(3))
    sources[swapped], targets[swapped] = second[swapped], first[swapped]
    targets[foreign] = third[foreign]
    targets[untranslated] = first[untranslated][::-1]
    model = LanguageModel.fit(LANGUAGES, sources, targets)
    assert model is not None
    misfits = np.maximum(model.judge(sources, 0)[0], model.judge(targets, 1)[0])
    for noise in (swapped, foreign, untranslated):
        assert np.mean(misfits[noise] > THRESHOLD) > 0.98
    assert np.mean(misfits[3 * width :] > THRESHOLD) < 0.002


@pytest.fixture(scope="module")
def subject(sides: tuple[list[str], ...]) -> tuple[list[str], list[str]]:
    """200 lines of each side about another subject: a third of the words are of the language, the others new ones."""
    new_words, draw = speaker(4, "aeiouxqvwz"), random.Random(5)
    first, second = (
        [
            " ".join(draw.choices(f"{line} {line} {new_words()} {new_words()} {new_words()}".split(), k=14))
            for line in side
        ]
        for side in (sides[0][:200], sides[1][:200])
    )
    return first, second


def share_dropped(model: LanguageModel, sources: list[str], targets: list[str]) -> float:
    return float(np.mean(model.judge_pairs(sources, targets)[0] > THRESHOLD))


def test_a_text_about_another_subject_is_not_taken_for_another_language(
    model: LanguageModel, sides: tuple[list[str], ...], subject: tuple[list[str], list[str]]
) -> None:
    alone = np.maximum(model.judge(subject[0], 0)[0], model.judge(subject[1], 1)[0])
    assert np.mean(alone > THRESHOLD) > 0.3
    assert share_dropped(model, *subject) < 0.05
    without_letters = ["12 34"] * 200
    assert share_dropped(model, subject[0], without_letters) > 0.2
    few = [side[:10] for side in subject]
    assert model.judge_pairs(*few)[0].tolist() == alone[:10].tolist()
    assert share_dropped(model, subject[0], sides[2][:200]) > 0.98
    with_noise = [subject[0][:190] + sides[0][190:200], subject[1][:190] + sides[0][190:200]]
    misfits, _ = model.judge_pairs(*with_noise)
    assert np.mean(misfits[190:] > THRESHOLD) > 0.9
    assert np.mean(misfits[:190] > THRESHOLD) < 0.05


def test_the_templates_of_a_repetitive_text_are_not_taken_for_another_language(sides: tuple[list[str], ...]) -> None:
    """Twenty templates, each with one of forty names."""
    draw = random.Random(6)
    templates = [[side[k].split() for side in sides] for k in range(20)]
    names = [line.split()[0] for line in sides[2][:40]]
    pairs = []
    for _ in range(PAIRS):
        template, name = draw.choice(templates), draw.choice(names)
        pairs.append([" ".join([*words, name]) for words in template])
    sources, targets, third = (list(texts) for texts in zip(*pairs, strict=True))
    model = LanguageModel.fit(LANGUAGES, sources, targets)
    assert model is not None
    assert share_dropped(model, sources, targets) < 0.02
    assert share_dropped(model, sources[:200], third[:200]) > 0.98


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_rare_templates_of_a_repetitive_text_are_no_other_language(share: float, sides: tuple[list[str], ...]) -> None:
    """Ten frequent templates, and eight with a twenty-seventh of the pairs each, which the first round leaves out."""
    draw = random.Random(7)
    templates = [[" ".join(line.split()[:4]) for line in (side[k] for side in sides)] for k in range(18)]
    names = [line.split()[0] for line in sides[2][:6]]
    pairs = []
    for _ in range(PAIRS):
        number = draw.randrange(10, 18) if draw.random() < 0.3 else draw.randrange(10)
        name = draw.choice(names)
        pairs.append([*(f"{words} {name} {words}" for words in templates[number][:2]), str(number)])
    sources, targets, numbers = (list(texts) for texts in zip(*pairs, strict=True))
    is_noise = [draw.random() < share for _ in pairs]
    noisy = [sides[2][k] if is_noise[k] else target for k, target in enumerate(targets)]
    model = LanguageModel.fit(LANGUAGES, sources, noisy)
    assert model is not None
    rare = [k for k, number in enumerate(numbers) if int(number) >= 10 and not is_noise[k]]
    assert share_dropped(model, [sources[k] for k in rare], [targets[k] for k in rare]) < 0.02
    if share:
        foreign = [k for k, noise in enumerate(is_noise) if noise]
        assert share_dropped(model, [sources[k] for k in foreign], [noisy[k] for k in foreign]) > 0.9


def test_a_language_may_be_a_third_one_where_only_one_side_has_its_letters(
    sides: tuple[list[str], ...], subject: tuple[list[str], list[str]]
) -> None:
    """It is likelier in the language with its letters, whatever it is."""
    other_letters = str.maketrans("aeioubdfgklmnprstxqvwz", "аеиоубдфгклмнпрстхщвшз")
    targets, subject_targets = ([line.translate(other_letters) for line in lines] for lines in (sides[1], subject[1]))
    model = LanguageModel.fit(LANGUAGES, sides[0], targets)
    assert model is not None
    assert share_dropped(model, subject[0], subject_targets) > 0.3


def test_a_language_that_its_commonest_words_betray_is_no_other_subject(
    sides: tuple[list[str], ...], subject: tuple[list[str], list[str]]
) -> None:
    english, german = (
        [f"{words[0]} {line} {words[1]} {line.split()[0]}" for line in lines]
        for lines, words in ((sides[0], ("the", "of")), (sides[1], ("der", "und")))
    )
    model = LanguageModel.fit(("en", "de"), english, german)
    assert model is not None
    targets = [f"der {line} und {line.split()[0]}" for line in subject[1]]
    assert share_dropped(model, [f"the {line} of {line.split()[0]}" for line in subject[0]], targets) < 0.05
    assert share_dropped(model, [f"les {line} et une {line.split()[0]} dans" for line in subject[0]], targets) > 0.3


def test_it_abstains_where_nobody_can_say(sides: tuple[list[str], ...]) -> None:
    first, second, _ = sides
    few = MIN_PAIRS - 1
    assert LanguageModel.fit(LANGUAGES, first[:few], second[:few]) is None
    assert LanguageModel.fit(LANGUAGES, first, first) is None  # copies
    assert LanguageModel.fit(LANGUAGES, first, first[1:] + first[:1]) is None  # one language
    half = PAIRS // 2
    assert LanguageModel.fit(LANGUAGES, first[:half] + second[half:], second[:half] + first[half:]) is None


def test_short_texts_are_not_judged(model: LanguageModel, sides: tuple[list[str], ...]) -> None:
    assert model.judge(["", "12 34!", sides[1][0][:7]], 0)[0].tolist() == [0, 0, 0]
    assert model.judge([sides[1][0]], 0)[0][0] > THRESHOLD


def test_a_text_is_identified_with_a_probability(model: LanguageModel, sides: tuple[list[str], ...]) -> None:
    for side, language in enumerate(LANGUAGES):
        identified = [model.identify(text) for text in sides[side][:50]]
        assert {code for code, _ in identified} == {language}
        assert all(0.9 < probability <= 1 for _, probability in identified)
    assert model.identify(" ".join(sides[2][:3])) == (None, 0.0)
    assert model.identify("123") == (None, 0.0)


def test_the_tables_of_a_model_are_computed_once(sides: tuple[list[str], ...], monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = LanguageModel.fit(LANGUAGES, sides[0], sides[1])
    assert fitted is not None
    model, tables = LanguageModel.from_record(fitted.record()), []
    logarithm = language_model._log_probabilities
    monkeypatch.setattr(language_model, "_log_probabilities", lambda *counts: tables.append(1) or logarithm(*counts))
    for text in sides[0][:5]:
        model.identify(text)
    assert len(tables) == 2


def test_what_is_stored_judges_the_same(model: LanguageModel, sides: tuple[list[str], ...]) -> None:
    text = json.dumps(model.record())
    assert len(text) < 1 << 20
    restored = LanguageModel.from_record(json.loads(text))
    assert restored.languages == LANGUAGES
    for side in (0, 1):
        assert restored.judge(sides[side], side)[0] == pytest.approx(model.judge(sides[side], side)[0], abs=0.5)


def test_marks_on_letters_are_in_the_n_grams() -> None:
    """N'Ko's tones and Khmer's vowels are marks: of texts that differ in them alone, the n-grams do, too."""
    for text, other in (("ߓߊ߫ ߓߊ߲", "ߓߊ߬ ߓߊ߲"), ("កា កិ", "កា កី"), ("की", "के")):
        assert NGrams.of([text]).places.tolist() != NGrams.of([other]).places.tolist()
        assert len(NGrams.of([text]).places) == len(NGrams.of(["a" * len(text)]).places)
    latin = ["The old man reads. 12 books", "Größe_7 ❤\ufe0f"]
    assert NGrams.of(latin).places.tolist() == NGrams.of(latin, has_marks=False).places.tolist()


def test_languages_that_differ_in_their_marks_are_told_apart_but_not_by_older_models() -> None:
    first, second = speaker(1, "ߓߘߊߋߌ߲߫"), speaker(1, "ߓߘߊߋߌ߬ߓ")
    sides = [first() for _ in range(PAIRS)], [second() for _ in range(PAIRS)]
    model = LanguageModel.fit(LANGUAGES, *sides)
    assert model is not None and model.has_marks
    assert [LanguageModel.from_record(model.record()).identify(first())[0] for _ in range(20)] == ["xx"] * 20
    older = {key: value for key, value in model.record().items() if key != "has_marks"}
    assert not LanguageModel.from_record(older).has_marks


@pytest.mark.parametrize("damage", [{"order": 3}, {"own": []}, {"counts": ["", ""]}, {"counts": ["eJwDAAAAAAE=", "!"]}])
def test_a_damaged_record_is_refused(model: LanguageModel, damage: dict[str, object]) -> None:
    with pytest.raises((LookupError, TypeError, ValueError)):
        LanguageModel.from_record(model.record() | damage)


@pytest.mark.parametrize("counts, message", [(b"x", "damaged counts"), (zlib.compress(b"x"), "counts of another size")])
def test_what_is_wrong_with_stored_counts_is_said(counts: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _unpack(base64.b64encode(counts).decode())


@examples(100)
@given(
    st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\n"), max_size=20), min_size=1)
)
def test_the_ngrams_of_a_text_do_not_depend_on_its_neighbours(texts: list[str]) -> None:
    together = NGrams.of(texts)
    for index, text in enumerate(texts):
        alone = NGrams.of([text])
        assert (
            together.places[together.starts[index] : together.ends[index]].tolist()
            == alone.places[alone.starts[0] : alone.ends[0]].tolist()
        )


def test_what_is_usual_does_not_depend_on_the_tail() -> None:
    rng = np.random.default_rng(1)
    lengths = rng.integers(10, 100, 5000)
    values = 2 - 5 / lengths + rng.normal(0, 1, 5000) * np.sqrt(0.1 + 3 / lengths)
    noisy = np.where(np.arange(5000) % 10 == 0, values + 50, values)
    for sample in (values, noisy):
        usual = Usual.of(sample, lengths)
        distances = usual.distance(values, lengths)
        assert abs(np.median(distances)) < 0.25
        assert 0.8 < np.std(distances) < 1.25


@given(st.text(st.sampled_from("aßЖ字1²_ .,’\t\xa0\u2028\r\n")))
def test_one_space_stands_for_whatever_is_between_letters(text: str) -> None:
    assert language_model._letters_of(text, "") == re.sub(r"(?:[^\w\n]|[\d_])+", " ", text)
