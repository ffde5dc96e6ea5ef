"""The API of LibreTranslate: answers, errors and their statuses."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

import nmt_cli
from nmt_cli.inference.inspection import inspect_sentence
from nmt_cli.inference.lines import SURROGATES_REPLACED
from nmt_cli.reporting import Reporter
from nmt_cli.serving.inspector import Inspector
from nmt_cli.serving.jobs import JobQueue
from nmt_cli.serving.languages import Route
from nmt_cli.serving.libretranslate import LibreTranslateApi
from nmt_cli.serving.metrics import Metrics
from nmt_cli.serving.server import _bind
from nmt_cli.serving.service import TextResult, TranslationRequest, TranslationService
from nmt_cli.serving.settings import Limits, ServedRun
from nmt_cli.serving.texts import SentencePair, TranslatedText
from tests.opening import open_translator
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
    assert answer["translatedText"] == "1 &lt; 2\n3"
    assert answer["warnings"] == ["the tags were removed"]


def test_the_language_is_detected_where_source_is_auto(server: Server) -> None:
    _, answer = server.post("/translate", {"q": TEXT, "source": "auto", "target": "de"})
    assert answer["detectedLanguage"]["language"] == "en"
    assert [language["language"] for language in server.post("/detect", {"q": TEXT})[1]] == ["en", "de"]
    assert server.post("/detect", {"q": "我喜欢读书"})[1][0]["confidence"] == 0


def test_sentences_are_given_where_they_are_asked_for(server: Server) -> None:
    query = {"q": f"{TEXT} Two dogs.\n12", "source": "en", "target": "de", "sentences": True}
    _, answer = server.post("/translate", query)
    assert [(pair["line"], pair["source"]) for pair in answer["sentences"]] == [(0, TEXT), (0, "Two dogs."), (1, "12")]
    assert answer["translatedText"].split("\n")[0] == " ".join(pair["target"] for pair in answer["sentences"][:2])


def test_what_is_served_is_said(server: Server, tiny_run: Path) -> None:
    assert server.get("/languages") == (
        200,
        [
            {"code": "en", "name": "English", "targets": ["de", "fr"], "direction": "ltr"},
            {"code": "de", "name": "German", "targets": ["fr"], "direction": "ltr"},
            {"code": "fr", "name": "French", "targets": [], "direction": "ltr"},
        ],
    )
    status, settings = server.get("/frontend/settings")
    assert status == 200 and settings["language"]["target"] == {"code": "de", "name": "German"}
    assert [run["name"] for run in settings["runs"]] == [tiny_run.name, "second"]
    metrics = server.get("/metrics")[1]
    assert 'nmt_requests_total{endpoint="/languages",status="200"}' in metrics
    assert 'nmt_request_duration_seconds_bucket{endpoint="/languages",le="60.0"}' in metrics
    assert 'nmt_request_duration_seconds_count{endpoint="/languages"}' in metrics
    assert 'nmt_batch_texts_bucket{le="64"}' in metrics and "nmt_batch_texts_count 0" not in metrics
    paths = server.get("/spec")[1]["paths"]
    assert {"/translate", "/detect", "/languages", "/inspect", "/v2/translate"} <= set(paths)


def test_a_pair_without_a_run_is_translated_through_a_third_language(
    server: Server, tiny_run: Path, second_run: Path
) -> None:
    _, answer = server.post("/translate", {"q": TEXT, "source": "en", "target": "fr", "sentences": True})
    assert answer["translatedText"] == translated(second_run, translated(tiny_run, TEXT))
    assert answer["via"] == ["de"] and "third language" in answer["warnings"][0]
    _, answer = server.post("/translate", {"q": TEXT, "source": "en", "target": "fr", "confidence": True})
    assert "confidence" not in answer and "nmt calibrate" in answer["warnings"][0]  # unknown of the first run
    _, answer = server.post("/translate", {"q": [TEXT, TEXT], "source": "en-GB", "target": "FR"})
    assert answer["via"] == [["de"], ["de"]]


def test_a_language_is_not_translated_to_itself(server: Server) -> None:
    assert server.post("/translate", {"q": TEXT, "source": "de", "target": "de"})[1] == {"translatedText": TEXT}


@pytest.mark.parametrize(
    ("first", "second", "product"), [(0.5, 0.8, 0.4), (None, 0.8, None), (0.5, None, None), (0.0, 0.8, 0.0)]
)
def test_the_confidence_through_a_third_language_is_that_of_the_whole_way(
    first: float | None, second: float | None, product: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [ServedRun(f"{source}-{target}", Path(), source, target, "rnn", True) for source, target in ("ed", "df")]
    confidences = dict(zip((run.name for run in runs), (first, second), strict=True))

    async def translate(
        self: TranslationService, texts: list[str], runs: list[ServedRun], *rest: object
    ) -> list[TranslatedText]:
        return [TranslatedText([text], [], [], confidences[run.name]) for text, run in zip(texts, runs, strict=True)]

    monkeypatch.setattr(TranslationService, "_translate_with", translate)
    service = TranslationService(runs, JobQueue(1, Metrics()), Limits())
    request = TranslationRequest(["x"], "e", "f", assess=True)
    assert asyncio.run(service.translate(request))[0].translation.confidence == (product and pytest.approx(product))


def test_an_unknown_confidence_is_said_of_texts_but_not_of_none(server: Server) -> None:
    query = {"q": [TEXT, ""], "source": "en", "target": "de", "confidence": True}
    assert server.post("/translate", query)[1]["warnings"] == [
        ["the confidence is unknown; nmt calibrate fits it for a run"], None,
    ]  # fmt: skip


def test_the_confidence_is_that_of_the_calibrated_run(server: Server, second_run: Path, tiny_run: Path) -> None:
    query = {"q": f"{TEXT} Two dogs.", "source": "de", "target": "fr", "confidence": True, "sentences": True}
    _, answer = server.post("/translate", query)
    parts = open_translator([second_run], assess=True).translate([TEXT, "Two dogs."])
    confidences = [part.confidence for part in parts]
    assert [pair["confidence"] for pair in answer["sentences"]] == pytest.approx(confidences, abs=1e-3)
    assert 0 < answer["confidence"] < 1
    _, answer = server.post("/translate", {**query, "source": "en", "target": "de"})
    assert "confidence" not in answer and "nmt calibrate" in answer["warnings"][0]


@pytest.mark.slow
def test_alignment_and_attention_are_those_of_our_own_engine(server: Server, tiny_run: Path) -> None:
    translator = nmt_cli.load_run(tiny_run)
    target = translator.translate([TEXT])[0].text
    ids = [translator.tokenizers.target.encode([translator.planner.normalizer(text)])[0] for text in (TEXT, target)]
    query = {"q": f"{TEXT}\n12", "source": "en", "target": "de", "alignment": True, "attention": True}
    _, answer = server.post("/translate", query)
    sentence, number = answer["sentences"]
    assert sentence["target"] == target
    assert [[tuple(link) for link in sentence["alignment"]]] == translator.word_alignments([(ids[0], ids[1])])
    assert number["alignment"] == [[0, 0]]
    attention = sentence["attention"]
    heads = attention["weights"][0]
    assert len(heads[0]) == len(attention["target_words"]) and len(heads[0][0]) == len(attention["source_words"])


def test_what_is_displayed_has_what_must_not_change_and_the_case_of_the_source(server: Server) -> None:
    query = {"text": "SEE https://example.org/a?b=1 IN THE HOUSE!", "source": "en", "target": "de"}
    _, answer = server.post("/inspect", {**query, "prefix": "Der Mann"})
    assert answer["text"] == "See in the house!"
    assert answer["displayed"].count("https://example.org/a?b=1") == 1
    assert answer["translation"].startswith("Der Mann") and "DER MANN" in answer["displayed"]
    _, given = server.post("/inspect", {**query, "translation": answer["displayed"]})
    assert given["displayed"] == answer["displayed"] and "example.org" not in given["translation"]
    _, copied = server.post("/inspect", {**query, "text": "www.example.org", "translation": "www.example.org"})
    assert copied["text"] == copied["displayed"] == "www.example.org"


def test_a_sentence_is_inspected(server: Server, tiny_run: Path) -> None:
    translator = nmt_cli.load_run(tiny_run)
    query = {"text": TEXT, "source": "en", "target": "de", "beam": True}
    status, answer = server.post("/inspect", query)
    assert status == 200
    assert answer == {"run": tiny_run.name, **json.loads(json.dumps(inspect_sentence(translator, TEXT, beam=True)))}
    _, continued = server.post("/inspect", {**query, "prefix": "Der alte", "alternatives": False, "beam": False})
    assert continued["translation"].startswith("Der alte") and "beam" not in continued
    _, given = server.post("/inspect", {**query, "translation": "Der Mann."})
    assert given["translation"] == "Der Mann." and given["score"] is None
    message = "Invalid request: only a translation by one run can be inspected"
    assert server.post("/inspect", {**query, "target": "fr"}) == (400, {"error": message})
    assert server.post("/inspect", {"text": TEXT, "target": "fr", "run": "second"})[0] == 200  # a run from German
    assert server.post("/inspect", {**query, "text": ""})[0] == 400
    message = "Invalid request: text parameter exceeds 2,000 characters"
    assert server.post("/inspect", {**query, "text": "a" * 2001}) == (400, {"error": message})


def test_a_run_without_attention_has_no_alignment() -> None:
    run = ServedRun("ctc", Path(), "en", "de", "ctc", False)
    api = LibreTranslateApi(
        TranslationService([run], JobQueue(1, Metrics()), Limits()),
        Inspector(lambda index: None, Reporter(silent=True), 1.0),  # type: ignore[arg-type, return-value]
    )
    translation = TranslatedText(["ein Hund"], [SentencePair(0, "a dog", "ein Hund")], [])
    result, warnings = TextResult(Route("en", "de", (run,)), translation), list[str]()
    records = asyncio.run(api._sentences(result, {"alignment"}, warnings))
    assert records == [{"line": 0, "source": "a dog", "target": "ein Hund"}]
    assert warnings == ["run ctc has no attention to the source, and so no alignment"]


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"source": "en", "target": "de"}, 400, "missing q parameter"),
    ({"q": TEXT, "target": "de"}, 400, "missing source parameter"),
    ({"q": TEXT, "source": "en"}, 400, "missing target parameter"),
    ({"q": TEXT, "source": "zz", "target": "de"}, 400, "zz is not supported; en, de, fr are"),
    ({"q": TEXT, "source": "de", "target": "en"}, 400, "English (en) is not available"),
    ({"q": TEXT, "source": "en", "target": "de", "format": "pdf"}, 400, "pdf format is not supported"),
    ({"q": TEXT, "source": "en", "target": "de", "alternatives": "x"}, 400, "alternatives parameter is not a number"),
    ({"q": TEXT, "source": "en", "target": "de", "alternatives": -1}, 400, "must be between 0 and 20"),
    ({"q": TEXT, "source": "en", "target": "de", "confidence": 2}, 400, "confidence parameter is not true or false"),
    ({"q": 3, "source": "en", "target": "de"}, 400, "q parameter is not a string or a list of strings"),
    ({"q": ["a", None], "source": "en", "target": "de"}, 400, "q parameter is not a string or a list of strings"),
    ({"q": TEXT, "source": ["en"], "target": "de"}, 400, "source parameter is not a string"),
    ({"q": TEXT, "source": "en", "target": "de", "run": "../other"}, 400, "No run ../other"),
    ({"q": "a" * 100_001, "source": "en", "target": "de"}, 400, "exceeds text limit"),
    ({"q": "a" * (2 << 20), "source": "en", "target": "de"}, 413, "larger than"),
    ({"q": "a\n" * 6000, "source": "en", "target": "de"}, 413, "pieces of text"),
    ({"q": ["a"] * 5001, "source": "en", "target": "de"}, 413, "More than 5,000 texts: send them in parts"),
    (
        {"q": "1\n" * 101, "source": "en", "target": "de", "alignment": True},
        413,
        "alignment and attention: at most 100 sentences at a time",
    ),
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
    status, answer = server.post("/translate", body)
    assert status == 200 and answer["warnings"] == [SURROGATES_REPLACED]
    assert server.post("/detect", {"q": "a\ud800"})[0] == 200


def test_other_hosts_and_origins_are_refused(server: Server) -> None:
    assert server.get("/health", Host=f"localhost:{server.port}")[0] == 200
    message = "Host evil.example is not the address of this server; --allow-host names others"
    assert server.get("/health", Host="evil.example") == (403, {"error": message})
    assert server.get("/health", Host="127.0.0.1.evil.example")[0] == 403
    assert server.get("/health", Origin="http://evil.example")[0] == 403
    assert server.get("/health", Origin=server.url)[0] == 200


def test_the_system_does_not_wait_for_more_before_it_sends_an_answer() -> None:
    # asyncio asks for that (TCP_NODELAY) only where the listening socket knows its protocol; else 45 ms an answer
    async def accepted_socket() -> int:
        delays: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def note_delay(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            delays.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with _bind("127.0.0.1", 0, 5) as listener:
            async with await asyncio.start_server(note_delay, sock=listener):
                _, writer = await asyncio.open_connection(*listener.getsockname())
                writer.close()
                return await asyncio.wait_for(delays, 10)

    assert asyncio.run(accepted_socket())


def test_unknown_addresses_are_refused(server: Server) -> None:
    assert server.get("/page/../../secrets")[0] == 404
    assert server.get("/page/%2e%2e%2fapp.py")[0] == 404
    assert server.get("/page/app.py") == (404, {"error": "No such file"})
    assert server.get("/nothing") == (404, {"error": "Not Found"})
    assert server.get("/translate")[0] == 405
    suggested = server.post("/suggest", {"q": "a", "s": "b"})
    assert suggested == (403, {"error": "Suggestions are disabled on this server"})


def test_the_form_works_without_javascript_and_escapes(server: Server) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    status, page = server.post("/", b"q=%3C%2Fscript%3E&source=en&target=de", **headers)
    assert status == 200 and "</script></textarea>" not in page and "&lt;/script&gt;" in page
    assert '<option value="de" selected>German</option>' in page
