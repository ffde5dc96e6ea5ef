"""Heatmaps in the terminal: plain ASCII word for word; colours, widths and parts."""

import numpy as np
import pytest

from nmt_cli.plots.attention_text import CIVIDIS, attention_rows
from nmt_cli.reporting import Screen, Span, display_width

TABLE = np.array([[0.9, 0.1, 0.0], [0.004, 0.5, 0.496], [0.0, 0.0, 1.0]], np.float32)
SOURCE, TARGET = ["old", "man", "</s>"], ["alter", "Mann", "</s>"]


def plain(table: np.ndarray, source: list[str], target: list[str], width: int = 80) -> list[str]:
    screen = Screen(width, colours=False)
    return [screen.render(row) for row in attention_rows(table, source, target, screen)]


def test_without_colours_percentages_stand_in_ascii() -> None:
    assert plain(TABLE, SOURCE, TARGET) == [
        "       . old",
        "       |  . man",
        "       |  |  . </s>",
        "alter  90 10  .",
        " Mann   . 50 50",
        " </s>   .  .100",
    ]


def test_a_sentence_too_wide_for_numbers_is_shaded_in_ascii() -> None:
    table = np.array([[0.9, 0.1, 0, 0, 0, 0, 0], [0, 0, 0.3, 0.2, 0.4, 0.05, 0.05]], np.float32)
    assert plain(table, list("abcdefg"), ["alter", "Mann"], width=26) == [
        "      . a",
        "      | . b",
        "      | | . c",
        "      | | | . d",
        "      | | | | . e",
        "      | | | | | . f",
        "      | | | | | | . g",
        "alter @ .",
        " Mann     - : = . .",
    ]


def test_a_long_sentence_is_shown_in_parts_that_all_fit() -> None:
    source = [f"word{n}" for n in range(60)]
    table = np.full((2, 60), 1 / 60, np.float32)
    for width in (80, 120):
        rows = plain(table, source, ["x", "</s>"], width)
        assert max(map(len, rows)) <= width and rows.count("") >= 1
        assert sum("word" in row for row in rows) == 60
        assert sum(row.count("@") for row in rows) == 120


def test_a_label_wider_than_its_room_is_cut_by_columns_not_letters() -> None:
    source, target = ["喜" * 20, "x" * 40, "مرحبا"], ["我喜欢读书" * 3, "</s>"]
    for colours in (False, True):
        screen = Screen(80, colours)
        rows = list(attention_rows(TABLE[:2], source, target, screen))
        assert all(sum(display_width(span.text) for span in row) <= 80 for row in rows)
        assert any("喜" * 7 + "…" in span.text for span in rows[0])
    starts = [sum(display_width(span.text) for span in row[:1]) for row in rows[-2:]]
    assert starts[0] == starts[1]


def test_every_cell_has_a_ground_of_its_own_and_readable_numbers() -> None:
    rows = list(attention_rows(TABLE, SOURCE, TARGET, Screen(80, colours=True)))
    first = rows[3][1:]
    dark, light = ("#" + "".join(f"{x:02x}" for x in CIVIDIS[n]) for n in (0, -1))
    assert first[2] == Span("   ", f"#ffffff on {dark}")
    assert rows[5][3] == Span("100", f"#000000 on {light}")
    assert [span.text for span in first] == [" 90", " 10", "   "]
    assert rows[4][1].text == "   "  # 0.4 %


def test_shades_grow_lighter_with_the_weight() -> None:
    table = np.linspace(0, 1, 40, dtype=np.float32)[None]
    row = list(attention_rows(table, ["x"] * 40, ["y"], Screen(300, colours=True)))[-1]
    grounds = [span.style.split(" on #")[1] for span in row[1:]]
    light = [0.299 * int(g[:2], 16) + 0.587 * int(g[2:4], 16) + 0.114 * int(g[4:], 16) for g in grounds]
    assert light == sorted(light) and len(set(grounds)) == 40


@pytest.mark.parametrize("colours", [False, True])
def test_one_piece_and_weights_of_zero_are_no_problem(colours: bool) -> None:
    rows = list(attention_rows(np.zeros((1, 1), np.float32), ["a"], ["b"], Screen(20, colours)))
    assert len(rows) == 2
