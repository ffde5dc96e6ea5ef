"""Which hosts and origins are let in."""

import asyncio
import json
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nmt_cli.errors import DataError, UserError
from nmt_cli.reporting import Reporter
from nmt_cli.serving.guard import Guard
from nmt_cli.serving.metrics import Metrics
from nmt_cli.serving.settings import Limits, ServerSettings, parse_allowed_host, parse_origin, parse_public_url


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers 200."""
    await Response()(scope, receive, send)


def guard(**settings: Any) -> Guard:
    return Guard(nothing, ServerSettings((), **settings), Metrics(), Reporter(silent=True))


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that reads the body and answers 200."""
    while (await receive()).get("more_body"):
        pass
    await Response()(scope, receive, send)


async def fail(scope: Scope, receive: Receive, send: Send) -> None:
    """An application with a bug."""
    raise ValueError("a bug")


async def find_damage(scope: Scope, receive: Receive, send: Send) -> None:
    """An application whose run was damaged."""
    raise DataError("run/languages.json: damaged: it has no order", hint="copy it again")


@pytest.mark.parametrize(
    "app, limits, arrives, status, message",
    [
        (read_all, Limits(max_bytes=3), b"1234", 413, "The request is larger than 3 bytes: send it in parts"),
        (read_all, Limits(max_open_bytes=3), b"1234", 503, "Too much is being received: try again later"),
        (read_all, Limits(receive_timeout=0.01), None, 408,
         "Nothing more of the request arrived for 0.01 seconds: send it again"),
        (read_all, Limits(timeout=0.01), None, 408,
         "The request took longer to arrive than 0.01 seconds: send it in parts"),
        (fail, Limits(), b"", 500, "Internal error: see the messages of the server"),
        (find_damage, Limits(), b"", 500, "Internal error: see the messages of the server"),
    ],
)  # fmt: skip
def test_why_a_request_is_not_answered_is_said(
    app: ASGIApp, limits: Limits, arrives: bytes | None, status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        if arrives is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": arrives, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/a", "headers": [(b"host", b"::1")], "server": ("::1", 5000)}
    asyncio.run(Guard(app, ServerSettings((), limits=limits), Metrics(), Reporter())(scope, receive, send))
    assert (sent[0]["status"], json.loads(sent[1]["body"])) == (status, {"error": message})
    said = capsys.readouterr().err
    assert ("warning: our bug: POST /a: ValueError: a bug" in said) == (app is fail)
    damage = "warning: POST /a: run/languages.json: damaged: it has no order: copy it again\n"
    assert said == damage if app is find_damage else "languages.json" not in said


