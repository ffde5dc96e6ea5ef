"""What the parameters of a request are, in each of its forms."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.requests import Request
from starlette.types import Message

from nmt_cli import __version__
from nmt_cli.serving.errors import RequestError
from nmt_cli.serving.requests import (
    Parameters,
    health_response,
    parse_json,
    read_parameters,
    text_parameter,
    while_connected,
)
from nmt_cli.serving.settings import ServedRun, ServerSettings

FIELDS = [("text", "a"), ("text", "b"), ("target_lang", "DE")]


def multipart(fields: list[tuple[str, str]]) -> bytes:
    parts = [f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields]
    return "".join([*parts, "--edge--\r\n"]).encode()


def parameters_of(content_type: str, body: bytes, query: bytes) -> Parameters:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", content_type.encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": query, "headers": headers}
    return asyncio.run(read_parameters(Request(scope, receive)))


@pytest.mark.parametrize(
    "content_type, body",
    [
        ("application/x-www-form-urlencoded", urlencode(FIELDS).encode()),
        ("multipart/form-data; boundary=edge", multipart(FIELDS)),
    ],
)
def test_repeated_fields_are_lists_and_a_form_goes_before_the_address(content_type: str, body: bytes) -> None:
    parameters = parameters_of(content_type, body, b"text=c&source_lang=EN")
    assert parameters == {"text": ["a", "b"], "target_lang": "DE", "source_lang": "EN"}


def test_a_field_of_a_form_is_as_long_as_the_form_may_be() -> None:
    text = "a" * (3 << 20)
    assert parameters_of("multipart/form-data; boundary=edge", multipart([("q", text)]), b"") == {"q": text}


@pytest.mark.parametrize(
    "opened, lost, status, record",
    [
        ((), (), 200, {"status": "loading", "runs": {"a": "loading", "b": "loading"}}),
        (("b",), (), 200, {"status": "loading", "runs": {"a": "loading", "b": "ok"}}),
        (("a", "b"), (), 200, {"status": "ok", "runs": {"a": "ok", "b": "ok"}}),
        ((), ("a",), 503, {"status": "down", "runs": {"a": "down", "b": "loading"}}),
        (("a", "b"), ("a", "b"), 200, {"status": "ok", "runs": {"a": "ok", "b": "ok"}}),  # in another worker
    ],
)
def test_a_server_is_ill_while_a_run_is_lost(
    opened: tuple[str, ...], lost: tuple[str, ...], status: int, record: dict[str, Any]
) -> None:
    settings = ServerSettings(tuple(ServedRun(name, Path(), "en", "de", "rnn", True) for name in "ab"))
    response = health_response(settings, opened, lost)
    assert response.status_code == status
    assert json.loads(response.body) == {**record, "version": __version__}


@pytest.mark.parametrize(
    "body, query, words",
    [
        (b"q=Caf%E9", b"", "Invalid request: the parameters are not UTF-8"),
        (b"q=Caf\xe9", b"", "Invalid request: the parameters are not UTF-8"),
        (b"", b"q=Caf%E9", "Invalid request: the parameters are not UTF-8"),
        (b"q=&" * 10_001, b"", "Invalid request: more than 10,000 fields"),
        (b' {"q": "a"}', b"", "Invalid request: JSON needs the header Content-Type: application/json"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, query: bytes, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        parameters_of("application/x-www-form-urlencoded", body, query)


@pytest.mark.parametrize(
    "body, message",
    [
        (b"{", "Invalid request: not JSON: Expecting property name enclosed in doub..."),
        (b"\xff", "Invalid request: the JSON is not UTF-8"), (b"[1]", "Invalid request: not a JSON object"),
        (b"[" * 100_000, "Invalid request: the JSON is nested too deeply"),
    ],
)  # fmt: skip
def test_why_a_text_is_no_json_is_said(body: bytes, message: str) -> None:
    with pytest.raises(RequestError) as error:
        parse_json(body)
    assert (error.value.status, error.value.message) == (400, message)


def test_an_answer_that_takes_too_long_is_given_up() -> None:
    async def never() -> Message:
        return await asyncio.Event().wait() or {}

    with pytest.raises(RequestError) as error:
        asyncio.run(while_connected(Request({"type": "http"}, never), never(), 0.01))
    assert error.value.message == "The answer took longer than 0.01 seconds: send less at a time"
    assert (error.value.status, error.value.retry_after) == (504, 30)


def test_an_empty_parameter_is_a_missing_one() -> None:
    assert text_parameter({"source": ""}, "source", "auto") == "auto"
    with pytest.raises(RequestError, match="missing target parameter"):
        text_parameter({"target": ""}, "target")
