"""Which hosts and origins are let in."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter
from nmt_cli.serving.guard import Guard
from nmt_cli.serving.metrics import Metrics
from nmt_cli.serving.settings import ServerSettings, parse_allowed_host, parse_origin


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that is never asked."""


def guard(**settings: Any) -> Guard:
    return Guard(nothing, ServerSettings((), **settings), Metrics(), Reporter(silent=True))


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
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1:5000"), (b"origin", b"https://site.example")]
    headers.append((b"access-control-request-method", b"POST"))
    scope = {"type": "http", "method": "OPTIONS", "path": "/translate", "headers": headers, "query_string": b""}
    scope |= {"server": ("127.0.0.1", 5000), "client": ("127.0.0.1", 1)}
    asyncio.run(guard(cors_origins=("https://site.example",))(scope, receive, send))
    start, body = sent
    answered = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    assert start["status"] == 204 and body["body"] == b"" and "content-type" not in answered
    assert answered["access-control-allow-origin"] == "https://site.example"
