"""What must not change in a translation, by its looks: addresses, paths, placeholders of programs, tags, emoji.

One place for all who ask: which lines are copied, which parts of a line are protected, and what is replaced by
placeholders in training text.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain

from nmt_cli.data.language_codes import base_code
from nmt_cli.data.scripts import UNSPACED_SCRIPTS, scripts_of
from nmt_cli.vocabulary import BREAK_MARK, SPAN_MARK

Span = tuple[int, int]

# Scripts without spaces between words, and Hangul, whose words have particles behind them. An address ends where they
# begin, since what follows it there is usually text.
_UNSPACED = rf"{UNSPACED_SCRIPTS}\uac00-\ud7a3\U00020000-\U0003ffff"
# No case is looked for in its ranges, which takes three times as long when a pattern is compiled.
_ANY_UNSPACED = f"(?-i:[{_UNSPACED}])"
_MAY_BE_UNSPACED = re.compile("[^\0-\u0dff\u1e00-\u2e7f]")  # any of them, and hardly a character of other text
_STOP = r"\s<>\"“”„«»—‘’\u3000-\u303f\uff01-\uff20\uff3b-\uff40\uff5b-\uff65"  # what no address contains
_CHARACTER = f"(?-i:[^{_STOP}{_UNSPACED}])"  # of an address
_FOLDER_CHARACTER = f"(?-i:[^/{_STOP}{_UNSPACED}])"
_BEFORE, _BEHIND = rf"(?:(?<!\w)|(?<={_ANY_UNSPACED}))", rf"(?:(?!\w)|(?={_ANY_UNSPACED}))"  # an address stands here

URL = (  # such a script belongs to a URL as its host, as the value of a query, or below a first folder
    rf"(?:[a-z][a-z0-9+.-]{{0,30}}://(?:{_ANY_UNSPACED}[\w-]{{0,60}}\.)?|(?:mailto|tel|urn|doi):)"
    rf"(?:{_FOLDER_CHARACTER}+(?:/{_FOLDER_CHARACTER}+)+/(?={_ANY_UNSPACED})[^{_STOP}]+|"
    rf"{_CHARACTER}*=(?={_ANY_UNSPACED})[^{_STOP}]+|{_CHARACTER}+)"
)
_MAIL_PART = rf"(?-i:[^@()\[\]{{}},;:{_STOP}{_UNSPACED}])"
EMAIL = rf"{_MAIL_PART}{{1,64}}@{_MAIL_PART}{{1,255}}\.(?:(?!{_ANY_UNSPACED})\w){{2,}}"
ENDINGS = (
    "txt|md|pdf|docx?|xlsx?|pptx?|od[tsp]|html?|xml|json|ya?ml|csv|tsv|py|js|ts|[ch]|cpp|java|rs|go|sh|ini|cfg|toml|log|"
    "png|jpe?g|gif|svg|webp|mp[34]|wav|zip|gz|xz|zst|tar|exe|srt|vtt|po|tmx"
)
TOP_LEVEL = "com|org|net|edu|gov|int|info|biz|io|ai|dev|app|eu"
COUNTRIES = (  # top-level domains without many that are rather words of a language: sat.it, casa.el, fini.je
    "ae|af|ar|az|bd|bg|bo|br|bw|bz|ca|cc|ch|cl|cm|cn|cr|cu|cy|cz|de|dk|dz|ec|ee|eg|es|fi|fm|fr|ge|gh|gr|gt|hk|hn|hr|hu|"
    "id|ie|iq|ir|jo|jp|ke|kg|kh|kr|kw|kz|lb|lk|lt|lu|lv|ly|md|mk|mm|mn|mt|mx|ng|nl|np|nz|ph|pk|pl|pr|pt|py|qa|ro|rs|ru|"
    "rw|sd|se|sg|sk|sn|sv|sy|th|tj|tm|tn|tr|tt|tv|tw|tz|ua|ug|uk|uy|uz|vn|ws|ye|zm|zw"
)

# A text that is one of these, in brackets or with a stop behind it, is an address and nothing else.
_LABEL = r"[A-Za-z0-9][A-Za-z0-9-]{0,62}"
_HOST = (  # without anything before or behind it; the last name of a country's has two letters: not t.ex, p.es
    rf"(?-i:(?:{_LABEL}\.){{1,8}}(?:(?:com?|org|net|ac|edu|go[bv]|gouv)\.[a-z]{{2}}|(?:or|ne|go)\.(?:jp|kr|id|th))|"
    rf"(?:{_LABEL}\.){{0,8}}{_LABEL}[A-Za-z0-9]\.(?:{COUNTRIES})|(?:{_LABEL}\.){{1,9}}(?:{TOP_LEVEL}))"
)
_WHOLE_DOMAIN = (
    rf"(?:www\.{_CHARACTER}+|(?:(?:(?!{_ANY_UNSPACED})[\w-])+\.)+[a-z]{{2,}}(?::\d+|[/?#]){_CHARACTER}*|{_HOST})"
)


def _name(characters: str) -> str:
    """The name of a file or folder: a script of _UNSPACED belongs to it only where the name begins with it."""
    return rf"(?=[{characters}]){_ANY_UNSPACED}*(?:(?!{_ANY_UNSPACED})[{characters}])*"


_NAME, _SYSTEM_NAME, _ANY_NAME = _name(r"\w.-"), _name(r"\w.@+-"), _name(rf"^/'{_STOP}")
_FOLDER = r"[^\\/:*?\"<>|\s]+(?: [^\\/:*?\"<>|\s]+){0,3}"  # of Windows, with spaces
_WINDOWS_NAME = _name(rf"^\\{_STOP}")
_WINDOWS_NAMES = rf"(?:{_WINDOWS_NAME})?(?:\\+{_WINDOWS_NAME})*\\*"
_SPACED = rf"(?![{UNSPACED_SCRIPTS}])"  # what follows is of no such script; Hangul has spaces
_UNSPACED_NAME = (  # without a space or a bracket before it, a longer one is rather a sentence that ends in a name
    rf"(?:(?<=[\s\"“「『《(（])[{UNSPACED_SCRIPTS}]+|(?<!\w)[{UNSPACED_SCRIPTS}]{{1,4}})"
)
_EXTENSION = rf"(?:(?!{_ANY_UNSPACED})\w)"  # a character of one
_FILE_ENDING = rf"(?:\.(?:{_SPACED}[\w-])+)*\.(?:{ENDINGS})"
_WHOLE_PATH = (
    rf"(?:~|\.{{1,2}})?(?:/{_name(f'^/{_STOP}')})+/?|(?:[a-z]:\\|\\\\){_WINDOWS_NAMES}|"
    rf"(?:(?:{_SPACED}[\w.-])+|{_UNSPACED_NAME})/(?:{_NAME}/)*{_NAME}(?<=\.){_EXTENSION}+|"
    rf"(?:(?:{_SPACED}[\w-])+|{_UNSPACED_NAME}){_FILE_ENDING}"
)
_ADDRESS = (
    rf"[<(\[]?(?:{URL}|{EMAIL}|"
    rf"{_WHOLE_DOMAIN}|{_WHOLE_PATH})[>)\]]?[.,;]?"
)

# Inside a line, where 'and/or', '5 %' and 'sat.It' must not be taken for any.
_DOMAIN = (
    rf"(?<![.@-]){_BEFORE}(?:www\.{_CHARACTER}+|"
    rf"(?:[a-z0-9](?:(?!{_ANY_UNSPACED})[\w-])*\.)+[a-z]{{2,}}(?::\d+|[/?#]){_CHARACTER}*|"
    rf"{_HOST}(?!-){_BEHIND}|"
    r"\d{1,3}(?:\.\d{1,3}){3}(?::\d+|/\d+)?(?!\w|\.\w))"
)
_RELATIVE = rf"/(?:{_NAME}/){{0,20}}(?=[\w-]){_NAME}(?<=\.)[a-z]{_EXTENSION}{{0,4}}{_BEHIND}"
_FILE = rf"{_FILE_ENDING}(?:(?![\w-])|(?={_ANY_UNSPACED}))"
_PATH = (
    rf"(?<![\w/\\<.~-])(?:(?:/{_SYSTEM_NAME}){{2,}}/?|{_UNSPACED_NAME}(?:{_RELATIVE}|{_FILE})|"
    rf"(?<![^\s(\[\"'“„«`=:])(?<![€$£¥%\d]\s)/[a-z](?:(?!{_ANY_UNSPACED})[\w.-]){{2,}}/?)|"  # not the unit of a price
    rf"(?:(?<![\w/\\<.~-])|(?<={_ANY_UNSPACED}))(?:(?:~|\.{{1,2}})(?:/{_ANY_NAME})+/?|"
    rf"[a-z]:\\(?:{_FOLDER}\\)*{_WINDOWS_NAMES}|\\\\[\w.-]+(?:\\+{_WINDOWS_NAME})+\\*|"
    rf"(?:{_SPACED}[\w.-])+{_RELATIVE}|(?:{_SPACED}[\w-]){{2,}}{_FILE})"
)
_REMOTE_PATH = r"(?::[\w.~-]*/[\w./~-]+)?"  # behind the address of a repository
_TAG_ATTRIBUTE = r"\s+[a-z_:][\w:.-]*(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'<>=]+))?"
_TAG = rf"<<\w{{1,60}}>>|</?[a-z0-9][\w:.-]*(?:{_TAG_ATTRIBUTE}){{0,20}}\s*/?>|<!--.{{0,300}}?-->"
_UNIT = (
    r"(?:[hmswykgx]|ms|min|sec|(?:[kmgt]i?)?b|[ckm]m|kg|p[xt]|st|nd|rd|th)(?![a-z])"  # behind a number, without a space
)
_NUMBER_FORMAT = r"(?<![\d%])%(?:\d+\$)?[-+#0]*\d*(?:\.\d+)?(?:hh|ll|[hlqjzt])?"
_PRINTF = rf"{_NUMBER_FORMAT}[sdiufgexcpon@](?![a-z])|(?<!\d\s){_NUMBER_FORMAT}(?-i:[sdiuf]){_UNIT}"
_PLACEHOLDER = (
    r"\{\{\{[^{}]{0,100}\}\}\}|\{\{[^{}]{0,100}\}\}|\{%[^{}]{0,100}%\}|[$#@%]?\{[^{}\s](?:[^{}]{0,98}[^{}\s])?\}|[$#@%]?\{\}|"
    rf"\$[a-z_]\w*\$|(?<![\w$])(?a:\$[a-z_]\w*(?:\.\w+)*)|{_PRINTF}|(?<!\d)(?a:%[a-z_]\w+%){_BEHIND}|"
    r"%\([\w.]+\)[-+#0]*\d*(?:\.\d+)?[a-z]|%%|"
    r"\$\(\w{1,60}\)|(?<!\w)@[a-z_]\w*@(?!\w)|\*\|\w+\|\*|"
    r"(?<![\w:]):[a-z][\w+-]*:(?!\w)|(?<!\w)__\w+__(?!\w)|\[\[[^\[\]]{1,100}\]\]|\[%[^\[\]]{1,100}%\]"
)
_QT = rf"(?<![\d%])%[0-9]{{1,2}}(?:%[0-9]{{1,2}})*{_BEHIND}(?![.,]\d|['’](?!s\b)[^\W\d_])"  # several may be neighbours
_PERCENT_FIRST = {  # languages that write %5, those in several scripts in the one that most of them use
    "tr", "tur", "az", "aze", "azj", "eu", "eus", "baq", "ku", "kur", "kmr", "ks", "kas", "sd", "snd", "ug", "uig"
}  # fmt: skip
_ESCAPE = (  # of strings, subtitles, terminals; before a small letter only behind the end of a clause: not C:\new
    r"(?-i:\\[nrtNh](?![a-z]))|(?:(?<=\w[.!?…,;])|(?<=\w\w:)|(?<=[.!?…][)\"'”’»])|(?<=(?-i:\\[nrN])))"
    r"(?-i:\\[nN])(?!(?:u|e|i|ot)(?![a-z\s])|eq(?![a-z])|abla|otin)|"  # but not \nu, \neq, \nabla of LaTeX
    r"\\u[0-9a-f]{4}|\\x[0-9a-f]{2}|\x1b\[[\d;]*[a-z]"
)
_LINK = r"\]\([^()\s]{1,2000}(?:\s+(?:\"[^\"]{0,200}\"|'[^']{0,200}'))?\)"  # with a title or without
_MARKDOWN = (
    rf"!?\[(?=[^\[\]]{{1,200}}{_LINK})|(?<=\S){_LINK}|(?<!`)`[^`\s](?:[^`]{{0,98}}[^`\s])?`(?!`)|\[\^[\w-]{{1,60}}\]:?"
)
_ENTITY = (  # of spaces and signs: not of letters, and not what the tokenizer of Moses writes
    r"&(?:nbsp|ensp|emsp|thinsp|shy|copy|reg|trade|hellip|[nm]dash|bull|middot|times|euro|pound|sect|#160|#xa0);"
)
_MESSAGE_START = r"\{\s*[\w.-]{1,60}\s*,\s*(?:plural|select|selectordinal)\s*,"  # of ICU; braces behind it are nested
_AROUND_MESSAGE = rf"{_TAG}|`[^`]{{1,1000}}`"
_MESSAGE = r"\{\s*[\w.-]{1,60}\s*,\s*(?:number|date|time)\b[^{}]{0,100}\}"
_IDENTIFIER = (  # a UUID, a number in hexadecimal, an address of IPv6 or of a network card, a moment of ISO 8601
    r"(?<![\w:.-])(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|0x[0-9a-f]+|(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}|"
    r"::[0-9a-f]{1,4}|(?:[0-9a-f]{1,4}[:]){5,7}[0-9a-f]{1,4}|"
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)(?![\w:])|"
    # A telephone number, but not +1.234.567; an ISBN or a national telephone number; an IBAN.
    r"(?<![\w+])\+(?!\d{1,3}(?:[ .]\d{3})+(?![ ()/.-]{0,2}\d))\d(?:[ ()/.-]{0,2}\d){6,14}(?!\w)|"
    r"(?<![\w.+-])(?=(?:-?\d){9})\d{1,7}(?:-\d{1,7}){2,6}(?:-X)?(?![\w-])|"
    r"(?<!\w)(?-i:(?=[A-Z]{2}(?:[A-Z ]{0,6}\d){10})[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?)(?!\w)"
)
_HANDLE = (  # of a person, and the tag of a subject
    rf"(?:(?<![\w@.&])|(?<={_ANY_UNSPACED}))@[a-z_](?:(?!{_ANY_UNSPACED})[\w-])*|(?<![\w#&])#[^\W\d_]\w*"
)
_LANGUAGE = r"(?<!\w)(?:[cf]\#|[cg]\+\+)(?!\w)"  # of programs
_EMOTICON = r"(?<!\S)(?:[:;=]['’]?-?[)(\][DPO/\\|*]+|<3|\^_?\^|xD)(?=[\s.,!?]|\Z)"
_MARK = f"[{SPAN_MARK}-{BREAK_MARK}]+"
_INLINE = "|".join(
    [_TAG, _ENTITY, _MARKDOWN, _IDENTIFIER, rf"{_BEFORE}{URL}", rf"(?<![.+-]){_BEFORE}{EMAIL}{_BEHIND}{_REMOTE_PATH}",
     _MESSAGE, _EMOTICON, _PLACEHOLDER, _HANDLE, _LANGUAGE, _DOMAIN, _PATH, _ESCAPE, _MARK]
)  # fmt: skip
_HINT = re.compile(
    rf"[@/\\<{{}}%$#`\x1b{SPAN_MARK}-{BREAK_MARK}]|[:;=][\w+'’()\[\]|*-]|\+\+|\^|[xX]D|\w\.\w|\w-\w{{4}}-|__|\*\||\[[\[%^]|&[\w#]|0[xX]|T\d|\+\d|\d-\d|[A-Z]{{2}}\d\d"
)  # any of them has one
_TRAILING = ".,;:!?…'’*"  # not part of an address at the end of it
_BRACKETS = {")": "(", "]": "[", "}": "{", ">": "<"}

PARAGRAPH_END = re.compile(  # what stands before and behind it is not one sentence
    r"</?(?:p|div|br|hr|li|[ou]l|t[rdh]|table|h[1-6]|blockquote|d[dtl]|section|article|option|title|pre)\b[^<>]*>|"
    r"(?-i:\\[nN])",
    re.IGNORECASE,
)
EMOJI = re.compile(
    "(?:(?:[\u231a\u231b\u23e9-\u23fa\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]|[0-9#*]\ufe0f?\u20e3|"
    "[\u2122\u2139\u2194-\u21aa\u24c2\u25aa-\u25fe\u3030\u303d\u3297\u3299]\ufe0f)"
    "[\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*"
    "(?:\u200d[\u2190-\u2bff\U0001f000-\U0001faff][\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]*)*\\s*)+"
)
BETWEEN_SPANS = r"[\s,;、，；·/|+&=–-]*"  # nothing that could be translated: several spans with it between are one
_BETWEEN_SPANS = re.compile(BETWEEN_SPANS)


@cache
def _ignoring_case(pattern: str, *, has_unspaced: bool = True) -> re.Pattern[str]:
    """A pattern compiled when it is first needed; unless a text `has_unspaced`, without the ranges of _UNSPACED.

    They are most of the time that the patterns of addresses take: 10 ms without them.
    """
    if not has_unspaced:
        for ranges in (_UNSPACED, UNSPACED_SCRIPTS):
            pattern = pattern.replace(ranges, r"\u0e00")  # since no class is empty: no text has this character, either
    return re.compile(pattern, re.IGNORECASE)


def _may_have_unspaced(text: str) -> bool:
    return _MAY_BE_UNSPACED.search(text) is not None


def is_address(text: str) -> bool:
    """Whether a text is a URL, an e-mail address or a path, perhaps in brackets, and nothing else."""
    words = text.split(maxsplit=1)
    if len(words) != 1:
        return False
    address = _ignoring_case(_ADDRESS, has_unspaced=_may_have_unspaced(text))
    return address.fullmatch(words[0]) is not None


def has_nothing_to_translate(text: str) -> bool:
    """Whether a text has no letter, or is an address alone: a URL, an e-mail address, a path.

    A model that is given such a text invents a sentence.
    """
    return not any(map(str.isalpha, text)) or is_address(text)


def find_spans(text: str, patterns: Sequence[re.Pattern[str]] = (), language: str | None = None) -> list[Span]:
    """Where addresses, paths, placeholders, tags and matches of `patterns` are: in order, none overlapping.

    In a `language` with the percent sign before the number, a sign with a number behind it is no placeholder.
    """
    spans = [match.span() for pattern in patterns for match in pattern.finditer(text) if match[0].strip()]
    if not _HINT.search(text):
        return merge_overlapping(spans)
    messages = _find_messages(text)
    spans += messages
    inline = _ignoring_case(_INLINE, has_unspaced=_may_have_unspaced(text))
    bounds = [0, *chain.from_iterable(messages), len(text)]
    for begin, end in zip(bounds[::2], bounds[1::2], strict=True):
        spans += [_without_trailing(text, *match.span()) for match in inline.finditer(text, begin, end)]
    if messages:  # a tag or code that has one in it
        around = [match.span() for match in _ignoring_case(_AROUND_MESSAGE).finditer(text)]
        spans += [(start, end) for start, end in around if any(start < message[0] < end for message in messages)]
    if "%" in text and not (language and _has_percent_first(language)):
        spans += [match.span() for match in _ignoring_case(_QT).finditer(text)]
    return merge_overlapping(spans)


def without_placeholders(text: str) -> str:
    """A text without the placeholders of programs: {0}, %(name)s."""
    return _ignoring_case(_PLACEHOLDER).sub("", text)


def _find_messages(text: str) -> list[Span]:
    """Where messages of ICU are that have others in braces; a brace that is never closed begins none."""
    starts = {match.start() for match in _ignoring_case(_MESSAGE_START).finditer(text)}
    spans, opened = [], []
    for brace in re.finditer("[{}]", text) if starts else ():
        if brace[0] == "{":
            opened.append(brace.start())
        elif opened and (start := opened.pop()) in starts:
            spans.append((start, brace.end()))
    return merge_overlapping(spans)


@cache
def _has_percent_first(language: str) -> bool:
    """Whether percentages are written as '%5': as in Turkish; in Arabic and Hebrew script both are."""
    return base_code(language) in _PERCENT_FIRST or (scripts_of(language) or {"LATIN"}) <= {"ARABIC", "HEBREW"}


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
