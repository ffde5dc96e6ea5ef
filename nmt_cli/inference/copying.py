"""Which lines hold nothing to translate, so that they come out as they are."""

import re

_URL = r"[a-z][a-z0-9+.-]*://\S+|(?:mailto|tel|urn|doi):\S+"
_EMAIL = r"[^\s@<>]+@[^\s@<>]+\.\w{2,}"
_TOP_LEVEL = "com|org|net|edu|gov|int|info|biz|io|ai|dev|app|eu|[a-z]{2}"
_DOMAIN = rf"(?:www\.\S+|(?:[\w-]+\.)+[a-z]{{2,}}(?::\d+|[/?#])\S*|(?-i:(?:[a-z0-9-]+\.)+(?:{_TOP_LEVEL})))"
_ENDINGS = (
    "txt|md|pdf|docx?|xlsx?|pptx?|od[tsp]|html?|xml|json|ya?ml|csv|tsv|py|js|ts|c|h|cpp|java|rs|go|sh|ini|cfg|toml|log|"
    "png|jpe?g|gif|svg|webp|mp[34]|wav|zip|gz|xz|zst|tar|exe|srt|vtt|po|tmx"
)
_PATH = (
    r"(?:~|\.{1,2})?(?:/[^\s/]+)+/?|[a-z]:\\\S*|\\\\\S+|(?:[\w.-]+/)+[\w.-]+\.\w+|"
    rf"[\w-]+(?:\.[\w-]+)*\.(?:{_ENDINGS})"
)
_ADDRESS = re.compile(rf"[<(\[]?(?:{_URL}|{_EMAIL}|{_DOMAIN}|{_PATH})[>)\]]?[.,;]?", re.IGNORECASE)


def has_nothing_to_translate(text: str) -> bool:
    """Whether a text has no letter, or is an address alone: a URL, an e-mail address, a path.

    A model that is given such a text invents a sentence.
    """
    if not any(map(str.isalpha, text)):
        return True
    return _ADDRESS.fullmatch(text.strip()) is not None
