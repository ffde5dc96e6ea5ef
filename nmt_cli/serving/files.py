"""Translating files: /translate_file and /download_file. Plain text only; documents are to come here."""

import asyncio
import re
import secrets
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from nmt_cli.serving.errors import RequestError, quote
from nmt_cli.serving.libretranslate import FILE_FORMATS
from nmt_cli.serving.requests import (
    NO_TEMPORARY_FOLDER,
    JsonResponse,
    form_parameters,
    read_multipart,
    text_parameter,
    while_connected,
)
from nmt_cli.serving.service import TextResult, TranslationRequest, TranslationService
from nmt_cli.serving.settings import Limits

NAME = re.compile(r"[A-Za-z0-9_-]{20,40}\.[a-z]{2,5}")


@dataclass(frozen=True)
class StoredFile:
    """A translated file that waits for its download."""

    path: Path
    size: int
    time: float


class FileStore:
    """Translated files in a temporary folder, made for the first, under names that we draw; none is kept for long."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files: dict[str, StoredFile] = {}

    def open_folder(self) -> Path:
        """The folder; RequestError 503 where there is no place for it."""
        try:
            if self._folder is None or not Path(self._folder.name).is_dir():  # systemd-tmpfiles deletes what is old
                self._folder = tempfile.TemporaryDirectory(prefix="nmt-serve-", ignore_cleanup_errors=True)
        except OSError:
            raise RequestError(503, NO_TEMPORARY_FOLDER) from None
        return Path(self._folder.name)

    def add(self, content: bytes, suffix: str) -> str:
        """Keep a file; its name. RequestError 503 where too much is kept already, or the folder is full."""
        self._delete_old()
        if sum(file.size for file in self._files.values()) + len(content) > self.limits.max_stored_bytes:
            raise RequestError(503, "Too many files are waiting to be downloaded: try again later", retry_after=60)
        name = f"{secrets.token_urlsafe(18)}{suffix}"
        path = self.open_folder() / name
        try:
            path.write_bytes(content)
        except OSError:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise RequestError(503, NO_TEMPORARY_FOLDER) from None
        self._files[name] = StoredFile(path, len(content), time.monotonic())
        return name

    def path(self, name: str) -> Path | None:
        """Where a file is kept; None where there is none of this name."""
        self._delete_old()
        file = self._files.get(name)
        return file.path if file is not None and file.path.is_file() else None

    def close(self) -> None:
        """Delete everything."""
        if self._folder is not None:
            self._folder.cleanup()

    def _delete_old(self) -> None:
        oldest = time.monotonic() - self.limits.file_lifetime
        for name in [name for name, file in self._files.items() if file.time < oldest]:
            self._files.pop(name).path.unlink(missing_ok=True)


class FileApi:
    """Answers of the endpoints for files."""

    def __init__(self, service: TranslationService, store: FileStore, public_url: str = "") -> None:
        self.service, self.store, self.public_url = service, store, public_url
        self._translations: set[asyncio.Future[list[TextResult]]] = set()
        self._is_stopped = False

    def stop(self) -> None:
        """Refuse the files that are being translated, and later ones: nobody could download them any more."""
        self._is_stopped = True
        for translation in self._translations:
            translation.cancel()

    async def translate(self, request: Request) -> JsonResponse:
        """POST /translate_file."""
        self.store.open_folder()
        form = await read_multipart(request)
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            raise RequestError(400, "Invalid request: missing file parameter")
        content, file_name = await upload.read(), upload.filename or ""
        await upload.close()
        parameters = form_parameters(form)
        source, target = text_parameter(parameters, "source"), text_parameter(parameters, "target")
        if not file_name:
            raise RequestError(400, "Invalid request: the file has no name; one that ends in .txt is needed")
        suffix = Path(file_name.lower()).suffix
        if suffix not in FILE_FORMATS:
            raise RequestError(400, f"Invalid request: file format {quote(suffix)} not supported; use .txt")
        translation_request = TranslationRequest([_decode(content)], source, target, is_file=True)
        translation = (await self._translate(request, translation_request)).translation
        name = self.store.add(translation.texts[0].encode("utf-8", "replace"), suffix)
        url = self.public_url or str(request.url.replace(path="", query=""))
        answer: dict[str, object] = {"translatedFileUrl": f"{url}/download_file/{name}"}
        warnings = translation.warnings
        return JsonResponse(answer | ({"warnings": warnings} if warnings else {}))

    async def _translate(self, request: Request, translation_request: TranslationRequest) -> TextResult:
        """What becomes of a file; RequestError 503 where the server ends before."""
        translation = asyncio.ensure_future(self.service.translate(translation_request))
        self._translations.add(translation)
        translation.add_done_callback(self._translations.discard)
        if self._is_stopped:
            translation.cancel()
        try:
            (result,) = await while_connected(request, translation, self.service.limits.file_timeout)
        except asyncio.CancelledError:
            if not self._is_stopped:
                raise
            raise RequestError(503, "The server is shutting down: send the file again later", retry_after=60) from None
        return result

    async def download(self, request: Request) -> Response:
        """GET /download_file/<name>."""
        name = request.path_params["name"]
        if not NAME.fullmatch(name):
            raise RequestError(400, "Invalid filename")
        path = self.store.path(name)
        if path is None:
            raise RequestError(404, "No such file: it may have expired; translate it again")
        return FileResponse(path, media_type="text/plain; charset=utf-8", filename=name)


def _decode(content: bytes) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark; RequestError 400 for another."""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise RequestError(400, f"Invalid request: the file is not UTF-8 text (byte {error.start:,})") from None
    if "\0" in text:
        raise RequestError(
            400, "Invalid request: the file is not UTF-8 text: it has NUL characters, as UTF-16 and UTF-32"
        )
    return text
