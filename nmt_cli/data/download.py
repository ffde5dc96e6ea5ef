"""Fetch a corpus's files into the cache: over TLS, verified by SHA-256, whole or not at all."""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nmt_cli.data.corpus import Download
from nmt_cli.data.files import opened
from nmt_cli.errors import DataError
from nmt_cli.reporting import Reporter

BLOCK = 1 << 16
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def cache_folder() -> Path:
    """Where downloaded corpora are kept: $XDG_CACHE_HOME/nmt, by default ~/.cache/nmt."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "nmt"


def fetch(download: Download, folder: Path, reporter: Reporter) -> None:
    """Download the files that are missing in `folder`; DataError says what could not be had."""
    for name, digest in download.sha256.items():
        if "/" in name or name.startswith("."):
            raise DataError(f"corpus.download.sha256: {name!r} is not a plain file name")
        path = folder / name
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _fetch_file(download.address + name, path, digest, reporter)


def _fetch_file(address: str, path: Path, digest: str, reporter: Reporter) -> None:
    _refuse_plain(address)
    scratch = path.with_name("partial-" + path.name)
    try:
        _copy(address, scratch, path.name, reporter)
        try:
            found = content_hash(scratch)
        except DataError as error:
            raise DataError(f"{address}: not used: {error}") from error
        if found != digest:
            raise DataError(
                f"{address}: SHA-256 is {found[:12]}..., not {digest[:12]}...: not used"
            )
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def _copy(address: str, scratch: Path, name: str, reporter: Reporter) -> None:
    fetcher = urllib.request.build_opener(_Redirects)
    try:
        with fetcher.open(address, timeout=30) as answer, open(scratch, "wb") as file:
            size = answer.headers.get("Content-Length")
            with reporter.progress(name, int(size) if size else None) as bar:
                while block := answer.read(BLOCK):
                    file.write(block)
                    bar.advance(len(block))
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        reason = " ".join(str(getattr(error, "reason", None) or error).split())
        raise DataError(
            f"{address}: cannot download: {reason}; put the files into a folder and name it with "
            "--set corpus.root=FOLDER or NMT_DATA"
        ) from error


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows an answer that names another address only where that one is as safe."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        try:
            _refuse_plain(newurl)
        except DataError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _refuse_plain(address: str) -> None:
    with suppress(ValueError):  # an address that cannot be taken apart
        parts = urlsplit(address)
        if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
            return
    raise DataError(f"{address}: only https addresses are downloaded")


def content_hash(path: Path) -> str:
    """SHA-256 of the text in a file, decompressed by its ending: the same however it was packed."""
    digest = hashlib.sha256()
    with opened(path) as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
