"""The API of LibreTranslate: answers, errors and their statuses."""

import json
from pathlib import Path
from typing import Any

import pytest

import nmt_cli
from tests.serving.conftest import Server

TEXT = "The old man reads a book."


def translated(run: Path, text: str) -> str:
    return nmt_cli.translate(run, [text])[0].text


def test_a_text_and_a_list_are_translated_as_by_the_python_api(server: Server, tiny_run: Path) -> None:
    expected = translated(tiny_run, TEXT)
    query = {"source": "en", "target": "de"}
    assert server.post("/translate", {"q": TEXT, **query}) == (200, {"translatedText": expected})
    status, answer = server.post("/translate", {"q": [TEXT, "", f" {TEXT}\r\n\n\t{TEXT}\n"], **query})
    assert status == 200
    assert answer == {"translatedText": [expected, "", f" {expected}\r\n\n\t{expected}\n"]}
    form = b"q=The+old+man+reads+a+book.&source=en&target=de"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert server.post("/translate", form, **headers) == (200, {"translatedText": expected})


def test_alternatives_are_the_other_hypotheses(server: Server, tiny_run: Path) -> None:
    translation = nmt_cli.translate(tiny_run, [TEXT], search={"beam": 3, "n_best": 3})[0]
    texts = [candidate.text for candidate in translation.candidates]
    _, answer = server.post("/translate", {"q": TEXT, "source": "en", "target": "de", "alternatives": 2})
    assert [answer["translatedText"], *answer["alternatives"]] == texts
    _, answer = server.post("/translate", {"q": [TEXT, TEXT], "source": "en", "target": "de", "alternatives": 2})
    assert answer["alternatives"] == [texts[1:]] * 2


def test_the_tags_of_html_are_taken_out_and_the_answer_is_escaped(server: Server) -> None:
    query = {"source": "en", "target": "de", "format": "html"}
    _, answer = server.post("/translate", {"q": "1 &lt; 2<script>alert(1)</script><p>3</p>", **query})
    assert answer["translatedText"] == "1 &lt; 2\n3\n"
    assert answer["warnings"] == ["the tags were taken out"]


def test_the_language_is_detected_where_source_is_auto(server: Server) -> None:
    _, answer = server.post("/translate", {"q": TEXT, "source": "auto", "target": "de"})
    assert answer["detectedLanguage"] == {"confidence": 100.0, "language": "en"}
    assert server.post("/detect", {"q": TEXT}) == (200, [{"confidence": 100.0, "language": "en"}])
    assert server.post("/detect", {"q": "我喜欢读书"}) == (200, [{"confidence": 0.0, "language": "en"}])


def test_sentences_are_given_where_they_are_asked_for(server: Server) -> None:
    query = {"q": f"{TEXT} Two dogs.\n12", "source": "en", "target": "de", "sentences": True}
    _, answer = server.post("/translate", query)
    assert [(pair["line"], pair["source"]) for pair in answer["sentences"]] == [(0, TEXT), (0, "Two dogs."), (1, "12")]
    assert answer["translatedText"].split("\n")[0] == " ".join(pair["target"] for pair in answer["sentences"][:2])


def test_what_is_served_is_said(server: Server, tiny_run: Path) -> None:
    german = {"code": "de", "name": "German", "targets": []}
    assert server.get("/languages") == (200, [{"code": "en", "name": "English", "targets": ["de"]}, german])
    status, settings = server.get("/frontend/settings")
    assert status == 200 and settings["language"]["target"] == {"code": "de", "name": "German"}
    assert [run["name"] for run in settings["runs"]] == [tiny_run.name]
    assert "nmt_requests_total" in server.get("/metrics")[1]


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"source": "en", "target": "de"}, 400, "missing q parameter"),
    ({"q": TEXT, "target": "de"}, 400, "missing source parameter"),
    ({"q": TEXT, "source": "en"}, 400, "missing target parameter"),
    ({"q": TEXT, "source": "zz", "target": "de"}, 400, "zz is not supported"),
    ({"q": TEXT, "source": "de", "target": "en"}, 400, "English (en) is not available"),
    ({"q": TEXT, "source": "en", "target": "de", "format": "pdf"}, 400, "pdf format is not supported"),
    ({"q": TEXT, "source": "en", "target": "de", "alternatives": "x"}, 400, "alternatives parameter is not a number"),
    ({"q": TEXT, "source": "en", "target": "de", "alternatives": -1}, 400, "alternatives"),
    ({"q": 3, "source": "en", "target": "de"}, 400, "q parameter"),
    ({"q": ["a", None], "source": "en", "target": "de"}, 400, "q parameter"),
    ({"q": TEXT, "source": ["en"], "target": "de"}, 400, "source parameter"),
    ({"q": TEXT, "source": "en", "target": "de", "run": "../other"}, 400, "No run ../other"),
    ({"q": "a" * 100_001, "source": "en", "target": "de"}, 400, "exceeds text limit"),
    ({"q": "a" * (2 << 20), "source": "en", "target": "de"}, 413, "larger than"),
    ({"q": "a\n" * 6000, "source": "en", "target": "de"}, 413, "pieces of text"),
]


@pytest.mark.parametrize("query, status, words", REFUSED)
def test_what_cannot_be_done_is_refused(server: Server, query: dict[str, Any], status: int, words: str) -> None:
    actual_status, answer = server.post("/translate", query)
    assert actual_status == status and words in answer["error"] and list(answer) == ["error"]


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b"[1]", b"[" * 100_000, b'{"q": ' + b"1" * 5000 + b"}", b'{"q":"\\ud800"}']
)
def test_json_that_is_none_is_refused(server: Server, body: bytes) -> None:
    status, answer = server.post("/translate", body)
    assert status == 400 and "Invalid request" in answer["error"]


def test_halves_of_surrogate_pairs_are_replaced(server: Server) -> None:
    body = json.dumps({"q": "\ud800 12", "source": "en", "target": "de"}).encode()
    assert server.post("/translate", body)[0] == 200


def test_other_hosts_and_origins_are_refused(server: Server) -> None:
    assert server.get("/health", Host=f"localhost:{server.port}")[0] == 200
    assert server.get("/health", Host="evil.example")[0] == 403
    assert server.get("/health", Host="127.0.0.1.evil.example")[0] == 403
    assert server.get("/health", Origin="http://evil.example")[0] == 403
    assert server.get("/health", Origin=server.url)[0] == 200


def test_unknown_addresses_are_refused(server: Server) -> None:
    assert server.get("/page/../../secrets")[0] == 404
    assert server.get("/page/%2e%2e%2fapp.py")[0] == 404
    assert server.get("/nothing") == (404, {"error": "Not Found"})
    assert server.get("/translate")[0] == 405
    assert server.post("/suggest", {"q": "a", "s": "b"})[0] == 403


def test_the_form_works_without_javascript_and_escapes(server: Server) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    status, page = server.post("/", b"q=%3C%2Fscript%3E&source=en&target=de", **headers)
    assert status == 200 and "</script></textarea>" not in page and "&lt;/script&gt;" in page
    assert '<option value="de" selected>German</option>' in page
