"""No reader sees <unk>: the word of the source that it stands for takes its place, or nothing does."""

from typing import Any

import pytest
import torch

from nmt_cli.data.tokenization.tokenizer import TextTokenizer, TokenizerConfig
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.data.tokenization.training import train_tokenizer
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.inference.translator import Translator
from nmt_cli.inference.unknown_tokens import SourceTokens, fill_unknown_tokens
from tests.translators import Echo

KNOWN = "the old man reads a book and sees his dog."


class Pointer(Echo):
    """Says that target token i looks at source token i + shift, and writes <unk> where it is told to."""

    def __init__(self, shift: int | None, unknown: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.shift, self.unknown, self.asked = shift, unknown, 0

    def search(self, sources: Any, config: SearchConfig, prefixes: Any = None) -> Any:
        sources = [[1 if at in self.unknown else i for at, i in enumerate(ids)] for ids in sources]
        return super().search(sources, config, prefixes)

    def attention(self, sources: Any, targets: Any) -> Any:
        self.asked += len(sources)
        if self.shift is None:
            return None
        all_weights = []
        for source, target in zip(sources, targets, strict=True):
            weights = torch.zeros(1, 1, len(target) + 1, len(source) + 1)
            for position in range(len(target)):
                weights[0, 0, position, min(position + self.shift, len(source))] = 1.0
            all_weights.append(weights)
        return all_weights


@pytest.fixture(scope="module")
def words() -> TextTokenizer:
    return train_tokenizer(lambda: [KNOWN], TokenizerConfig(type="word", vocab_size=40))


def translator(words: TextTokenizer, engine: Echo, align: bool = False, **options: Any) -> Translator:
    return Translator(engine, Tokenizers(words, words), SearchConfig.model_validate(options), align=align)


@pytest.mark.parametrize("shift", [0, None])  # with attention, and in the order of the unknown words without
@pytest.mark.parametrize("line", ["the Zyx reads a book, and sees Quux.", "Zyx 🙂 Quux", "Zyx's dog", "a «Zyx» ..."])
def test_an_unknown_word_is_the_source_s_own(line: str, shift: int | None, words: TextTokenizer) -> None:
    assert translator(words, Pointer(shift)).translate([line])[0].text == line


def test_attention_says_which_word_of_several(words: TextTokenizer) -> None:
    (translation,) = translator(words, Pointer(1)).translate(["Zyx Quux"])
    assert translation.text == "Quux Zyx"


def test_a_known_word_is_copied_where_attention_points_at_it(words: TextTokenizer) -> None:
    line = "the old man reads Zyx"
    assert translator(words, Pointer(0, unknown=(2,))).translate([line])[0].text == line
    assert translator(words, Pointer(None, unknown=(2,))).translate([line])[0].text == "the old Zyx reads"


def test_drop_leaves_it_out(words: TextTokenizer) -> None:
    engine = Pointer(0)
    (translation,) = translator(words, engine, unknown="drop").translate(["the Zyx reads Quux."])
    assert translation.text == "the reads."
    assert engine.asked == 0


def test_nothing_is_asked_where_no_unknown_word_was_written(words: TextTokenizer) -> None:
    engine = Pointer(0)
    translator(words, engine).translate(["the old man reads a book."])
    assert engine.asked == 0


def test_the_prefix_is_as_it_was_given(words: TextTokenizer) -> None:
    (translation,) = translator(words, Pointer(0)).translate(["Zyx"], ["das Quux und"])
    assert translation.text == "das Quux und Zyx"


def test_alignments_count_unknown_words_as_words(words: TextTokenizer) -> None:
    (translation,) = translator(words, Pointer(0), align=True).translate(["the Zyx reads Quux"])
    assert translation.candidates[0].alignment == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_a_token_is_used_once_and_the_rest_is_left_out() -> None:
    source = SourceTokens([" der", " Zyx"], frozenset({1}))
    assert fill_unknown_tokens(["<unk>", "<unk>", " x"], [0, 1], source, None) == [" Zyx", "", " x"]
    weights = [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]
    assert fill_unknown_tokens(["<unk>", "<unk>", " x"], [0, 1], source, weights) == [" der", " Zyx", " x"]
    assert fill_unknown_tokens(["x", "<unk>"], [1], SourceTokens(["Zyx"], frozenset({0})), None) == ["x", " Zyx"]
