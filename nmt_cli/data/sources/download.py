"""Download files into the cache: over TLS, verified by SHA-256, completely or not at all."""

import hashlib
import http.client
import os
import secrets
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nmt_cli.data.sources.compression import open_decompressed
from nmt_cli.data.sources.config import Download
from nmt_cli.errors import DataError
from nmt_cli.fs import is_plain_name
from nmt_cli.reporting import Reporter

CHUNK_BYTES = 1 << 16
MAX_FILE_BYTES = 64 << 30
PARTIAL_PREFIX = "partial-"
STALE_PARTIAL_SECONDS = 24 * 3600  # age from which a partial file counts as abandoned
ADVICE = "put the files into a folder and name it with --set corpus.root=FOLDER or NMT_DATA"
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")


def fetch_missing_files(download: Download, folder: Path, reporter: Reporter) -> None:
    """Download the files that are missing in `folder`; DataError if that fails."""
    for name, expected_sha256 in download.sha256.items():
        if not is_plain_name(name) or name.startswith("."):
            raise DataError(f"corpus.download.sha256: {name!r} is not a plain file name")
        path = folder / name
        if not path.exists():
            url = download.address + name
            fetch_file(url, path, partial(_verify_text, url, expected_sha256), reporter, ADVICE)


def fetch_file(url: str, path: Path, verify: Callable[[Path], str], reporter: Reporter, advice: str) -> str:
    """Download one file, which gets its final name only after `verify` has accepted it; the SHA-256 that it returns.

    DataError if the download fails; the message ends with `advice`.
    """
    _require_https(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = new_partial_path(path)
    try:
        _download(url, partial_path, path.name, reporter, advice)
        sha256 = verify(partial_path)
        os.replace(partial_path, path)
        return sha256
    finally:
        partial_path.unlink(missing_ok=True)


def _verify_text(url: str, expected_sha256: str, path: Path) -> str:
    try:
        actual_sha256 = content_hash(path)
    except DataError as error:
        raise DataError(f"{url}: not used: {error}") from error
    verify_sha256(url, actual_sha256, expected_sha256)
    return actual_sha256


def verify_sha256(label: str, actual: str, expected: str) -> None:
    """DataError if a SHA-256 is not the expected one."""
    if actual != expected:
        raise DataError(f"{label}: SHA-256 is {actual[:12]}..., not {expected[:12]}...: not used")


def new_partial_path(path: Path) -> Path:
    """Where to write a file until it is complete: a name of its own for each download, also of the same file.

    Deletes what killed downloads of the file left behind; recent ones may still be running.
    """
    for leftover in path.parent.glob(f"{PARTIAL_PREFIX}*"):
        with suppress(OSError):
            if leftover.name.endswith(path.name) and time.time() - leftover.stat().st_mtime > STALE_PARTIAL_SECONDS:
                leftover.unlink()
    return path.with_name(f"{PARTIAL_PREFIX}{secrets.token_hex(8)}-{path.name}")


def _download(url: str, partial_path: Path, name: str, reporter: Reporter, advice: str) -> None:
    opener = urllib.request.build_opener(_SafeRedirectHandler)
    try:
        with opener.open(url, timeout=30) as response, open(partial_path, "wb") as file:
            size = _content_length(response, url, partial_path.parent)
            with reporter.progress(name, size) as bar:
                while chunk := response.read(CHUNK_BYTES):
                    if file.tell() + len(chunk) > (MAX_FILE_BYTES if size is None else size):
                        raise DataError(f"{url}: longer than allowed: not used")
                    file.write(chunk)
                    bar.advance(len(chunk))
            if size is not None and file.tell() < size:
                raise OSError(f"ended after {file.tell():,} of {size:,} bytes")
            file.flush()
            os.fsync(file.fileno())
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        reason = " ".join(str(getattr(error, "reason", None) or error).split())
        raise DataError(f"{url}: cannot download: {reason}; {advice}") from error


def _content_length(response: Any, url: str, folder: Path) -> int | None:
    """The size that the response states; DataError if it is over the limit or does not fit on the disk."""
    header = response.headers.get("Content-Length")
    if header is None:
        return None
    size = int(header)
    free_bytes = shutil.disk_usage(folder).free
    if not 0 <= size <= min(MAX_FILE_BYTES, free_bytes):
        raise DataError(f"{url}: {size:,} bytes; {folder} has {free_bytes:,} free, and {MAX_FILE_BYTES:,} are the most")
    return size


class _SafeRedirectHandler(urllib.request.HTTPRedirectHandler):
    """Follows redirects only to https URLs; this machine may also redirect to itself."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        try:
            _require_https(newurl, allow_loopback=urlsplit(req.full_url).hostname in LOOPBACK_HOSTS)
        except DataError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_https(url: str, *, allow_loopback: bool = True) -> None:
    """DataError for a URL without TLS; with `allow_loopback`, this machine may do without.

    A remote server must not redirect us to a service of this machine.
    """
    with suppress(ValueError):  # a malformed URL
        url_parts = urlsplit(url)
        is_loopback = url_parts.hostname in LOOPBACK_HOSTS
        if is_loopback and allow_loopback and url_parts.scheme in ("http", "https"):
            return
        if not is_loopback and url_parts.scheme == "https":
            return
    raise DataError(f"{url}: only https addresses are downloaded")


def content_hash(path: Path) -> str:
    """SHA-256 of a file's decompressed content, which does not depend on how it was compressed."""
    digest = hashlib.sha256()
    with open_decompressed(path) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
