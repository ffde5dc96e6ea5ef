"""The page to point at: self-contained, well-formed, with all weights."""

import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt_cli.plots.attention import AttentionMap
from nmt_cli.plots.attention_html import attention_page
from tests.plots.pictures import blended, contrast

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
in_both_schemes = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt install chromium)"),
    pytest.mark.parametrize("scheme", ["light", "dark"]),
]
EVIL = "</script><script>alert(1)</script><!-- @TITLE@ & \u202e"


def a_map(number: int = 1, source: tuple[str, ...] = ("a", "b", "</s>")) -> AttentionMap:
    draw = np.random.default_rng(number).random((2, 3, 2, len(source)), np.float32)
    return AttentionMap(number, list(source), ["x", "</s>"], draw / draw.sum(-1, keepdims=True))


class Outline(HTMLParser):
    """Elements that are opened and closed, and every address."""

    VOID = ("meta", "link", "img", "br", "input")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.addresses: list[str] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "action", "srcset")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)


def outline(page: str) -> Outline:
    outline_parser = Outline()
    outline_parser.feed(page)
    outline_parser.close()
    assert outline_parser.open == []
    return outline_parser


def test_the_page_holds_every_weight_of_every_layer_and_head() -> None:
    maps = [a_map(1), a_map(3, ("c", "</s>"))]
    data = json.loads(outline(attention_page(maps, "run", 2, "mean")).scripts[0])
    assert {key: data[key] for key in ("layers", "heads", "layer", "head")} == {
        "layers": 2, "heads": 3, "layer": 2, "head": "mean",
    }  # fmt: skip
    assert [sentence_data["name"] for sentence_data in data["sentences"]] == ["line 1", "line 3"]
    for attention_map, sentence in zip(maps, data["sentences"], strict=True):
        assert (sentence["source"], sentence["target"]) == (attention_map.source, attention_map.target)
        shown = np.array(sentence["weights"]) / data["unit"]
        np.testing.assert_allclose(shown, attention_map.weights, atol=1e-4)
        np.testing.assert_allclose(shown.sum(-1), 1, atol=1e-3)


def test_the_page_needs_nothing_else_and_can_ask_nobody() -> None:
    page = attention_page([a_map()], "run", 1, "all")
    page_outline = outline(page)
    assert page_outline.addresses == [] and "link" not in page_outline.seen and "img" not in page_outline.seen
    assert not re.search(r"https?:|//[a-z]|@import|url\(|fetch\(|XMLHttp|@TITLE@|@DATA@", page)
    assert "default-src 'none'" in page and len(page_outline.scripts) == 2
    assert '"head":"mean"' in page  # all heads at once are a matter of pictures


def test_text_cannot_break_out_of_its_place() -> None:
    page = attention_page([a_map(1, (EVIL, "@DATA@", "</s>"))], EVIL, 1, 1)
    page_outline = outline(page)
    assert page_outline.seen.count("script") == 2 and "alert(1)</script>" not in page
    data = json.loads(page_outline.scripts[0])
    assert data["sentences"][0]["source"][:2] == [EVIL.replace("\u202e", "<U+202E>"), "@DATA@"]


def test_words_run_in_the_direction_of_their_script() -> None:
    hebrew, digits = a_map(1, ("«", "3", "שלום", "</s>")), a_map(2, ("12", "</s>"))
    data = json.loads(outline(attention_page([hebrew, digits], "run", 1, 1)).scripts[0])
    directions = [sentence["directions"] for sentence in data["sentences"]]
    assert directions == [{"source": "rtl", "target": "ltr"}, {"source": "ltr", "target": "ltr"}]


def test_long_words_are_cut_where_they_would_cover_others_and_shown_when_pointed_at() -> None:
    page = attention_page([a_map()], "run", 1, 1)
    assert "thead th span, tbody th { overflow: hidden; text-overflow: ellipsis; }" in page
    assert page.count(".title = word;") == 2


def test_it_is_right_in_light_and_dark_and_by_keyboard() -> None:
    page = attention_page([a_map()], "run", 1, 1)
    for part in ("prefers-color-scheme: dark", "focus-visible", "ArrowRight", "aria-live", '"focus"'):
        assert part in page
    for name in ("--paper", "--ink", "--shade", "--deepest", "--focus"):
        assert page.count(f"{name}:") == 2, name


@pytest.mark.parametrize("name", ["paper", "card"])
def test_ink_is_readable_on_every_ground(name: str) -> None:
    """A contrast of 4.5 to 1 at least (WCAG 2.1, 1.4.3), in both schemes."""
    page = attention_page([a_map()], "run", 1, 1)
    for ink in ("ink", "faint"):
        colours = [re.findall(rf"--{colour_name}: (#[0-9a-f]+)", page) for colour_name in (name, ink)]
        for ground, letters in zip(*colours, strict=True):
            assert contrast(ground, letters) >= 4.5


class TestInABrowser:
    pytestmark = in_both_schemes

    @pytest.fixture
    def page(self, tmp_path: Path, scheme: str) -> Iterator[Any]:
        """The page of a model with a single head, whose weights are 0.25, 0.75 and 1."""
        playwright = pytest.importorskip("playwright.sync_api")
        weights = np.array([[[[0.25, 0.75, 0], [0, 0, 1]]]], np.float32)
        attention_map = AttentionMap(
            1, ["a", "b", "</s>"], ["x", "</s>"], weights, weight_label="attention weight,\nshared"
        )
        path = tmp_path / "page.html"
        path.write_text(attention_page([attention_map], "run", 1, 1), encoding="utf-8")
        with playwright.sync_playwright() as engines:
            chromium = engines.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            opened = chromium.new_page(color_scheme=scheme)
            opened.goto(path.as_uri())
            yield opened
            chromium.close()

    def test_the_axes_are_named_and_a_scale_says_what_the_colours_mean(self, page: Any) -> None:
        assert page.locator("th.axis").all_inner_texts() == ["source →", "produced ↓"]
        assert page.locator(".scale").inner_text().split("\n") == ["attention weight, shared:", "0", "1"]
        shades = page.locator("tbody td").evaluate_all("cells => cells.map(cell => getComputedStyle(cell).background)")
        alphas = [re.search(r"rgba?\(\d+, \d+, \d+(?:, ([\d.]+))?\)", shade) for shade in shades]
        assert [float(match[1] or 1) for match in alphas if match][:2] == [0.25, 0.75]
        gradient = page.locator(".scale i").evaluate("bar => getComputedStyle(bar).backgroundImage")
        strongest = re.search(r"rgb\([\d, ]+\)", shades[5])
        assert strongest and strongest[0] in gradient

    @pytest.mark.parametrize(("produced", "source"), [(0, 0), (0, 1), (1, 2)])
    def test_words_and_percentages_can_be_read_on_every_shade(self, page: Any, produced: int, source: int) -> None:
        """A contrast of 4.5 to 1 at least (WCAG 2.2, 1.4.3), down to the deepest shade."""
        page.locator(".words").nth(1).locator("button").nth(produced).hover()
        word = page.locator(".words").first.locator("button").nth(source)
        *inks, ground = word.evaluate(
            "word => [getComputedStyle(word).color, getComputedStyle(word, '::after').color,"
            " getComputedStyle(word).backgroundColor]"
        )
        card = page.locator("section").evaluate("section => getComputedStyle(section).backgroundColor")
        assert word.get_attribute("data-percent") == ["25 %", "75 %", "100 %"][source]
        for ink in inks:
            assert contrast(ink, blended([card, ground])) >= 4.5, (ink, ground)
