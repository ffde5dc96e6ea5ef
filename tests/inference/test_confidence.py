"""How sure a translation is: fitted, stored, told, and what is printed where it is too low."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.errors import RunError
from nmt_cli.evaluation.calibration import CalibrationFit, corrupt, corrupt_pairs, features_of_pairs, fit_calibration
from nmt_cli.inference.confidence import (
    FEATURES,
    Calibration,
    CalibrationFile,
    LogisticRegression,
    TranslatedPart,
    assess,
)
from nmt_cli.inference.hidden_spans import HiddenSpans
from nmt_cli.inference.lines import InputLine
from nmt_cli.inference.output import (
    Abstention,
    Candidate,
    TranslatedLine,
    TranslatedSentence,
    Translation,
    WordProbability,
)
from nmt_cli.inference.translator import Translator
from nmt_cli.inference.words import place_words
from nmt_cli.vocabulary import SPAN_MARK
from tests.conftest import Call
from tests.inference.test_casing import LOWER
from tests.inference.test_sentences_of_lines import real
from tests.translators import Echo

RNG = np.random.default_rng(1)


class Scored(Echo):
    """Gives back what it reads, and finds a token the less probable the greater it is."""

    def token_log_probabilities(self, sources: Any, targets: Any, config: Any) -> list[list[float]]:
        return [[-0.01 * token for token in target] + [-0.5] for target in targets]


def calibration(*, bias: float = 0.0) -> Calibration:
    """Sure where tokens are probable."""
    count = len(FEATURES)
    quality = LogisticRegression(bias, [1.0] + [0.0] * (count + 2))
    return Calibration([0.0] * count, [1.0] * count, quality, LogisticRegression(50.0, [0.0] * (count + 3)), 100)


def translator(tokenizer: TextTokenizer, calibration: Calibration | None = None, **options: Any) -> Translator:
    return Translator(
        Scored(), Tokenizers(tokenizer, tokenizer), SearchConfig.model_validate(options), assess=True,
        calibration=calibration,
    )  # fmt: skip


def test_regression_finds_the_weights_that_made_the_labels() -> None:
    features = RNG.normal(size=(20_000, 3))
    probabilities = 1 / (1 + np.exp(-(features @ [2.0, -1.0, 0.0] + 0.5)))
    fitted = LogisticRegression.fit(features, (RNG.random(20_000) < probabilities).tolist())
    assert [fitted.bias, *fitted.weights] == pytest.approx([0.5, 2.0, -1.0, 0.0], abs=0.1)
    assert np.abs(fitted.probabilities(features) - probabilities).max() < 0.05


def test_regression_is_finite_where_the_labels_are_separable() -> None:
    features = np.array([[-1.0], [1.0]] * 50)
    fitted = LogisticRegression.fit(features, (features[:, 0] > 0).tolist())
    low, high = fitted.probabilities(np.array([[-1.0], [1.0]]))
    assert 0 < low < 0.1 and 0.9 < high < 1


def test_a_calibration_means_what_it_says_and_finds_what_is_no_translation() -> None:
    good = RNG.random(4000) < 0.5
    features = RNG.normal(size=(4000, len(FEATURES)))
    features[:, 0] += good
    corrupted = RNG.normal(size=(4000, len(FEATURES)))
    corrupted[:, 4] -= 8  # the end of sentence is improbable
    fitted = Calibration.fit(features, good.tolist(), corrupted)
    confidences = np.array(fitted.confidences(features.tolist()))
    for low in np.arange(0.1, 0.9, 0.1):
        chosen = (confidences >= low) & (confidences < low + 0.1)
        assert abs(confidences[chosen].mean() - good[chosen].mean()) < 0.08
    assert max(fitted.confidences(corrupted.tolist())) < 0.2 < np.median(confidences)


def test_features_are_of_the_whole_line(tokenizer: TextTokenizer) -> None:
    parts = [TranslatedPart([5, 6, 7], [10, 30], 2), TranslatedPart([5], [20], 1)]
    whole, nothing = assess(Scored(), SearchConfig(), [parts, []])
    assert nothing is None and whole is not None
    named = dict(zip(FEATURES, whole.features, strict=True))
    assert named["mean"] == pytest.approx(-(0.1 + 0.3 + 0.5 + 0.2 + 0.5) / 5)
    assert named["worst"] == named["end"] == -0.5
    assert named["tokens_per_word"] == 2 and named["length_ratio"] == pytest.approx(np.log(5 / 6))
    assert assess(Echo(), SearchConfig(), [parts]) == [None]  # an engine that cannot say


def test_probabilities_of_words_and_confidence_of_lines(tokenizer: TextTokenizer) -> None:
    lines = ["The old man.", "", "12345", "Two dogs see. 12 3. THE OLD MAN READS."]
    first, blank, copied, mixed = translator(tokenizer, calibration()).translate(lines)
    (ids,) = tokenizer.encode(["The old man."])
    assert [word.text for word in first.words] == ["The", "old", "man."]
    assert np.prod([word.probability for word in first.words]) == pytest.approx(np.exp(-0.01 * sum(ids)))
    assert first.confidence is not None and 0 < first.confidence < 0.5
    assert blank.confidence is None and blank.words == []
    assert copied.confidence == 1.0
    assert [word.text for word in mixed.words] == mixed.text.split()
    assert [word.probability for word in mixed.words[3:5]] == [1.0, 1.0]
    assert translator(tokenizer).translate(lines)[0].confidence is None  # without a calibration


@pytest.mark.parametrize("split", ["sentences", "none"])
@pytest.mark.parametrize(
    "line, prefix",
    [
        ("the old man reads. dogs see.", ""),
        ("the old man reads. Dogs see.", ""),
        ("THE OLD MAN READS https://example.org/a. DOGS SEE.", ""),
        ("THE OLD MAN READS. DOGS SEE.", "The old man reads. Dogs"),
    ],
)
def test_the_words_are_those_of_the_translation_whatever_its_case(
    line: str, prefix: str, split: Literal["sentences", "none"], tokenizer: TextTokenizer
) -> None:
    tokenizers = Tokenizers(tokenizer, tokenizer)
    opened = Translator(Scored(), tokenizers, SearchConfig(split=split), LOWER, assess=True)
    (translation,) = opened.translate([line], [prefix])
    assert [word.text for word in translation.words] == translation.text.split()


@pytest.mark.parametrize(
    "written, text, placed",
    [
        ("Möchten Ordner?", 'Möchten Ordner "{name}"?', [("Möchten", 0.5), ("Ordner", 0.25), ('"{name}"?', 0.25)]),
        ("Ordner neu", "<b>Ordner</b> {neu} neu", [("<b>Ordner</b>", 0.5), ("{neu}", 1.0), ("neu", 0.25)]),
        ("打开 文件", "打开{打开}文件", [("打开", 0.5), ("{打开}", 1.0), ("文件", 0.25)]),
        ("a x x b", "a b", [("a", 0.5), ("b", 0.0625)]),
        ("a b", "\t a b ", [("a", 0.5), ("b", 0.25)]),
    ],
)
def test_what_was_put_in_stands_among_the_words(written: str, text: str, placed: list[tuple[str, float]]) -> None:
    words = [WordProbability(word, 0.5 ** (number + 1)) for number, word in enumerate(written.split())]
    hidden = HiddenSpans(SPAN_MARK * 5, ["{name}", "<b>", "</b>", "{neu}", "{打开}"])
    assert place_words(words, text, hidden) == placed


def test_the_terms_of_a_log_probability_are_those_of_its_tokens(tokenizer: TextTokenizer) -> None:
    engine, config = real(tokenizer).engine, SearchConfig(precision="fp32")
    sources, targets = [[300, 301, 302], [310]], [[303, 304], [305, 306, 307, 308, 309]]
    terms = engine.token_log_probabilities(sources, targets, config)
    assert terms is not None and [len(row) for row in terms] == [3, 6]
    totals = engine.log_probabilities(sources, targets, config)
    assert [sum(row) for row in terms] == pytest.approx(totals, abs=1e-4)  # sums of at most 6 terms in float32


def test_corruptions_change_what_they_say() -> None:
    texts = ["a b c d", "e f g h i", "j"]
    assert corrupt(texts, "swapped") == ["e f g h i", "j", "a b c d"]
    assert [sorted(text.split()) for text in corrupt(texts, "shuffled")] == [text.split() for text in texts]
    assert all(
        text.startswith(cut) and len(text.split()) // 2 <= len(cut.split()) < len(text.split())
        for text, cut in zip(texts, corrupt(texts, "cut"), strict=True)
    )


def test_shuffling_changes_every_text_with_two_words() -> None:
    texts = ["a b", "a a b", "a b a b", "a b c"] * 20
    assert all(text != shuffled for text, shuffled in zip(texts, corrupt(texts, "shuffled"), strict=True))


def test_what_is_no_worse_than_before_is_not_taken_for_a_bad_translation() -> None:
    lines = [("u", "a", "x"), ("v", "a", "x"), ("w", "b c", "c  b"), ("x", "d", "a")]
    sources, corrupted = corrupt_pairs(lines)
    pairs = list(zip(sources, corrupted, strict=True))
    assert pairs == [("u", ""), ("v", ""), ("w", "b"), ("x", ""), ("v", "b c"), ("w", "d")]


def test_a_short_text_and_one_that_is_all_good_fit_nothing(tokenizer: TextTokenizer) -> None:
    lines = [f"The old man reads {number} books." for number in range(120)]
    assert fit_calibration(translator(tokenizer), lines[:50], lines[:50]) is None
    assert fit_calibration(translator(tokenizer), lines, lines) is None
    references = [line if number % 2 else line[::-1] for number, line in enumerate(lines)]
    fit = fit_calibration(translator(tokenizer), lines, references)
    assert fit is not None and fit.calibration.lines == 120 and 0 < fit.good_chrf <= 100
    assert fit == fit_calibration(translator(tokenizer), lines, references)
    assert fit == fit_calibration(translator(tokenizer, sampling=True, top_k=3), lines, references)


def test_a_calibration_is_kept_in_the_run(tmp_path: Path) -> None:
    assert CalibrationFile.load(tmp_path) is None
    stored = CalibrationFile(50.0, {"torch fp32": calibration()})
    stored.save(tmp_path)
    assert CalibrationFile.load(tmp_path) == stored
    CalibrationFile(50.0, {"ctranslate2 fp32": calibration()}).save(tmp_path)  # as earlier versions wrote it
    assert CalibrationFile.load(tmp_path) == CalibrationFile(50.0, {"ctranslate2 float32": calibration()})
    stored.save(tmp_path)
    assert stored.find("torch fp32") == stored.find("ctranslate2 int8") == calibration()
    content = json.loads((tmp_path / "confidence.json").read_text())
    content["calibrations"]["torch fp32"]["means"] = [1.0]
    (tmp_path / "confidence.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"confidence\.json"):
        CalibrationFile.load(tmp_path)


@pytest.fixture(scope="module")
def calibrated_run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny run that is sure of nothing, except of what is copied."""
    run = tmp_path_factory.mktemp("calibrated") / "run"
    shutil.copytree(tiny_run, run)
    CalibrationFile(50.0, {"torch fp32": calibration(bias=-40.0)}).save(run)
    return run


