"""What holds nothing to translate is told from what does."""

import pytest

from nmt_cli.data.protected_spans import has_nothing_to_translate

COPIED = [
    "", " ", "\u00a0", "\u200b", "1", "7", "231", "1 2 3 4", "2.200.112", "6171-1231-1311-1231",
    "00:14.167 --> 00:16.083",
    "...", "!!!", "|", "→", "—", "😀", "👨‍👩‍👧‍👦", "3,5 %", "(+49) 30 / 12", "① ②",
    "http://www.example.org/a/b?c=d", "https://example.org", "<https://example.org/x>", "ftp://a.b/c",
    "www.example.org",
    "example.org", "example.org/path?q=1", "someone@example.org", "<someone@example.org>", "mailto:someone@example.org",
    "/usr/local/bin/nmt", "~/texts/a.txt", "./a/b", "C:\\Users\\Anna\\a.docx", "\\\\server\\share",
    "src/main.py", "report.pdf", "nmt-0.1.tar.gz", "example.co.uk",
]  # fmt: skip
TRANSLATED = [
    "a", "Hello", "No.", "bicycle", "BICYCLE", "U.S.", "z.B.", "Dr.", "see https://example.org", "mail to a@b.de",
    "and/or",
    "日本語", "3 cats", "don't", "e-mail", "Who?", "10 km", "Hello.", "x = 3", "TCP/IP", "Yes/No",
    "Yes.No", "Danke.Gut", "danke.gut", "Hello.World", "etc.",
]  # fmt: skip


@pytest.mark.parametrize("text", COPIED, ids=ascii)
def test_numbers_signs_and_addresses_are_copied(text: str) -> None:
    assert has_nothing_to_translate(text)


@pytest.mark.parametrize("text", TRANSLATED, ids=ascii)
def test_words_are_translated(text: str) -> None:
    assert not has_nothing_to_translate(text)


def test_a_huge_text_without_a_space_is_judged_at_once() -> None:
    """Patterns that go back over what they have read would take minutes."""
    size = 200_000
    assert not has_nothing_to_translate("x" * size)
    assert not has_nothing_to_translate("x." * (size // 2) + "é")
    assert not has_nothing_to_translate("x/" * (size // 2) + " y")
    assert has_nothing_to_translate("." * size)
    assert has_nothing_to_translate("https://example.org/" + "x" * size)
