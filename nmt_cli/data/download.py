"""Fetch a corpus's files into the cache: over TLS, verified by SHA-256, whole or not at all."""

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
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nmt_cli.data.files import opened
from nmt_cli.errors import DataError
from nmt_cli.reporting import Reporter

if TYPE_CHECKING:
    from nmt_cli.data.corpus_settings import Download

BLOCK = 1 << 16
LARGEST = 1 << 36  # bytes of one file, 64 GiB
PARTIAL = "partial-"
STALE = 24 * 3600  # seconds after which nobody writes into a partial file any more
ADVICE = "put the files into a folder and name it with --set corpus.root=FOLDER or NMT_DATA"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def fetch(download: "Download", folder: Path, reporter: Reporter) -> None:
    """Download the files that are missing in `folder`; DataError says what could not be had."""
    for name, digest in download.sha256.items():
        if "/" in name or name.startswith("."):
            raise DataError(f"corpus.download.sha256: {name!r} is not a plain file name")
        path = folder / name
        if not path.exists():
            address = download.address + name
            fetch_file(address, path, partial(_check_text, address, digest), reporter, ADVICE)


def fetch_file(
    address: str, path: Path, check: Callable[[Path], None], reporter: Reporter, advice: str
) -> None:
    """Download one file, which gets its name once `check` has not refused it.

    DataError says what could not be had, and `advice` what to do about it.
    """
    _refuse_plain(address)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    # a name of its own for each download: two at a time must not write into one file
    scratch = path.with_name(f"{PARTIAL}{secrets.token_hex(8)}-{path.name}")
    try:
        _copy(address, scratch, path.name, reporter, advice)
        check(scratch)
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def _check_text(address: str, digest: str, path: Path) -> None:
    try:
        found = content_hash(path)
    except DataError as error:
        raise DataError(f"{address}: not used: {error}") from error
    refuse_other(address, found, digest)


def refuse_other(address: str, found: str, digest: str) -> None:
    """DataError where a SHA-256 is not the one that it should be."""
    if found != digest:
        raise DataError(f"{address}: SHA-256 is {found[:12]}..., not {digest[:12]}...: not used")


def _sweep(path: Path) -> None:
    """Delete what killed downloads of a file left; younger ones may still be going on."""
    for left in path.parent.glob(f"{PARTIAL}*"):
        with suppress(OSError):
            if left.name.endswith(path.name) and time.time() - left.stat().st_mtime > STALE:
                left.unlink()


def _copy(address: str, scratch: Path, name: str, reporter: Reporter, advice: str) -> None:
    fetcher = urllib.request.build_opener(_Redirects)
    try:
        with fetcher.open(address, timeout=30) as answer, open(scratch, "wb") as file:
            size = _announced(answer, address, scratch.parent)
            with reporter.progress(name, size) as bar:
                while block := answer.read(BLOCK):
                    if file.tell() + len(block) > (LARGEST if size is None else size):
                        raise DataError(f"{address}: longer than it may be: not used")
                    file.write(block)
                    bar.advance(len(block))
            if size is not None and file.tell() < size:
                raise OSError(f"ended after {file.tell():,} of {size:,} bytes")
            file.flush()
            os.fsync(file.fileno())
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        reason = " ".join(str(getattr(error, "reason", None) or error).split())
        raise DataError(f"{address}: cannot download: {reason}; {advice}") from error


def _announced(answer: Any, address: str, folder: Path) -> int | None:
    """The size that the answer names; DataError where it is too large for us or for the disk."""
    header = answer.headers.get("Content-Length")
    if header is None:
        return None
    size = int(header)
    free = shutil.disk_usage(folder).free
    if not 0 <= size <= min(LARGEST, free):
        raise DataError(
            f"{address}: {size:,} bytes; {folder} has {free:,} free, and {LARGEST:,} are the most"
        )
    return size


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows an answer that names another address only where that one is as safe."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        try:
            _refuse_plain(newurl, nearby=urlsplit(req.full_url).hostname in LOOPBACK)
        except DataError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _refuse_plain(address: str, *, nearby: bool = True) -> None:
    """DataError for an address without TLS; on this machine it may lack it, if `nearby`.

    An answer from afar must not send us to what listens on this machine.
    """
    with suppress(ValueError):  # an address that cannot be taken apart
        parts = urlsplit(address)
        loopback = parts.hostname in LOOPBACK
        if loopback and nearby and parts.scheme in ("http", "https"):
            return
        if not loopback and parts.scheme == "https":
            return
    raise DataError(f"{address}: only https addresses are downloaded")


def content_hash(path: Path) -> str:
    """SHA-256 of the text in a file, decompressed by its ending: the same however it was packed."""
    digest = hashlib.sha256()
    with opened(path) as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
