"""Translation memories: languages, inline codes, what is refused, and memory that does not grow."""

import gzip
import subprocess
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from nmt_cli.data.sources import tmx
from nmt_cli.data.sources.bad_rows import BadRows, dropped_rows
from nmt_cli.data.sources.base import Languages
from nmt_cli.data.sources.tmx import read_tmx
from nmt_cli.errors import DataError

HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx version="1.4"><header/><body>'
UNITS = """
<tu><tuv xml:lang="en"><seg>A <b>big</b>
house &amp; more.</seg></tuv><tuv xml:lang="ro"><seg>O casă.</seg></tuv></tu>
<tu><note>no text</note><tuv lang="ro-RO"><prop>no</prop><seg>Doi.</seg></tuv><tuv lang="EN"><seg>Two.</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>Alone.</seg></tuv></tu>
"""


def written(path: Path, units: str, head: str = HEAD) -> Path:
    text = (head + units + "</body></tmx>").encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def pairs(path: Path, source: str = "ro", target: str = "en", **options: Any) -> list[tuple[str, str, int]]:
    bad_rows = options.pop("bad_rows", BadRows())
    rows = read_tmx(path, bad_rows, Languages(source, target), **options)
    return [(source.decode(), target.decode(), number) for source, target, number in rows]


@pytest.mark.parametrize("name", ["x.tmx", "x.tmx.gz"])
def test_a_translation_memory_gives_the_pairs_that_have_both_languages(name: str, tmp_path: Path) -> None:
    bad_rows = BadRows()
    read = pairs(written(tmp_path / name, UNITS), bad_rows=bad_rows)
    assert read == [("O casă.", "A big house & more.", 4), ("Doi.", "Two.", 6)]
    assert bad_rows.counts == {tmx.WITHOUT_LANGUAGE: 1}


def unit(**texts: str) -> str:
    variants = (f'<tuv xml:lang="{code.replace("_", "-")}"><seg>{text}</seg></tuv>' for code, text in texts.items())
    return f"<tu>{''.join(variants)}</tu>\n"


@pytest.mark.parametrize(
    ("wanted", "text"),
    [("en", "bare"), ("en-GB", "colour"), ("en_us", "color"), ("de-CH", "Strasse"), ("de", "Strasse")],
)
def test_a_region_serves_for_its_language_where_that_is_missing(wanted: str, text: str, tmp_path: Path) -> None:
    path = written(tmp_path / "x.tmx", unit(en_US="color", en="bare", en_GB="colour", de_CH="Strasse", fr="x"))
    assert pairs(path, wanted, "fr") == [(text, "x", 3)]


def test_another_region_does_not_serve(tmp_path: Path) -> None:
    path = written(tmp_path / "x.tmx", unit(pt_PT="x", fr="x"))
    with pytest.raises(DataError, match="no unit has both pt-BR and fr; it has pt-PT, fr"):
        pairs(path, "pt-BR", "fr")


INLINE = 'Click <bpt i="1">&lt;b&gt;<sub>alt</sub></bpt>here<ept i="1">&lt;/b&gt;</ept><ph x="1"/> <hi>now</hi>.'


def test_inline_codes_are_dropped_or_kept(tmp_path: Path) -> None:
    path = written(tmp_path / "x.tmx", unit(en=INLINE, ro="x"))
    assert pairs(path)[0][1] == "Click here now."
    assert pairs(path, keep_inline=True)[0][1] == "Click <b>althere</b> now."


@pytest.mark.parametrize(
    ("segment", "text"),
    [
        ("Line one<ph/>Line two", "Line one Line two"),
        ("1<it>x</it><ut/>2", "1 2"),
        ("हिन्दी<ph/>में", "हिन्दी में"),
        ("<ph/>one<ph/>, two <ph/>three<ph/>", "one, two three"),
        ("<bpt>b</bpt>o<ept>b</ept>ne<bpt><ph/></bpt>s", "ones"),
    ],
)
def test_a_dropped_code_that_stands_alone_does_not_join_words(segment: str, text: str, tmp_path: Path) -> None:
    path = written(tmp_path / "x.tmx", unit(en=segment, ro="x"))
    assert pairs(path)[0][1] == text


def test_further_texts_in_a_language_are_counted(tmp_path: Path) -> None:
    bad_rows = BadRows()
    second = '<tuv xml:lang="en"><seg>{}</seg></tuv></tu>'
    units = [unit(en="first", ro="x").replace("</tu>", second.format(text)) for text in ("second", "first", "third")]
    path = written(tmp_path / "x.tmx", "".join(units) + unit(en_GB="region", en="bare", ro="y"))
    assert [row[1] for row in pairs(path, bad_rows=bad_rows)] == ["first"] * 3 + ["bare"]
    assert bad_rows.counts == bad_rows.harmless == {tmx.SECOND_TEXT: 2}
    assert bad_rows.examples[tmx.SECOND_TEXT] == f"{path}:3: second"
    said = dropped_rows(tmx.SECOND_TEXT, 2, bad_rows.examples[tmx.SECOND_TEXT])
    assert said == f"2 rows dropped: second text in a language, as in {path}:3: second"


