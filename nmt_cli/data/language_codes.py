"""Codes of languages: ISO 639 with a script or region, if any, as in de, pt-BR and zh_Hant."""

import re
from functools import lru_cache

LANGUAGE_CODE = re.compile(r"[A-Za-z]{2,3}(?:[-_]\w+)*")


def normal_code(code: str) -> str:
    """The code in lower case, with hyphens."""
    return code.lower().replace("_", "-")


@lru_cache(maxsize=256)  # asked for each word
def base_code(code: str | None) -> str:
    """The code of the language alone, without script and region; empty where it is not known."""
    return normal_code(code or "").partition("-")[0]
