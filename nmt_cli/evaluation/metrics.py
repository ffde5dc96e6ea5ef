"""BLEU, chrF, chrF++ and TER through sacreBLEU, for a corpus or for each sentence. Imports no torch."""

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, assert_never

from nmt_cli.data.language_codes import base_code
from nmt_cli.data.scripts import letter_scripts
from nmt_cli.data.sources.compression import open_decompressed
from nmt_cli.data.sources.files import decoded_lines, read_stream_lines
from nmt_cli.errors import DataError, UserError, error_reason, pluralize

MetricName = Literal["bleu", "chrf", "chrf++", "ter"]
METRICS: tuple[MetricName, ...] = ("bleu", "chrf", "chrf++", "ter")
# ISO 639-1, and 639-2 and -3 with bibliographic variants
CHINESE_CODES = ("zh", "zho", "chi", "cmn")
CHARACTER_TOKENIZED_CODES = (
    *("ja", "jpn", "ko", "kor", "th", "tha", "lo", "lao", "km", "khm"),
    *("my", "mya", "bur", "bo", "bod", "tib", "dz", "dzo", "yue"),
)
# A language of each script that 13a does not split into words, by the first word of its letters' Unicode names.
LANGUAGE_BY_SCRIPT = {
    **{"CJK": "zh", "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "THAI": "th", "LAO": "lo"},
    **{"KHMER": "km", "MYANMAR": "my", "TIBETAN": "bo"},
}
SCRIPT_SAMPLE_LINES = 1000  # lines from which the script of a text is determined
LINES_PER_BLOCK = 2000  # whose references are in memory as n-grams
MIN_KANA_SHARE = 0.05  # of the letters, from which text with Chinese characters counts as Japanese


@dataclass(frozen=True)
class Score:
    """A corpus score with the signature that makes it comparable."""

    name: str
    score: float
    signature: str
    text: str  # as sacreBLEU prints it


def default_bleu_tokenizer(language: str) -> str:
    """sacreBLEU's tokenizer for a target language, by its code."""
    code = base_code(language)
    if code in CHINESE_CODES:
        return "zh"
    return "char" if code in CHARACTER_TOKENIZED_CODES else "13a"


def unsegmented_language(texts: Sequence[str]) -> str | None:
    """The language whose tokenizer suits texts mostly in a script that 13a does not split into words; else None."""
    counts: Counter[str | None] = Counter()
    for script, count in letter_scripts("".join(texts[:SCRIPT_SAMPLE_LINES])).items():
        counts[LANGUAGE_BY_SCRIPT.get(script)] += count
    if 2 * counts[None] >= counts.total():
        return None
    if counts["ja"] >= MIN_KANA_SHARE * counts.total():
        return "ja"
    return max((language for language in counts if language is not None), key=lambda language: counts[language])


def looks_tokenized(texts: Sequence[str]) -> bool:
    """Whether most of the lines that end in a full stop have a space before it."""
    ends = Counter(text.rstrip()[-2:] == " ." for text in texts if text.rstrip().endswith("."))
    return ends[True] > ends[False]


def tokenizer_error(name: str) -> str | None:
    """Why a tokenizer cannot be used, or None; loads it, since some need an extra or a download."""
    from sacrebleu.metrics.bleu import BLEU

    if name not in BLEU.TOKENIZERS:
        return f"use one of {', '.join(sorted(BLEU.TOKENIZERS))}"
    try:
        build_metric("bleu", tokenize=name)
    except (ImportError, OSError, RuntimeError) as error:
        reason = error_reason(error)
        return reason if isinstance(error, ImportError) else f"{reason}{_model_advice(name)}"
    return None


def _model_advice(name: str) -> str:
    """Where sacreBLEU's tokenizer has its SentencePiece model from, if it has one, and where to put it."""
    from sacrebleu.tokenizers.tokenizer_spm import SPM_MODELS
    from sacrebleu.utils import SACREBLEU_DIR

    if name not in SPM_MODELS:
        return ""
    url = SPM_MODELS[name]["url"]
    path = Path(SACREBLEU_DIR, "models", Path(url).name)
    if path.exists():
        return f": {path} is damaged: delete it, and sacreBLEU downloads it again"
    return f": sacreBLEU downloads {url} once; without network, put that file at {path}"


def corpus_scores(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    metrics: Sequence[MetricName] = ("bleu", "chrf", "ter"),
    *,
    lowercase: bool = False,
    tokenize: str | None = None,
) -> list[Score]:
    """Corpus scores; `references` has one list per reference file, each as long as `hypotheses`."""
    results = []
    for name in metrics:
        scorer = build_metric(name, lowercase=lowercase, tokenize=tokenize)
        result = scorer._aggregate_and_compute(corpus_statistics(scorer, hypotheses, references))
        signature = str(scorer.get_signature())
        results.append(Score(name, result.score, signature, result.format(width=2)))
    return results


def corpus_statistics(
    scorer: Any, hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> list[list[int | float]]:
    """What a score of sacreBLEU is computed from, of each hypothesis.

    Block by block, since sacreBLEU has the n-grams of all references in memory, in 25 kB per line for chrF.
    """
    statistics: list[list[int | float]] = []
    for first in range(0, len(hypotheses), LINES_PER_BLOCK):
        block = slice(first, first + LINES_PER_BLOCK)
        references_of_block = [list(lines[block]) for lines in references]
        statistics += scorer._extract_corpus_statistics(list(hypotheses[block]), references_of_block)
    return statistics


def build_metric(
    name: MetricName, *, lowercase: bool = False, tokenize: str | None = None, effective_order: bool = False
) -> Any:
    """sacreBLEU's object that computes a metric; with `effective_order`, BLEU is meant for single sentences."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    if name == "bleu":
        # force: whether text is tokenised is said by nmt (`looks_tokenized`), which has no parameter of that name
        return BLEU(lowercase=lowercase, tokenize=tokenize, effective_order=effective_order, force=True)
    if name == "chrf":
        return CHRF(lowercase=lowercase)
    if name == "chrf++":
        return CHRF(lowercase=lowercase, word_order=2)  # Popović 2017
    if name == "ter":
        return TER(case_sensitive=False) if lowercase else TER()
    assert_never(name)


def text_name(source: BinaryIO | Path) -> str:
    """What messages call a file, or the stream that is standard input."""
    return str(source) if isinstance(source, Path) else "standard input"


def read_texts(source: BinaryIO | Path) -> list[str]:
    """The lines of a UTF-8 file or stream without white space at their ends, as sacreBLEU's command reads them.

    A byte order mark at the start is dropped.
    """
    name = text_name(source)
    if isinstance(source, Path) and source.is_dir():
        raise DataError(f"{source}: this is a folder, not a file")
    with open_decompressed(source) if isinstance(source, Path) else nullcontext(source) as file:
        return [text.rstrip() for text in decoded_lines(read_stream_lines(file, name), name)]


def read_references(paths: Sequence[Path], texts: Sequence[str], name: str) -> list[list[str]]:
    """The lines of each reference file; DataError where there are not as many as in `texts`, called `name`."""
    all_references = []
    for path in paths:
        lines = read_texts(path)
        check_line_count(path, lines, name, texts)
        all_references.append(lines)
    return all_references


def check_line_count(path: Path, lines: Sequence[str], other_name: str, other_lines: Sequence[str]) -> None:
    """DataError if two texts that belong together have different numbers of lines."""
    if len(lines) != len(other_lines):
        raise DataError(f"{path} has {pluralize(len(lines), 'line')} and {other_name} has {len(other_lines):,}")


def check_tokenizer(name: str) -> None:
    """UserError if sacreBLEU has no tokenizer of this name or it cannot be loaded."""
    reason = tokenizer_error(name)
    if reason is not None:
        raise UserError(f"--tokenize {name}: {reason}")
