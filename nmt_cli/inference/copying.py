"""Which lines hold nothing to translate, so that they come out as they are."""

import re

_URL = r"[a-z][a-z0-9+.-]*://\S+|(?:mailto|tel|urn|doi):\S+"
_EMAIL = r"[^\s@<>]+@[^\s@<>]+\.\w{2,}"
_DOMAIN = r"(?:www\.\S+|(?:[\w-]+\.)+[a-z]{2,}(?::\d+)?(?:[/?#]\S*)?)"
_PATH = r"(?:~|\.{1,2})?(?:/[^\s/]+)+/?|[a-z]:\\\S*|\\\\\S+|(?:[\w.-]+/)+[\w.-]+\.\w+|[\w-]{2,}\.[a-z][a-z0-9]{1,4}"
_ADDRESS = re.compile(rf"[<(\[]?(?:{_URL}|{_EMAIL}|{_DOMAIN}|{_PATH})[>)\]]?[.,;]?", re.IGNORECASE)


def has_nothing_to_translate(text: str) -> bool:
    """Whether a text has no letter, or is an address alone: a URL, an e-mail address, a path.

    A model that is given such a text invents a sentence.
    """
    if not any(map(str.isalpha, text)):
        return True
    return _ADDRESS.fullmatch(text.strip()) is not None