@pytest.mark.parametrize(("instead", "expected"), [("copy", "The old man."), ("empty", ""), ("mark", "[?] ")])
def test_abstaining(instead: str, expected: str, calibrated_run: Path, nmt: Call) -> None:
    options = ("--engine", "torch", "--abstain-below", "0.5", "--abstain", instead, "--processes", "1")
    code, out, err = nmt("translate", calibrated_run, *options, stdin=b"The old man.\n12 34\n\n")
    lines = out.split("\n")
    assert code == 0 and lines[1:] == ["12 34", "", ""]
    assert lines[0].startswith(expected) if instead == "mark" else lines[0] == expected
    assert "1 of 3 lines" in err


def test_the_mark_of_a_line_stands_behind_its_indentation(calibrated_run: Path, nmt: Call) -> None:
    options = ("--engine", "torch", "--abstain-below", "0.5", "--abstain", "mark", "--processes", "1")
    code, out, _ = nmt("translate", calibrated_run, *options, stdin=b"\t Der alte Mann \n")
    assert code == 0 and out.startswith("\t [?] ") and out.endswith(" \n")


def test_alignments_count_the_mark_as_a_word() -> None:
    candidate = Candidate("\t das Buch", -1.0, -1.0, [(0, 0), (1, 1)])
    line = TranslatedLine(InputLine(1, "\t the book", False), Translation([candidate], confidence=0.2))
    (text,) = Abstention(below=0.5).apply(line).output_lines("alignments")
    assert text == "\t [?] das Buch ||| 0-1 1-2"