@pytest.mark.parametrize(
    "host, arrived_at, is_own",
    [
        ("127.0.0.1", "::ffff:127.0.0.1", True), ("localhost", "::ffff:127.0.0.1", True),
        ("192.168.1.5", "::ffff:192.168.1.5", True), ("::ffff:192.168.1.5", "::ffff:192.168.1.5", True),
        ("::1", "::1", True), ("0:0:0:0:0:0:0:1", "::1", True), ("localhost", "::1", True),
        ("192.168.1.5", "192.168.1.5", True), ("localhost", "192.168.1.5", False),
        ("localhost", "::ffff:192.168.1.5", False), ("192.168.1.6", "::ffff:192.168.1.5", False), ("::", "::1", False),
        ("evil.example", "::ffff:127.0.0.1", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("bound", ["::", "0.0.0.0", ""])
def test_a_server_of_all_addresses_answers_to_the_one_that_was_asked(
    host: str, arrived_at: str, is_own: bool, bound: str
) -> None:
    assert guard(host=bound)._is_own_host(host, {"server": (arrived_at, 5000)}) is is_own


def ask(headers: dict[str, str], method: str = "GET", **settings: Any) -> list[Message]:
    """What a server at 127.0.0.1:5000 sends to a request with these headers."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    raw_headers = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": "/translate", "headers": raw_headers, "query_string": b""}
    scope |= {"server": ("127.0.0.1", 5000), "client": ("127.0.0.1", 1)}
    asyncio.run(guard(**settings)(scope, receive, send))
    return sent


def refusal(headers: dict[str, str], **settings: Any) -> tuple[int, str]:
    """The status, and the error where there is one."""
    start, body = ask(headers, **settings)
    return start["status"], json.loads(body["body"])["error"] if body["body"] else ""


PUBLIC = {"public_url": "https://site.example/nmt"}


@pytest.mark.parametrize(
    "host, origin, settings, is_own",
    [
        ("127.0.0.1:5000", "http://127.0.0.1:5000", {}, True), ("[::1]:5000", "http://[::1]:5000", {}, True),
        ("LOCALHOST:5000", "http://localhost:5000", {}, True), ("127.0.0.1:80", "http://127.0.0.1", {}, True),
        ("127.0.0.1", "http://127.0.0.1:80", {}, True), ("127.0.0.1:443", "https://127.0.0.1", {}, True),
        ("127.0.0.1:5000", "http://127.0.0.1:9999", {}, False), ("127.0.0.1:5000", "http://127.0.0.1", {}, False),
        ("127.0.0.1:443", "http://127.0.0.1", {}, False), ("127.0.0.1:5000", "http://127.0.0.1:x", {}, False),
        ("127.0.0.1:5000", "http://[", {}, False), ("127.0.0.1:5000", "http://]", {}, False),
        ("127.0.0.1:5000", "null", {}, False), ("127.0.0.1:5000", "", {}, False),
        ("127.0.0.1:5000", "\xff://\xff", {}, False),
        ("127.0.0.1:5000", "https://site.example", PUBLIC, True),
        ("site.example", "https://site.example", PUBLIC, True),
        ("127.0.0.1:5000", "http://site.example", PUBLIC, False),
        ("127.0.0.1:5000", "https://site.example:8443", PUBLIC, False),
    ],
)  # fmt: skip
def test_a_page_is_of_this_server_where_scheme_host_and_port_are(
    host: str, origin: str, settings: dict[str, str], is_own: bool
) -> None:
    error = f"Pages of {origin} may not use this server; --cors names those that may"
    asked = refusal({"host": host, "origin": origin}, allowed_hosts=("::1",), **settings)
    assert asked == ((200, "") if is_own else (403, error))


@pytest.mark.parametrize("headers", [{}, {"host": ""}, {"host": "["}, {"host": ":5000"}])
def test_a_request_without_a_host_is_told_so(headers: dict[str, str]) -> None:
    assert refusal(headers) == (400, "Invalid request: no host in the header Host")


def test_the_dot_at_the_end_of_a_full_name_does_not_count() -> None:
    assert refusal({"host": "localhost.:5000"}) == refusal({"host": "localhost."}) == (200, "")
    assert refusal({"host": "localhost..", "origin": ""})[0] == 403


@pytest.mark.parametrize(
    "value, url",
    [
        ("https://Site.example/nmt/", "https://site.example/nmt"), ("http://site.example", "http://site.example"),
        ("https://site.example:443/Nmt", "https://site.example/Nmt"), ("http://[::1]:8080/", "http://[::1]:8080"),
        ("site.example", None), ("ftp://site.example", None), ("https://", None), ("https://site.example/?a", None),
        ("https://:80", None),
        ("*", None), ("", None),
    ],
)  # fmt: skip
def test_a_public_address_is_that_of_a_site(value: str, url: str | None) -> None:
    if url is None:
        with pytest.raises(UserError) as error:
            parse_public_url(value)
        assert str(error.value) == f"--public-url {value}: use an address such as https://example.org/nmt"
    else:
        assert parse_public_url(value) == url


@pytest.mark.parametrize(
    "value, host",
    [
        ("Site.example", "site.example"), ("site.example:5000", "site.example"), ("[::1]:5000", "::1"), ("::1", "::1"),
        ("*", "*"), ("https://site.example", None), ("site.example/", None), ("*.example", None), (":5000", None),
        ("", None), ("bücher.example", None),
    ],
)  # fmt: skip
def test_hosts_are_allowed_as_requests_name_them(value: str, host: str | None) -> None:
    if host is None:
        with pytest.raises(UserError, match=r"--allow-host .*: use the name"):
            parse_allowed_host(value)
    else:
        assert parse_allowed_host(value) == host


@pytest.mark.parametrize(
    "value, origin",
    [
        ("https://site.example/", "https://site.example"), ("HTTPS://Site.example", "https://site.example"),
        ("http://site.example:8080", "http://site.example:8080"), ("https://site.example:443", "https://site.example"),
        ("http://[::1]:80/", "http://[::1]"), ("http://site.example:443", "http://site.example:443"), ("*", "*"),
        ("null", "null"), ("site.example", None), ("https://", None), ("https://site.example/page", None),
        ("https://*.example", None), ("://site.example", None),
        ("https://bücher.example", None),
    ],
)  # fmt: skip
def test_origins_are_allowed_as_browsers_send_them(value: str, origin: str | None) -> None:
    if origin is None:
        with pytest.raises(UserError, match=r"--cors .*: use the scheme and host"):
            parse_origin(value)
    else:
        assert parse_origin(value) == origin


def test_a_preflight_is_answered_without_the_application_and_without_a_body() -> None:
    headers = {"host": "127.0.0.1:5000", "origin": "https://site.example", "access-control-request-method": "POST"}
    start, body = ask(headers, method="OPTIONS", cors_origins=("https://site.example",))
    answered = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    assert start["status"] == 204 and body["body"] == b"" and "content-type" not in answered
    assert answered["access-control-allow-origin"] == "https://site.example"
