"""What holds nothing to translate, or must not change inside a line, is told from what does."""

import functools
import html
import re
import sys
import unicodedata
from unittest.mock import Mock

import pytest

from nmt_cli.data import protected_spans
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.placeholders import PlaceholderMaker
from nmt_cli.data.protected_spans import find_spans, has_nothing_to_translate
from nmt_cli.data.unseen_characters import UnseenCharacters, learn_entities
from nmt_cli.vocabulary import SPAN_PLACEHOLDERS

COPIED = [
    "", " ", "\u00a0", "\u200b", "1", "7", "231", "1 2 3 4", "2.200.112", "6171-1231-1311-1231",
    "00:14.167 --> 00:16.083",
    "...", "!!!", "|", "→", "—", "😀", "👨‍👩‍👧‍👦", "3,5 %", "(+49) 30 / 12", "① ②",
    "http://www.example.org/a/b?c=d", "https://example.org", "<https://example.org/x>", "ftp://a.b/c",
    "www.example.org",
    "example.org", "example.org/path?q=1", "someone@example.org", "<someone@example.org>", "mailto:someone@example.org",
    "/usr/local/bin/nmt", "~/texts/a.txt", "./a/b", "C:\\Users\\Anna\\a.docx", "\\\\server\\share",
    "src/main.py", "report.pdf", "nmt-0.1.tar.gz", "example.co.uk", "Booking.com", "amazon.de",
    "https://zh.wikipedia.org/wiki/北京", "https://例え.jp/x", "https://пример.рф/путь", "https://example.org/?q=北京",
]  # fmt: skip
TRANSLATED = [
    "a", "Hello", "No.", "bicycle", "BICYCLE", "U.S.", "z.B.", "Dr.", "see https://example.org", "mail to a@b.de",
    "and/or",
    "日本語", "3 cats", "don't", "e-mail", "Who?", "10 km", "Hello.", "x = 3", "TCP/IP", "Yes/No",
    "Yes.No", "Danke.Gut", "danke.gut", "Hello.World", "etc.", "t.ex", "m.fl.", "p.ej", "casa.el", "moi.je",
    "如有问题，请联系support@example.com", "https://example.com是我们的官方网站，欢迎访问。", "请访问example.com/a",
    "이메일은 support@example.com으로",
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


@pytest.mark.parametrize(
    "line, spans",
    [
        ("Click {0} to open %s.", ["{0}", "%s"]),
        ("See https://a.example.org/x_(y)?q=1). Then", ["https://a.example.org/x_(y)?q=1"]),
        ("Write to a.b+c@ex-am.example.com, please", ["a.b+c@ex-am.example.com"]),
        ("%1$s of %2$d, %(name)s, 100%% and %@", ["%1$s", "%2$d", "%(name)s", "%%", "%@"]),
        ('<b>bold</b> <a href="x y">link</a><br/>', ["<b>", "</b>", '<a href="x y">', "</a>", "<br/>"]),
        ("{{ user.name }} ${name} $name$ #{x} {}", ["{{ user.name }}", "${name}", "$name$", "#{x}", "{}"]),
        ("Dear :name:, :count:: [[Page]] __init__", [":name:", ":count:", "[[Page]]", "__init__"]),
        (r"Open C:\Program Files\My App\app.exe or \\srv\share x",
         [r"C:\Program Files\My App\app.exe", r"\\srv\share"]),
        ("report.pdf, /etc/hosts, ~/a/b.txt, src/main.py.", ["report.pdf", "/etc/hosts", "~/a/b.txt", "src/main.py"]),
        ("„https://x.example/a“, go to example.de; 10.0.0.1:80", ["https://x.example/a", "example.de", "10.0.0.1:80"]),
        ("It is 192.168.0.1.", ["192.168.0.1"]), ("version 192.168.0.1.5", []),
        ("git@host.example.org:a/r.git's {{{x}}} <<name>> %1 $(x) @y@", ["git@host.example.org:a/r.git", "{{{x}}}",
         "<<name>>", "%1", "$(x)", "@y@"]),
        (r"One\nTwo\t C:\new. \NTwo \u00e4 \textbf src\name", [r"\n", r"\t", r"C:\new", r"\N", r"\u00e4"]),
        ("\x1b[1;31mred\x1b[0m", ["\x1b[1;31m", "\x1b[0m"]),
        ("[a page](https://a.example/b_c) ![a](b.png) runs `get_x()` (see [1])", ["[", "](https://a.example/b_c)", "![",
         "](b.png)", "`get_x()`"]),
        ("{n, plural, one {# dog} other {{n} dogs}} of {n, number, integer}, {a, b}",
         ["{n, plural, one {# dog} other {{n} dogs}}", "{n, number, integer}", "{a, b}"]),
        ("0x7Ff fe80::1 2001:db8::ff00:42:8329 00:1b:44:11:3a:b7 550e8400-e29b-41d4-a716-446655440000 at "
         "2024-01-02T03:04:05Z, tel:+49-30", ["0x7Ff", "fe80::1", "2001:db8::ff00:42:8329", "00:1b:44:11:3a:b7",
         "550e8400-e29b-41d4-a716-446655440000", "2024-01-02T03:04:05Z", "tel:+49-30"]),
        ("@paul_b and @param x see #dogs, C#, C++ and #1 @ home", ["@paul_b", "@param", "#dogs", "C#", "C++"]),
        ("ok :-) see ;), :D <3 ^^ =( xD. (a :) x) y; z: 3 = 4", [":-)", ";)", ":D", "<3", "^^", "=(", "xD", ":)"]),
        ("Call +49 30 1234567, +1 (555) 010-9999 or 555-0123-4567; 978-3-16-148410-0, DE89 3704 0044 0532 0130 00.",
         ["+49 30 1234567", "+1 (555) 010-9999", "555-0123-4567", "978-3-16-148410-0", "DE89 3704 0044 0532 0130 00"]),
        ("example.com.au, amazon.com.br, service.gov.uk, example.or.jp",
         ["example.com.au", "amazon.com.br", "service.gov.uk", "example.or.jp"]),
        ("Say yes.or.no. EU27 APPROVES BREXIT DEAL, US10 YEAR BOND RISE. +1.234.567, +20 000 000 and +2023/24", []),
        ("0-306-40615-X, +49-301-234567", ["0-306-40615-X", "+49-301-234567"]),
        ("2024-01-02, 10-12, +5 or +100 points, 1-2-3, 3+4, 12 345 678 people", []),
        ("5 % of it, 50% discount, 20%discount, $5, 3 < 4 > 2", []),
        ("and/or, 24/7, km/h, TCP/IP, 1/2, S.C. and U.S., e.g. this", []),
        ("sat.It was sat.it was 10:30:45 said:hello: AT&T; &amp; &apos;s 1.2.3", []),
        ("a&nbsp;b caf&eacute; &#160; &#xA0; Q&As; &copy;", ["&nbsp;", "&#160;", "&#xA0;", "&copy;"]),
        ("请联系support@example.com。请访问 https://example.com/path，然后", ["support@example.com", "https://example.com/path"]),
        ("https://example.com是网站，example.com에서 https://a.example/b/c/北京", ["https://example.com", "example.com",
         "https://a.example/b/c/北京"]),
        ("เยี่ยมชม https://example.com/ได้เลย 「https://x.com/a」を見る", ["https://example.com/", "https://x.com/a"]),
        ("https://e.example.com—see it, https://e.example.com’s $price看", ["https://e.example.com", "https://e.example.com",
         "$price"]),
        ("Det finns t.ex. hundar m.fl. djur, p.ej. casa.el, etc.pp. fini.il moi.je p.es.", []),
        ("on Booking.com, Amazon.de, bbc.co.uk or hp.com", ["Booking.com", "Amazon.de", "bbc.co.uk", "hp.com"]),
        ("10 €/Monat, 5 %/Jahr, 20 $/hour, 5 € /month, Kunde(n)/Partner (/help, /etc)", ["/help", "/etc"]),
        ("%d%s, %dx%d px, 第%d页共%d页, %5d%%, 100%discount, %PATH%さん %ID%, 10%bis20%, a%bc%de",
         ["%d", "%s", "%dx", "%d", "%d", "%d", "%5d", "%%", "%PATH%", "%ID%"]),
        ("%dh %dm, (%ds), %dMB of %.1fGiB, %ldms; 50 %des gens, 5 %km, %date, %some",
         ["%dh", "%dm", "%ds", "%dMB", "%.1fGiB", "%ldms"]),
        ("%1's file %2%3, %4个文件 (%5) Oran %5,5 ya da %50'ye, %۵۰, %100", ["%1", "%2%3", "%4", "%5"]),
        ("看report.pdf请打开a-b.tar.gz文件，用Node.js。请联系@john谢谢",
         ["report.pdf", "a-b.tar.gz", "Node.js", "@john"]),
        (r"看C:\a\b.txt文件 C:\用户\文档\a.txt和D:\c C:\\Users\\Anna \\srv\a.md文件",
         [r"C:\a\b.txt", r"C:\用户\文档\a.txt", r"D:\c", r"C:\\Users\\Anna", r"\\srv\a.md"]),
        ("看src/main.py文件 ./a/b.txt文件 ~/文档/报告.pdf文件 /etc/hosts文件 파일 보고서.pdf를",
         ["src/main.py", "./a/b.txt", "~/文档/报告.pdf", "/etc/hosts", "보고서.pdf"]),
        ("报告.pdf 和 季度财务报告.pdf 支持苹果/Mac/Linux", ["报告.pdf", "季度财务报告.pdf"]),
        ("请打开报告.pdf", []),
        ("{gender, select, male {{n, plural, one {a} other {b {c}}}} other {d}} {0} of {n, plural, one {a",
         ["{gender, select, male {{n, plural, one {a} other {b {c}}}} other {d}}", "{0}"]),
        (r"The dog.\nthe cat:\nthe said.”\nthe a\n\nthe dog,\r\nthe man; .\new ..\name src\name C:\new",
         [r"\n", r"\n", r"\n", r"\n", r"\n", r"\r", r"\n", r"C:\new"]),
        ('See [a b](https://e.org/x "A title") and c[^1].', ["[", '](https://e.org/x "A title")', "[^1]"]),
    ],
)  # fmt: skip
def test_what_must_not_change_inside_a_line(line: str, spans: list[str]) -> None:
    assert [line[start:end] for start, end in find_spans(line)] == spans


@pytest.mark.parametrize(
    "language, spans",
    [
        ("de", ["%50", "%1", "%s"]),
        ("tr-TR", ["%s"]),
        ("fa", ["%s"]),
        ("sd", ["%s"]),
        ("ms", ["%50", "%1", "%s"]),
        ("qqq", ["%50", "%1", "%s"]),
    ],
)
def test_a_percentage_is_no_placeholder_in_languages_with_the_sign_before_it(language: str, spans: list[str]) -> None:
    line = "%50 x %1 %s"
    assert [line[start:end] for start, end in find_spans(line, language=language)] == spans


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    ["/", "a.", "{", "<a ", "a/", "\\", "@", "a@", "_", "%", "a-", "x:", ".", "<!--", "0.0.", "$a.b", "a", "1",
     "C:\\a b\\", ":a:", "[", "<<a", "a@b.c:", "a ", "%s", "a: ",
     "https://a/", "https://a=", "北", "a.co.", "+12", "12-", "DE12 ", "1-", "+1", "1",
     "北a", "北ab.c", "北a/", "봁a/", "/北a", "北C:\\", "C:\\\\a", " 北", "北@a", "%1", "%12.", ".\\n",
     "{a,plural,", "{a,select,{", "{a,plural,}", "}{"],
)  # fmt: skip
def test_a_huge_line_is_searched_at_once(text: str) -> None:
    """Patterns that go back over what they have read would take minutes."""
    line = text * (100_000 // len(text))
    assert all(0 <= start < end <= len(line) for start, end in find_spans(line))


@pytest.mark.parametrize(
    "line, words",
    [
        ("The привет, naïve/café «où» don't", ["привет", "café", "où"]),
        ("Xavier QUITS at X", []),
        ("in 3 Städten 7,5", ["3", "Städten", "7", "5"]),
        ("he said 你好，世界 and नमस्ते 안녕하세요", ["你好", "世界", "नमस्ते", "안녕하세요"]),
        ("cafe\u0301 naïve", ["cafe\u0301"]),
    ],
)
def test_words_with_unseen_characters(line: str, words: list[str]) -> None:
    unseen = UnseenCharacters("abcdefghijklmnopqrstuvwxyzABC ,.'ï")
    nfc = functools.partial(unicodedata.normalize, "NFC")
    assert sorted(line[start:end] for start, end in unseen.words(line, nfc)) == sorted(words)
    assert unseen.signs("a → 5 € 😀 — “b”") == [(2, 3), (6, 7), (10, 11), (12, 13), (14, 15)]
    assert unseen.signs("a:b don’t ¿b, b. b…") == [(18, 19)]  # inside a word; of another language; seen
    assert unseen.entities("b &amp; &#39;b & b;", nfc) == [(2, 7), (8, 13)]
    assert not UnseenCharacters("&").entities("b &amp; b", nfc)  # of a run that learned no entities
    assert unseen.signs("a+§ b/~\ue000") == [(1, 2), (2, 3), (5, 6), (6, 7), (7, 8)]
    assert not unseen.words("a❤️ab 👍🏽", nfc)


def test_entities_that_training_hardly_had_are_found_where_it_had_other_ampersands() -> None:
    known = learn_entities(["&File &amp; b", "a &amp;&amp; &lt; b", "&lt;", "&company; &company; &company;"])
    assert known == ("&amp;", "&company;")
    assert learn_entities([]) == ()
    line, keep, decode = "black&white; &amp; &lt;b&#62; &File; &eacute;", str, html.unescape
    for entities, found in ((known, ["&lt;", "&#62;", "&eacute;"]), ((), ["&amp;", "&lt;", "&#62;", "&eacute;"])):
        spans = UnseenCharacters("&", entities).entities(line, keep)
        assert [line[start:end] for start, end in spans] == found
    assert UnseenCharacters("&", ()).entities(line, decode) == []  # the model is given what they stand for


def test_placeholders_are_made_by_seed_where_both_sides_have_the_same() -> None:
    make, make_few = (
        PlaceholderMaker(CorpusConfig(source="en", target="de", placeholders=share)) for share in (1.0, 0.2)
    )
    source, target = make("Anna sees {0} at www.example.org", "Am www.example.org sieht Anna {0}")
    assert "Anna" in source and "Anna" in target and "{0}" not in source + target and "www" not in source + target
    placeholders = [character for character in source if character in SPAN_PLACEHOLDERS]
    assert len(placeholders) == 2 and sorted(placeholders) == sorted(c for c in target if c in SPAN_PLACEHOLDERS)
    pairs = [(f"Anna sees Berlin {number}", f"Anna sieht Berlin {number}") for number in range(400)]
    changed = [make(*pair) != pair for pair in pairs]
    assert all(changed) and [make(*pair) for pair in pairs] == [PlaceholderMaker(make.corpus)(*pair) for pair in pairs]
    assert 40 < sum(make_few(*pair) != pair for pair in pairs) < 120
    assert {c for pair in pairs for c in make(*pair)[0]} >= set(SPAN_PLACEHOLDERS)
    assert make("He and he", "Er und so") == ("He and he", "Er und so")
    assert make("Anna and Anna", "Anna und Anna") == ("Anna and Anna", "Anna und Anna")


def test_a_text_compiles_the_ranges_of_scripts_without_spaces_only_where_it_may_have_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are nearly all of the time that the first line with an address takes."""
    protected_spans._ignoring_case.cache_clear()
    compiler = Mock(wraps=re.compile)
    monkeypatch.setattr(re, "compile", compiler)

    def compiled_ranges() -> list[bool]:
        ranges = [protected_spans.UNSPACED_SCRIPTS in call.args[0] for call in compiler.call_args_list]
        compiler.reset_mock()
        return ranges

    assert len(find_spans("“www.example.org”, für 5 € – Việt Nam")) == 1
    assert has_nothing_to_translate("www.example.org")
    assert (ranges := compiled_ranges()) and not any(ranges)
    assert len(find_spans("请访问www.example.org")) == 1 and any(compiled_ranges())


def test_the_scripts_without_spaces_have_no_case_and_are_told_from_other_text() -> None:
    text = "".join(map(chr, range(sys.maxunicode + 1)))
    for character in re.findall(f"[{protected_spans._UNSPACED}]", text):
        assert character.lower() == character == character.upper()
        assert protected_spans._may_have_unspaced(character)
    for class_ in (protected_spans._CHARACTER, protected_spans._MAIL_PART, protected_spans._FOLDER_CHARACTER):
        in_any_case = re.compile(class_.replace("(?-i:", "(?:"), re.IGNORECASE)
        assert re.findall(class_, text, re.IGNORECASE) == in_any_case.findall(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('<a title="{n, plural, one {# file} other {# files}}">Link</a>',
         ['<a title="{n, plural, one {# file} other {# files}}">', "</a>"]),
        ("See `{n, plural, one {# file} other {# files}}` here", ["`{n, plural, one {# file} other {# files}}`"]),
        (r"parameters $(\mu,\nu)$ and x=1,\neq y and f(x),\nabla g", []),
        (r"It rains.\ne poi", [r"\n"]),
        (r"It rains.\nu poi", [r"\n"]),
    ],
)  # fmt: skip
def test_messages_inside_tags_and_formulas(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in find_spans(text)] == expected
