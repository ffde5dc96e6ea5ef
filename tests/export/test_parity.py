"""An export that translates otherwise than the run is not called done."""

import pytest

from nmt_cli.data.tokenization.tokenizer import TextTokenizer, TokenizerConfig
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.data.tokenization.training import train_tokenizer
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Engine, Hypothesis, TokenIds
from nmt_cli.export.parity import LARGE_SAMPLE_LINES, Parity, Sample, compare
from tests.inference.test_unknown_tokens import KNOWN, Pointer


class Echo(Engine):
    """Repeats the source, but not for sources whose number, counted by beam, is in `wrong`."""

    def __init__(self, wrong: dict[int, range] | None = None) -> None:
        self.wrong = wrong or {}
        self.beams: list[tuple[int, int]] = []

    def max_batch_positions(self, config: SearchConfig) -> int:
        return 1 << 20

    def search(
        self, sources: list[TokenIds], config: SearchConfig, prefixes: list[TokenIds] | None = None
    ) -> list[list[Hypothesis]]:
        self.beams.append((config.beam, len(sources)))
        results = []
        for ids in sources:
            wrong = len(ids) in self.wrong.get(config.beam, range(0))
            results.append([Hypothesis(ids[:-1] if wrong else ids, -1.0, -1.0)])
        return results


@pytest.fixture(scope="module")
def tokenizers(tokenizer: TextTokenizer) -> Tokenizers:
    return Tokenizers(tokenizer, tokenizer)


def lines_of_all_lengths(tokenizers: Tokenizers, count: int) -> list[str]:
    """Line i has i + 1 pieces."""
    lines = ["\x01" * number for number in range(1, count + 1)]
    lengths = [len(ids) for ids in tokenizers.source.encode(lines)]
    assert len(set(lengths)) == count
    return lines


def shares(tokenizers: Tokenizers, wrong: dict[int, int], *, exact: bool = True, references: bool = True) -> Parity:
    lines = lines_of_all_lengths(tokenizers, 100)
    first = len(tokenizers.source.encode(lines[:1])[0])
    theirs = Echo({beam: range(first, first + count) for beam, count in wrong.items()})
    sample = Sample(lines, lines if references else None)
    return compare(Echo(), theirs, tokenizers, SearchConfig(), sample, exact=exact)


@pytest.mark.parametrize(
    "wrong, problem",
    [
        ({}, None),
        ({1: 1, 5: 3}, None),
        ({1: 2}, "greedy: 98 of 100 lines have the same translation, at least 99% must"),
        ({5: 4}, "beam 5: 96 of 100 lines have the same translation, at least 97% must"),
    ],
)
def test_float32_gives_the_same_text(wrong: dict[int, int], problem: str | None, tokenizers: Tokenizers) -> None:
    parity = shares(tokenizers, wrong)
    cause = "where a model has learned little, its hypotheses are nearly equally probable, and small differences decide"
    assert parity.problem == (problem and f"{problem} ({cause})")
    assert (parity.greedy, parity.beam) == (1 - wrong.get(1, 0) / 100, 1 - wrong.get(5, 0) / 100)


def test_words_that_only_attention_puts_in_order_are_not_compared() -> None:
    words = train_tokenizer(lambda: [KNOWN], TokenizerConfig(type="word", vocab_size=40))
    sample = Sample(["Zyx Quux"], None)
    parity = compare(Pointer(1), Pointer(None), Tokenizers(words, words), SearchConfig(), sample, exact=True)
    assert (parity.greedy, parity.problem) == (1.0, None)


def sentences(count: int) -> list[str]:
    return ["The old man reads a book in the house ." + " ." * (number % 7) for number in range(count)]


def test_fewer_bits_are_judged_by_bleu(tokenizers: Tokenizers) -> None:
    lines = sentences(100)
    sample = Sample(lines, lines)
    shortest, longest = (size(len(ids) for ids in tokenizers.source.encode(lines)) for size in (min, max))
    bad = Echo({5: range(shortest, longest + 1)})
    parity = compare(Echo(), bad, tokenizers, SearchConfig(), sample, exact=False)
    assert parity.bleu is not None and parity.bleu[0] == pytest.approx(100)
    assert parity.problem == (f"BLEU {parity.bleu[1]:.2f} instead of 100.00, a difference of at most 0.3 is accepted")
    good = compare(Echo(), Echo({1: range(shortest, longest)}), tokenizers, SearchConfig(), sample,
                   exact=False)  # fmt: skip
    assert good.problem is None and good.greedy < 0.9
    assert "version:" in str(good.signature)


def test_where_bleu_differs_on_few_lines_many_decide(tokenizers: Tokenizers) -> None:
    lines = ["one " * 3 + "line"] * 20 + ["The old man reads a book."] * (LARGE_SAMPLE_LINES + 200)
    odd = len(tokenizers.source.encode(lines[:1])[0])
    ours, theirs = Echo(), Echo({5: range(odd, odd + 1)})
    parity = compare(ours, theirs, tokenizers, SearchConfig(), Sample(lines, lines), exact=False)
    assert ours.beams == theirs.beams == [(1, 100), (5, 100), (5, LARGE_SAMPLE_LINES)]
    assert parity.lines == 100 and parity.bleu is not None and parity.bleu[1] > 97


def test_fewer_lines_of_a_sample_are_spread_over_all_its_texts() -> None:
    texts = [f"<2de> {number}" for number in range(1500)] + [f"<2fr> {number}" for number in range(500)]
    sample = Sample(texts, texts[::-1]).spread(100)
    assert sample.sources[:2] == texts[:40:20] and sample.references == texts[::-1][::20]
    assert sum(source.startswith("<2fr>") for source in sample.sources) == 25
    assert sample.spread(1000) == sample and Sample(texts[:3], None).spread(2).sources == [texts[0], texts[1]]


def test_without_references_there_is_no_bleu(tokenizers: Tokenizers) -> None:
    parity = shares(tokenizers, {5: 50}, exact=False, references=False)
    assert parity.bleu is None and parity.problem is None
    assert parity.summary == "of 100 lines 100 are translated the same greedily, 50 at beam 5"


def test_the_text_has_both_scores_with_their_signature(tokenizers: Tokenizers) -> None:
    text = shares(tokenizers, {}).summary
    assert "; BLEU " in text and " of the run, " in text and " of the export, nrefs:1|" in text
