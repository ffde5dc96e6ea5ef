"""A thousand hostile lines: no letter of any of them is lost, and --jsonl accounts for each."""

import io
import json
import random
import unicodedata

import pytest

from nmt_cli.data.normalization import NormalizationConfig, drop_invisible
from nmt_cli.data.text_profile import LineLengths, TextProfile
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from tests.streams import translate_stream
from tests.translators import echo

LINES = 1000
SCRIPTS = [(0x61, 0x7A), (0xC0, 0x17F), (0x391, 0x3C9), (0x410, 0x44F), (0x5D0, 0x5EA), (0x620, 0x64A), (0x905, 0x939),
           (0xE01, 0xE2E), (0x10D0, 0x10F0), (0x1200, 0x1240), (0x1E00, 0x1EFF), (0x3041, 0x3096), (0x4E00, 0x9FA5),
           (0xAC00, 0xD7A3), (0xFB00, 0xFB06), (0xFF21, 0xFF5A), (0x1D400, 0x1D433), (0x20000, 0x20100)]  # fmt: skip
MARKS = ["\u0301", "\u0327", "\u0308\u0304", "\u093f", "\ufe0f"]
SPACES = [" "] * 6 + ["  ", "\t", "\u00a0", "\u202f", "\u3000", "\u2028", "\r", "\x0b", "\x85", "\u1680"]
INVISIBLE = ["\u00ad", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u200e", "\u202e", "\u2069",
             "\x00", "\x07", "\x1b", "\x7f", "\x9f"]  # fmt: skip
STOPS = [
    ". ",
    "! ",
    "? ",
    "... ",
    "。",
    "！",
    "؟ ",
    "। ",
    ".",
    "; ",
    ", ",
    ": ",
    " – ",
    " | ",
    " 😆 ",
    '." ',
    "」",
    " … ",
]
STARTS = ["", "", "", "- ", "• ", "1. ", "a) ", "[1] ", "> ", "\ufeff", '"', "(", "¿", "# "]
OTHERS = ["https://example.org/a?b=c&d=ü", "jo.doe@example.com", "/usr/share/x.tar.gz", "C:\\x\\y.txt", "3.14",
          "1,000.50", "12:30", "2026-11-28", "%1$s", "{count}", "<b>", "</b>", "&amp;", "</s>", "<unk>", "<0x41>",
          "<pad>", "▁", "🙂", "👨\u200d👩\u200d👧\u200d👦", "🇪🇺", "Dr.", "e.g.", "z. B.", "U.S.", "No. 5", "'s", "''",
          "$5", "§ 7", "€", "½", "x²", "Ⅻ", "ﷺ"]  # fmt: skip


def hostile_lines(seed: int) -> list[str]:
    """Lines of letters of many scripts and of all that stands between, before and after letters in the wild."""
    draw = random.Random(seed)

    def word() -> str:
        kind = draw.random()
        if kind < 0.2:
            return draw.choice(OTHERS)
        first, last = draw.choice(SCRIPTS)
        letters = [chr(draw.randint(first, last)) for _ in range(draw.randint(1, 9))]
        if draw.random() < 0.15:
            letters.insert(draw.randint(1, len(letters)), draw.choice(MARKS))
        if draw.random() < 0.15:
            letters.insert(draw.randint(0, len(letters)), draw.choice(INVISIBLE))
        text = "".join(letters)
        return draw.choice([text, text, text.capitalize(), text.upper()])

    def line() -> str:
        if draw.random() < 0.08:
            return draw.choice(["", " ", "\u00a0", "\u200b", "7", "...", "|", "🙂", "\x00\x01", "—", " \t "])
        size = draw.choice([1, 2, 5, 10, 15, 20, 300 if draw.random() < 0.03 else 20])
        parts = [draw.choice(STARTS)]
        for _ in range(size):
            parts += [word(), draw.choice(STOPS) if draw.random() < 0.15 else draw.choice(SPACES)]
        text = "".join(parts)
        return text.rstrip() if draw.random() < 0.7 else text

    lines = [line() for _ in range(LINES - 3)]
    return [*lines, "x" * 3000, "漢" * 1500, "a" + "\u0301" * 900]


def letters(text: str) -> str:
    """The letters of a text and their marks, in the form that models get."""
    composed = unicodedata.normalize("NFC", drop_invisible(text))
    return "".join(character for character in composed if unicodedata.category(character)[0] in "LM")


def any_case(text: str) -> list[str]:
    """The letters of a text in any case and order: search.case changes the case; protected text may move."""
    return sorted(unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold()))


@pytest.mark.parametrize(
    "split, profile",
    [
        ("sentences", TextProfile("en", "de", NormalizationConfig())),
        ("sentences", TextProfile("de", "en", NormalizationConfig(), lengths=LineLengths({3: 1}, {0.95: 40, 1.0: 50}))),
        ("long", TextProfile(None, None, NormalizationConfig())),
        ("none", TextProfile("ja", "de", NormalizationConfig())),
    ],
)
@pytest.mark.slow
def test_every_letter_is_accounted_for(split: str, profile: TextProfile, tokenizer: TextTokenizer) -> None:
    lines = hostile_lines(17)
    translator = echo(tokenizer, profile, split=split, repair_degenerate=False, max_source_length=200)
    stream = io.BytesIO("".join(f"{line}\n" for line in lines).encode())
    records = [json.loads(line.output_lines("jsonl")[0]) for line in translate_stream(translator, stream)]
    assert len(records) == len(lines)
    split_lines = 0
    for line, record in zip(lines, records, strict=True):
        read = line.removesuffix("\r")  # the line ends with CR LF
        assert record["source"] == (read if record["line"] > 1 else read.removeprefix("\ufeff"))
        sentences = record.get("sentences", [])
        split_lines += bool(sentences)
        if not line.strip():
            assert record["translation"].strip() == "" and record["score"] is None
        if sentences:
            assert letters("".join(sentence["text"] for sentence in sentences)) == letters(line)
        if not record.get("truncated_tokens"):  # an engine that writes what it reads shows what it was given
            assert any_case(letters(record["translation"])) == any_case(letters(line)), record
        assert "<unk>" in line or "<unk>" not in record["translation"]
        if record.get("truncated_tokens"):
            assert record["warnings"]
    assert split_lines > LINES / 10 or split == "none"
