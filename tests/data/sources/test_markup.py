"""Lines out of SGML, XML, tagged talks and translation memories."""

import gzip
from pathlib import Path

import pytest

from nmt_cli.data.sources.files import read_lines
from nmt_cli.data.sources.markup import line_reader, pair_lines, read_between_tags, read_segments, read_tmx
from nmt_cli.errors import DataError

SGML = """\
<srcset setid="newstest2014" srclang="any">
<DOC sysid="ref" docid="1">
<p>
<seg id="1">One  &amp;\u00a0two.</seg>
</p><hl><seg id="2"> 3 < 4 </seg></hl>
<seg id="3"></seg>
</DOC>
"""
TMX = """\
<?xml version="1.0" encoding="utf-8"?>
<tmx version="1.4"><header/><body>
<tu><tuv xml:lang="en"><seg>A <b>big</b>
house &amp; more.</seg></tuv><tuv xml:lang="ro"><seg>O casă.</seg></tuv></tu>
<tu><tuv lang="ro-RO"><seg>Doi.</seg></tuv><tuv lang="EN"><seg>Two.</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>Alone.</seg></tuv></tu>
</body></tmx>
"""


def test_segments_are_read_as_sacrebleu_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "x.sgm"
    path.write_text(SGML)
    assert [line.decode() for line in read_segments(path)] == ["One &amp; two.", "3 < 4", ""]


def test_bytes_that_are_not_utf_8_stay_in_a_segment(tmp_path: Path) -> None:
    path = tmp_path / "x.xml"
    path.write_bytes(b'<seg id="1">caf\xe9</seg>\n')
    assert list(read_segments(path)) == [b"caf\xe9"]


def test_lines_of_tags_are_left_out_of_a_talk(tmp_path: Path) -> None:
    path = tmp_path / "train.tags.de-en.de"
    text = "<url>a</url>\n <title>T</title>\n Ein Haus.  \n\n3 < 4\n</doc>\n"
    path.write_text(text)
    assert list(read_between_tags(path)) == [b"Ein Haus.", b"", b"3 < 4"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_translation_memory_gives_the_pairs_that_have_both_languages(packed: bool, tmp_path: Path) -> None:
    path = tmp_path / ("x.tmx.gz" if packed else "x.tmx")
    path.write_bytes(gzip.compress(TMX.encode()) if packed else TMX.encode())
    pairs = [(source.decode(), other.decode()) for source, other in read_tmx(path, "ro", "en")]
    assert pairs == [("O casă.", "A big house & more."), ("Doi.", "Two.")]


def test_what_is_no_translation_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tmx"
    path.write_text("<tmx><tu>")
    with pytest.raises(DataError, match=r"x\.tmx: not TMX: no element found: line 1"):
        list(read_tmx(path, "ro", "en"))


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("dev/newstest2014-deen-src.de.sgm", read_segments),
        ("en-de/IWSLT17.TED.dev2010.en-de.en.xml", read_segments),
        ("en-de/train.tags.en-de.en", read_between_tags),
        ("training/europarl-v7.de-en.de", read_lines),
        ("giga-fren.release2.fixed.fr.gz", read_lines),
    ],
)
def test_a_form_is_known_by_its_name(name: str, reader: object) -> None:
    assert line_reader(name) is reader


@pytest.mark.parametrize(("first", "second", "shorter"), [("ab", "a", "two"), ("", "a", "one")])
def test_sides_of_unequal_length_are_refused(first: str, second: str, shorter: str) -> None:
    sides = [iter([letter.encode() for letter in text]) for text in (first, second)]
    with pytest.raises(DataError) as caught:
        list(pair_lines(sides[0], sides[1], ("one", "two")))
    ends = f"{min(len(first), len(second))} lines, before its other side"
    assert str(caught.value) == f"{shorter} ends after {ends}"
