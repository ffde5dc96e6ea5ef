"""Scores with their signatures, and which tokenizer a language gets."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.tokenizers import tokenizer_spm

from nmt_cli.evaluation import metrics
from nmt_cli.evaluation.metrics import METRICS, build_metric, corpus_scores, default_bleu_tokenizer, tokenizer_error

HYPOTHESES = ["The cat sat on the mat .", "two dogs"]
REFERENCES = [["The cat sat on a mat .", "Two dogs bark"]]


@pytest.mark.parametrize(
    "language, tokenizer",
    [
        ("de", "13a"), ("en", "13a"), ("fr", "13a"), ("no", "13a"), ("zh", "zh"), ("zh-CN", "zh"),
        ("zh_Hant", "zh"), ("ZH", "zh"), ("ja", "char"), ("ja_JP", "char"), ("ko", "char"),
        ("th", "char"), ("yue", "char"), ("", "13a"), ("zho_Hans", "zh"), ("cmn", "zh"),
        ("jpn_Jpan", "char"), ("kor", "char"), ("tha_Thai", "char"), ("mya", "char"),
        ("deu_Latn", "13a"),
    ],
)  # fmt: skip
def test_each_language_has_its_tokenizer(language: str, tokenizer: str) -> None:
    assert default_bleu_tokenizer(language) == tokenizer


def test_the_references_of_one_block_are_in_memory_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a million lines took gigabytes; the scores are those of all lines at once."""
    hypotheses, references = HYPOTHESES * 5, [REFERENCES[0] * 5, [*reversed(REFERENCES[0])] * 5]
    whole = {name: build_metric(name).corpus_score(hypotheses, references) for name in METRICS}
    monkeypatch.setattr(metrics, "LINES_PER_BLOCK", 3)
    extract = Mock(wraps=BLEU(force=True)._extract_corpus_statistics)
    metrics.corpus_statistics(Mock(_extract_corpus_statistics=extract), hypotheses, references)
    assert [len(call.args[0]) for call in extract.call_args_list] == [3, 3, 3, 1]
    for score in corpus_scores(hypotheses, references, METRICS):
        assert (score.score, score.text) == (whole[score.name].score, whole[score.name].format(width=2))
        assert "nrefs:2" in score.signature


def test_a_translation_equal_to_its_reference_is_perfect() -> None:
    scores = corpus_scores(REFERENCES[0], REFERENCES, METRICS)
    values = {metric_score.name: metric_score.score for metric_score in scores}
    assert values == pytest.approx({"bleu": 100.0, "chrf": 100.0, "chrf++": 100.0, "ter": 0.0})


def test_an_empty_translation_scores_nothing() -> None:
    values = {metric_score.name: metric_score.score for metric_score in corpus_scores(["", ""], REFERENCES)}
    assert values == pytest.approx({"bleu": 0.0, "chrf": 0.0, "ter": 100.0})


def test_an_unknown_metric_is_none_of_the_known_ones() -> None:
    with pytest.raises(AssertionError, match="chrf2"):
        build_metric("chrf2")  # type: ignore[arg-type]


def test_every_score_carries_its_signature() -> None:
    for metric_score in corpus_scores(HYPOTHESES, REFERENCES, METRICS):
        assert "nrefs:1" in metric_score.signature and "version:" in metric_score.signature
        assert f"{metric_score.score:.2f}" in metric_score.text
    (bleu,) = corpus_scores(HYPOTHESES, REFERENCES * 2, ["bleu"], lowercase=True, tokenize="char")
    for part in ("nrefs:2", "case:lc", "tok:char"):
        assert part in bleu.signature.split("|")


def test_a_second_reference_can_only_help() -> None:
    two_references = [*REFERENCES, ["The cat sat on the mat .", "two dogs"]]
    with_one, two = (
        corpus_scores(HYPOTHESES, references, ["bleu", "chrf"]) for references in (REFERENCES, two_references)
    )
    assert all(better.score > worse.score for better, worse in zip(two, with_one, strict=True))


def test_lowercase_ignores_case() -> None:
    shouted = [line.upper() for line in REFERENCES[0]]
    ignored = corpus_scores(shouted, REFERENCES, ["bleu", "chrf"], lowercase=True)
    assert [metric_score.score for metric_score in ignored] == pytest.approx([100.0, 100.0])
    assert [metric_score.score < 50 for metric_score in corpus_scores(shouted, REFERENCES, ["bleu", "chrf"])] == [
        True,
        True,
    ]


@pytest.mark.filterwarnings("ignore:The .warn. method:DeprecationWarning")  # which sacreBLEU uses
@pytest.mark.parametrize("name", ["flores200", "flores101", "spm"])
def test_a_tokenizer_whose_model_cannot_be_downloaded_says_where_to_put_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(url: str, path: Any) -> None:
        raise OSError("no network")

    for module in ("utils", "tokenizers.tokenizer_spm"):
        monkeypatch.setattr(f"sacrebleu.{module}.SACREBLEU_DIR", str(tmp_path))
    monkeypatch.setattr(tokenizer_spm, "download_file", fail)
    url = tokenizer_spm.SPM_MODELS[name]["url"]
    path = tmp_path / "models" / url.rpartition("/")[2]
    advice = f"sacreBLEU downloads {url} once; without network, put that file at {path}"
    assert tokenizer_error(name) == f"no network: {advice}"
    path.parent.mkdir()
    path.write_text("no model")
    reason = tokenizer_error(name)
    assert reason is not None and reason.endswith(f": {path} is damaged: delete it, and sacreBLEU downloads it again")
