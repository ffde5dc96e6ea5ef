"""Clients that leave, stall or talk nonsense, workers that are killed, and the end of the server."""

import http.client
import json
import os
import resource
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.serving import worker_processes
from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter
from nmt_cli.serving import server as server_module
from nmt_cli.serving.server import _max_connections
from nmt_cli.serving.settings import ServerSettings, describe_runs
from tests.conftest import run
from tests.serving.conftest import Server

QUERY = {"q": "The old man reads a book.", "source": "en", "target": "de"}


def talk(server: Server, content: bytes, *, half_close: bool = False, timeout: float = 120.0) -> bytes:
    """What the server answers to raw bytes, until it closes the connection."""
    answer = b""
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as connection,
        suppress(ConnectionResetError, BrokenPipeError),  # we had not sent all
    ):
        connection.sendall(content)
        if half_close:
            with suppress(OSError):  # the server has closed it
                connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize(
    "content",
    [
        b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /translate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
    ],
)  # fmt: skip
def test_nonsense_is_refused_and_the_server_lives(server: Server, content: bytes) -> None:
    answer = talk(server, content, half_close=True)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    assert server.get("/health")[0] == 200


def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(server: Server) -> None:
    answer = talk(server, b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413") and b'"error"' in answer


def test_a_client_that_leaves_costs_nothing_more(server: Server) -> None:
    body = json.dumps({**QUERY, "q": [f"The man reads {number}." for number in range(4000)]}).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = "POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        while not _count(server, "nmt_queue_texts"):
            time.sleep(0.01)
    assert server.post("/translate", QUERY)[0] == 200
    assert _count(server, "nmt_clients_gone_total") >= 1 and _count(server, "nmt_texts_dropped_total") > 1000
    assert _count(server, "nmt_queue_texts") == 0


def _count(server: Server, name: str) -> int:
    lines = server.get("/metrics")[1].splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name} "))


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_nobody_notices(server: Server) -> None:
    expected = server.post("/translate", QUERY)
    for worker in worker_processes(server.process.pid):
        os.kill(worker, signal.SIGKILL)
    assert server.post("/translate", QUERY) == expected
    status, answer = server.post("/inspect", {"text": "Two dogs.", "source": "en", "target": "de"})
    assert status == 200 and answer["text"] == "Two dogs."


@pytest.mark.slow
def test_slow_senders_are_cut_off_and_sigterm_answers_what_is_open(tiny_run: Path) -> None:
    server = Server(tiny_run, "--receive-timeout", 1)
    server.wait_until_ready()
    assert talk(server, b"GET / HTTP/1.1\r\nHost: loc") == b""
    slow_body = b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{"
    assert talk(server, slow_body).startswith(b"HTTP/1.1 408")
    answers: list[int] = []
    texts = [f"The man reads {number}." for number in range(500)]
    thread = threading.Thread(target=lambda: answers.append(server.post("/translate", {**QUERY, "q": texts})[0]))
    thread.start()
    time.sleep(0.3)
    for worker in worker_processes(server.process.pid):  # as systemd does
        os.kill(worker, signal.SIGTERM)
    assert server.stop() == 0
    thread.join()
    assert answers == [200]
    with pytest.raises(OSError):
        http.client.HTTPConnection("127.0.0.1", server.port).connect()


def test_what_cannot_be_served_is_said_at_once(tmp_path: Path, tiny_run: Path) -> None:
    done = run("serve", tmp_path / "none")
    assert done.returncode == 2 and b"no such run folder" in done.stderr
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("serve", tiny_run, "--port", taken.getsockname()[1])
        port = taken.getsockname()[1]
    message = f"nmt: cannot listen at 127.0.0.1, port {port}: Address already in use: choose another --port\n"
    assert done.returncode == 2 and done.stderr.decode() == message
    done = run("serve", tiny_run, "--host", "192.0.2.1")
    message = (
        "nmt: cannot listen at 192.0.2.1, port 5000: Cannot assign requested address: "
        "choose a --host of this machine, or 0.0.0.0 for all\n"
    )
    assert done.returncode == 2 and done.stderr.decode() == message


@pytest.mark.slow
def test_a_closed_terminal_ends_the_server_unless_nohup_was_asked_for(tiny_run: Path) -> None:
    assert Server(tiny_run).stop(signal.SIGHUP) == 0
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does; the server inherits it
    try:
        server = Server(tiny_run)
    finally:
        signal.signal(signal.SIGHUP, previous)
    server.process.send_signal(signal.SIGHUP)
    server.wait_until_ready()
    assert server.stop() == 0


def test_a_run_whose_recipe_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_bytes(b"name: \xff")
    with pytest.raises(UserError, match="cannot read the recipe: not UTF-8 text"):
        describe_runs([tmp_path])


@pytest.mark.parametrize(
    ("model", "has_attention"), [("{type: ctc}", False), ("{type: rnn, attention: none}", False), ("{type: rnn}", True)]
)
def test_whether_a_run_has_attention_is_asked_of_its_model(tmp_path: Path, model: str, has_attention: bool) -> None:
    (tmp_path / "recipe.yaml").write_text(f"corpus: {{source: en, target: de}}\nmodel: {model}\n")
    assert describe_runs([tmp_path])[0].has_attention == has_attention


@pytest.mark.parametrize("model", ["rnn", "{type: unknown}", "{type: rnn, attention: odd}", "{}"])
def test_a_run_of_a_model_that_is_not_known_is_said(tmp_path: Path, model: str) -> None:
    (tmp_path / "recipe.yaml").write_text(f"corpus: {{source: en, target: de}}\nmodel: {model}\n")
    with pytest.raises(UserError, match=r"its recipe.yaml names no languages, or no model that nmt knows"):
        describe_runs([tmp_path])


def test_runs_with_the_same_name_get_numbers(tiny_run: Path) -> None:
    assert [described.name for described in describe_runs([tiny_run, tiny_run])] == ["tiny", "tiny-2"]


@pytest.mark.parametrize(
    "soft, hard, raised, connections",
    [
        (1024, 1 << 20, 6052, 2000), (1 << 20, 1 << 20, None, 2000), (64, 64, 64, 4), (10, 10, 10, 2),
        (1024, 4096, 4096, 1348), (256, -1, 6052, 2000), (-1, -1, None, 2000),
    ],
)  # fmt: skip
def test_connections_are_as_many_as_files_may_be_open(
    soft: int, hard: int, raised: int | None, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: limits.append(limit))
    assert _max_connections(workers=1) == connections
    assert limits[1:] == ([] if raised is None else [(raised, hard)])


def test_few_open_files_are_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(server_module, "_max_connections", lambda workers: 1234)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match="cannot listen at"):
            server_module.serve(ServerSettings((), port=port), Reporter())
    assert " ".join(capsys.readouterr().err.split()) == (
        "warning: at most 1,234 connections: the limit of open files allows no more (raise ulimit -n)"
    )
