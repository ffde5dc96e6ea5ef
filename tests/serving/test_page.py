"""The page in a real browser, by what a person does with it."""

import re
import shutil
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from nmt_cli.data.scripts import direction, scripts_of
from tests.plots.pictures import blended, contrast
from tests.serving.conftest import Server

MAX_PAGE_BYTES = 60_000
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-quic", "--no-first-run",
]  # fmt: skip
ENGLISH_AND_FRENCH = [("en-de", "en", "de"), ("other", "en", "de"), ("fr-de", "fr", "de")]
ALREADY_GERMAN = {
    "detectedLanguage": [{"language": "de", "confidence": 90.0}] * 2,
    "sentences": [[], []],
    "warnings": [["taken for German already"], None],
}
TEXT = "The old man reads a book. A dog sees two houses.\n\nWho is it?"

needs_browser = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt install chromium)")]


def test_all_that_is_sent_is_small() -> None:
    files = [file for file in (resources.files("nmt_cli.serving") / "page").iterdir() if file.is_file()]
    assert sum(len(file.read_bytes()) for file in files) <= MAX_PAGE_BYTES


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as engines:
        chromium = engines.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    """The page, open; fails if it asked another server for anything or reported an error."""
    context = browser.new_context(viewport={"width": 1100, "height": 800}, accept_downloads=True)
    context.set_default_timeout(60_000)
    opened, problems = context.new_page(), []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    opened.on(
        "request",
        lambda request: (
            None if request.url.startswith((server.url, "blob:", "data:")) else problems.append(request.url)
        ),
    )
    opened.goto(server.url, wait_until="networkidle")
    yield opened
    context.close()
    assert problems == []


def translated(page: Any) -> Any:
    """Wait until everything is translated."""
    page.locator(".sentence").first.wait_for()
    page.locator(".pending").first.wait_for(state="detached")
    return page.locator("#translation")


def downloaded(page: Any) -> tuple[str, bytes]:
    """The name and the content of the file that was translated."""
    page.locator("#file-link").wait_for()
    with page.expect_download() as download:
        page.click("#file-link")
    return download.value.suggested_filename, download.value.path().read_bytes()


def canned(page: Any, path: str, answer: Callable[[Any], Any]) -> None:
    """Let a path be answered by a function of what is sent, and not by the server."""
    page.route(f"**/{path}", lambda route: route.fulfill(json=answer(route.request.post_data_json)))


def serve(page: Any, runs: list[tuple[str, str, str]], **settings: Any) -> None:
    """Open the page as if these runs were served: name, source, target."""
    records = [{"name": name, "source": source, "target": target, "model": "rnn"} for name, source, target in runs]
    codes = dict.fromkeys(code for _, *pair in runs for code in pair)
    targets = {code: list(dict.fromkeys(target for _, source, target in runs if source == code)) for code in codes}
    page.route("**/frontend/settings", lambda route: route.fulfill(json={"runs": records, **settings}))
    languages = [
        {"code": code, "name": code.upper(), "targets": targets[code], "direction": direction(scripts_of(code))}
        for code in codes
    ]
    page.route("**/languages", lambda route: route.fulfill(json=languages))
    page.reload(wait_until="networkidle")


def record_of(text: str, probability: float | None = 0.5, **more: Any) -> dict[str, Any]:
    """What the server says of how a text was translated."""
    words = [{"text": word, "probability": probability} for word in (*text.split(), "⏎")]
    return {"source_words": words, "target_words": words, "translation": text, "displayed": text, **more}


def with_another_word(query: Any) -> Any:
    """The answer to an inspection: the first word may be "Eine", and is if that is chosen."""
    text = query.get("translation", "Eine Übersetzung")
    choices = [[{"text": "Eine", "prefix": [1], "probability": 0.2}]]
    return record_of(text, alternatives=choices)


def in_upper_case(query: Any) -> Any:
    """The answer to a query: its texts in capitals; those with "chien" are French."""
    detected = [{"language": "fr" if "chien" in text else "en", "confidence": 90.0} for text in query["q"]]
    return {"translatedText": [text.upper() for text in query["q"]], "detectedLanguage": detected}