def test_a_character_that_xml_forbids_is_refused_with_the_command_that_removes_it(tmp_path: Path) -> None:
    references = "".join(f"&#{code};&#x{code:X};&#x00{code:x};" for code in range(32) if code not in (9, 10, 13))
    path = written(tmp_path / "x.tmx", unit(en=f"a{references}&#9;&#xA;&#x0d;b", ro="x"))
    with pytest.raises(DataError, match="not TMX: reference to invalid character number: line 3") as caught:
        pairs(path)
    assert "; XML has no such character; this takes control characters out: sed -E" in str(caught.value)
    command = str(caught.value).partition("out: ")[2].replace("FILE", str(path)).replace("NEW", str(tmp_path / "y.tmx"))
    subprocess.run(command, shell=True, check=True)
    assert pairs(tmp_path / "y.tmx")[0][1] == "a b"


def test_a_declaration_that_says_another_encoding_is_refused_with_the_command_that_changes_it(tmp_path: Path) -> None:
    for number, declared in enumerate(('"UTF-16"?', "'utf-16' standalone='yes'?")):
        path = written(tmp_path / f"{number}.tmx", unit(en="a", ro="ș"), HEAD.replace('"utf-8"?', declared))
        with pytest.raises(DataError, match="not TMX: encoding specified in XML declaration is incorrect") as caught:
            pairs(path)
        assert "; where it was converted to UTF-8, this makes the declaration say so: sed -E" in str(caught.value)
        command = str(caught.value).partition("say so: ")[2].replace("FILE", str(path))
        subprocess.run(command.replace("NEW", str(tmp_path / "new.tmx")), shell=True, check=True)
        assert pairs(tmp_path / "new.tmx")[0][:2] == ("ș", "a")


def test_a_file_in_utf16_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "x.tmx", unit(en="a", ro="ș"), HEAD.replace("utf-8", "utf-16"))
    path.write_bytes(path.read_text(encoding="utf-8").encode("utf-16"))
    assert pairs(path)[0][:2] == ("ș", "a")


def test_a_byte_that_is_not_utf8_is_said_also_between_two_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "x.tmx", unit(en="Grüße", ro="x") + "<ü/>")
    path.write_bytes(path.read_text(encoding="utf-8").encode("cp1252"))
    for chunk_bytes in (1, 1 << 16):
        monkeypatch.setattr(tmx, "CHUNK_BYTES", chunk_bytes)
        with pytest.raises(
            DataError, match=r"line 3, column \d+; that is not UTF-8: save it as UTF-8, or iconv -f CP1252"
        ):
            pairs(path)
    with pytest.raises(DataError, match=r"invalid token\): line 4, column \d+$"):
        pairs(written(tmp_path / "y.tmx", unit(en="Grüße", ro="x") + "<×/>"))


def test_units_with_an_entity_that_nobody_declared_are_dropped_and_counted(tmp_path: Path) -> None:
    bad_rows = BadRows()
    path = written(tmp_path / "x.tmx", unit(en="a&nbsp;b", ro="x") + unit(en="&#233;", ro="y"))
    assert [row[:2] for row in pairs(path, bad_rows=bad_rows)] == [("y", "é")]
    assert bad_rows.counts == {tmx.ENTITY_KIND: 1}


@pytest.mark.parametrize(
    "declaration", ['<!ENTITY a "aaa">', '<!ENTITY a SYSTEM "file:///etc/hostname">', '<!ENTITY % a SYSTEM "x.dtd">']
)
def test_a_file_that_declares_entities_is_refused(declaration: str, tmp_path: Path) -> None:
    head = f"<!DOCTYPE tmx [{declaration}]><tmx><body>"
    with pytest.raises(DataError, match="declares the entity a: refused"):
        pairs(written(tmp_path / "x.tmx", unit(en="&a;", ro="x"), head))


@pytest.mark.parametrize("text", ["<tmx><tu>", "a\tA\n", '{"en": 1}', "<tmx><body><tu></body></tmx>"])
def test_what_is_no_translation_memory_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.tmx").write_text(text)
    with pytest.raises(DataError, match=r"x\.tmx: not TMX: .*: line 1"):
        pairs(tmp_path / "x.tmx")


@pytest.mark.parametrize("codec", ["utf-16", "iso-8859-1"])
def test_other_encodings_are_read_as_declared(codec: str, tmp_path: Path) -> None:
    head = f'<?xml version="1.0" encoding="{codec}"?><tmx><body>'
    (tmp_path / "x.tmx").write_bytes((head + unit(en="é", ro="x") + "</body></tmx>").encode(codec))
    assert pairs(tmp_path / "x.tmx")[0][1] == "é"


class Endless:
    """A TMX file that is made as it is read."""

    def __init__(self, unit_count: int) -> None:
        self.chunks: Iterator[str] = iter([HEAD, *[unit(en="x" * 50, ro="y" * 50) * 100] * (unit_count // 100)])

    def read(self, size: int) -> bytes:
        return next(self.chunks, "").encode()


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import contextmanager

    @contextmanager
    def opened(path: Path) -> Iterator[BinaryIO]:
        yield Endless(5000)  # type: ignore[misc]

    monkeypatch.setattr(tmx, "open_decompressed", opened)
    peaks, count = [], 0
    tracemalloc.start()
    with pytest.raises(DataError, match="no element found"):  # its last tags are not there
        for count, _ in enumerate(read_tmx(tmp_path, BadRows(), Languages("en", "ro")), 1):
            if count % 1000 == 0:
                peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert count == 5000 and peaks[-1] < 1.1 * peaks[0] < 4 << 20
