"""Files of figures: endings, what cannot be written, looks, letters that no font knows."""

import sys
from pathlib import Path

import pytest

from nmt_cli.errors import UserError
from nmt_cli.plots.figure import check_output_path, figure_style, line_style, new_figure, save_figure
from nmt_cli.plots.fonts import escape_controls, font_families, missing_characters, truncate
from tests.plots.pictures import png_size, svg_size


def picture(path: Path, text: str = "a") -> None:
    with figure_style([text]):
        figure = new_figure(2, 1)
        figure.add_axes((0, 0, 1, 1)).set_title(text)
        save_figure(figure, path, title="test")


@pytest.mark.slow
def test_the_ending_decides_the_format(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "a.SVG")
    picture(tmp_path / "a.pdf")
    width, height = png_size(tmp_path / "a.png")
    assert 320 < width < 500 and 160 < height < 320
    assert svg_size(tmp_path / "a.SVG")[0] == pytest.approx(72 * width / 160, abs=2)
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_picture_is_the_same_file(ending: str, tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / f"{name}.{ending}")
    assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


def test_a_huge_picture_has_fewer_dots_an_inch_instead_of_failing(tmp_path: Path) -> None:
    with figure_style():
        figure = new_figure(400, 1)
        figure.add_axes((0, 0, 1, 1))
        save_figure(figure, tmp_path / "a.png", title="wide")
    assert 11_900 <= png_size(tmp_path / "a.png")[0] <= 12_100


def test_what_cannot_be_written_is_said_before_anything_is_computed(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "a.jpg", r"-o .*a\.jpg: the file name must end in \.png, \.svg or \.pdf"),
        (tmp_path / "a", r"-o .*a: the file name must end in"),
        (tmp_path / "no" / "a.png", r"-o .*a\.png: no such folder: .*no"),
    ):
        with pytest.raises(UserError, match=message):
            check_output_path(path)
    (tmp_path / "d.png").mkdir()
    with pytest.raises(UserError, match=r"d\.png: this is a folder, not a file"):
        check_output_path(tmp_path / "d.png")
    check_output_path(tmp_path / "a.PNG")


def test_without_matplotlib_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UserError) as caught:
        check_output_path(tmp_path / "a.png")
    assert str(caught.value) == 'figures need matplotlib: pip install "nmt-cli[plot]"'
    check_output_path(tmp_path / "a.html", (".png", ".html"))  # needs none


def test_systems_are_told_apart_by_colour_and_marker() -> None:
    looks = [line_style(number) for number in range(28)]
    assert len({(style.color, style.marker) for style in looks}) == 28
    assert len({style.color for style in looks[:7]}) == len({style.marker for style in looks[:7]}) == 7


def test_two_dollar_signs_are_text(tmp_path: Path) -> None:
    picture(tmp_path / "a.svg", "from $1_000 to $\\frac")
    assert svg_size(tmp_path / "a.svg")[0] > 0


@pytest.mark.parametrize("text", ["我喜欢", "مرحبا بالعالم", "नमस्ते", "🙂", "\U0010fffd", "\t\x00"])
@pytest.mark.parametrize("ending", ["png", "svg"])
def test_no_letter_stops_a_picture_or_warns(text: str, ending: str, tmp_path: Path) -> None:
    """Warnings are errors here: what a font lacks is drawn as a box."""
    picture(tmp_path / f"a.{ending}", escape_controls(text))
    assert (tmp_path / f"a.{ending}").stat().st_size > 500


def test_letters_that_no_font_here_knows_are_named() -> None:
    assert missing_characters("Grüße, мир") == ""
    assert missing_characters("a\U0010fffd b\U0010fffc") == "\U0010fffc\U0010fffd"
    assert font_families("Grüße")[0] == "DejaVu Sans" and len(font_families("Grüße")) == 1


def test_a_font_that_knows_the_missing_letters_is_found() -> None:
    letter = "⟁"  # in a font of formulas that comes with matplotlib, not in its text font
    from matplotlib import font_manager

    names = {font.name for font in font_manager.fontManager.ttflist}
    family_names = font_families(letter)
    assert set(family_names) <= names
    assert (len(family_names) > 1) == (missing_characters(letter) == "")


def test_letters_that_nobody_sees_are_spelled_out() -> None:
    assert escape_controls("a\tb\u202ec\u2028\x00") == "a<U+0009>b<U+202E>c<U+2028><U+0000>"
    assert escape_controls("می\u200cخواهم 喜 é") == "می\u200cخواهم 喜 é"


def test_a_long_label_is_cut() -> None:
    assert truncate("abcdef", 4) == "abc…" and truncate("abcd", 4) == "abcd"
