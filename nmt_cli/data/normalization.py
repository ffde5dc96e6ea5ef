"""The form that text is brought into before a model sees it: in training, and ever after.

A model should not notice which of several encodings of the same text it is given. White space of
every kind is one space, characters that nobody sees go (a soft hyphen, a zero-width space, a byte
order mark, a direction mark), and letters are composed (Unicode NFC). What can change the meaning
or the look of text is an option: compatibility forms, quotation marks, dashes, HTML entities,
mojibake.
"""

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from nmt_cli.config import Section
from nmt_cli.data.apostrophes import APOSTROPHES
from nmt_cli.errors import UserError, pip_install


class NormalizationConfig(Section):
    """How text is normalised; `nfc`, `nfkc` or `none` alone stands for that normal form and nothing else."""

    unicode: Literal["nfc", "nfkc", "none"] = "nfc"
    """Unicode normal form: nfc composes letters and accents; nfkc also replaces compatibility forms,
    such as full-width letters and ligatures; none."""
    whitespace: bool = True
    """Make one space of any run of white space of any kind, and drop it at the ends."""
    invisible: bool = True
    """Drop soft hyphens, zero-width spaces, byte order marks, direction marks, control characters, and
    joiners where neither the script nor an emoji needs them."""
    entities: bool = False
    """Decode HTML entities such as &auml; and &#8211;."""
    mojibake: bool = False
    """Repair text that was decoded with the wrong encoding, such as Ã¤ for ä (extra nmt-cli[mojibake])."""
    quotes: bool = False
    """Write all quotation marks and apostrophes as " and '."""
    dashes: bool = False
    """Write all hyphens as - and all dashes as –."""

    @model_validator(mode="before")
    @classmethod
    def _accept_normal_form(cls, value: object) -> object:
        """`nfc` and `none` alone are how recipes of earlier versions say a normal form and nothing else."""
        return {"unicode": value, "whitespace": False, "invisible": False} if isinstance(value, str) else value

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> Any:
        values: dict[str, Any] = handler(self)
        return values["unicode"] if not any(value for key, value in values.items() if key != "unicode") else values


# What runs were made with before there was this section: composed letters and nothing else.
LEGACY = NormalizationConfig(whitespace=False, invisible=False)

_UNUSUAL_SPACE = "\t-\r\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_SPACES = re.compile(f"[{_UNUSUAL_SPACE}][ {_UNUSUAL_SPACE}]*| [ {_UNUSUAL_SPACE}]+")
_INVISIBLE = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # controls that are no white space
    "\xad\u034f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
)
# Scripts in which joiners shape letters, since these are joined or stacked: Arabic to Thaana, N'Ko to Arabic extended,
# India, Tibet, Myanmar, the Philippines to Mongolian, Limbu to Tai Tham, Indonesia to Lepcha, and their extensions;
# from Kharoshthi to Kawi (Manichaean, Rohingya, Kaithi, Chakma, Grantha, Newa ...); Adlam.
_JOINING = (
    "\u0600-\u07ff\u0840-\u0dff\u0f00-\u109f\u1700-\u18af\u1900-\u1aaf\u1b00-\u1c4f\ua800-\ua82f\ua840-\ua8ff\ua930-\ua95f"
    "\ua980-\uaaff\uabc0-\uabff\ufb50-\ufdff\ufe70-\ufefc\U00010a00-\U00011fff\U0001e900-\U0001e95f"
)
_EMOJI = "\u2190-\u21ff\u2300-\u27bf\u2900-\u2bff\ufe0f\U0001f000-\U0001faff"
_DROPPED = re.compile(
    f"[{_INVISIBLE}]|(?<![\u1820-\u18af])\u180e|(?<![{_JOINING}])\u200c|(?<![{_JOINING}{_EMOJI}])\u200d|(?<=[{_EMOJI}])\u200d(?![{_EMOJI}])"
)
_UNSEEN_MARK = "\u034f"  # the only invisible character that Python calls printable
_QUOTES_OF_BEFORE = str.maketrans({**dict.fromkeys("“”„‟«»″〝〞", '"'), **dict.fromkeys("‘’‚‛‹›′", "'")})
_QUOTES = _QUOTES_OF_BEFORE | str.maketrans(dict.fromkeys(APOSTROPHES, "'"))
_DASHES = str.maketrans({**dict.fromkeys("‐‑−", "-"), **dict.fromkeys("‒—―", "–")})


