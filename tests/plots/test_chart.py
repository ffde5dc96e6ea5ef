"""Charts in a terminal: golden in ASCII, braille dot by dot, numbers in few letters."""

import math

import pytest

from nmt_cli.plots.chart import Curve, format_short, legend_entry, render_chart
from nmt_cli.reporting import Screen, Span

PLAIN = Screen(32, colours=False)
COLOURS = Screen(32, colours=True)


def text(lines: list[Curve], screen: Screen = PLAIN, height: int = 5) -> list[str]:
    rows = render_chart("loss", lines, "updates", 100.0, screen, height)
    return ["".join(span.text for span in row).rstrip() for row in rows]


def test_a_chart_in_plain_ascii() -> None:
    falling = Curve([(0, 4), (50, 2), (100, 0)], 0)
    dots = Curve([(100, 4)], 1, points_only=True)
    assert text([falling, dots]) == [
        "loss",
        "   4.00 |***                  2",
        "        |   *****",
        "   2.00 |        *****",
        "        |             ******",
        "      0 |                   ***",
        "        +----------------------",
        "         0          100 updates",
    ]
    assert text([falling], Screen(50, False))[-1] == ("         0                 50         100 updates")


def test_a_chart_in_braille_has_eight_dots_a_letter() -> None:
    rows = text([Curve([(0, 0), (100, 1)], 0)], COLOURS, height=3)
    drawn = "".join(row[9:] for row in rows[1:4])
    dots = sum(bin(ord(letter) - 0x2800).count("1") for letter in drawn if letter != " ")
    assert dots == 44  # two for each of 22 columns
    assert rows[1].endswith("⠉") or rows[1][-1] > "\u2800"
    assert rows[3][9] > "\u2800" and rows[1][9] == " "


def test_runs_have_colours_of_the_terminal_and_letters_without() -> None:
    rows = list(render_chart("x", [Curve([(0, 0)], 0), Curve([(100, 1)], 1)], "u", 100.0, COLOURS, 3))
    assert [span.style for span in rows[3] if span.style] == ["dim", "blue"]
    assert [span.style for span in rows[1] if span.style] == ["dim", "red"]
    assert legend_entry("run", 1, PLAIN) == [Span("o2", "red"), Span(" run")]
    assert legend_entry("run", 1, COLOURS) == [Span("━━", "red"), Span(" run")]


@pytest.mark.parametrize("width", [80, 100, 120, 300])
def test_a_chart_is_as_wide_as_the_screen_but_no_wider_than_100(width: int) -> None:
    for screen in (Screen(width, False), Screen(width, True)):
        rows = text([Curve([(n, n % 7) for n in range(101)], 0)], screen)
        assert max(map(len, rows)) in (min(width, 100) - 1, min(width, 100))


def test_where_curves_coincide_all_are_seen_and_points_lie_above_lines() -> None:
    line, same, third = (Curve([(0, 4), (100, 4), (100, 0)], index) for index in range(3))
    points = Curve([(0, 4), (50, 4)], 1, points_only=True)
    assert text([line, same])[1] == "   4.00 |*o*o*o*o*o*o*o*o*o*o*o"
    assert text([line, same, third])[1] == "   4.00 |*o+*o+*o+*o+*o+*o+*o+*"
    for curves in ([points, line], [line, points]):
        assert text(curves)[1] == "   4.00 |2*********2***********"
    rows = list(render_chart("x", [line, same], "u", 100.0, COLOURS, 3))
    assert {span.style for span in rows[1][1:]} == {"blue", "red"}


def test_a_flat_line_a_point_and_infinity_are_drawn() -> None:
    for points in ([(0.0, 5.0), (100.0, 5.0)], [(50.0, 0.0)], [(1.0, math.inf), (2.0, 3.0)]):
        rows = text([Curve(points, 0)])
        assert sum(row.count("*") for row in rows) >= 1
    assert len(text([Curve([(1.0, math.nan)], 0)])) == 8


@pytest.mark.parametrize(
    "value, shown",
    [
        (0, "0"), (1, "1.00"), (12.345, "12.3"), (123.4, "123"), (9999, "9999"), (10_000, "10k"),
        (12_345, "12.3k"), (1_234_567, "1.23M"), (2.5e9, "2.5G"), (0.0123, "0.0123"),
        (0.005, "0.0050"), (0.00012, "1.2e-4"), (-3.21, "-3.21"), (1e15, "1.0e15"),
    ],
)  # fmt: skip
def test_numbers_take_few_letters(value: float, shown: str) -> None:
    assert format_short(value) == shown and len(shown) <= 7
