"""Public clients, pointed at the server, work unchanged."""

from pathlib import Path

import deepl
import pytest
from libretranslatepy import LibreTranslateAPI

import nmt_cli
from tests.serving.conftest import Server

TEXTS = ["The old man reads a book.", "Two dogs don't see 1995 houses."]


@pytest.fixture(scope="module")
def expected(tiny_run: Path) -> list[str]:
    return [translation.text for translation in nmt_cli.load_run(tiny_run).translate(TEXTS)]


def test_libretranslatepy(server: Server, expected: list[str]) -> None:
    client = LibreTranslateAPI(server.url, api_key="any")
    assert client.translate(TEXTS[0], "en", "de") == expected[0]
    assert client.translate(TEXTS[0], "auto", "de") == expected[0]
    assert client.detect(TEXTS[0])[0]["language"] == "en"
    assert [language["code"] for language in client.languages()] == ["en", "de", "fr"]


def test_deepl(server: Server, expected: list[str]) -> None:
    client = deepl.DeepLClient("any", server_url=server.url)
    result = client.translate_text(TEXTS[0], source_lang="EN", target_lang="DE")
    assert isinstance(result, deepl.TextResult)
    assert result.text == expected[0] and result.detected_source_lang == "EN"
    results = client.translate_text(TEXTS, target_lang="DE")
    assert isinstance(results, list) and [result.text for result in results] == expected
    assert [language.code for language in client.get_source_languages()] == ["EN", "DE"]
    assert [language.code for language in client.get_target_languages()] == ["DE", "FR"]
    assert not client.get_usage().any_limit_reached


def test_deepl_splits_sentences_as_it_is_told(server: Server, tiny_run: Path) -> None:
    text = f"{TEXTS[0]}\n{TEXTS[1]}"
    client = deepl.DeepLClient("any", server_url=server.url)
    answers = {
        splitting: client.translate_text(text, source_lang="EN", target_lang="DE", split_sentences=splitting)
        for splitting in ("0", "1", "nonewlines")
    }
    texts = {splitting: answer.text for splitting, answer in answers.items() if isinstance(answer, deepl.TextResult)}
    line = " ".join(TEXTS)
    assert texts["1"].count("\n") == 1
    assert texts["nonewlines"] == nmt_cli.translate(tiny_run, [line])[0].text
    assert texts["0"] == nmt_cli.translate(tiny_run, [line], search={"split": "long"})[0].text


def test_what_deepl_can_and_we_cannot_is_refused_in_its_form(server: Server) -> None:
    client = deepl.DeepLClient("any", server_url=server.url)
    with pytest.raises(deepl.DeepLException, match="Parameter 'tag_handling' is not supported"):
        client.translate_text(TEXTS[0], target_lang="DE", tag_handling="html")
    with pytest.raises(deepl.DeepLException, match="JA is not supported"):
        client.translate_text(TEXTS[0], target_lang="JA")


@pytest.mark.parametrize(
    "query, status, message",
    [
        ({"text": None}, 400, "Parameter 'text' not specified or not a list of texts"),
        ({"text": ["a"] * 51}, 413, "Too many texts: at most 50 per request"),
        ({"target_lang": ""}, 400, "Parameter 'target_lang' not specified"),
        ({"formality": "more"}, 400,
         "Parameter 'formality' is not supported; use default, prefer_less or prefer_more"),
        ({"split_sentences": "2"}, 400, "Value for 'split_sentences' not supported: 2; use 0, 1 or nonewlines"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_request_to_deepl_is_said(
    server: Server, query: dict[str, object], status: int, message: str
) -> None:
    answer = server.post("/v2/translate", {"text": ["a"], "target_lang": "DE"} | query)
    assert answer == (status, {"message": message})


def test_the_languages_of_one_side_are_asked_for(server: Server) -> None:
    message = "Value for 'type' not supported: both; use source or target"
    assert server.get("/v2/languages?type=both") == (400, {"message": message})
