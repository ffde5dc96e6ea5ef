"""Which runs lead from one language to another, and which language a text is in."""

import asyncio
import threading
from pathlib import Path

import pytest

from nmt_cli.data.filtering.corpus_profile import CorpusProfile
from nmt_cli.data.filtering.language_model import LanguageModel
from nmt_cli.data.known_words import WordSet
from nmt_cli.data.letter_case import Truecaser
from nmt_cli.data.text_profile import TRUECASE_FILES
from nmt_cli.serving.errors import RequestError
from nmt_cli.serving.jobs import JobQueue
from nmt_cli.serving.languages import Languages, language_name
from nmt_cli.serving.metrics import Metrics
from nmt_cli.serving.service import MIN_TARGET_CONFIDENCE, TranslationRequest, TranslationService
from nmt_cli.serving.settings import Limits, ServedRun
from tests.data.filtering.test_language_model import PAIRS, speaker


def served(*pairs: str) -> Languages:
    """Languages of runs named by their pairs, such as en-de."""
    runs = [ServedRun(pair, Path(), *pair.split("-", 1), "rnn", True) for pair in pairs]
    return Languages(runs)


def names(languages: Languages, source: str, target: str) -> list[str]:
    return [run.name for run in languages.route(source, target).runs]


def test_the_direct_run_is_taken_else_two_through_a_third_language() -> None:
    languages = served("en-de", "de-fr", "fr-es", "en-de")
    assert names(languages, "en", "de") == ["en-de"]
    assert names(languages, "en", "fr") == ["en-de", "de-fr"] and languages.route("en", "fr").via == ["de"]
    assert names(languages, "en", "en") == []
    with pytest.raises(RequestError, match="Spanish"):
        languages.route("en", "es")
    assert languages.targets("de") == ["fr", "es"]


def test_a_run_can_be_chosen_by_its_name() -> None:
    languages = served("en-de", "de-en")
    assert languages.route("de", "en", "de-en").runs[0].name == "de-en"
    for name, message in (
        ("en-de", "Run en-de translates from en to de, not from de to en"),
        ("nothing", "No run nothing is served; there are en-de, de-en"),
    ):
        with pytest.raises(RequestError, match=message):
            languages.route("de", "en", name)


@pytest.mark.parametrize(
    "code, language",
    [("EN", "en"), ("en-GB", "en"), ("en_us", "en"), ("zh", "zh-Hans"), ("zh-hant-tw", None), ("", None), ("x", None)],
)
def test_codes_are_matched(code: str, language: str | None) -> None:
    assert served("en-zh-Hans").match(code) == language


def test_languages_are_detected_by_script_and_known_words() -> None:
    languages = served("en-de", "fr-de", "ru-de", "ja-de", "zh-de")
    words = {"en": {"the", "dog"}, "fr": {"le", "chien"}}

    def familiarity(text: str, code: str) -> float | None:
        own = words.get(code)
        return None if own is None else sum(word in own for word in text.split()) / len(text.split())

    detected = [
        languages.detect(text, familiarity)[0].language
        for text in ("the dog", "le chien", "собака", "犬はかわいい", "我喜欢读书")
    ]
    assert detected == ["en", "fr", "ru", "ja", "zh"]
    assert {detection.confidence for detection in languages.detect("12 !", familiarity)} == {0.0}


def test_only_languages_that_lead_to_the_target_are_detected() -> None:
    languages = served("en-de", "fr-es", "de-en")
    assert languages.sources_for("es") == ["fr"] and languages.sources_for("de") == ["en", "de"]
    assert languages.sources_for("de", "en-de") == ["en"]
    assert [detection.language for detection in languages.detect("12:30", lambda text, code: None, ["fr"])] == ["fr"]


