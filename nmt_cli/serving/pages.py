"""The page: files of the package that are read once, and a form that works without JavaScript."""

import hashlib
import html
import re
from importlib import resources
from pathlib import PurePath

from starlette.requests import Request
from starlette.responses import Response

from nmt_cli.serving.errors import RequestError
from nmt_cli.serving.languages import AUTO, language_name
from nmt_cli.serving.requests import read_parameters, text_parameter, while_connected
from nmt_cli.serving.service import TranslationRequest, TranslationService

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
INDEX = "index.html"


class Page:
    """Serves the files in nmt_cli/serving/page; which there are is decided when the server starts.

    In index.html the comments <!--source-options-->, <!--target-options-->, <!--text-->, <!--translation--> and
    <!--message--> are replaced by what the form without JavaScript needs.
    """

    def __init__(self, service: TranslationService) -> None:
        self.service = service
        folder = resources.files("nmt_cli.serving") / "page"
        self._files = {
            file.name: file.read_bytes() for file in folder.iterdir() if PurePath(file.name).suffix in MEDIA_TYPES
        }
        self._index = self._files.pop(INDEX).decode("utf-8")

    async def file(self, request: Request) -> Response:
        """GET /page/<name>."""
        name = request.path_params["name"]
        content = self._files.get(name)
        if content is None:
            raise RequestError(404, "No such file")
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=MEDIA_TYPES[PurePath(name).suffix])

    async def index(self, request: Request) -> Response:
        """GET / and, from the form, POST /."""
        if request.method != "POST":
            languages = self.service.languages
            first = next(iter(languages.runs.values()))
            return self._render(first.source, first.target)
        parameters = await read_parameters(request)
        text = text_parameter(parameters, "q", "")
        source, target = text_parameter(parameters, "source", AUTO), text_parameter(parameters, "target")
        try:
            results = await while_connected(
                request, self.service.translate(TranslationRequest([text], source, target)), self.service.limits.timeout
            )
        except RequestError as error:
            return self._render(source, target, text, message=error.message, status=error.status)
        translation = results[0].translation
        return self._render(source, target, text, translation.texts[0], "; ".join(translation.warnings))

    def _render(
        self, source: str, target: str, text: str = "", translation: str = "", message: str = "", status: int = 200
    ) -> Response:
        languages = self.service.languages
        targets = {run.target for run in languages.runs.values()}
        replacements = {
            "source-options": _options([AUTO, *languages.sources], source),
            "target-options": _options([code for code in languages.codes if code in targets], target),
            "text": html.escape(text),
            "translation": html.escape(translation),
            "message": html.escape(message),
        }
        content = re.sub("<!--([a-z-]+)-->", lambda comment: replacements.get(comment[1], comment[0]), self._index)
        headers = {"Content-Security-Policy": CONTENT_POLICY, "Cache-Control": "no-store"}
        return Response(content, status, headers, media_type="text/html; charset=utf-8")


def _options(codes: list[str], selected: str) -> str:
    return "".join(
        f'<option value="{html.escape(code)}"{" selected" if code == selected else ""}>'
        f"{html.escape('Detect language' if code == AUTO else language_name(code))}</option>"
        for code in codes
    )
