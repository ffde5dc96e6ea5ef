"""Which runs lead from one language to another, and which language a text is in."""

from pathlib import Path

import pytest

from nmt_cli.serving.errors import RequestError
from nmt_cli.serving.languages import Languages, language_name
from nmt_cli.serving.settings import ServedRun


def served(*pairs: str) -> Languages:
    """Languages of runs named by their pairs, such as en-de."""
    runs = [ServedRun(pair, Path(), *pair.split("-", 1), "rnn", True) for pair in pairs]
    return Languages(runs)


def names(languages: Languages, source: str, target: str) -> list[str]:
    return [run.name for run in languages.route(source, target).runs]


def test_the_direct_run_is_taken_else_two_through_a_third_language() -> None:
    languages = served("en-de", "de-fr", "fr-es", "en-de")
    assert names(languages, "en", "de") == ["en-de"]
    assert names(languages, "en", "fr") == ["en-de", "de-fr"] and languages.route("en", "fr").via == ["de"]
    assert names(languages, "en", "en") == []
    with pytest.raises(RequestError, match="Spanish"):
        languages.route("en", "es")
    assert languages.targets("de") == ["fr", "es"]


def test_a_run_can_be_chosen_by_its_name() -> None:
    languages = served("en-de", "de-en")
    assert languages.route("de", "en", "de-en").runs[0].name == "de-en"
    for name in ("en-de", "nothing"):
        with pytest.raises(RequestError):
            languages.route("de", "en", name)


@pytest.mark.parametrize(
    "code, language",
    [("EN", "en"), ("en-GB", "en"), ("en_us", "en"), ("zh", "zh-Hans"), ("zh-hant-tw", None), ("", None), ("x", None)],
)
def test_codes_are_matched(code: str, language: str | None) -> None:
    assert served("en-zh-Hans").match(code) == language


def test_languages_are_detected_by_script_and_known_words() -> None:
    languages = served("en-de", "fr-de", "ru-de", "ja-de", "zh-de")
    words = {"en": {"the", "dog"}, "fr": {"le", "chien"}}

    def known_share(text: str, code: str) -> float | None:
        own = words.get(code)
        return None if own is None else sum(word in own for word in text.split()) / len(text.split())

    detected = [
        languages.detect(text, known_share)[0].language
        for text in ("the dog", "le chien", "собака", "犬はかわいい", "我喜欢读书")
    ]
    assert detected == ["en", "fr", "ru", "ja", "zh"]
    assert {detection.confidence for detection in languages.detect("12 !", known_share)} == {0.0}


def test_languages_have_names() -> None:
    assert language_name("de") == "German" and language_name("pt-BR") == "Portuguese (Brazil)"
    assert language_name("zh_Hant") == "Chinese (traditional)" and language_name("xx") == "xx"