@pytest.mark.slow
def test_texts_without_letters_are_in_the_language_of_the_others(tmp_path: Path) -> None:
    WordSet(["le", "chien"]).save(tmp_path)
    runs = [ServedRun("en-es", Path(), "en", "es", "rnn", True), ServedRun("fr-es", tmp_path, "fr", "es", "rnn", True)]
    service = TranslationService(runs, JobQueue(10, Metrics()), Limits())
    assert [detection.language for detection in service.detect_all(["Le chien", "", "12:30"], "es", None)] == ["fr"] * 3
    (result,) = asyncio.run(
        TranslationService(
            [*runs, ServedRun("es-en", Path(), "es", "en", "rnn", True)], JobQueue(10, Metrics()), Limits()
        ).translate(TranslationRequest(["abc"], "auto", "en"))
    )
    assert result.route.source == "en" and result.translation.warnings == [
        "seems to be English already, and was left as it is: if it is not, name its language"
    ]


def test_many_texts_are_read_in_a_thread_and_none_where_one_language_is_possible() -> None:
    runs = [ServedRun(f"{pair}", Path(), pair[:2], pair[3:], "rnn", True) for pair in ("en-de", "fr-de", "de-en")]
    service, threads = TranslationService(runs, JobQueue(10, Metrics()), Limits()), set[int]()

    def familiarity(text: str, code: str) -> float:
        threads.add(threading.get_ident())
        return float(code == "de")

    def threads_of(texts: list[str], run: str | None = None) -> set[int]:
        threads.clear()
        results = asyncio.run(service.translate(TranslationRequest(texts, "auto", "de", run=run)))
        assert [result.translation.texts for result in results] == [[text] for text in texts]
        return set(threads)

    service._familiarity = familiarity  # type: ignore[method-assign]
    assert threads_of(["Ein Hund"]) == {threading.get_ident()}
    for texts in (["Ein Hund"] * 100, ["Ein Hund. " * 1000]):
        assert len(threads_of(texts)) == 1 and threads_of(texts) != {threading.get_ident()}
    threads.clear()
    assert service.detect_all(["Un chien"], "de", "fr-de")[0].language == "fr" and not threads


@pytest.mark.parametrize(
    "pair, text, language",
    [
        ("nqo-fr", "ߡߛߏ ߓߘߊ߫ ߖߌ ߛߊ߲߬", "nqo"),
        ("chr-fr", "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ", "chr"),
        ("vai-fr", "ꕉꕜꕮ ꔔ", "vai"),
        ("shi-fr", "ⵜⴰⵎⴰⵣⵉⵖⵜ", "shi"),
        ("rhg-fr", "𐴌𐴟𐴇𐴥𐴝𐴚", "rhg"),
        ("cmn-fr", "我喜欢读书", "cmn"),
        ("jpn-fr", "犬はかわいい", "jpn"),
    ],
)
def test_a_text_is_in_the_language_of_its_script(pair: str, text: str, language: str) -> None:
    languages = served(pair, f"fr-{language}")
    detected = languages.detect(text, lambda text, code: None, languages.sources_for("fr"))
    assert (detected[0].language, detected[0].confidence) == (language, 100)
    assert languages.detect("le chien", lambda text, code: float(code == "fr"))[0].language == "fr"


def test_the_scripts_of_a_language_that_nobody_knows_are_those_of_its_training_text(tmp_path: Path) -> None:
    Truecaser({word: word for word in ("ߡߛߏ", "ߓߘߊ", "a")}).save(tmp_path / TRUECASE_FILES["source"])
    Truecaser({word: word for word in ("le", "chien")}).save(tmp_path / TRUECASE_FILES["target"])
    languages = Languages([ServedRun("run", tmp_path, "qaa", "fr", "rnn", True)])
    assert set(languages.scripts("qaa")) == {"NKO", "LATIN"} and set(languages.scripts("fr")) == {"LATIN"}
    Truecaser({word: word for word in ("kitaabu", "debbo")}).save(tmp_path / TRUECASE_FILES["source"])
    for code, own in (("ff", {"LATIN"}), ("ks", {"LATIN", "ARABIC", "DEVANAGARI"}), ("qaa", {"LATIN"})):
        assert set(Languages([ServedRun("run", tmp_path, code, "fr", "rnn", True)]).scripts(code)) == own
    Truecaser({word: word for word in ("𞤣𞤫𞤦𞥆𞤮", "𞤳𞤢")}).save(tmp_path / TRUECASE_FILES["target"])
    records = Languages([ServedRun("run", tmp_path, "fr", "ff", "rnn", True)]).records()
    assert [record["direction"] for record in records] == ["ltr", "rtl"]


