"""Files: translated, kept for a while under names that nobody can guess, and nothing else."""

import asyncio
import json
import tempfile
import urllib.request
from pathlib import Path
from typing import cast

import pytest
from starlette.requests import Request
from starlette.types import Message

import nmt_cli
from nmt_cli.data.text_profile import TextProfile
from nmt_cli.inference.output import Candidate, Translation
from nmt_cli.serving.errors import RequestError
from nmt_cli.serving.files import FileApi, FileStore, _decode
from nmt_cli.serving.jobs import JobGroup, JobOptions, JobQueue
from nmt_cli.serving.languages import Route
from nmt_cli.serving.metrics import Metrics
from nmt_cli.serving.requests import read_multipart
from nmt_cli.serving.service import TextResult, TranslationRequest, TranslationService
from nmt_cli.serving.settings import Limits, ServedRun
from nmt_cli.serving.texts import TextPlanner, TranslatedText
from tests.serving.conftest import Server

TEXT = "The old man reads a book.\r\n\r\nTwo dogs."


def form(content: bytes, file_name: str = "a.txt", target: str = "de") -> tuple[bytes, str]:
    """A multipart form, and its content type."""
    fields = "".join(
        f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("source", "en"), ("target", target))
    )
    file = f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n\r\n'
    return f"{fields}{file}".encode() + content + b"\r\n--edge--\r\n", "multipart/form-data; boundary=edge"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_file_is_translated(server: Server, tiny_run: Path, encoding: str) -> None:
    body, content_type = form(TEXT.encode(encoding))
    status, answer = server.post("/translate_file", body, **{"Content-Type": content_type})
    assert status == 200 and answer["translatedFileUrl"].startswith(f"{server.url}/download_file/")
    first, second = (nmt_cli.translate(tiny_run, [line])[0].text for line in (TEXT[:25], TEXT[29:]))
    with urllib.request.urlopen(answer["translatedFileUrl"]) as response:
        assert response.read().decode() == f"{first}\r\n\r\n{second}"
        assert response.headers["Content-Disposition"].startswith("attachment")


def test_its_warnings_are_in_the_answer(server: Server) -> None:
    body, content_type = form(("man " * 400).encode())
    status, answer = server.post("/translate_file", body, **{"Content-Type": content_type})
    assert status == 200 and any("parts" in warning for warning in answer["warnings"])
    status, answer = server.post("/v2/translate", {"text": ["man " * 400], "target_lang": "DE"})
    assert status == 200 and any("parts" in warning for warning in answer["translations"][0]["warnings"])


@pytest.mark.parametrize(
    "content, file_name, target, words",
    [
        (b"\xff\xffx", "a.txt", "de", "the file is not UTF-8 text (byte 0)"),
        (b"x", "a.exe", "de", ".exe not supported; use .txt"),
        (b"x", "../../a.txt", "zz", "zz is not supported"),
        (b"x", "", "de", "the file has no name; one that ends in .txt is needed"),
    ],
)  # fmt: skip
def test_other_files_are_refused(server: Server, content: bytes, file_name: str, target: str, words: str) -> None:
    body, content_type = form(content, file_name, target)
    status, answer = server.post("/translate_file", body, **{"Content-Type": content_type})
    assert status == 400 and words in answer["error"]


def test_a_file_has_more_pieces_than_a_request_and_they_wait_in_parts() -> None:
    run = ServedRun("run", Path(), "en", "de", "rnn", True)
    limits = Limits(max_sentences=3, max_file_sentences=7, max_characters=10)

    async def translate(text: str, *, is_file: bool) -> tuple[str | int, list[str]]:
        """The translation, or the status of an error, and the batches; beside a file another request comes."""
        queue, batches = JobQueue(3, Metrics()), list[str]()
        service = TranslationService([run], queue, limits)
        service._planners = {"run": TextPlanner(TextProfile())}
        request = TranslationRequest(["\n".join(text)], "en", "de", is_file=is_file)
        translation = asyncio.ensure_future(service.translate(request))
        while not translation.done():
            await asyncio.sleep(0)
            if batch := queue.take():
                batches.append("".join(job.text for job in batch))
                for job in batch:
                    queue.finish(job, Translation([Candidate(job.text.upper(), 0.0, 0.0)]))
                if is_file and len(batches) == 1:
                    other = JobGroup()
                    other.add(JobOptions("run"), "x")
                    queue.submit(other)
        try:
            return "".join((await translation)[0].translation.texts[0].split()), batches
        except RequestError as error:
            return error.status, batches

    assert asyncio.run(translate("abc", is_file=False)) == ("ABC", ["abc"])
    assert asyncio.run(translate("abcd", is_file=False)) == (413, [])
    assert asyncio.run(translate("abcdefg", is_file=True)) == ("ABCDEFG", ["abc", "xdef", "g"])
    assert asyncio.run(translate("abcdefgh", is_file=True)) == (413, [])