class TestPage:
    pytestmark = needs_browser

    def test_a_text_is_translated_as_it_is_typed(self, page: Any) -> None:
        page.fill("#text", TEXT)
        assert translated(page).inner_text().count("\n") == 2
        assert page.locator(".sentence").count() == 3
        first = page.locator(".sentence").first.inner_text()
        page.locator("#text").press_sequentially(" A cat.")
        page.locator(".sentence").nth(3).wait_for()
        assert page.locator(".sentence").first.inner_text() == first
        assert f"{len(TEXT) + 7} characters" in page.locator("#count").inner_text()
        page.reload()
        assert page.input_value("#text") == TEXT + " A cat."
        page.click("#clear")
        assert page.input_value("#text") == "" and page.locator(".sentence").count() == 0

    def test_an_answer_that_comes_after_another_language_was_chosen_is_not_shown(self, page: Any) -> None:
        held: list[Any] = []

        def answer(route: Any) -> None:
            if route.request.post_data_json["target"] == "de" and not held:
                held.append(route)
            else:
                route.fulfill(json={"translatedText": [f"in {route.request.post_data_json['target']}"]})

        page.route("**/translate", answer)
        page.locator("#source").select_option("auto")
        with page.expect_request("**/translate"):
            page.fill("#text", "A dog.")
        page.locator("#target").select_option("fr")
        held[0].fulfill(json={"translatedText": ["in de"]})
        page.locator("#translation:has-text('in')").wait_for()
        assert page.locator("#translation").inner_text() == "in fr"

    def test_a_text_in_the_target_language_is_shown_as_it_is(self, page: Any) -> None:
        canned(page, "translate", lambda query: ALREADY_GERMAN | {"translatedText": query["q"]})
        page.locator("#source").select_option("auto")
        page.fill("#text", "Der Hund.\nEin Buch.")
        assert translated(page).inner_text() == page.input_value("#text")
        assert page.locator("#status").inner_text() == "taken for German already"
        assert page.locator("#detected").inner_text() == "German (90 %)"
        assert page.input_value("#target") == "de"
        page.locator(".sentence").first.click()
        assert page.locator("#view").inner_text() == "Left as it is: it is already in the target language."

    def test_what_is_not_translated_yet_is_kept_when_the_languages_are_swapped(self, page: Any) -> None:
        held: list[Any] = []

        def answer(route: Any) -> None:
            texts = route.request.post_data_json["q"]
            if len(texts) == 16:
                route.fulfill(json={"translatedText": [text.upper() for text in texts]})
            else:
                held.append(route)

        serve(page, [("there", "en", "de"), ("back", "de", "en")])
        page.route("**/translate", answer)
        page.fill("#text", "\n".join(f"line {number}" for number in range(20)))
        page.locator(".sentence").nth(15).wait_for()
        page.keyboard.press("Alt+s")
        swapped = [f"LINE {number}" for number in range(16)] + [f"line {number}" for number in range(16, 20)]
        assert page.input_value("#text") == "\n".join(swapped)
        assert (page.input_value("#source"), page.input_value("#target")) == ("de", "en")

    def test_the_warnings_of_all_lines_are_shown_until_the_lines_are_gone(self, page: Any) -> None:
        def answer(query: Any) -> Any:  # every word a sentence
            sentences = [[{"source": word, "target": word} for word in line.split()] for line in query["q"]]
            warnings = [[f"read “{typo}”" for typo in re.findall(r"typo\d", line)] for line in query["q"]]
            return {"translatedText": query["q"], "sentences": sentences, "warnings": warnings}

        canned(page, "translate", answer)
        lines = ["typo1 a", *(f"{number} a" for number in range(30)), "typo2 a"]
        status = page.locator("#status")
        page.fill("#text", "\n".join(lines))
        page.locator("#status:has-text('typo2')").wait_for()
        assert status.inner_text() == "read “typo1”; read “typo2”"
        page.fill("#text", "\n".join([*lines, "typo3 a"]))
        page.locator("#status:has-text('typo3')").wait_for()
        assert status.inner_text() == "read “typo1”; read “typo2”; read “typo3”"
        page.fill("#text", "\n".join(["typo1 b", *lines[1:-1]]))
        page.locator("#status:has-text('typo2')").wait_for(state="detached")
        assert status.inner_text() == "read “typo1”"
        page.fill("#text", "3 a")
        page.locator("#status:has-text('typo1')").wait_for(state="detached")

    def test_a_detected_language_is_that_of_the_text_that_is_there(self, page: Any) -> None:
        german = {"detectedLanguage": [{"language": "de", "confidence": 90.0}], "translatedText": ["Un chien."]}
        canned(page, "translate", lambda query: german)
        targets = page.locator("#target option")
        page.locator("#source").select_option("auto")
        assert targets.all_inner_texts() == ["German", "French"]
        for forget in (
            lambda: page.click("#clear"),
            lambda: page.fill("#text", ""),
            lambda: (page.locator("#source").select_option("en"), page.locator("#source").select_option("auto")),
        ):
            page.locator("#target").select_option("fr")
            page.fill("#text", "Ein Hund.")
            page.locator("#detected:has-text('German')").wait_for()
            assert targets.all_inner_texts() == ["French"]
            forget()
            assert targets.all_inner_texts() == ["German", "French"]
            assert page.locator("#detected").inner_text() == ""

    def test_words_stand_in_the_direction_of_their_language(self, page: Any) -> None:
        serve(page, [("nko", "en", "nqo")])
        text = "www.nko.org ߥߎߟߎ ߓߏ߲"  # which begins with Latin letters
        canned(page, "translate", lambda query: {"translatedText": [text]})
        canned(page, "inspect", lambda query: record_of(text))
        page.fill("#text", "A big dog.")
        translated(page).locator(".sentence").click()
        page.locator(".words.target button").first.wait_for()
        boxes = [page.locator(".words.target button").nth(number).bounding_box() for number in (0, 1)]
        assert boxes[0]["x"] > boxes[1]["x"]
        languages = page.locator(".words").evaluate_all("lists => lists.map(list => [list.lang, list.dir])")
        assert languages == [["en", "ltr"], ["nqo", "rtl"]]
        assert [page.locator(name).get_attribute("dir") for name in ("#text", "#translation")] == ["ltr", "rtl"]

    def test_a_sentence_shows_its_words_attention_and_search(self, page: Any) -> None:
        page.fill("#text", "The old man reads a book.")
        translated(page).locator(".sentence").press("Enter")
        words = page.locator(".words.target button")
        words.first.wait_for()
        assert page.locator("#view .note").inner_text().startswith("Point at a word to see what it attends to.")
        source_words = page.locator(".words.source button").all_inner_texts()
        assert source_words[:-1] == ["The", "old", "man", "reads", "a", "book."]
        words.first.hover()
        lit = page.locator(".words.source button").evaluate_all(
            "buttons => buttons.map(button => +button.style.getPropertyValue('--a'))"
        )
        assert sum(lit) == pytest.approx(1, abs=0.02)
        words.first.click()
        assert page.locator(".choices button").count() > 1
        page.locator("#tab-words").press("ArrowRight")
        cells = page.locator(".matrix td")
        cells.first.wait_for()
        assert page.locator("#view .note").inner_text().startswith("A row shows where a word looks: the stronger")
        before = cells.evaluate_all("cells => cells.map(cell => cell.title)")
        page.locator(".controls select").nth(2).select_option("1")
        assert cells.evaluate_all("cells => cells.map(cell => cell.title)") != before
        page.locator(".controls select").nth(0).select_option("source")
        page.locator("#tab-search").click()
        page.locator("svg.tree path.best").first.wait_for(state="attached")
        assert page.locator("#view .note").inner_text().startswith("Each column is a step of the search: the ")
        assert page.locator("#inspection-title").inner_text() == "How it was translated"
        page.keyboard.press("Escape")
        assert page.locator("#inspection").is_hidden()

    @pytest.mark.parametrize(
        ("all_at_once", "attention"),
        [
            (True, "This model writes all words at once and has no attention from the translation to the source."),
            (False, "This model has no attention: all it knows of the source is one vector."),
        ],
    )
    def test_a_view_says_only_what_is_true_of_the_model(self, page: Any, all_at_once: bool, attention: str) -> None:
        def answer(query: Any) -> Any:
            if all_at_once or query.get("alternatives") is False:
                return record_of("A DOG", None, all_at_once=all_at_once, alternatives=[[], [], []])
            return with_another_word(query)

        serve(page, [("one", "en", "de"), ("two", "en", "de")])
        canned(page, "translate", in_upper_case)
        canned(page, "inspect", answer)
        page.fill("#text", "a dog")
        translated(page).locator(".sentence").click()
        page.locator(".words.target button").first.wait_for()
        help_text = page.locator("#view .note").inner_text()
        assert help_text.startswith(attention)
        for said in ("Click a word to choose another one", "The stronger the orange"):
            assert (said in help_text) != all_at_once
        assert ("Instead of" in page.locator("#view").inner_text()) != all_at_once
        page.click("#tab-attention")
        assert page.locator("#view").inner_text() == attention
        page.click("#tab-runs")
        page.locator(".card .label:last-child").nth(1).wait_for()
        said = "The same sentence, translated by every run of these languages, and what each looked at for every word."
        assert page.locator("#view .note").first.inner_text() == said
        assert page.locator(".card .label:last-child").all_inner_texts() == [attention] * 2
        if all_at_once:
            page.click("#tab-search")
            said = "This model writes all words at once: there is no search to show."
            page.locator(f"#view .note:text-is('{said}')").wait_for()

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ([[0.5, 0.3, 0.2], [1, 0, 0], [0.3333, 0.3333, 0.3333]], "Each row adds up to 1."),
            ([[0.5, 0.3, 0.1], [0.6, 0, 0], [1, 0, 0]], "A row adds up to between 0.60 and 1.00."),
        ],
    )
    def test_what_rows_of_attention_add_up_to_is_computed(self, page: Any, rows: list[list[float]], said: str) -> None:
        canned(page, "translate", in_upper_case)
        canned(page, "inspect", lambda query: record_of("A DOG", attention={"cross": [[rows]]}))
        page.fill("#text", "a dog")
        translated(page).locator(".sentence").click()
        page.click("#tab-attention")
        assert page.locator("#view .note").inner_text().endswith(said)

    @pytest.mark.parametrize(
        ("kind", "axes"),
        [
            ("cross", ["Source →", "Translation ↓"]),
            ("source", ["Source →", "Source ↓"]),
            ("target", ["Translation →", "Translation ↓"]),
        ],
    )
    def test_the_axes_of_attention_are_named_and_a_scale_says_what_the_colours_mean(
        self, page: Any, kind: str, axes: list[str]
    ) -> None:
        canned(page, "translate", in_upper_case)
        canned(page, "inspect", lambda query: record_of("A DOG", attention={kind: [[[[0.25, 0.75, 0], [0, 0, 1]]]]}))
        page.fill("#text", "a dog")
        translated(page).locator(".sentence").click()
        page.click("#tab-attention")
        assert page.locator(".matrix th.axis").all_inner_texts() == axes
        assert page.locator(".scale").inner_text().split("\n") == ["Attention weight:", "0", "1"]
        strongest = page.locator(".matrix tbody td").nth(5).evaluate("cell => getComputedStyle(cell).backgroundColor")
        gradient = page.locator(".scale i").evaluate("bar => getComputedStyle(bar).backgroundImage")
        assert gradient == f"linear-gradient(to right, {strongest.replace('rgb', 'rgba')[:-1]}, 0), {strongest})"

    def test_long_words_are_broken_and_in_the_table_cut(self, page: Any) -> None:
        word = "Donau" * 20
        canned(page, "translate", in_upper_case)
        rows = [[0.5, 0.5]] * 2
        choices = [[{"text": word, "prefix": word, "probability": 0.5}]] * 2
        record = record_of(word, alternatives=choices, attention={"cross": [[rows]]})
        canned(page, "inspect", lambda query: record)
        page.set_viewport_size({"width": 360, "height": 700})
        page.fill("#text", word)
        translated(page).locator(".sentence").click()
        page.locator(".choices button").wait_for()
        tabs, close = page.locator("#tab-words").bounding_box(), page.locator("#inspection-close").bounding_box()
        assert close["y"] + close["height"] <= tabs["y"] + 1
        assert page.locator("#view").evaluate("view => view.scrollWidth <= view.clientWidth")
        page.click("#tab-attention")
        table = page.locator(".matrix").bounding_box()
        assert table["height"] < 300 and table["width"] < 328
        assert (
            page.locator(".matrix th:not(.axis)").evaluate_all("cells => cells.map(cell => cell.title)")
            == [word, "⏎"] * 2
        )

    def test_another_word_is_chosen_and_the_rest_translated_anew(self, page: Any) -> None:
        page.fill("#text", "Two dogs.")
        translated(page).locator(".sentence").click()
        page.locator(".choices button:not([disabled])").first.wait_for()
        choices = page.locator(".choices button:not([disabled])")
        before, other = translated(page).inner_text(), choices.nth(0).inner_text()
        choices.nth(0).click()
        page.locator("#translation").get_by_text(before, exact=True).wait_for(state="detached")
        assert translated(page).inner_text().startswith(other)

    def test_a_word_is_chosen_for_the_sentence_that_was_clicked_alone(self, page: Any) -> None:
        canned(page, "translate", in_upper_case)
        canned(page, "inspect", with_another_word)
        page.fill("#text", "a dog\na dog")
        translated(page).locator(".sentence").first.click()
        page.click(".choices button")
        page.locator("#translation").get_by_text("Eine Übersetzung").wait_for()
        assert page.locator(".sentence").all_inner_texts() == ["Eine Übersetzung", "A DOG"]
        page.fill("#text", "a cat\na dog\na dog\na dog")
        page.locator(".sentence").nth(3).wait_for()
        page.locator(".pending").first.wait_for(state="detached")
        assert page.locator(".sentence").all_inner_texts() == ["A CAT", "A DOG", "Eine Übersetzung", "A DOG"]

    def test_a_chosen_word_stays_while_more_is_typed_and_goes_with_its_sentence(self, page: Any) -> None:
        def answer(query: Any) -> Any:  # every word a sentence
            pairs = [[{"source": word, "target": word.upper()} for word in text.split()] for text in query["q"]]
            return {"translatedText": [text.upper() for text in query["q"]], "sentences": pairs}

        canned(page, "translate", answer)
        canned(page, "inspect", with_another_word)
        page.fill("#text", "dog cat\ndog cat")
        translated(page).locator(".sentence").nth(2).click()
        page.locator(".choices button").wait_for()
        page.fill("#text", "dog cat\ndog cat bird")
        page.locator(".sentence").nth(4).wait_for()
        page.click(".choices button")
        page.locator("#translation").get_by_text("Eine Übersetzung").wait_for()
        for text in ("dog cat\ndog cat bird cow", "cow\ndog cat\ndog cat bird cow"):
            page.fill("#text", text)
            page.locator(".sentence:has-text('COW')").nth(text.count("cow") - 1).wait_for()
            expected = text.upper().replace("\nDOG CAT BIRD", "\nEine Übersetzung CAT BIRD")
            assert translated(page).inner_text() == expected
        page.fill("#text", "")
        page.fill("#text", text)
        assert translated(page).inner_text() == text.upper()

    def test_a_sentence_is_inspected_with_its_language_tag(self, page: Any) -> None:
        def answer(query: Any) -> Any:
            pairs = [{"source": word, "target": word.upper(), "language_tag": "<2de> "} for word in ("dog", "cat")]
            return {"translatedText": ["DOG CAT"], "sentences": [pairs]}

        def inspected(query: Any) -> Any:
            texts.append(query["text"])
            return with_another_word(query)

        texts: list[str] = []
        canned(page, "translate", answer)
        canned(page, "inspect", inspected)
        page.fill("#text", "<2de> dog cat")
        translated(page).locator(".sentence").nth(1).click()
        page.locator(".choices button").wait_for()
        assert set(texts) == {"<2de> cat"}

    def test_what_a_view_asks_for_is_given_up_when_it_is_left(self, page: Any) -> None:
        serve(page, [("one", "en", "de"), ("two", "en", "de")])
        canned(page, "translate", in_upper_case)
        page.route(
            "**/inspect",
            lambda route: (
                route.fulfill(json=record_of("A DOG")) if "translation" in route.request.post_data_json else None
            ),
        )
        failed: list[str] = []
        page.on("requestfailed", lambda request: failed.append(request.failure))
        page.fill("#text", "a dog")
        translated(page).locator(".sentence").click()
        page.locator(".words.target button").first.wait_for()
        for number, tab in enumerate(["runs", "runs", "search", "words"]):
            page.click(f"#tab-{tab}")
            page.wait_for_timeout(100)
            assert failed == ["net::ERR_ABORTED"] * number
            if tab == "search":
                assert page.locator("#view").inner_text() == "Searching again, recording every step…"

    def test_the_status_says_that_a_text_is_being_translated_where_that_takes_a_while(self, page: Any) -> None:
        held: list[Any] = []
        page.route("**/translate", lambda route: held.append(route))
        with page.expect_request("**/translate"):
            page.fill("#text", "a dog")
        assert page.locator("#status").inner_text() == ""
        page.locator("#status:has-text('Translating…')").wait_for()
        held[0].fulfill(json=in_upper_case({"q": ["a dog"]}))
        assert translated(page).inner_text() == "A DOG"
        assert page.locator("#status").inner_text() == ""

    @pytest.mark.parametrize("is_online_again", [False, True])
    def test_a_server_that_cannot_be_reached_is_asked_again(
        self, browser: Any, server: Server, is_online_again: bool
    ) -> None:
        page = browser.new_page()
        page.goto(server.url, wait_until="networkidle")
        page.clock.install()
        tries: list[str] = []

        def answer(route: Any) -> None:
            tries.append(route.request.post_data_json["q"][0])
            if len(tries) < 4:
                route.abort()
            else:
                route.fulfill(json=in_upper_case(route.request.post_data_json))

        def wait() -> None:
            page.wait_for_timeout(200)
            if is_online_again:
                page.evaluate("dispatchEvent(new Event('online'))")
            else:
                page.clock.run_for(5000)

        page.route("**/translate", answer)
        for text in ("a dog", "a cat"):
            page.fill("#text", text)
            page.clock.run_for(300)
            page.locator("#status.error:has-text('cannot be reached: trying again')").wait_for()
        for _ in range(2):
            wait()
        page.locator(".sentence").wait_for()
        assert page.locator("#translation").inner_text() == "A CAT"
        assert page.locator("#status").inner_text() == ""
        wait()
        page.wait_for_timeout(200)
        assert tries == ["a dog", "a cat", "a cat", "a cat"]
        page.close()

    @pytest.mark.parametrize("tab", ["words", "search", "runs"])
    def test_what_a_view_shows_is_asked_for_again_when_the_server_could_not_be_reached(
        self, browser: Any, server: Server, tab: str
    ) -> None:
        page = browser.new_page()
        page.goto(server.url, wait_until="networkidle")
        serve(page, ENGLISH_AND_FRENCH)
        canned(page, "translate", in_upper_case)
        canned(page, "inspect", lambda query: record_of("A DOG"))
        page.fill("#text", "a dog")
        translated(page).locator(".sentence").click()
        page.locator(".words.target button").first.wait_for()
        page.clock.install()
        page.unroute("**/inspect")
        tries: list[Any] = []
        page.route("**/inspect", lambda route: (tries.append(route), route.abort()))
        view = page.locator("#view")
        page.locator(f"#tab-{tab}" if tab != "words" else ".sentence").click()
        page.locator("#view:has-text('The server cannot be reached: trying again every 5 seconds')").wait_for()
        page.clock.run_for(5000)
        page.wait_for_timeout(200)
        assert len(tries) == (4 if tab == "runs" else 2)  # two runs
        page.unroute("**/inspect")
        steps = [[{"text": "A", "parent": -1, "log_probability": -0.1}]]
        canned(page, "inspect", lambda query: record_of("A DOG", beam={"size": 1, "steps": steps, "best": [0, 0]}))
        page.clock.run_for(5000)
        shown = {"words": ".words.target button", "search": "svg.tree text", "runs": ".card .doubt"}[tab]
        page.locator(shown).first.wait_for()
        assert "cannot be reached" not in view.inner_text()
        page.close()

    def test_a_view_that_was_closed_asks_for_nothing_more(self, browser: Any, server: Server) -> None:
        page = browser.new_page()
        page.goto(server.url, wait_until="networkidle")
        canned(page, "translate", in_upper_case)
        tries: list[Any] = []
        page.route("**/inspect", lambda route: (tries.append(route), route.abort()))
        page.clock.install()
        page.fill("#text", "a dog")
        page.clock.run_for(300)
        translated(page).locator(".sentence").click()
        page.locator("#view .error").wait_for()
        page.keyboard.press("Escape")
        page.clock.run_for(10000)
        page.wait_for_timeout(200)
        assert len(tries) == 1
        page.close()

    def test_a_request_that_the_server_failed_can_be_made_again(self, browser: Any, server: Server) -> None:
        page = browser.new_page()
        page.goto(server.url, wait_until="networkidle")
        canned(page, "translate", in_upper_case)
        held: list[Any] = []
        page.route("**/inspect", lambda route: held.append(route))
        page.fill("#text", "a dog")
        translated(page).locator(".sentence").click()
        page.locator("#view .note:text-is('Loading the model that shows this…')").wait_for()
        held[0].fulfill(status=502, body="<h1>Bad gateway</h1>")  # of a proxy
        page.locator("#view .error:has-text('The server answered with status 502')").wait_for()
        page.locator("#view button:has-text('Try again')").press("Enter")
        while len(held) < 2:
            page.wait_for_timeout(10)
        held[1].fulfill(status=503, json={"error": "try again later"})
        page.locator("#view .error:has-text('try again later')").wait_for()
        page.unroute("**/inspect")
        canned(page, "inspect", lambda query: record_of("A DOG"))
        page.locator("#view button:has-text('Try again')").press("Enter")
        page.locator(".words.target button").first.wait_for()
        page.close()

    def test_colours_are_asked_for_once_at_a_time_while_the_server_cannot_be_reached(
        self, browser: Any, server: Server
    ) -> None:
        page = browser.new_page()
        page.goto(server.url, wait_until="networkidle")
        page.clock.install()
        tries: list[str] = []

        def refuse(route: Any) -> None:
            tries.append(route.request.post_data)
            route.abort()

        page.route("**/translate", lambda route: route.fulfill(json=in_upper_case(route.request.post_data_json)))
        page.route("**/inspect", refuse)
        page.check("#colour")
        for text in ("a dog", "a cat", "a book"):
            page.fill("#text", text)
            page.clock.run_for(300)
            page.locator(f".sentence:has-text('{text.upper()}')").wait_for()
        page.wait_for_timeout(200)
        assert len(tries) == 1
        for count in (2, 3):
            with page.expect_request("**/inspect"):
                page.clock.run_for(5000)
            page.wait_for_timeout(200)
            assert len(tries) == count
        page.close()

    def test_a_word_is_chosen_in_what_comes_out_and_not_in_what_the_model_writes(self, page: Any) -> None:
        address = "https://example.org/a?b=1"
        page.fill("#text", f"SEE {address} IN THE HOUSE!")
        translated(page).locator(".sentence").click()
        choices = page.locator(".choices button:not([disabled])")
        choices.first.wait_for()
        with page.expect_response("**/inspect") as response:
            choices.first.click()
        shown = response.value.json()["displayed"]
        assert address in shown
        page.locator("#translation").get_by_text(shown).wait_for()

    def test_words_are_coloured_by_their_probability(self, page: Any) -> None:
        page.fill("#text", "Two dogs. A book.")
        text = translated(page).inner_text()
        assert page.locator(".sentence").first.get_attribute("title") == "See how it was translated"
        page.check("#colour")
        page.locator(".sentence .doubt").first.wait_for()
        assert translated(page).inner_text().split() == text.split()
        assert page.locator(".doubt").first.get_attribute("title").endswith("%")

    @pytest.mark.parametrize(
        ("words", "coloured"),
        [
            (["Der", "Hund", "schläft."], ["DER", "HUND", "SCHLÄFT."]),  # with the smiley, which the model never wrote
            (["Der", "Kater", "schläft."], []),
        ],
    )
    def test_colours_do_not_change_the_text(self, page: Any, words: list[str], coloured: list[str]) -> None:
        text = "DER 🙂 HUND SCHLÄFT. 🙂"
        canned(page, "translate", lambda query: {"translatedText": [text]})
        canned(page, "inspect", lambda query: record_of(" ".join(words)))
        page.fill("#text", "THE 🙂 DOG SLEEPS. 🙂")
        translated(page)
        with page.expect_response("**/inspect"):
            page.check("#colour")
        page.locator(".sentence span").first.wait_for(state="attached")
        assert page.locator("#translation").inner_text() == text
        assert page.locator(".doubt").all_inner_texts() == coloured

    def test_a_text_file_is_translated_and_downloaded(self, page: Any, tmp_path: Path) -> None:
        (tmp_path / "my.txt").write_bytes(b"A dog.\r\n\nTwo dogs.\n" * 8 + b"A book.")
        page.set_input_files("#file", tmp_path / "my.txt")
        name, content = downloaded(page)
        assert name == "my.de.txt"
        assert re.findall(rb"\r?\n", content) == [b"\r\n", b"\n", b"\n"] * 8 and not content.endswith(b"\n")
        (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\x00")
        page.set_input_files("#file", tmp_path / "bad.txt")
        page.locator("#file-status.error").wait_for()
        expected = "Not a text file in UTF-8, or in UTF-16 with a byte order mark"
        assert page.locator("#file-status").inner_text() == expected

    def test_a_file_is_translated_with_what_was_chosen_when_it_was_dropped(self, page: Any, tmp_path: Path) -> None:
        targets: list[str] = []

        def answer(query: Any) -> Any:
            targets.append(query["target"])
            if len(targets) == 1:
                page.locator("#target").select_option("fr")
            return {"translatedText": [f"{line.strip()} in {query['target']}\n" for line in query["q"]]}

        canned(page, "translate", answer)
        page.locator("#source").select_option("auto")
        (tmp_path / "my.txt").write_text("A dog.\n" * 40)
        page.set_input_files("#file", tmp_path / "my.txt")
        assert downloaded(page) == ("my.de.txt", b"A dog. in de\n" * 40)
        assert targets == ["de"] * 3

    def test_a_file_that_is_no_plain_text_is_refused(self, page: Any, tmp_path: Path) -> None:
        sent: list[Any] = []
        canned(page, "translate", lambda query: sent.append(query) or in_upper_case(query))
        (tmp_path / "my.html").write_text("<p>A dog.</p>")
        page.set_input_files("#file", tmp_path / "my.html")
        page.locator("#file-status.error").wait_for()
        expected = "Only plain text is translated, not text/html: save it as a .txt file first"
        assert page.locator("#file-status").inner_text() == expected
        assert sent == [] and page.locator("#file-link").is_hidden()
        (tmp_path / "corpus.en").write_text("A dog.")
        page.set_input_files("#file", tmp_path / "corpus.en")
        assert downloaded(page) == ("corpus.de.en", b"A DOG.")

    def test_a_byte_order_mark_is_not_translated_and_stays(self, page: Any, tmp_path: Path) -> None:
        canned(page, "translate", lambda query: {"translatedText": [text.upper() for text in query["q"]]})
        (tmp_path / "my.txt").write_bytes("\ufeffA dog.\n".encode())
        with page.expect_request("**/translate") as request:
            page.set_input_files("#file", tmp_path / "my.txt")
        assert request.value.post_data_json["q"] == ["A dog.\n"]
        assert downloaded(page)[1] == "\ufeffA DOG.\n".encode()

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
    def test_a_file_in_utf_16_with_a_byte_order_mark_comes_out_in_utf_8(
        self, page: Any, tmp_path: Path, encoding: str
    ) -> None:
        canned(page, "translate", lambda query: {"translatedText": [text.upper() for text in query["q"]]})
        (tmp_path / "my.txt").write_bytes("\ufeffÄ dog.\r\n".encode(encoding))
        page.set_input_files("#file", tmp_path / "my.txt")
        assert downloaded(page)[1] == "Ä DOG.\r\n".encode()
        (tmp_path / "bad.txt").write_bytes("A dog.".encode(encoding))
        page.set_input_files("#file", tmp_path / "bad.txt")
        page.locator("#file-status.error").wait_for()

    def test_no_request_has_more_characters_than_the_server_takes(self, page: Any, tmp_path: Path) -> None:
        sizes: list[list[int]] = []

        def answer(query: Any) -> Any:
            sizes.append([len(text.rstrip()) for text in query["q"]])
            return {"translatedText": query["q"]}

        serve(page, ENGLISH_AND_FRENCH, charLimit=1000)
        canned(page, "translate", answer)
        lines = [f"{number}".ljust(300, "x") for number in range(7)] + ["y" * 1200, *map(str, range(20))]
        expected = [[300] * 3, [300] * 3, [300], [1200], [1] * 10 + [2] * 6, [2] * 4]
        page.fill("#text", "\n".join(lines))
        page.locator(".sentence").nth(27).wait_for()
        assert sizes == expected
        sizes.clear()
        (tmp_path / "my.txt").write_text("\n".join(lines))
        page.set_input_files("#file", tmp_path / "my.txt")
        assert downloaded(page)[1].decode() == "\n".join(lines)
        assert sizes == expected

    def test_a_second_file_takes_the_place_of_the_first(self, page: Any, tmp_path: Path) -> None:
        held: list[Any] = []

        def answer(route: Any) -> None:
            texts = route.request.post_data_json["q"]
            if texts[0] == "first\n" and not held:
                held.append(route)
            else:
                route.fulfill(json={"translatedText": [text.upper() for text in texts]})

        page.route("**/translate", answer)
        for name, lines in (("first", 40), ("second", 20)):
            (tmp_path / f"{name}.txt").write_text(f"{name}\n" * lines)
            with page.expect_request("**/translate"):
                page.set_input_files("#file", tmp_path / f"{name}.txt")
        held[0].fulfill(json={"translatedText": ["FIRST\n"] * 16})
        assert page.locator("#file-cancel").inner_text() == "Cancel"
        assert downloaded(page) == ("second.de.txt", b"SECOND\n" * 20)
        assert page.locator("#file-cancel").inner_text() == "Close"
        page.wait_for_timeout(200)
        assert page.locator("#file-status").inner_text() == "20 lines"

    def test_what_is_done_of_a_file_can_be_had_when_the_server_is_gone(
        self, browser: Any, server: Server, tmp_path: Path
    ) -> None:
        page = browser.new_page()
        page.goto(server.url, wait_until="networkidle")
        requests: list[str] = []

        def answer(route: Any) -> None:
            requests.append(route.request.url)
            if len(requests) > 1:
                progress = page.locator("#file-status").inner_text()
                assert re.fullmatch(r"16 of 20 lines, \d+ s left", progress)
                route.abort()
            else:
                route.fulfill(json={"translatedText": ["Ein Hund.\n"] * 16, "warnings": [["a warning"]]})

        page.route("**/translate", answer)
        (tmp_path / "my.txt").write_text("A dog.\n" * 20)
        page.set_input_files("#file", tmp_path / "my.txt")
        page.locator("#file-status.error").wait_for()
        status = page.locator("#file-status").inner_text()
        assert status == "The server cannot be reached · 16 of 20 lines · a warning"
        assert downloaded(page) == ("my.de.txt", b"Ein Hund.\n" * 16)
        page.close()

    def test_each_text_is_translated_from_the_language_that_is_detected_for_it(self, page: Any, tmp_path: Path) -> None:
        queries: list[Any] = []
        inspected: list[tuple[str, str]] = []

        def inspect(query: Any) -> Any:
            inspected.append((query["text"], query["source"]))
            assert "run" not in query
            return record_of(query.get("translation", "CHAT"))

        def translate(query: Any) -> Any:
            queries.append(query)
            return in_upper_case(query)

        serve(page, ENGLISH_AND_FRENCH)
        page.locator("#source").select_option("auto")
        canned(page, "translate", translate)
        canned(page, "inspect", inspect)
        for text in ("A dog. Two", "A dog. Two dogs", "Un chien. Deux chiens", "A dog.\nUn chien."):
            with page.expect_response("**/translate"):
                page.fill("#text", text)
            assert page.locator("#run-choice").is_hidden()
        page.locator(".sentence:has-text('UN CHIEN.')").click()
        page.locator(".words.target button").first.wait_for()
        page.check("#colour")
        page.locator(".sentence:has(.doubt)").nth(1).wait_for()
        assert inspected == [("Un chien.", "fr"), ("A dog.", "en"), ("Un chien.", "fr")]
        assert page.locator("#detected").inner_text() == "EN (90 %)"
        (tmp_path / "my.txt").write_text("Un chien.")
        page.set_input_files("#file", tmp_path / "my.txt")
        assert downloaded(page)[1] == b"UN CHIEN."
        assert [query["q"] for query in queries[:3]] == [["A dog. Two"], ["A dog. Two dogs"], ["Un chien. Deux chiens"]]
        assert not any("run" in query for query in queries)

    def test_a_sentence_that_is_refused_does_not_keep_the_others_from_their_colours(
        self, browser: Any, server: Server
    ) -> None:
        def inspect(route: Any) -> None:
            query = route.request.post_data_json
            if query["text"] == "no":
                route.fulfill(status=400, json={"error": "too long"})
            else:
                route.fulfill(json=record_of(query["translation"]))

        page = browser.new_page()
        page.goto(server.url, wait_until="networkidle")
        canned(page, "translate", in_upper_case)
        page.route("**/inspect", inspect)
        page.fill("#text", "no\nyes\nperhaps")
        translated(page)
        page.check("#colour")
        page.locator(".sentence:has-text('PERHAPS'):has(.doubt)").wait_for()
        assert translated(page).inner_text() == "NO\nYES\nPERHAPS"
        assert page.locator("#status").inner_text() == ""
        page.close()

    def test_the_focus_stays_where_it_is(self, page: Any) -> None:
        def focused(selector: str) -> bool:
            return bool(page.evaluate("selector => document.activeElement.matches(selector)", selector))

        page.fill("#text", "A cat. Two cats.")
        translated(page)
        page.locator(".sentence").nth(1).press("Enter")
        assert focused("#tab-words") and page.locator(".sentence.chosen").count() == 1
        page.locator(".choices button:not([disabled])").first.wait_for()
        with page.expect_response("**/inspect"):
            page.locator(".choices button:not([disabled])").first.press("Enter")
        page.locator(".choices button").first.wait_for()
        page.wait_for_function("document.activeElement.matches('.words.target [aria-pressed=true]')")
        page.locator("#tab-words").press("ArrowRight")
        for number in (1, 2):
            chooser = page.locator(".controls select").nth(number)
            chooser.focus()
            for key in ("ArrowDown", "ArrowDown", "ArrowUp"):
                page.keyboard.press(key)
                assert focused(f".controls label:nth-child({number + 1}) select"), key
            assert page.locator(".controls select").nth(number).input_value() == "0"
        page.keyboard.press("Escape")
        assert focused(".sentence:nth-of-type(2)")
        page.locator(".sentence").nth(1).press(" ")
        page.locator("#text").focus()
        page.keyboard.press("Escape")
        assert focused("#text") and page.locator("#inspection").is_hidden()
        assert page.locator(".sentence.chosen").count() == 0

    def test_what_is_selected_in_the_translation_stays_while_more_is_translated(self, page: Any) -> None:
        held: list[Any] = []

        def answer(route: Any) -> None:
            query = route.request.post_data_json
            if len(query["q"]) == 16:
                route.fulfill(json=in_upper_case(query))
            else:
                held.append(route)

        page.route("**/translate", answer)
        canned(page, "inspect", lambda query: record_of(query["translation"]))
        with page.expect_request(lambda request: request.url.endswith("translate") and "last" in request.post_data):
            page.fill("#text", "\n".join([*(f"line {number}" for number in range(16)), "last"]))
        page.locator(".sentence").nth(3).focus()
        page.evaluate("getSelection().selectAllChildren(document.querySelectorAll('.sentence')[2])")
        held[0].fulfill(json=in_upper_case(held[0].request.post_data_json))
        page.locator(".sentence:has-text('LAST')").wait_for()
        assert page.evaluate("String(getSelection())") == "LINE 2"
        page.locator("#colour").evaluate("box => { box.checked = true; box.dispatchEvent(new Event('change')); }")
        page.locator(".sentence:has-text('LAST'):has(.doubt)").wait_for()
        assert page.evaluate("document.activeElement.textContent") == "LINE 3"

    def test_what_was_chosen_is_remembered(self, page: Any) -> None:
        serve(page, ENGLISH_AND_FRENCH)
        page.locator("#run").select_option("other")
        for _ in range(2):
            page.reload(wait_until="networkidle")
            assert page.input_value("#run") == "other"
        page.click("#theme")
        page.reload(wait_until="networkidle")
        assert page.input_value("#run") == "other"
        assert page.locator("html").get_attribute("data-theme") == "light"

    def test_languages_are_remembered_when_the_server_cannot_say_them(self, browser: Any, server: Server) -> None:
        page = browser.new_page()
        page.goto(server.url, wait_until="networkidle")
        page.locator("#target").select_option("fr")
        page.route("**/languages", lambda route: route.abort())
        page.reload(wait_until="networkidle")
        page.locator("#status.error").wait_for()
        page.click("#theme")
        page.unroute("**/languages")
        page.reload(wait_until="networkidle")
        assert page.input_value("#target") == "fr"
        page.close()

    @pytest.mark.parametrize(
        ("text", "translation"),
        [
            ("Hello. Bye.", "你好。再见。"),
            ("Hello.\tBye.", "你好。\t再见。"),
            ("Hello.  Bye.", "你好。  再见。"),
            ("Nmt. Bye.", "nmt.再见。"),
            ("Nmt. Nmt.", "nmt. nmt."),
            ("Rare. Bye.", "𠀀再见。"),
        ],
    )
    def test_what_is_typed_has_the_spaces_of_what_is_pasted(self, page: Any, text: str, translation: str) -> None:
        chinese = {"Hello.": "你好。", "Bye.": "再见。", "Nmt.": "nmt.", "Rare.": "𠀀", "End.": "完。"}

        def answer(query: Any) -> Any:
            pairs = [{"source": sentence, "target": chinese[sentence]} for sentence in query["q"][0].split()]
            return {"translatedText": ["".join(pair["target"] for pair in pairs)], "sentences": [pairs]}

        serve(page, [("chinese", "en", "zh")])
        canned(page, "translate", answer)
        page.fill("#text", text)
        translated(page)
        with page.expect_request("**/translate") as request:
            page.fill("#text", f"{text} End.")
        assert request.value.post_data_json["q"] == [f"{text.split()[1]} End."]
        page.locator(".sentence").nth(2).wait_for()
        assert translated(page).inner_text() == f"{translation}完。"

    def test_spaces_at_the_end_of_a_line_are_kept_and_not_sent(self, page: Any) -> None:
        queries: list[list[str]] = []

        def answer(query: Any) -> Any:
            queries.append(query["q"])
            return in_upper_case(query)

        serve(page, [("there", "en", "de"), ("back", "de", "en")])
        canned(page, "translate", answer)
        page.fill("#text", "a dog")
        translated(page)
        for text in ("a dog ", "a dog  ", "a dog  \n  \na dog\t"):
            page.fill("#text", text)
            assert page.locator(".pending").count() == 0
            assert page.locator("#translation").evaluate("box => box.textContent") == text.upper()
        page.wait_for_timeout(500)
        assert queries == [["a dog"]]
        page.keyboard.press("Alt+s")
        assert page.input_value("#text") == text.upper()

    def test_runs_that_do_not_say_how_probable_words_are_have_no_colours(self, page: Any) -> None:
        serve(page, [("ctc", "en", "de"), ("other", "en", "de"), ("alone", "en", "fr")])
        canned(page, "translate", in_upper_case)
        canned(page, "inspect", lambda query: record_of("A DOG", None if query.get("run") == "ctc" else 0.5))
        page.fill("#text", "a dog")
        translated(page).locator(".sentence").click()
        page.click("#tab-runs")
        page.locator(".card .note").first.wait_for(state="detached")
        words = page.locator(".card p").evaluate_all("cards => cards.map(c => [...c.children].map(word => word.title))")
        assert words == [[""] * 3, ["50 %"] * 3]
        page.locator("#target").select_option("fr")
        translated(page).locator(".sentence").click()
        page.locator(".words.target button").first.wait_for()
        assert page.locator("#tab-words").get_attribute("aria-selected") == "true"

    @pytest.mark.parametrize("source", ["en", "auto"])
    def test_what_goes_through_a_third_language_says_so_and_no_more(self, page: Any, source: str) -> None:
        page.locator("#source").select_option(source)
        page.locator("#target").select_option("fr")
        page.fill("#text", "The old man reads a book. A dog sees two houses.")
        translated(page)
        assert page.locator("#status").inner_text() == "Through German"
        page.locator(".sentence").click()
        said = "Translated through a third language: only what one run translates can be shown."
        assert page.locator("#view").inner_text() == said

    def test_messages_can_be_read_in_all_colours(self, page: Any) -> None:
        page.evaluate("document.querySelector('.pane').insertAdjacentHTML('beforeend', '<p class=\"note error\">!')")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for _ in range(3):
                page.click("#theme")
                page.keyboard.press("Alt+s")
                status, note, ground = page.evaluate(
                    "['#status.error', '.note.error'].map(name => getComputedStyle(document.querySelector(name)).color)"
                    ".concat(getComputedStyle(document.querySelector('.pane')).backgroundColor)"
                )
                assert note == status and contrast(status, ground) >= 4.5

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("weight", [0.3, 0.6, 1])
    def test_marked_words_can_be_read_in_all_colours(self, page: Any, scheme: str, weight: float) -> None:
        def answer(query: Any) -> Any:
            return record_of("A DOG", 1 - weight, attention={"cross": [[[[weight] * 3] * 3]]})

        canned(page, "translate", in_upper_case)
        canned(page, "inspect", answer)
        page.emulate_media(color_scheme=scheme)
        page.check("#colour")
        page.fill("#text", "a dog")
        translated(page).locator(".sentence .doubt").first.wait_for()
        page.locator(".sentence").click()
        page.locator(".words.target button").first.wait_for()
        for marked in (".words.source button", ".words.target button", ".sentence .doubt"):
            page.hover(marked)
            ink, *grounds = page.locator(marked).first.evaluate(
                "word => { const grounds = []; for (let e = word; e; e = e.parentElement)"
                " grounds.unshift(getComputedStyle(e).backgroundColor);"
                " return [getComputedStyle(word).color, ...grounds]; }"
            )
            assert contrast(ink, blended(grounds)) >= 4.5, (marked, ink, grounds)

    def test_the_word_that_is_pointed_at_is_marked(self, page: Any) -> None:
        canned(page, "translate", in_upper_case)
        canned(page, "inspect", lambda query: record_of("A DOG"))
        page.fill("#text", "a dog")
        translated(page).locator(".sentence").click()
        word = page.locator(".words.source button").first
        before = word.evaluate("word => getComputedStyle(word).borderColor")
        word.hover()
        assert word.evaluate("word => getComputedStyle(word).borderColor") != before

    @pytest.mark.parametrize(
        ("key", "code", "swaps"),
        [
            ("s", "KeyS", True), ("ß", "KeyS", True), ("ś", "KeyS", False),  # macOS, Polish
            ("o", "KeyS", False), ("s", "Semicolon", True),  # Dvorak
        ],
    )  # fmt: skip
    def test_the_key_that_swaps_the_languages(self, page: Any, key: str, code: str, swaps: bool) -> None:
        page.locator("#text").dispatch_event("keydown", {"key": key, "code": code, "altKey": True, "bubbles": True})
        assert bool(page.locator("#status").inner_text()) is swaps

    def test_a_translation_that_the_browser_does_not_let_us_copy_is_selected(self, page: Any) -> None:
        canned(page, "translate", in_upper_case)
        page.fill("#text", "a dog")
        assert translated(page).inner_text() == "A DOG"
        define = "Object.defineProperty(navigator, 'clipboard', {{ value: {{ writeText: {} }}, configurable: true }})"
        for copying, said in (("() => null", "Copied"), ("() => Promise.reject()", "Selected: copy with Ctrl+C")):
            page.evaluate(define.format(copying))
            page.click("#copy")
            page.locator(f"#status:text-is('{said}')").wait_for()
        assert page.evaluate("getSelection().toString()") == "A DOG"

    def test_a_probability_that_rounds_to_nothing_is_not_called_nothing(self, page: Any) -> None:
        shown = page.evaluate("import('/page/dom.js').then(({ percent }) => [0.0004, 0.0123, 0.5].map(percent))")
        assert shown == ["under 0.1 %", "1.2 %", "50 %"]

    def test_keys_colours_and_the_other_direction(self, page: Any) -> None:
        page.keyboard.press("Alt+s")
        assert "No run translates in the other direction" in page.locator("#status").inner_text()
        backgrounds = set()
        for _ in range(3):
            page.click("#theme")
            backgrounds.add(page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor"))
        assert len(backgrounds) == 2
        page.set_viewport_size({"width": 380, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        unnamed = page.evaluate(
            "[...document.querySelectorAll('button, select, textarea, input')].filter(element => element.offsetParent"
            " && !element.labels?.length && !element.ariaLabel && !element.textContent.trim()).map(e => e.outerHTML)"
        )
        assert unnamed == []

    @pytest.mark.parametrize(("platform", "key"), [("Linux x86_64", "Ctrl"), ("Win32", "Ctrl"), ("MacIntel", "Cmd")])
    def test_the_key_that_copies_is_that_of_the_system(self, page: Any, platform: str, key: str) -> None:
        page.evaluate("name => Object.defineProperty(navigator, 'platform', { value: name })", platform)
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')); }")
        canned(page, "translate", in_upper_case)
        page.fill("#text", "a dog")
        translated(page)
        page.click("#copy")
        page.locator(f"#status:has-text('Selected: copy with {key}+C')").wait_for()
        assert page.evaluate("String(getSelection())") == "A DOG"

    def test_the_form_works_without_javascript(self, browser: Any, server: Server) -> None:
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(server.url)
        page.fill("#text", "A dog & <b>two</b> dogs.\n\nA book.")
        page.click("#submit")
        page.wait_for_load_state()
        assert page.input_value("#text") == "A dog & <b>two</b> dogs.\n\nA book."
        assert page.locator("#translation").inner_text().count("\n") == 2
        assert page.locator("#copy").is_hidden()
        context.close()
