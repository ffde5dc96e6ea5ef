"""Lines out of SGML, XML and tagged talks."""

from pathlib import Path

import pytest

from nmt_cli.data.sources.files import read_lines
from nmt_cli.data.sources.markup import line_reader, read_between_tags, read_segments

SGML = """\
<srcset setid="newstest2014" srclang="any">
<DOC sysid="ref" docid="1">
<p>
<seg id="1">One  &amp;\u00a0two.</seg>
</p><hl><seg id="2"> 3 < 4 </seg></hl>
<seg id="3"></seg>
</DOC>
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
