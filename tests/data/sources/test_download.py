"""Downloads: verified, whole or not at all, and never without TLS from afar."""

import gzip
import hashlib
import io
import os
import re
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn

import pytest
import zstandard

from nmt_cli.data.sources import download as downloading
from nmt_cli.data.sources.base import cache_folder
from nmt_cli.data.sources.config import Download
from nmt_cli.data.sources.download import STALE_PARTIAL_SECONDS, content_hash, fetch_missing_files
from nmt_cli.errors import DataError
from nmt_cli.reporting import Reporter

TEXT = "Größe\n".encode() * 50_000
PACKED = gzip.compress(TEXT)
FILES = {
    "plain.en": TEXT,
    "packed.en.gz": PACKED,
    "packed.de.zst": zstandard.ZstdCompressor().compress(TEXT),
    "empty.en": b"",
    "page.en.gz": b"<html>Please log in</html>",
}
ADVICE = "; put the files into a folder and name it with --set corpus.root=FOLDER or NMT_DATA"
# self-signed for 127.0.0.1, made for this test alone: openssl req -x509 -newkey ec -nodes ...
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgbwHGW99+VOAStFYQ
TV4/wEDqaYDXvmmCrOvIho5F06OhRANCAARaUbxzWl8xm0uj0EV8J/FStCoDe9aJ
l0m6q/V+9vRzRETR+A5MBDyqPEXrO/akl0CsI/QE3a32oZ7kvSKD12rs
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBkDCCATagAwIBAgIUcwNVpLxG+CvsAEoijeUZzJuu7YcwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTEwMzYzN1oYDzIxMjYxMDI4
MTAzNjM3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARaUbxzWl8xm0uj0EV8J/FStCoDe9aJl0m6q/V+9vRzRETR+A5MBDyq
PEXrO/akl0CsI/QE3a32oZ7kvSKD12rso2QwYjAdBgNVHQ4EFgQUPPprvQx7Qgx6
66Lc7MwV1sNSR9owHwYDVR0jBBgwFoAUPPprvQx7Qgx666Lc7MwV1sNSR9owDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0gAMEUC
IQCmt7JnxQ6cWEA+JI1JlNmSFDhBUWGy0/Tp7WUOWo8i0wIgTjTyyjc2tcQSKKlw
CngK1JqXdWxo67Z5Ns/llW3mbQs=
-----END CERTIFICATE-----
"""
REPORTER = Reporter(quiet=True)


class Files(BaseHTTPRequestHandler):
    """Serves FILES, and a few answers that are wrong in their own ways."""

    def do_GET(self) -> None:
        name = self.path.removeprefix("/")
        self.server.asked.append(name)  # type: ignore[attr-defined]
        if name == "garbage":
            self.wfile.write(b"this is not HTTP\r\n\r\n")
        elif name == "cut.en.gz":
            self.answer(200, PACKED[:-9], length=len(PACKED))
        elif name == "moved.en":
            self.answer(302, b"", Location="/plain.en")
        elif name == "away.en":
            self.answer(302, b"", Location="http://192.0.2.1/plain.en")
        elif name == "endless.en":
            self.answer(200, TEXT, length=-1)
        elif name == "slow.en":
            self.answer(200, TEXT[:1000], length=len(TEXT))
            self.wfile.flush()
            self.server.meeting.wait()  # type: ignore[attr-defined]
            self.wfile.write(TEXT[1000:])
        elif name in FILES:
            self.answer(200, FILES[name])
        else:
            self.answer(404, b"nothing here")

    def answer(self, status: int, body: bytes, length: int | None = None, **more: str) -> None:
        self.send_response(status)
        if length != -1:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        for key, value in more.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class QuietServer(ThreadingHTTPServer):
    """Says nothing about a client that hangs up."""

    asked: list[str]

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@pytest.fixture(scope="module")
def running() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server(running: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> ThreadingHTTPServer:
    """The server with nothing asked yet, reached without a proxy; everything else is far away."""
    monkeypatch.setenv("no_proxy", "*")
    connect = socket.create_connection

    def near(address: tuple[str, int], *args: Any, **more: Any) -> socket.socket:
        assert address[0] == "127.0.0.1", f"{address} must not be asked"
        return connect(address, *args, **more)

    monkeypatch.setattr(socket, "create_connection", near)
    running.asked = []  # type: ignore[attr-defined]
    return running


def address(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}/"


def asked(server: ThreadingHTTPServer) -> list[str]:
    requested: list[str] = server.asked  # type: ignore[attr-defined]
    return requested


def download(where: str, **sha256: str) -> Download:
    names = {name.replace("_", "."): digest for name, digest in sha256.items()}
    return Download(address=where, sha256=names)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def refusal(download_spec: Download, folder: Path) -> str:
    """Why nothing was fetched; one line, and the folder as empty as before."""
    with pytest.raises(DataError) as caught:
        fetch_missing_files(download_spec, folder, REPORTER)
    assert "\n" not in str(caught.value)
    assert not folder.exists() or list(folder.iterdir()) == []
    return str(caught.value)


# 1. What arrives.


def test_files_arrive_as_they_are_when_their_text_has_the_right_hash(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    names = ["plain.en", "packed.en.gz", "packed.de.zst"]
    download_spec = Download(address=address(server), sha256=dict.fromkeys(names, digest(TEXT)))
    fetch_missing_files(download_spec, tmp_path / "deep" / "cache", REPORTER)
    downloaded = {path.name: path.read_bytes() for path in (tmp_path / "deep" / "cache").iterdir()}
    assert downloaded == {name: FILES[name] for name in names}
    assert asked(server) == names


def test_a_file_that_is_there_is_not_fetched_again(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    (tmp_path / "plain.en").write_text("mine")
    fetch_missing_files(download(address(server), plain_en=digest(TEXT), empty_en=digest(b"")), tmp_path, REPORTER)
    assert asked(server) == ["empty.en"]
    assert (tmp_path / "plain.en").read_text() == "mine"
    fetch_missing_files(download("http://127.0.0.1:1/", empty_en=digest(b"")), tmp_path, REPORTER)
    assert asked(server) == ["empty.en"]


def test_an_answer_may_name_another_place_that_is_as_safe(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    fetch_missing_files(download(address(server), moved_en=digest(TEXT)), tmp_path, REPORTER)
    assert (tmp_path / "moved.en").read_bytes() == TEXT


def test_what_a_killed_download_left_a_day_ago_is_deleted(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    names = ("partial-0123-plain.en", "partial-4567-plain.en", "partial-4567-other.en")
    for name in names:
        (tmp_path / name).write_bytes(TEXT * 2)
    os.utime(tmp_path / names[0], (time.time() - STALE_PARTIAL_SECONDS - 9,) * 2)
    os.utime(tmp_path / names[2], (time.time() - STALE_PARTIAL_SECONDS - 9,) * 2)
    fetch_missing_files(download(address(server), plain_en=digest(TEXT)), tmp_path, REPORTER)
    assert {path.name for path in tmp_path.iterdir()} == {"plain.en", *names[1:]}


# 2. What does not.


def test_text_with_another_hash_is_not_used(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    download_spec = download(address(server), plain_en=digest(b"other"))
    assert refusal(download_spec, tmp_path) == (
        f"{address(server)}plain.en: SHA-256 is {digest(TEXT)[:12]}..., not {digest(b'other')[:12]}...: not used"
    )


def test_a_file_that_cannot_be_unpacked_is_not_used(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    download_spec = Download(address=address(server), sha256={"page.en.gz": digest(TEXT)})
    assert refusal(download_spec, tmp_path).startswith(f"{address(server)}page.en.gz: SHA-256 is ")


def test_an_answer_that_was_cut_off_is_not_used(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    download_spec = Download(address=address(server), sha256={"cut.en.gz": digest(TEXT)})
    assert refusal(download_spec, tmp_path) == (
        f"{address(server)}cut.en.gz: cannot download: ended after {len(PACKED) - 9:,} of {len(PACKED):,} bytes{ADVICE}"
    )


@pytest.mark.parametrize("name", ["plain.en", "endless.en"])
def test_what_is_longer_than_it_may_be_is_not_taken(
    name: str, server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "MAX_FILE_BYTES", 100_000)
    download_spec = Download(address=address(server), sha256={name: digest(TEXT)})
    message = refusal(download_spec, tmp_path)
    expected = {
        "plain.en": rf"{len(TEXT):,} bytes; .* has [0-9,]+ free, and 100,000 are the most",
        "endless.en": "longer than allowed: not used",
    }
    assert re.fullmatch(f"{address(server)}{name}: {expected[name]}", message)


def test_two_downloads_of_a_file_at_a_time_do_not_meet(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    """Both wait in the middle of the file until the other has come as far."""
    server.meeting = threading.Barrier(2, timeout=20)  # type: ignore[attr-defined]
    download_spec = download(address(server), slow_en=digest(TEXT))
    errors: list[Exception] = []

    def run() -> None:
        try:
            fetch_missing_files(download_spec, tmp_path, REPORTER)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and asked(server) == ["slow.en"] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["slow.en"]
    assert (tmp_path / "slow.en").read_bytes() == TEXT


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none.en", "Not Found"),
        ("garbage", "this is not HTTP"),
        ("with space.en", "URL can't contain control characters. '/with space.en' (found at leas"),
    ],
)
def test_what_cannot_be_had_is_said_with_what_to_do(
    name: str, reason: str, server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    download_spec = Download(address=address(server), sha256={name: digest(TEXT)})
    message = refusal(download_spec, tmp_path)
    assert message.startswith(f"{address(server)}{name}: cannot download: {reason}")
    assert message.endswith(ADVICE)


def test_a_missing_file_is_said_in_one_line(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    assert refusal(download(address(server), none_en=digest(TEXT)), tmp_path / "cache") == (
        f"{address(server)}none.en: cannot download: Not Found{ADVICE}"
    )


def test_a_server_that_is_not_there_is_said(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = f"http://127.0.0.1:{free.getsockname()[1]}/"
        message = refusal(download(where, plain_en=digest(TEXT)), tmp_path)
    assert message.startswith(f"{where}plain.en: cannot download: [Errno ")
    assert message.endswith(f"Connection refused{ADVICE}")


def test_an_interrupted_download_leaves_nothing(
    server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(path: Path) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("nmt_cli.data.sources.download.content_hash", stopped)
    with pytest.raises(KeyboardInterrupt):
        fetch_missing_files(download(address(server), plain_en=digest(TEXT)), tmp_path, REPORTER)
    assert list(tmp_path.iterdir()) == []


# 3. What is not even asked for.


@pytest.mark.parametrize(
    "where",
    [
        "http://192.0.2.1/", "http://localhost.example.org/", "http://127.0.0.1.example.org/",
        "http://localhost@192.0.2.1/", "ftp://localhost/", "file://localhost/etc/", "file:///etc/",
        "http://[::1/", "/etc/", "",
    ],
)  # fmt: skip
def test_nothing_but_https_is_asked_for_unless_it_is_on_this_machine(
    where: str, server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    download_spec = download(where, hosts=digest(TEXT))
    assert refusal(download_spec, tmp_path) == f"{where}hosts: only https addresses are downloaded"


def test_an_answer_that_names_a_place_without_tls_is_not_followed(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    assert refusal(download(address(server), away_en=digest(TEXT)), tmp_path) == (
        "http://192.0.2.1/plain.en: only https addresses are downloaded"
    )
    assert asked(server) == ["away.en"]


@pytest.mark.parametrize(
    ("asked", "location", "followed"),
    [
        ("https://example.org/x", "https://example.com/y", True),
        ("http://127.0.0.1:80/x", "http://localhost/y", True),
        ("http://127.0.0.1:80/x", "https://example.com/y", True),
        ("https://example.org/x", "http://127.0.0.1/y", False),
        ("https://example.org/x", "https://localhost/y", False),
        ("https://example.org/x", "http://example.org/y", False),
        ("https://example.org/x", "file:///etc/hosts", False),
    ],
)
def test_an_answer_from_afar_leads_neither_to_this_machine_nor_away_from_tls(
    asked: str, location: str, followed: bool
) -> None:
    request = urllib.request.Request(asked)
    redirect = downloading._SafeRedirectHandler().redirect_request
    if followed:
        redirected = redirect(request, io.BytesIO(), 302, "", {}, location)
        assert redirected is not None and redirected.full_url == location
        return
    with pytest.raises(DataError, match="only https addresses are downloaded"):
        redirect(request, io.BytesIO(), 302, "", {}, location)


def test_a_certificate_that_nobody_vouches_for_is_refused(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    (tmp_path / "both.pem").write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    with QuietServer(("127.0.0.1", 0), Files) as secure:
        secure.asked = []
        secure.socket = context.wrap_socket(secure.socket, server_side=True)
        thread = threading.Thread(target=secure.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        where = f"https://127.0.0.1:{secure.server_port}/"
        message = refusal(download(where, plain_en=digest(TEXT)), tmp_path / "cache")
        secure.shutdown()
        thread.join()
    assert message.startswith(f"{where}plain.en: cannot download: [SSL: CERTIFICATE_VERIFY_FAILED]")
    assert secure.asked == []


@pytest.mark.parametrize(
    "name", ["../plain.en", "sub/plain.en", "/plain.en", ".hidden", "..", "sub\\..\\..\\plain.en", "C:plain.en"]
)
def test_a_file_is_named_without_a_folder(name: str, server: ThreadingHTTPServer, tmp_path: Path) -> None:
    download_spec = Download(address=address(server), sha256={name: digest(TEXT)})
    assert refusal(download_spec, tmp_path / "cache") == (f"corpus.download.sha256: {name!r} is not a plain file name")
    assert asked(server) == []


# 4. Hashes and the cache.


@pytest.mark.parametrize("name", ["plain.en", "packed.en.gz", "packed.de.zst"])
def test_the_hash_is_that_of_the_text_however_it_is_packed(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    assert content_hash(tmp_path / name) == digest(TEXT)


def test_the_cache_is_where_the_system_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache" / "nmt"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache" / "nmt"