def test_languages_have_names() -> None:
    assert [language_name(code) for code in ("nqo", "haw", "chr", "zgh", "tzm", "ckb", "sat", "mni", "quc", "arn")] == [
        "N’Ko", "Hawaiian", "Cherokee", "Standard Moroccan Tamazight", "Central Atlas Tamazight", "Central Kurdish",
        "Santali", "Manipuri", "Kʼicheʼ", "Mapuche",
    ]  # fmt: skip
    assert [language_name(code) for code in ("tir", "grn", "nav", "zho_Hans", "arb_Arab")] == [
        "Tigrinya", "Guarani", "Navajo", "Chinese", "Arabic",
    ]  # fmt: skip
    assert language_name("de") == "German" and language_name("pt-BR") == "Portuguese (Brazil)"
    assert language_name("zh_Hant") == "Chinese (traditional)" and language_name("xx") == "xx"


def test_what_runs_were_trained_on_tells_languages_of_one_script_apart(tmp_path: Path) -> None:
    """Words that no run knows are told apart by their letters; a language of neither side by both."""
    lines = {"aa": speaker(1, "aeiobdgklm"), "bb": speaker(2, "aeioprstvz"), "cc": speaker(3, "uyxwqfjch")}
    runs = []
    for source, target in (("aa", "bb"), ("bb", "aa")):
        folder = tmp_path / f"{source}-{target}"
        folder.mkdir()
        sides = [[lines[side]() for _ in range(PAIRS)] for side in (source, target)]
        CorpusProfile(LanguageModel.fit((source, target), sides[0], sides[1])).save(folder)
        runs.append(ServedRun(folder.name, folder, source, target, "rnn", True))
    service = TranslationService(runs, JobQueue(10, Metrics()), Limits())
    for language in ("aa", "bb"):
        likeliest, other = service.detect(" ".join(lines[language]() for _ in range(3)))
        assert likeliest.language == language and likeliest.confidence > 2 * other.confidence
    assert service.detect(lines["cc"]())[0].confidence == 50


def test_a_text_in_a_language_that_is_translated_into_only_is_recognised_where_that_is_sure(tmp_path: Path) -> None:
    lines = {"aa": speaker(1, "aeiobdgklm"), "bb": speaker(2, "aeioprstvz")}
    sides = [[lines[side]() for _ in range(PAIRS)] for side in ("aa", "bb")]
    CorpusProfile(LanguageModel.fit(("aa", "bb"), *sides)).save(tmp_path)
    service = TranslationService(
        [ServedRun("aa-bb", tmp_path, "aa", "bb", "rnn", True)], JobQueue(10, Metrics()), Limits()
    )
    texts = {code: " ".join(lines[code]() for _ in range(3)) for code in ("aa", "bb")}
    third = speaker(3, "uyxwqfjch")()  # of neither
    assert service.detect(third)[0].confidence < MIN_TARGET_CONFIDENCE
    detected = service.detect_all([texts["aa"], texts["bb"], third], "bb", None)
    assert [detection.language for detection in detected] == ["aa", "bb", "aa"]
    assert service.detect_all([texts["bb"]], "bb", "aa-bb")[0].language == "aa"
    assert [service.detect(texts[code])[0].language for code in ("aa", "bb")] == ["aa", "bb"]
    (result,) = asyncio.run(service.translate(TranslationRequest([texts["bb"]], "auto", "bb")))
    assert result.translation.texts == [texts["bb"]] and "seems to be bb already" in result.translation.warnings[0]


def test_without_language_models_known_words_decide(tmp_path: Path) -> None:
    WordSet(["the", "dog"]).save(tmp_path)
    runs = [ServedRun("en-de", tmp_path, "en", "de", "rnn", True)]
    service = TranslationService(runs, JobQueue(10, Metrics()), Limits())
    assert [service._familiarity(text, "en") for text in ("the dog", "the cat", "7")] == [1.0, 0.5, None]