class Normalizer:
    """Applies a `NormalizationConfig`, and counts the lines that each of its steps has changed."""

    def __init__(self, config: NormalizationConfig, *, knows_all_apostrophes: bool = True) -> None:
        """UserError where `mojibake` is asked for and its package is not installed.

        Runs of before were trained on text in which `quotes` had left the apostrophes that are letters or accents.
        """
        self.config = config
        self.counts: Counter[str] = Counter()
        quotes = _QUOTES if knows_all_apostrophes else _QUOTES_OF_BEFORE
        steps: list[tuple[str, bool, Callable[[str], str]]] = [
            ("mojibake", config.mojibake, _encoding_fixer() if config.mojibake else str),
            ("entities", config.entities, _unescape),
            ("invisible", config.invisible, drop_invisible),
            ("unicode", config.unicode != "none", self._to_normal_form),
            ("quotes", config.quotes, lambda text: text.translate(quotes)),
            ("dashes", config.dashes, lambda text: text.translate(_DASHES)),
        ]
        self._steps = [(name, step) for name, is_on, step in steps if is_on]
        self._keeps_ascii = not config.entities and not config.quotes  # ` is an apostrophe

    def __call__(self, text: str) -> str:
        """The text as a model gets it."""
        if self._keeps_ascii and text.isascii() and text.isprintable() and not _has_spaces_to_change(text):
            return text
        return self.collapse(self.clean(text))

    def clean(self, text: str) -> str:
        """The text after all steps that leave white space as it is; before it is split into sentences."""
        if self._keeps_ascii and text.isascii() and text.isprintable():
            return text
        for name, step in self._steps:
            text = self._apply(name, step, text)
        return text

    def collapse(self, text: str) -> str:
        """The text after the step that changes white space alone."""
        return self._apply("whitespace", _collapse_white_space, text) if self.config.whitespace else text

    def _apply(self, name: str, step: Callable[[str], str], text: str) -> str:
        changed = step(text)
        if changed != text:
            self.counts[name] += 1
        return changed

    def _to_normal_form(self, text: str) -> str:
        return unicodedata.normalize("NFC" if self.config.unicode == "nfc" else "NFKC", text)


def _unescape(text: str) -> str:
    """The text without entities of HTML; those of line ends are spaces, so that it stays one line."""
    return html.unescape(text).replace("\r", " ").replace("\n", " ") if "&" in text else text


def _collapse_white_space(text: str) -> str:
    """One space for every run of white space, and none at the ends."""
    if text.isprintable() and not _has_spaces_to_change(text):  # as nearly all text: in a tenth of the time
        return text
    return _SPACES.sub(" ", text).strip(" ")


def _has_spaces_to_change(printable: str) -> bool:
    """Whether a text without any other white space has spaces at its ends or in a row."""
    return "  " in printable or printable.strip(" ") != printable


def drop_invisible(text: str) -> str:
    """The text without characters that have no shape and no meaning in it."""
    if text.isprintable() and _UNSEEN_MARK not in text:  # as nearly all text: in a thirtieth of the time
        return text
    return _DROPPED.sub("", text)


def _encoding_fixer() -> Callable[[str], str]:
    try:
        import ftfy
    except ImportError as error:
        raise UserError(f"normalization.mojibake: needs the extra: {pip_install('mojibake')}") from error
    fix: Callable[[str], str] = ftfy.fix_encoding
    return fix