def test_broken_forms_are_refused(server: Server) -> None:
    body, content_type = form(b"x")
    assert server.post("/translate_file", body, **{"Content-Type": "multipart/form-data"})[0] == 400
    assert server.post("/translate_file", body[:60], **{"Content-Type": content_type})[0] == 400
    message = "Invalid request: missing file parameter"
    assert server.post("/translate_file", b"{}") == (400, {"error": message})


def test_no_name_leads_out_of_the_folder(server: Server) -> None:
    for name in ("..%2F..%2Fetc%2Fpasswd", "passwd", "a" * 24 + ".txt%00"):
        assert server.get(f"/download_file/{name}")[0] in (400, 404)
    assert server.get("/download_file/passwd") == (400, {"error": "Invalid filename"})
    message = "No such file: it may have expired; translate it again"
    assert server.get(f"/download_file/{'a' * 24}.txt") == (404, {"error": message})


def test_files_are_bounded_and_expire() -> None:
    store = FileStore(Limits(max_stored_bytes=10, file_lifetime=1000))
    name = store.add(b"12345678", ".txt")
    path = store.path(name)
    assert path is not None and path.read_bytes() == b"12345678"
    with pytest.raises(RequestError, match="Too many files"):
        store.add(b"123", ".txt")
    store.limits = Limits(max_stored_bytes=10, file_lifetime=-1)
    assert store.path(name) is None and not path.exists()
    store.close()
    assert not path.parent.exists()


class FileService:
    """Translates to upper case, or never."""

    def __init__(self, *, answers: bool = True) -> None:
        self.limits, self.answers, self.is_asked = Limits(), answers, asyncio.Event()

    async def translate(self, request: TranslationRequest) -> list[TextResult]:
        self.is_asked.set()
        if not self.answers:
            await asyncio.Event().wait()
        return [TextResult(Route("en", "de", ()), TranslatedText([request.texts[0].upper()], [], []))]


def file_request(content: bytes = b"a dog") -> Request:
    body, content_type = form(content)
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else await asyncio.Event().wait() or {}

    headers = [(b"content-type", content_type.encode()), (b"host", b"127.0.0.1:5000")]
    scope = {"type": "http", "method": "POST", "path": "/translate_file", "query_string": b"a=b", "headers": headers}
    return Request(scope | {"scheme": "http", "server": ("127.0.0.1", 5000)}, receive)


def file_api(service: FileService, public_url: str = "") -> FileApi:
    return FileApi(cast("TranslationService", service), FileStore(Limits()), public_url)


@pytest.mark.parametrize(
    "public_url, begin", [("", "http://127.0.0.1:5000"), ("https://site.example/nmt", "https://site.example/nmt")]
)
def test_its_address_is_the_one_at_which_people_reach_the_server(public_url: str, begin: str) -> None:
    api = file_api(FileService(), public_url)
    answer = json.loads(asyncio.run(api.translate(file_request())).body)
    address, _, name = answer["translatedFileUrl"].rpartition("/")
    assert address == f"{begin}/download_file"
    path = api.store.path(name)
    assert path is not None and path.read_text() == "A DOG"
    api.store.close()


def test_a_file_is_refused_where_the_server_ends_before_it_is_translated() -> None:
    async def refused(*, is_stopped_before: bool) -> tuple[int, str, int | None]:
        service = FileService(answers=False)
        api = file_api(service)
        if is_stopped_before:
            api.stop()
        answer = asyncio.ensure_future(api.translate(file_request()))
        if not is_stopped_before:
            await service.is_asked.wait()
            api.stop()
        with pytest.raises(RequestError) as error:
            await asyncio.wait_for(answer, 10)
        api.store.close()
        return error.value.status, error.value.message, error.value.retry_after

    for is_stopped_before in (True, False):
        answer = asyncio.run(refused(is_stopped_before=is_stopped_before))
        assert answer == (503, "The server is shutting down: send the file again later", 60)


@pytest.mark.parametrize("size", [5, 2 << 20])
def test_without_a_temporary_folder_files_alone_are_refused(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    api = file_api(FileService())
    for read in (api.translate, read_multipart):
        if size > 5 or read == api.translate:
            with pytest.raises(RequestError) as error:
                asyncio.run(read(file_request(b"a" * size)))
            message = "Files cannot be translated: the server cannot write to a temporary folder (TMPDIR)"
            assert (error.value.status, error.value.message) == (503, message)
    api.store.close()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_a_file_with_nul_characters_is_refused(encoding: str) -> None:
    with pytest.raises(RequestError, match="not UTF-8 text: it has NUL characters, as UTF-16 and UTF-32"):
        _decode(TEXT.encode(encoding))