CANDIDATES = [Candidate("Ein Buch 7.", -1.0, -2.0, [(0, 0)]), Candidate("Das Buch 7.", -3.0, -4.0, [(0, 0)])]
UNSURE = TranslatedLine(
    InputLine(1, "a book 5.", False),
    Translation(CANDIDATES, confidence=0.2, words=[WordProbability("Ein", 0.5)],
                sentences=[TranslatedSentence("a book 5.", "Ein Buch 7.", -1.0)]),
)  # fmt: skip


def test_wrong_numbers_of_a_marked_translation_are_reported() -> None:
    record = Abstention(below=0.5).apply(UNSURE).record()
    assert (record["numbers"], record["added_numbers"]) == (["5"], ["7"])
    assert record["translation"] == "[?] Ein Buch 7." and record["score"] == -1.0


@pytest.mark.parametrize("instead, text", [("copy", "a book 5."), ("empty", "")])
def test_a_text_that_stands_for_a_translation_has_no_score_of_it_and_nothing_is_lost(instead: str, text: str) -> None:
    line = Abstention(below=0.5, instead=instead).apply(UNSURE)
    assert line.output_lines("candidates") == [f"1 ||| {text} ||| -inf"]
    assert line.output_lines("alignments") == [f"{text} ||| "]
    assert line.record() == {
        "line": 1, "source": "a book 5.", "translation": text, "score": None, "log_probability": None,
        "confidence": 0.2, "abstained": True,
        "candidates": [{"text": candidate.text, **candidate.record()} for candidate in CANDIDATES],
    }  # fmt: skip
    alone = replace(line, translation=replace(line.translation, candidates=CANDIDATES[:1]))
    assert len(alone.record()["candidates"]) == 1  # without --n-best, too


