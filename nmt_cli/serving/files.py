"""Translating files: /translate_file and /download_file. Plain text only; documents are to come here."""

import re
import secrets
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from nmt_cli.serving.errors import RequestError, quote
from nmt_cli.serving.libretranslate import FILE_FORMATS
from nmt_cli.serving.requests import JsonResponse, form_parameters, read_multipart, text_parameter, while_connected
from nmt_cli.serving.service import TranslationRequest, TranslationService
from nmt_cli.serving.settings import Limits

NAME = re.compile(r"[A-Za-z0-9_-]{20,40}\.[a-z]{2,5}")


@dataclass(frozen=True)
class StoredFile:
    """A translated file that waits for its download."""

    path: Path
    size: int
    time: float


class FileStore:
    """Translated files in a temporary folder, under names that we draw; none is kept for long."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._folder = tempfile.TemporaryDirectory(prefix="nmt-serve-", ignore_cleanup_errors=True)
        self._files: dict[str, StoredFile] = {}

    def add(self, content: bytes, suffix: str) -> str:
        """Keep a file; its name. RequestError 503 where too much is kept already."""
        self._delete_old()
        if sum(file.size for file in self._files.values()) + len(content) > self.limits.max_stored_bytes:
            raise RequestError(503, "Too many files wait for their download: try again later", retry_after=60)
        name = f"{secrets.token_urlsafe(18)}{suffix}"
        path = Path(self._folder.name) / name
        path.write_bytes(content)
        self._files[name] = StoredFile(path, len(content), time.monotonic())
        return name

    def path(self, name: str) -> Path | None:
        """Where a file is kept; None where there is none of this name."""
        self._delete_old()
        file = self._files.get(name)
        return None if file is None else file.path

    def close(self) -> None:
        """Delete everything."""
        self._folder.cleanup()

    def _delete_old(self) -> None:
        oldest = time.monotonic() - self.limits.file_lifetime
        for name in [name for name, file in self._files.items() if file.time < oldest]:
            self._files.pop(name).path.unlink(missing_ok=True)


class FileApi:
    """Answers of the endpoints for files."""

    def __init__(self, service: TranslationService, store: FileStore) -> None:
        self.service, self.store = service, store

    async def translate(self, request: Request) -> JsonResponse:
        """POST /translate_file."""
        form = await read_multipart(request)
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            raise RequestError(400, "Invalid request: missing file parameter")
        content, file_name = await upload.read(), upload.filename or ""
        await upload.close()
        parameters = form_parameters(form)
        source, target = text_parameter(parameters, "source"), text_parameter(parameters, "target")
        if not file_name:
            raise RequestError(400, "Invalid request: empty file")
        suffix = Path(file_name.lower()).suffix
        if suffix not in FILE_FORMATS:
            raise RequestError(400, f"Invalid request: file format {quote(suffix)} not supported; .txt is")
        translation_request = TranslationRequest([_decode(content)], source, target, is_file=True)
        results = await while_connected(
            request, self.service.translate(translation_request), self.service.limits.file_timeout
        )
        name = self.store.add(results[0].translation.texts[0].encode("utf-8", "replace"), suffix)
        answer: dict[str, object] = {
            "translatedFileUrl": str(request.url.replace(path=f"/download_file/{name}", query=""))
        }
        warnings = results[0].translation.warnings
        return JsonResponse(answer | ({"warnings": warnings} if warnings else {}))

    async def download(self, request: Request) -> Response:
        """GET /download_file/<name>."""
        name = request.path_params["name"]
        if not NAME.fullmatch(name):
            raise RequestError(400, "Invalid filename")
        path = self.store.path(name)
        if path is None:
            raise RequestError(404, "No such file: it may have expired")
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
