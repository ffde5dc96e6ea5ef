"""The endpoints in the form of OpenAPI, for clients that are made from it."""

from typing import Any

from nmt_cli import __version__

Schema = dict[str, Any]
STRING: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean", "default": False}
TEXTS: Schema = {"oneOf": [STRING, {"type": "array", "items": STRING}]}
ERRORS = {
    "400": "The request is wrong",
    "403": "The host, the origin or the feature is not allowed",
    "408": "The request did not arrive in time",
    "413": "The request asks for too much",
    "500": "The engine failed twice on this text, or the server has a bug",
    "503": "Too much is waiting, or the server is shutting down",
    "504": "The answer took too long",
}


def specification() -> Schema:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "nmt serve", "version": __version__, "license": {"name": "MIT", "identifier": "MIT"}},
        "paths": _translating() | _describing() | _of_deepl(),
        "components": {"schemas": {"Error": _object({"error": STRING}, ["error"])}},
    }


def _translating() -> Schema:
    language = {"type": "string", "description": "The code of a language", "examples": ["en"]}
    source = {**language, "description": "The code of a language, or auto"}
    query = {
        "q": {**TEXTS, "description": "A text, or several"},
        "source": source,
        "target": language,
        "format": {"enum": ["text", "html"], "default": "text"},
        "alternatives": {"type": "integer", "minimum": 0, "default": 0},
        "run": {**STRING, "description": "The name of a served run"},
        "confidence": FLAG,
        "sentences": FLAG,
        "alignment": FLAG,
        "attention": FLAG,
    }
    answer = {
        "translatedText": TEXTS,
        "detectedLanguage": {"description": "With source auto: language and confidence (0 to 100)"},
        "alternatives": {"description": "Further translations, if they were asked for"},
        "via": {"description": "The third language, where there is no direct run"},
        "confidence": {"description": "0 to 1, if every run on the way knows how sure it is"},
        "warnings": {"description": "What the reader of the translation should know"},
        "sentences": {"description": "The parts that were translated by themselves"},
    }
    inspected = dict.fromkeys(("text", "source", "target", "run", "prefix", "translation"), STRING)
    inspected |= {"alternatives": {"type": "boolean", "default": True}, "beam": FLAG}
    file_query = {"file": {"type": "string", "format": "binary"}, "source": source, "target": language}
    file_answer = _object({"translatedFileUrl": STRING, "warnings": answer["warnings"]}, ["translatedFileUrl"])
    return {
        "/translate": _post("Translate texts", query, ["q", "source", "target"], _object(answer, ["translatedText"])),
        "/translate_file": _post(
            "Translate a file", file_query, list(file_query), file_answer,
            media_types=["multipart/form-data"],
        ),
        "/download_file/{name}": _get("A translated file", STRING, media_type="text/plain", in_path="name"),
        "/detect": _post("The language of a text", {"q": STRING}, ["q"], {"type": "array"}),
        "/inspect": _post("How a sentence is translated", inspected, ["text", "target"], {"type": "object"}),
    }  # fmt: skip


def _describing() -> Schema:
    return {
        "/languages": _get("The languages that are served", {"type": "array"}),
        "/frontend/settings": _get("Limits, default languages and runs", {"type": "object"}),
        "/health": _get(
            "Whether the runs are open (with 503 where the worker that had one has died)",
            _object({"status": {"enum": ["loading", "ok", "down"]}}, ["status"]),
        ),
        "/metrics": _get("Counters for Prometheus", STRING, media_type="text/plain"),
        "/spec": _get("This document", {"type": "object"}),
    }


def _of_deepl() -> Schema:
    query = {
        "text": TEXTS,
        "source_lang": STRING,
        "target_lang": STRING,
        "split_sentences": {"enum": ["0", "1", "nonewlines"], "default": "1"},
    }
    answer = _object({"translations": {"type": "array"}}, ["translations"])
    return {
        "/v2/translate": _post("Translate texts, as at DeepL", query, ["text", "target_lang"], answer),
        "/v2/languages": _get("The languages that are served, as at DeepL", {"type": "array"}),
        "/v2/usage": _get("Characters translated, as at DeepL", {"type": "object"}),
    }


def _object(properties: Schema, required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required}


def _post(
    summary: str,
    properties: Schema,
    required: list[str],
    answer: Schema,
    media_types: list[str] = ["application/json", "application/x-www-form-urlencoded"],  # noqa: B006
) -> Schema:
    content = {media_type: {"schema": _object(properties, required)} for media_type in media_types}
    body = {"required": True, "content": content}
    return {"post": {"summary": summary, "requestBody": body, "responses": _responses(answer, "application/json")}}


def _get(summary: str, answer: Schema, media_type: str = "application/json", in_path: str | None = None) -> Schema:
    operation: Schema = {"summary": summary, "responses": _responses(answer, media_type)}
    if in_path:
        operation["parameters"] = [{"name": in_path, "in": "path", "required": True, "schema": STRING}]
    return {"get": operation}


def _responses(answer: Schema, media_type: str) -> Schema:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    errors = {status: {"description": text, "content": error} for status, text in ERRORS.items()}
    return {"200": {"description": "The answer", "content": {media_type: {"schema": answer}}}} | errors