def test_jsonl_has_confidence_and_words(calibrated_run: Path, tiny_run: Path, nmt: Call) -> None:
    words = ("--engine", "torch", "--jsonl", "--processes", "2", "--abstain-below", "0.5")
    code, out, _ = nmt("translate", calibrated_run, *words, stdin=b"Der alte Mann\n12 34\n")
    first, second = map(json.loads, out.splitlines())
    assert code == 0 and first["confidence"] == 0.0 and first["abstained"]
    assert [word["text"] for word in first["words"]] == first["translation"].split() and first["words"][0][
        "text"
    ] == "[?]"
    assert all(0 <= word["probability"] <= 1 for word in first["words"])
    assert second["confidence"] == 1.0 and "abstained" not in second
    code, _, err = nmt("translate", tiny_run, "--engine", "torch", "--abstain-below", "0.5", stdin=b"The old man.\n")
    assert code == 2 and "nmt calibrate" in err


def test_an_ensemble_has_no_confidence(calibrated_run: Path, nmt: Call) -> None:
    code, _, err = nmt("translate", calibrated_run, calibrated_run, "--abstain-below", "0.5", stdin=b"The old man.\n")
    assert (code, err) == (2, "nmt: --abstain-below: an ensemble has no confidence; give one run\n")


def test_rescore_assesses_only_what_it_scores(
    calibrated_run: Path, tmp_path: Path, nmt: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    assessed: list[str] = []

    def assess_pairs(translator: Translator, sources: list[str], targets: list[str]) -> list[list[float] | None]:
        assessed.extend(sources)
        return features_of_pairs(translator, sources, targets)

    monkeypatch.setattr("nmt_cli.commands.rescore.features_of_pairs", assess_pairs)
    sources = ["The old man.", "12 34", "x " * 300, "a book"]
    (tmp_path / "source").write_text("\n".join(sources))
    (tmp_path / "target").write_text("ein Buch\n12 34\ny\nein Buch")
    code, out, _ = nmt(
        "rescore", calibrated_run, tmp_path / "source", tmp_path / "target", "--engine", "torch", "--jsonl"
    )
    assert code == 0 and assessed == [source for source in sources if len(source) < 100]
    assert [json.loads(line).get("confidence") for line in out.splitlines()] == [0.0, None, None, 0.0]


def test_calibrate_refuses_a_text_that_says_too_little(tiny_run: Path, tmp_path: Path, nmt: Call) -> None:
    (tmp_path / "text").write_text("The old man.\n" * 3)
    code, _, err = nmt("calibrate", tiny_run, "--engine", "torch", tmp_path / "text", tmp_path / "text")
    assert code == 2 and err.endswith("text: calibration needs at least 100 lines, not 3\n")
    (tmp_path / "text").write_text("The old man.\n" * 100)
    code, _, err = nmt("calibrate", tiny_run, "--engine", "torch", tmp_path / "text", tmp_path / "text")
    assert code == 2 and "text: unsuitable for calibration" in err
    assert not (tiny_run / "confidence.json").exists()


@pytest.fixture
def own_run(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tiny run with a text, to which a calibration is fitted without translating it."""
    monkeypatch.setattr("nmt_cli.commands.calibrate.fit_calibration", lambda *rest: CalibrationFit(calibration(), 40.0))
    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / "text").write_text("The old man.\n")
    return run


@pytest.mark.parametrize(
    "damage, message",
    [
        ({"means": [1.0]}, "another number of features"),
        ({"means": [math.nan] * len(FEATURES)}, "a number that is not finite"),
    ],
)
def test_what_is_wrong_with_a_calibration_is_said(damage: dict[str, Any], message: str, tmp_path: Path) -> None:
    CalibrationFile(40.0, {"torch fp32": calibration()}).save(tmp_path)
    path = tmp_path / "confidence.json"
    content = json.loads(path.read_text())
    content["calibrations"]["torch fp32"] |= damage
    path.write_text(json.dumps(content))
    with pytest.raises(RunError) as error:
        CalibrationFile.load(tmp_path)
    assert str(error.value) == f"{path}: damaged: {message}"


def test_calibrate_replaces_a_damaged_file(own_run: Path, nmt: Call) -> None:
    path = own_run / "confidence.json"
    for damaged in ("{", "{}"):
        path.write_text(damaged)
        code, _, err = nmt("translate", own_run, "--engine", "torch", "--abstain-below", "0.5", stdin=b"The old man.\n")
        assert code == 2 and "nmt calibrate RUN SOURCE REFERENCE writes it anew" in err
        code, _, err = nmt("calibrate", own_run, "--engine", "torch", own_run / "text", own_run / "text")
        assert code == 0 and err.startswith(f"warning: {path}: ")
        assert "ignored; good means at least the median of this text" in err
        assert err.endswith(f"{own_run}: calibrated on 100 lines; good means a chrF of at least 40.0\n")
        assert CalibrationFile.load(own_run) == CalibrationFile(40.0, {"torch fp32": calibration()})


def test_what_another_process_calibrated_meanwhile_stays(
    own_run: Path, nmt: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = CalibrationFile(50.0, {"torch bf16": calibration(bias=1.0)})

    def fit(*rest: object) -> CalibrationFit:
        other.save(own_run)
        return CalibrationFit(calibration(), 40.0)

    monkeypatch.setattr("nmt_cli.commands.calibrate.fit_calibration", fit)
    assert nmt("calibrate", own_run, "--engine", "torch", own_run / "text", own_run / "text")[0] == 0
    expected = CalibrationFile(50.0, other.calibrations | {"torch fp32": calibration()})
    assert CalibrationFile.load(own_run) == expected


@pytest.mark.parametrize("options", [(), ("--quantization", "float32"), ("--set", "search.precision=auto")])
def test_the_same_weights_have_one_calibration(options: tuple[str, ...], own_run: Path, nmt: Call) -> None:
    texts = (own_run / "text", own_run / "text")
    code, _, err = nmt("calibrate", own_run, "--engine", "ctranslate2", "--device", "cpu", *options, *texts)
    calibrated = CalibrationFile.load(own_run)
    assert code == 0, err
    assert calibrated is not None and list(calibrated.calibrations) == ["ctranslate2 float32"]
