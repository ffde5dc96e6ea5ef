"""Tags that say which language a source is to be translated to, as its first word: <2de>, >>de<<, __de__.

A model for several languages reads one before each text (Johnson et al. 2017).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable

from nmt_cli.vocabulary import SPECIAL_TOKENS

_TOKEN_OF_NMT = re.compile(rf"{'|'.join(SPECIAL_TOKENS)}|<0x[0-9A-F]{{2}}>")
_TAG = re.compile(r"(?:<{1,2}[\w-]{2,16}>{1,2}|>>[\w-]{2,16}<<|__[\w-]{2,16}__)(?=\s|\Z)")
_CODE = re.compile(r"[^\W\d_]+(?:[-_][^\W_]+)*")  # of a language: what differs between tags of one form
_SHORT_CODE = re.compile(r"[^\W\d_]{2,3}(?:[-_][^\W_]+)*")  # as languages have, where `strong` or `NAME` is a word
_MARKUP = re.compile(r"<[a-z][a-z\d-]*>|__.*__", re.IGNORECASE)
ELEMENTS = (
    "a|abbr|b|big|blockquote|body|br|center|cite|code|dd|div|dl|dt|em|font|h[1-6]|head|hr|html|i|iframe|img|input|li|"
    "link|meta|ol|option|p|pre|q|s|script|select|small|span|strong|style|sub|sup|table|tbody|td|th|thead|tr|tt|u|ul|"
    "seg|doc|bpt|ept|ph|g|x"
)
"""A pattern: elements of HTML and of what translation tools write; <br>, <hr>, <th> and <tr> are also languages."""
_ELEMENT = re.compile(f"<(?:{ELEMENTS})>", re.IGNORECASE)
MIN_SHARE = 0.01  # of the sources that begin with a tag, whichever
MIN_COUNT = 5  # of the sources with the same one, in a text of more than a few lines
MAX_TARGET_SHARE = 0.1  # of the targets beside a tag have it, too: more, and it is markup
MIN_EXPECTED_SHARE = 0.95  # of the sources begin with a tag: the model has hardly learned from one without
MAX_LISTED_TAGS = 10  # in a message


def leading_tag(text: str) -> str:
    """What may be the tag of a text, without the space behind it; nothing where there is none."""
    match = _TAG.match(text)
    return "" if match is None else match[0]


def is_tag(word: str) -> bool:
    """Whether a word has the form of a tag, which no normalisation changes, and is no token of nmt's own (<unk>)."""
    has_form = word != "" and leading_tag(word) == unicodedata.normalize("NFKC", word) == word
    return has_form and not _TOKEN_OF_NMT.fullmatch(word)


def split_tag(source: str, tags: Collection[str]) -> tuple[str, str]:
    """What a source begins with, if that is one of the tags, with the space behind it, and the rest."""
    tag = leading_tag(source) if tags else ""
    if tag not in tags:
        return "", source
    text = source[len(tag) :].lstrip()
    return source[: len(source) - len(text)], text


def find_language_tags(pairs: Iterable[tuple[str, str]], declared: Collection[str] = ()) -> tuple[str, ...]:
    """The tags of a parallel text, sorted, and those that its recipe has `declared`, whatever the text says.

    Those of small languages may be rare.

    Elements of markup are tags only among others of their form, or where they begin most sources.
    """
    counts, in_target, line_count = Counter[str](), Counter[str](), 0
    for source, target in pairs:
        line_count += 1
        if tag := leading_tag(source):
            counts[tag] += 1
            in_target[tag] += tag in target
    min_count = min(MIN_COUNT, MIN_SHARE * line_count)
    tags = [tag for tag, count in counts.items() if count >= min_count and in_target[tag] <= MAX_TARGET_SHARE * count]
    elements, others = Counter[str](), Counter[str]()
    for tag in tags:
        (elements if _ELEMENT.fullmatch(tag) else others)[_form(tag)] += counts[tag]
    unlikely = {
        form for form, count in elements.items() if count <= line_count / 2 and others[form] < MIN_SHARE * line_count
    }
    tags = [tag for tag in tags if not (_ELEMENT.fullmatch(tag) and _form(tag) in unlikely)]
    is_tagged = sum(counts[tag] for tag in tags) >= MIN_SHARE * line_count
    return tuple(sorted({*declared, *(tags if is_tagged else ())}))


def _form(tag: str) -> str:
    """What tags of one kind have in common: <de> and <zh-Hans>, but not <BT>."""
    return _CODE.sub("A" if tag.isupper() else "a", tag)


def tagged_share(sources: Iterable[str], tags: Collection[str]) -> float:
    """The share of sources that begin with one of the tags; 0.0 where there are no sources."""
    tagged = [leading_tag(source) in tags for source in sources]
    return sum(tagged) / len(tagged) if tagged else 0.0


def is_like(tag: str, tags: Iterable[str], *, is_expected: bool) -> bool:
    """Whether a tag differs from one of the tags only in its code, and has that of a language: <2fr> is like <2de>, but
    not like <de>, and <strong> is like neither.

    Unless a tag `is_expected`, what can be markup or a placeholder, such as <br> beside <de>, is not.
    """
    form = _SHORT_CODE.sub("*", tag)
    return (is_expected or not _MARKUP.fullmatch(tag)) and any(_CODE.sub("*", other) == form for other in tags)


def list_tags(tags: Collection[str]) -> str:
    """Tags for a message, the first MAX_LISTED_TAGS of them."""
    more = len(tags) - MAX_LISTED_TAGS
    return ", ".join([*tags][:MAX_LISTED_TAGS]) + (f" and {more:,} more" if more > 0 else "")
