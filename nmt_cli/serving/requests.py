"""Reading requests within the limits, and answering them."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Collection
from typing import Any, TypeVar
from urllib.parse import parse_qs

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from nmt_cli import __version__
from nmt_cli.serving.errors import ClientGone, RequestError, quote
from nmt_cli.serving.settings import ServerSettings

T = TypeVar("T")
MAX_FIELDS = 10_000  # of a form
NO_TEMPORARY_FOLDER = "Files cannot be translated: the server cannot write to a temporary folder (TMPDIR)"
Parameters = dict[str, Any]  # strings and numbers, or lists of them


class JsonResponse(Response):
    """A JSON answer in UTF-8."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Compact JSON; what JSON does not have (infinity, halves of surrogate pairs) is our bug or replaced."""
        return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
            "utf-8", "replace"
        )


def health_response(
    settings: ServerSettings, opened_runs: Collection[str] = (), lost_runs: Collection[str] = ()
) -> JsonResponse:
    """The answer of /health: `loading` until every run has been opened, while requests wait for it, then `ok`.

    A run that no engine worker has open since one has died is `down`, with status 503.
    """
    closed = {run.name: "down" if run.name in lost_runs else "loading" for run in settings.runs}
    runs = {name: "ok" if name in opened_runs else status for name, status in closed.items()}
    status = next((status for status in ("down", "loading") if status in runs.values()), "ok")
    record = {"status": status, "version": __version__, "runs": runs}
    return JsonResponse(record, 503 if status == "down" else 200)


async def read_parameters(request: Request) -> Parameters:
    """The parameters of a request: a JSON object, or the fields of a form, and of the address.

    RequestError 400 for what is none of them.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "application/json":
        return parse_json(await request.body())
    fields = _parse_query(request.scope["query_string"])
    if content_type == "multipart/form-data":
        return _single_values(fields) | form_parameters(await read_multipart(request))
    body = await request.body()
    if body:
        if body.lstrip().startswith(b"{"):
            raise RequestError(400, "Invalid request: JSON needs the header Content-Type: application/json")
        fields |= _parse_query(body)
    return _single_values(fields)


def parse_json(body: bytes) -> Parameters:
    """A JSON object; RequestError 400 for anything else."""
    try:
        content = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise RequestError(400, "Invalid request: the JSON is not UTF-8") from None
    except RecursionError:
        raise RequestError(400, "Invalid request: the JSON is nested too deeply") from None
    except ValueError as error:
        raise RequestError(400, f"Invalid request: not JSON: {quote(str(error))}") from None
    if not isinstance(content, dict):
        raise RequestError(400, "Invalid request: not a JSON object")
    return content


async def read_multipart(request: Request) -> FormData:
    """The fields and files of a multipart form, whose size the Guard limits; RequestError 400 for a malformed one, 503
    where a file has no place in the temporary folder."""
    try:
        return await request.form(max_files=1, max_fields=100, max_part_size=sys.maxsize)
    except OSError:  # a file of more than a megabyte is read into a temporary one
        raise RequestError(503, NO_TEMPORARY_FOLDER) from None
    except (MultiPartException, ValueError, HTTPException) as error:  # the latter is starlette's form of the first
        raise RequestError(400, f"Invalid request: {quote(getattr(error, 'detail', str(error)))}") from None


def form_parameters(form: FormData) -> Parameters:
    """The fields of a form, without its files."""
    fields: dict[str, list[str]] = {}
    for key, value in form.multi_items():
        if isinstance(value, str):
            fields.setdefault(key, []).append(value)
    return _single_values(fields)


def _parse_query(query: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(query.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except UnicodeDecodeError:
        raise RequestError(400, "Invalid request: the parameters are not UTF-8") from None
    except ValueError:
        raise RequestError(413, f"Invalid request: more than {MAX_FIELDS:,} fields") from None


def _single_values(fields: dict[str, list[str]]) -> Parameters:
    return {key: values[0] if len(values) == 1 else values for key, values in fields.items()}


def text_parameter(parameters: Parameters, name: str, default: str | None = None) -> str:
    """A parameter that is one text; RequestError 400 where it is missing or empty without a default, or something
    else."""
    value = parameters.get(name)
    value = default if value in (None, "") else value
    if value is None:
        raise RequestError(400, f"Invalid request: missing {name} parameter")
    if not isinstance(value, str):
        raise RequestError(400, f"Invalid request: {name} parameter is not a string")
    return value


def optional_text(parameters: Parameters, name: str) -> str | None:
    """A parameter that is one text, or None where it is missing."""
    return None if parameters.get(name) is None else text_parameter(parameters, name, "")


def number_parameter(parameters: Parameters, name: str, maximum: int) -> int:
    """A parameter that is a whole number from 0, which is its default."""
    value = parameters.get(name, 0)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise RequestError(400, f"Invalid request: {name} parameter is not a number")
    if value < 0 or value > maximum:
        raise RequestError(400, f"Invalid request: {name} parameter must be between 0 and {maximum}")
    return value


def flag_parameter(parameters: Parameters, name: str, *, default: bool = False) -> bool:
    """A parameter that is true or false."""
    value = parameters.get(name, default)
    if isinstance(value, str) and value.lower() in ("true", "1", "on", "yes", "false", "0", "off", "no", ""):
        return value.lower() in ("true", "1", "on", "yes")
    if not isinstance(value, bool):
        raise RequestError(400, f"Invalid request: {name} parameter is not true or false")
    return value


async def while_connected(request: Request, answer: Awaitable[T], timeout: float) -> T:
    """The answer, unless the client leaves (ClientGone) or it takes too long (RequestError 504): then it is cancelled.

    The body of the request must have been read.
    """
    departure = asyncio.ensure_future(_wait_for_departure(request))
    await asyncio.sleep(0)
    work = asyncio.ensure_future(answer)
    try:
        if departure.done():  # while the body was read
            raise ClientGone
        await asyncio.wait({work, departure}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        if departure.done():
            raise ClientGone
        raise RequestError(504, f"The answer took longer than {timeout:g} seconds: send less at a time", retry_after=30)
    finally:
        work.cancel()
        departure.cancel()


async def _wait_for_departure(request: Request) -> None:
    message: Message = {}
    while message.get("type") != "http.disconnect":
        message = await request.receive()
