"""What must not change in a translation, by its looks: addresses, paths, placeholders of programs, tags, emoji.

One place for all who ask: which lines are copied, which parts of a line are protected, and what is replaced by
placeholders in training text.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache

from nmt_cli.vocabulary import BREAK_MARK, SPAN_MARK

Span = tuple[int, int]

URL = r"(?:[a-z][a-z0-9+.-]{0,30}://|(?:mailto|tel|urn|doi):)[^\s<>\"“”„«»]+"
EMAIL = r"[^\s@<>()\[\]{},;:\"“”„«»]{1,64}@[^\s@<>()\[\]{},;:\"“”„«»]{1,255}\.\w{2,}"
ENDINGS = (
    "txt|md|pdf|docx?|xlsx?|pptx?|od[tsp]|html?|xml|json|ya?ml|csv|tsv|py|js|ts|[ch]|cpp|java|rs|go|sh|ini|cfg|toml|log|"
    "png|jpe?g|gif|svg|webp|mp[34]|wav|zip|gz|xz|zst|tar|exe|srt|vtt|po|tmx"
)
TOP_LEVEL = "com|org|net|edu|gov|int|info|biz|io|ai|dev|app|eu"

# A text that is one of these, in brackets or with a stop behind it, is an address and nothing else.
_WHOLE_DOMAIN = (
    rf"(?:www\.\S+|(?:[\w-]+\.)+[a-z]{{2,}}(?::\d+|[/?#])\S*|(?-i:(?:[a-z0-9-]+\.)+(?:{TOP_LEVEL}|[a-z]{{2}})))"
)
_WHOLE_PATH = (
    r"(?:~|\.{1,2})?(?:/[^\s/]+)+/?|[a-z]:\\\S*|\\\\\S+|(?:[\w.-]+/)+[\w.-]+\.\w+|"
    rf"[\w-]+(?:\.[\w-]+)*\.(?:{ENDINGS})"
)
_ADDRESS = (
    rf"[<(\[]?(?:[a-z][a-z0-9+.-]*://\S+|(?:mailto|tel|urn|doi):\S+|[^\s@<>]+@[^\s@<>]+\.\w{{2,}}|"
    rf"{_WHOLE_DOMAIN}|{_WHOLE_PATH})[>)\]]?[.,;]?"
)

# Inside a line, where 'and/or', '5 %' and 'sat.It' must not be taken for any.
_AMBIGUOUS_ENDINGS = "am|an|as|at|be|by|do|go|he|if|in|is|it|me|my|no|of|on|or|so|to|up|us|we"
_DOMAIN = (
    r"(?<![\w.@-])(?:www\.[^\s<>\"“”„«»]+|(?:[a-z0-9](?:[\w-]*\.))+[a-z]{2,}(?::\d+|[/?#])[^\s<>\"“”„«»]*|"
    rf"(?-i:[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+){{0,9}}\.(?:{TOP_LEVEL}|(?!(?:{_AMBIGUOUS_ENDINGS})\b)[a-z]{{2}}))(?![\w-])|"
    r"\d{1,3}(?:\.\d{1,3}){3}(?::\d+|/\d+)?(?![\w.]))"
)
_FOLDER = r"[^\\/:*?\"<>|\s]+(?: [^\\/:*?\"<>|\s]+){0,3}"  # of Windows, with spaces
_PATH = (
    r"(?<![\w/\\<.~])(?:(?:~|\.{1,2})(?:/[^\s/<>\"'“”„«»]+)+/?|(?:/[\w.@+-]+){2,}/?|/[a-z][\w.-]{2,}/?|"
    rf"[a-z]:\\(?:{_FOLDER}\\)*[^\s<>\"“”„«»]*|\\\\[\w.-]+\\[^\s<>\"“”„«»]+|"
    rf"(?:[\w.-]+/)+[\w-][\w.-]*\.[a-z]\w{{0,4}}(?!\w)|[\w-]{{2,}}(?:\.[\w-]+)*\.(?:{ENDINGS})(?![\w-]))"
)
_REMOTE_PATH = r"(?::[\w.~-]*/[\w./~-]+)?"  # behind the address of a repository
_TAG_ATTRIBUTE = r"\s+[a-z_:][\w:.-]*(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'<>=]+))?"
_TAG = rf"<<\w{{1,60}}>>|</?[a-z0-9][\w:.-]*(?:{_TAG_ATTRIBUTE}){{0,20}}\s*/?>|<!--.{{0,300}}?-->"
_PLACEHOLDER = (
    r"\{\{\{[^{}]{0,100}\}\}\}|\{\{[^{}]{0,100}\}\}|\{%[^{}]{0,100}%\}|[$#@%]?\{[^{}\s](?:[^{}]{0,98}[^{}\s])?\}|[$#@%]?\{\}|"
    r"\$[a-z_]\w*\$|(?<![\w$])\$[a-z_]\w*(?:\.\w+)*|%[a-z_]\w*%|%\([\w.]+\)[-+#0]*\d*(?:\.\d+)?[a-z]|"
    r"(?<![\d%])%(?:\d+\$)?[-+#0]*\d*(?:\.\d+)?(?:hh|ll|[hlqjzt])?[sdiufgexcpon@](?![a-z])|%%|(?<![\d%])%\d{1,2}(?!\w)|"
    r"\$\(\w{1,60}\)|(?<!\w)@[a-z_]\w*@(?!\w)|\*\|\w+\|\*|"
    r"(?<![\w:]):[a-z][\w+-]*:(?!\w)|(?<!\w)__\w+__(?!\w)|\[\[[^\[\]]{1,100}\]\]|\[%[^\[\]]{1,100}%\]"
)
_ESCAPE = (
    r"(?-i:\\[nrtNh](?![a-z]))|\\u[0-9a-f]{4}|\\x[0-9a-f]{2}|\x1b\[[\d;]*[a-z]"  # of strings, subtitles, terminals
)
_LINK = r"\]\([^()\s]{1,2000}(?:\s+(?:\"[^\"]{0,200}\"|'[^']{0,200}'))?\)"  # with a title or without
_MARKDOWN = (
    rf"!?\[(?=[^\[\]]{{1,200}}{_LINK})|(?<=\S){_LINK}|(?<!`)`[^`\s](?:[^`]{{0,98}}[^`\s])?`(?!`)|\[\^[\w-]{{1,60}}\]:?"
)
_ENTITY = (  # of spaces and signs: not of letters, and not what the tokenizer of Moses writes
    r"&(?:nbsp|ensp|emsp|thinsp|shy|copy|reg|trade|hellip|[nm]dash|bull|middot|times|euro|pound|sect|#160|#xa0);"
)
_MESSAGE = (  # of ICU
    r"\{\s*[\w.-]{1,60}\s*,\s*(?:plural|select|selectordinal)\s*,(?:[^{}]++|\{(?:[^{}]++|\{[^{}]*+\})*+\})*+\}|"
    r"\{\s*[\w.-]{1,60}\s*,\s*(?:number|date|time)\b[^{}]{0,100}\}"
)
_IDENTIFIER = (  # a UUID, a number in hexadecimal, an address of IPv6 or of a network card, a moment of ISO 8601
    r"(?<![\w:.-])(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|0x[0-9a-f]+|(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}|"
    r"::[0-9a-f]{1,4}|(?:[0-9a-f]{1,4}[:]){5,7}[0-9a-f]{1,4}|"
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)(?![\w:])"
)
_HANDLE = r"(?<![\w@.&])@[a-z_][\w-]*|(?<![\w#&])#[^\W\d_]\w*"  # of a person, and the tag of a subject
_LANGUAGE = r"(?<!\w)(?:[cf]\#|[cg]\+\+)(?!\w)"  # of programs
_EMOTICON = r"(?<!\S)(?:[:;=]['’]?-?[)(\][DPO/\\|*]+|<3|\^_?\^|xD)(?=[\s.,!?]|\Z)"
_MARK = f"[{SPAN_MARK}-{BREAK_MARK}]+"
_INLINE = "|".join(
    [_TAG, _ENTITY, _MARKDOWN, _IDENTIFIER, rf"(?<![\w]){URL}", rf"(?<![\w.+-]){EMAIL}(?!\w){_REMOTE_PATH}", _MESSAGE,
     _EMOTICON, _PLACEHOLDER, _HANDLE, _LANGUAGE, _DOMAIN, _PATH, _ESCAPE, _MARK]
)  # fmt: skip
_HINT = re.compile(
    rf"[@/\\<{{}}%$#`\x1b{SPAN_MARK}-{BREAK_MARK}]|[:;=][\w+'’()\[\]|*-]|\+\+|\^|[xX]D|\w\.\w|\w-\w{{4}}-|__|\*\||\[[\[%^]|&[\w#]|0[xX]|T\d"
)  # any of them has one
_TRAILING = ".,;:!?…'’*"  # not part of an address at the end of it
_BRACKETS = {")": "(", "]": "[", "}": "{", ">": "<"}

PARAGRAPH_END = re.compile(  # what stands before and behind it is not one sentence
    r"</?(?:p|div|br|hr|li|[ou]l|t[rdh]|table|h[1-6]|blockquote|d[dtl]|section|article|option|title|pre)\b[^<>]*>|"
    r"(?-i:\\[nN])",
    re.IGNORECASE,
)
EMOJI = re.compile(
    "(?:(?:[\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]|[0-9#*]\ufe0f?\u20e3)"
    "[\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*"
    "(?:\u200d[\u2190-\u2bff\U0001f000-\U0001faff][\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]*)*\\s*)+"
)
BETWEEN_SPANS = r"[\s,;、，；·/|+&=–-]*"  # nothing that could be translated: several spans with it between are one
_BETWEEN_SPANS = re.compile(BETWEEN_SPANS)


@cache
def _ignoring_case(pattern: str) -> re.Pattern[str]:
    """A pattern compiled when it is first needed: most text needs neither, and they take 30 ms."""
    return re.compile(pattern, re.IGNORECASE)


def is_address(text: str) -> bool:
    """Whether a text is a URL, an e-mail address or a path, perhaps in brackets, and nothing else."""
    words = text.split(maxsplit=1)
    return len(words) == 1 and _ignoring_case(_ADDRESS).fullmatch(words[0]) is not None


def has_nothing_to_translate(text: str) -> bool:
    """Whether a text has no letter, or is an address alone: a URL, an e-mail address, a path.

    A model that is given such a text invents a sentence.
    """
    return not any(map(str.isalpha, text)) or is_address(text)


def find_spans(text: str, patterns: Sequence[re.Pattern[str]] = ()) -> list[Span]:
    """Where addresses, paths, placeholders, tags and matches of `patterns` are: in order, none overlapping."""
    spans = [match.span() for pattern in patterns for match in pattern.finditer(text) if match[0].strip()]
    if _HINT.search(text):
        spans += [_without_trailing(text, *match.span()) for match in _ignoring_case(_INLINE).finditer(text)]
    return merge_overlapping(spans)


def find_emoji(text: str) -> list[Span]:
    """Where emoji are, several in a row as one."""
    return (
        [] if text.isascii() else [(match.start(), len(text[: match.end()].rstrip())) for match in EMOJI.finditer(text)]
    )


def join_neighbours(text: str, spans: Iterable[Span]) -> list[Span]:
    """The spans, of which those between which nothing stands that could be translated are one."""
    joined: list[Span] = []
    for start, end in merge_overlapping(spans):
        if joined and _BETWEEN_SPANS.fullmatch(text, joined[-1][1], start):
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _without_trailing(text: str, start: int, end: int) -> Span:
    """A span without the punctuation that follows an address, and a bracket that was opened before it."""
    if not text[start:end].startswith(("%", ":", "<", "&", "{", "$", "[", "]", "!", "#", "@", "__", ";", "=")):
        while end > start + 1:
            last = text[end - 1]
            opening = _BRACKETS.get(last)
            if last in _TRAILING or (opening and text.count(last, start, end) > text.count(opening, start, end)):
                end -= 1
            else:
                break
    return start, end


def merge_overlapping(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, of which those that overlap are one."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
