"""Opening runs for translation in a test."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt_cli.inference.translator import Translator
from nmt_cli.reporting import Reporter
from nmt_cli.translation.opening import TranslatorSpec


def open_translator(
    runs: Sequence[Path], overrides: Sequence[str] = (), device: str = "auto", **fields: Any
) -> Translator:
    reporter = fields.pop("reporter", Reporter(quiet=True))
    return TranslatorSpec(tuple(map(str, runs)), tuple(overrides), device, **fields).open(reporter)
