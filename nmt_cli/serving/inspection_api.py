"""Our own endpoint: /inspect, how a sentence was translated."""

from starlette.requests import Request

from nmt_cli.serving.errors import RequestError
from nmt_cli.serving.inspector import Inspector, InspectSentence
from nmt_cli.serving.languages import AUTO
from nmt_cli.serving.requests import (
    JsonResponse,
    flag_parameter,
    optional_text,
    read_parameters,
    text_parameter,
    while_connected,
)
from nmt_cli.serving.service import TranslationService
from nmt_cli.serving.texts import LINE_BREAK, clean_input

MAX_CHARACTERS = 2_000


async def inspect(service: TranslationService, inspector: Inspector, request: Request) -> JsonResponse:
    """POST /inspect."""
    parameters = await read_parameters(request)
    text = text_parameter(parameters, "text")
    prefix, translation = optional_text(parameters, "prefix"), optional_text(parameters, "translation")
    for name, value in (("text", text), ("prefix", prefix), ("translation", translation)):
        if value is not None and len(value) > MAX_CHARACTERS:
            raise RequestError(400, f"Invalid request: {name} parameter exceeds {MAX_CHARACTERS:,} characters")
    source, target = text_parameter(parameters, "source", AUTO), text_parameter(parameters, "target")
    languages = service.languages
    source_language = service.detect(text)[0].language if source == AUTO else service.require(source)
    route = languages.route(source_language, service.require(target), optional_text(parameters, "run") or None)
    if len(route.runs) != 1:
        raise RequestError(400, "Invalid request: only a translation by one run can be inspected")
    task = InspectSentence(
        route.runs[0].name,
        _on_one_line(text),
        _on_one_line(prefix or ""),
        None if translation is None else _on_one_line(translation),
        flag_parameter(parameters, "alternatives", default=True),
        flag_parameter(parameters, "beam"),
    )
    record = await while_connected(request, inspector.inspect(task), service.limits.timeout)
    return JsonResponse({"run": task.run, **record})


def _on_one_line(text: str) -> str:
    return LINE_BREAK.sub(" ", clean_input(text))
