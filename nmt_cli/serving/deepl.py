"""The part of DeepL's API that there is: /v2/translate, /v2/languages, /v2/usage. Any key is accepted."""

from typing import Any

from starlette.requests import Request

from nmt_cli.serving.errors import RequestError, quote
from nmt_cli.serving.languages import AUTO, language_name
from nmt_cli.serving.metrics import Metrics
from nmt_cli.serving.requests import JsonResponse, Parameters, optional_text, read_parameters, while_connected
from nmt_cli.serving.service import TranslationRequest, TranslationService
from nmt_cli.serving.texts import LINE_BREAK

MAX_TEXTS = 50  # as at DeepL
UNSUPPORTED = (  # they would change the translation
    "tag_handling", "glossary_id", "glossary_ids", "style_id", "translation_memory_id", "custom_instructions",
)  # fmt: skip
SUPPORTED_FORMALITY = ("default", "prefer_less", "prefer_more")
UNLIMITED = 10**12  # characters


class DeepLApi:
    """Answers in DeepL's form."""

    def __init__(self, service: TranslationService, metrics: Metrics) -> None:
        self.service, self.metrics = service, metrics

    async def translate(self, request: Request) -> JsonResponse:
        """POST /v2/translate."""
        parameters = await read_parameters(request)
        translation_request = _translation_request(parameters)
        results = await while_connected(
            request, self.service.translate(translation_request), self.service.limits.timeout
        )
        records = []
        for text, result in zip(translation_request.texts, results, strict=True):
            record: dict[str, Any] = {
                "detected_source_language": result.route.source.upper(),
                "text": result.translation.texts[0],
            }
            if parameters.get("show_billed_characters") in (True, "1", "true"):
                record["billed_characters"] = len(text)
            if result.translation.warnings:
                record["warnings"] = result.translation.warnings
            records.append(record)
        return JsonResponse({"translations": records})

    async def languages(self, request: Request) -> JsonResponse:
        """GET /v2/languages."""
        side = optional_text(await read_parameters(request), "type") or "source"
        if side not in ("source", "target"):
            raise RequestError(400, f"Value for 'type' not supported: {quote(side)}; use source or target")
        runs = self.service.languages.runs.values()
        codes = list(dict.fromkeys(getattr(run, side) for run in runs))
        names = [{"language": code.upper(), "name": language_name(code)} for code in codes]
        return JsonResponse([name | ({"supports_formality": False} if side == "target" else {}) for name in names])

    async def usage(self, request: Request) -> JsonResponse:
        """GET /v2/usage."""
        return JsonResponse(
            {"character_count": self.metrics.counts["nmt_characters_total"], "character_limit": UNLIMITED}
        )


def _translation_request(parameters: Parameters) -> TranslationRequest:
    for name in UNSUPPORTED:
        if parameters.get(name):
            raise RequestError(400, f"Parameter '{name}' is not supported")
    formality = parameters.get("formality") or "default"
    if formality not in SUPPORTED_FORMALITY:
        raise RequestError(400, "Parameter 'formality' is not supported; use default, prefer_less or prefer_more")
    texts = parameters.get("text")
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise RequestError(400, "Parameter 'text' not specified or not a list of texts")
    if len(texts) > MAX_TEXTS:
        raise RequestError(413, f"Too many texts: at most {MAX_TEXTS} per request")
    target = optional_text(parameters, "target_lang")
    if not target:
        raise RequestError(400, "Parameter 'target_lang' not specified")
    splitting = str(parameters.get("split_sentences", "1"))
    if splitting not in ("0", "1", "nonewlines"):
        message = f"Value for 'split_sentences' not supported: {quote(splitting)}; use 0, 1 or nonewlines"
        raise RequestError(400, message)
    if splitting != "1":
        texts = [LINE_BREAK.sub(" ", text) for text in texts]
    source = optional_text(parameters, "source_lang") or AUTO
    return TranslationRequest(texts, source, target, split=splitting != "0")
