"""The API of LibreTranslate, with additions (/translate, /detect, /languages, /frontend/settings), and our /inspect."""

from typing import Any

from starlette.requests import Request

from nmt_cli.inference.lines import replace_surrogates
from nmt_cli.serving.errors import RequestError, quote
from nmt_cli.serving.inspector import AlignSentences, Inspector, InspectSentence
from nmt_cli.serving.languages import AUTO, language_name
from nmt_cli.serving.requests import (
    JsonResponse,
    Parameters,
    flag_parameter,
    number_parameter,
    optional_text,
    read_parameters,
    text_parameter,
    while_connected,
)
from nmt_cli.serving.service import TextResult, TranslationRequest, TranslationService
from nmt_cli.serving.texts import LINE_BREAK, escape_html, strip_tags

FORMATS = ("text", "html")
FILE_FORMATS = (".txt",)
MAX_ALIGNED_SENTENCES = 100
MAX_INSPECTED_CHARACTERS = 2_000
TAGS_WARNING = "the tags were removed"


class LibreTranslateApi:
    """Answers of the endpoints for text."""

    def __init__(self, service: TranslationService, inspector: Inspector) -> None:
        self.service, self.inspector, self.limits = service, inspector, service.limits

    async def translate(self, request: Request) -> JsonResponse:
        """POST /translate."""
        parameters = await read_parameters(request)
        return JsonResponse(await while_connected(request, self._translate(parameters), self.limits.timeout))

    async def inspect(self, request: Request) -> JsonResponse:
        """POST /inspect: how a sentence was translated."""
        parameters = await read_parameters(request)
        text = text_parameter(parameters, "text")
        prefix, translation = optional_text(parameters, "prefix"), optional_text(parameters, "translation")
        for name, value in (("text", text), ("prefix", prefix), ("translation", translation)):
            if value is not None and len(value) > MAX_INSPECTED_CHARACTERS:
                limit = f"{MAX_INSPECTED_CHARACTERS:,}"
                raise RequestError(400, f"Invalid request: {name} parameter exceeds {limit} characters")
        source = text_parameter(parameters, "source", AUTO)
        target = self.service.require(text_parameter(parameters, "target"))
        run_name = optional_text(parameters, "run") or None
        if source == AUTO:
            source = self.service.detect_all([text], target, run_name)[0].language
        route = self.service.languages.route(self.service.require(source), target, run_name)
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
        record = await while_connected(request, self.inspector.inspect(task), self.limits.timeout)
        return JsonResponse({"run": task.run, **record})

    async def detect(self, request: Request) -> JsonResponse:
        """POST /detect."""
        text = text_parameter(await read_parameters(request), "q")
        return JsonResponse([detection.record() for detection in self.service.detect(text)])

    async def languages(self, request: Request) -> JsonResponse:
        """GET /languages."""
        return JsonResponse(self.service.languages.records())

    async def frontend_settings(self, request: Request) -> JsonResponse:
        """GET /frontend/settings."""
        first = next(iter(self.service.languages.runs.values()))
        settings = {
            "charLimit": self.limits.max_characters,
            "frontendTimeout": 500,
            "apiKeys": False,
            "keyRequired": False,
            "suggestions": False,
            "filesTranslation": True,
            "supportedFilesFormat": list(FILE_FORMATS),
            "language": {
                side: {"code": code, "name": language_name(code)}
                for side, code in (("source", first.source), ("target", first.target))
            },
            "runs": [run.record() for run in self.service.languages.runs.values()],
        }
        return JsonResponse(settings)

    async def _translate(self, parameters: Parameters) -> dict[str, Any]:
        query = parameters.get("q")
        if query is None:
            raise RequestError(400, "Invalid request: missing q parameter")
        texts = query if isinstance(query, list) else [query]
        if not all(isinstance(text, str) for text in texts):
            raise RequestError(400, "Invalid request: q parameter is not a string or a list of strings")
        source, target = text_parameter(parameters, "source"), text_parameter(parameters, "target")
        text_format = text_parameter(parameters, "format", "text")
        if text_format not in FORMATS:
            raise RequestError(400, f"{quote(text_format)} format is not supported")
        alternatives = number_parameter(parameters, "alternatives", self.limits.max_alternatives)
        run = optional_text(parameters, "run")
        if len(texts) > self.limits.max_sentences:
            raise RequestError(413, f"More than {self.limits.max_sentences:,} texts: send them in parts")
        stripped = [strip_tags(text) if text_format == "html" else (text, False) for text in texts]
        translation_request = TranslationRequest(
            [text for text, _ in stripped], source, target, alternatives,
            assess=flag_parameter(parameters, "confidence"), run=run or None,
        )  # fmt: skip
        results = await self.service.translate(translation_request)
        records = [
            await self._record(result, parameters, alternatives, is_html=text_format == "html", had_tags=had_tags)
            for result, (_, had_tags) in zip(results, stripped, strict=True)
        ]
        if not isinstance(query, list):
            return records[0]
        keys = dict.fromkeys(key for record in records for key in record) or {"translatedText": None}
        return {key: [record.get(key) for record in records] for key in keys}

    async def _record(
        self, result: TextResult, parameters: Parameters, alternatives: int, *, is_html: bool, had_tags: bool
    ) -> dict[str, Any]:
        """What is answered for a text."""
        translation = result.translation
        texts = [escape_html(text) for text in translation.texts] if is_html else translation.texts
        record: dict[str, Any] = {"translatedText": texts[0] if texts else ""}
        if result.detection is not None:
            record["detectedLanguage"] = result.detection.record()
        if alternatives:
            record["alternatives"] = texts[1:]
        if result.route.via:
            record["via"] = result.route.via
        warnings = [*translation.warnings, *([TAGS_WARNING] if had_tags else [])]
        if translation.confidence is not None:
            record["confidence"] = round(translation.confidence, 4)
        elif flag_parameter(parameters, "confidence") and texts and texts[0].strip():
            warnings.append("the confidence is unknown; nmt calibrate fits it for a run")
        asked = {name for name in ("sentences", "alignment", "attention") if flag_parameter(parameters, name)}
        if asked and len(result.route.runs) > 1:
            warnings.append(f"{', '.join(sorted(asked))}: not for a translation through a third language")
        elif asked:
            record["sentences"] = await self._sentences(result, asked, warnings)
        if warnings:
            record["warnings"] = warnings
        return record

    async def _sentences(self, result: TextResult, asked: set[str], warnings: list[str]) -> list[dict[str, Any]]:
        """The parts of a text that were translated by themselves, and what more was asked for about them."""
        pairs = result.translation.sentences
        records: list[dict[str, Any]] = [
            {"line": pair.line, "source": pair.source, "target": pair.target}
            | ({"language_tag": pair.language_tag} if pair.language_tag else {})
            | ({} if pair.confidence is None else {"confidence": round(pair.confidence, 4)})
            for pair in pairs
        ]
        if not pairs or asked == {"sentences"}:
            return records
        (run,) = result.route.runs
        if not run.has_attention:
            warnings.append(f"run {run.name} has no attention to the source, and so no alignment")
            return records
        if len(pairs) > MAX_ALIGNED_SENTENCES:
            raise RequestError(413, f"alignment and attention: at most {MAX_ALIGNED_SENTENCES} sentences at a time")
        if "alignment" in asked:
            task = AlignSentences(run.name, pairs)
            for record, alignment in zip(records, await self.inspector.align(task), strict=True):
                record["alignment"] = alignment
        if "attention" in asked:
            for record, pair in zip(records, pairs, strict=True):
                source = pair.language_tag + pair.source
                inspection = await self.inspector.inspect(
                    InspectSentence(run.name, source, translation=pair.target, alternatives=False)
                )
                record["attention"] = {
                    "source_words": [word["text"] for word in inspection["source_words"]],
                    "target_words": [word["text"] for word in inspection["target_words"]],
                    "weights": inspection["attention"]["cross"],
                }
        return records


def _on_one_line(text: str) -> str:
    return LINE_BREAK.sub(" ", replace_surrogates(text))
