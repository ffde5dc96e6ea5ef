"""What is shown of a translation is what the model computed for it."""

import json
import math
import re
from dataclasses import replace
from typing import Any

import pytest

from nmt_cli.data.letter_case import Truecaser
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.errors import UserError
from nmt_cli.inference.inspection import inspect_sentence
from nmt_cli.inference.translator import Translator
from nmt_cli.inference.words import END, UNSPACED, words_of
from nmt_cli.models import MODELS
from tests.translators import PROFILE, random_translator

SENTENCE = "The old man reads a book."


def make_translator(name: str, tokenizer: TextTokenizer, index: int = 0, **options: Any) -> Translator:
    settings = {"beam": 3, "max_length": 7, "precision": "fp32", "repair_degenerate": False, **options}
    return random_translator(tokenizer, None, name, index, seed=5, **settings)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_words_probabilities_attention_and_alternatives_are_those_of_the_model(
    name: str, tokenizer: TextTokenizer
) -> None:
    translator = make_translator(name, tokenizer)
    record = inspect_sentence(translator, SENTENCE, beam=True)
    json.dumps(record, allow_nan=False)
    assert record["text"] == SENTENCE
    assert [word["text"] for word in record["source_words"]] == [*SENTENCE.split(), END]
    sizes = {"source": len(record["source_words"]), "target": len(record["target_words"])}
    assert len(record["alternatives"]) == sizes["target"]
    model = translator.engine.model  # type: ignore[attr-defined]
    (source_ids,) = tokenizer.encode([SENTENCE])
    (hypotheses,) = translator.engine.search([source_ids], translator.config)
    probabilities = [word["probability"] for word in record["target_words"]]
    assert record["all_at_once"] == (name == "ctc")
    if name == "ctc":
        assert probabilities == [None] * sizes["target"] and record["beam"] is None
        assert record["attention"] == {"cross": None, "source": None, "target": None}
        return
    total = sum(math.log(probability) for probability in probabilities)
    # each is rounded to four digits
    assert total == pytest.approx(hypotheses[0].log_probability, abs=0.0005 * sizes["target"] + 1e-4)
    assert (record["attention"]["cross"] is not None) == model.has_attention
    for kind, (rows, columns) in {
        "cross": ("target", "source"), "source": ("source", "source"), "target": ("target", "target")
    }.items():  # fmt: skip
        for layer in record["attention"][kind] or []:
            for head in layer:
                assert len(head) == sizes[rows]
                for row in head:
                    assert len(row) == sizes[columns] and sum(row) == pytest.approx(1, abs=1e-3)
    trace = record["beam"]
    step, place = trace["best"]
    tokens = []
    while step > 0:
        step, place = step - 1, trace["steps"][step][place]["parent"]
        tokens.append(trace["steps"][step][place]["text"])
    assert tokens[::-1] == tokenizer.ids_to_tokens(hypotheses[0].ids)
    assert max(map(len, trace["steps"])) <= 2 * trace["size"]


def test_an_alternative_is_where_the_rest_begins(tokenizer: TextTokenizer) -> None:
    translator = make_translator("transformer", tokenizer, 1)
    record = inspect_sentence(translator, SENTENCE)
    choices = [choice for word in record["alternatives"] for choice in word if choice["prefix"]]
    assert len(choices) > 5
    for choice in choices[1::4]:
        changed = inspect_sentence(translator, SENTENCE, choice["prefix"])
        assert changed["translation"].startswith(choice["prefix"]) and changed["prefix"] == choice["prefix"]
    for word in record["alternatives"]:
        assert all(bool(choice["text"]) == (choice["prefix"] is not None) for choice in word)  # without: the end
        texts = [choice["text"] for choice in word]
        assert len(texts) == len(set(texts))
        probabilities = [choice["probability"] for choice in word]
        assert probabilities == sorted(probabilities, reverse=True)


def test_an_alternative_is_a_whole_word_and_no_piece_of_one(tokenizer: TextTokenizer) -> None:
    translator = make_translator("transformer", tokenizer, 1)
    record = inspect_sentence(translator, SENTENCE, translation="Der alte Mann")
    before = ["", "Der", "Der alte", "Der alte Mann"]
    assert all(sum(bool(choice["prefix"]) for choice in word) > 1 for word in record["alternatives"])
    for beginning, word in zip(before, record["alternatives"], strict=True):
        for choice in word:
            if choice["prefix"]:
                rest = choice["prefix"].removeprefix(beginning)
                assert not beginning or not rest[0].isalnum() or UNSPACED.match(rest), (beginning, choice)


def test_an_alternative_is_no_beginning_of_other_words_that_the_training_text_lacks_by_itself(
    tokenizer: TextTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt_cli.inference.inspection.MAX_CANDIDATES", tokenizer.vocab_size)
    monkeypatch.setattr("nmt_cli.inference.inspection.MAX_ALTERNATIVES", tokenizer.vocab_size)
    single_tokens = {token for token in tokenizer.backend.get_vocab() if re.fullmatch(r" [a-zA-Zäöüß]+", token)}
    known = {"der", "alte", "liest", "ein"}
    assert len(single_tokens) > 2 * len(known)

    def offered(forms: set[str], place: int, translation: str = "Der alte") -> set[str]:
        """Words of a single token that are offered at a place."""
        profile = replace(PROFILE, target_truecaser=Truecaser({form: form for form in forms}))
        translator = random_translator(tokenizer, profile, seed=5, beam=1, precision="fp32", repair_degenerate=False)
        record = inspect_sentence(translator, SENTENCE, translation=translation)
        texts = {" " + choice["text"].rstrip(".,?!") for choice in record["alternatives"][place]}
        return texts & single_tokens

    all_offered = offered(set(), 1)  # nothing is known of a run without forms
    assert len(all_offered) > len(known) + 1
    assert offered(known, 1) <= {f" {word}" for word in known} | {" Der", " Ein"}
    piece = min(token for token in all_offered if token[1].islower() and token[1:] not in known)
    assert piece in offered(known, 1, f"Der{piece}") - offered(known, 1)  # what stands there
    assert any(word[1].isupper() and word[1:].lower() not in known for word in offered(known, 0))
    assert not any(word[1].islower() and word[1:] not in known for word in offered(known, 0))


def test_no_final_mark_is_offered_after_another(tokenizer: TextTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt_cli.inference.inspection.MAX_CANDIDATES", tokenizer.vocab_size)
    monkeypatch.setattr("nmt_cli.inference.inspection.MAX_ALTERNATIVES", tokenizer.vocab_size)
    translator = make_translator("transformer", tokenizer)

    def marks(translation: str) -> set[str]:
        """Final marks that are offered instead of the end."""
        record = inspect_sentence(translator, SENTENCE, translation=translation)
        assert record["alternatives"][-1]
        return {choice["text"][:1] for choice in record["alternatives"][-1]} & {".", "?"}

    assert marks("Ein Buch") == {".", "?"}
    for ended in ("Ein Buch.", "Ein Buch?", "„Ein Buch.“", "他也喜欢。"):
        assert marks(ended) == set(), ended


def test_a_translation_from_elsewhere_is_inspected_as_it_is(tokenizer: TextTokenizer) -> None:
    translator = make_translator("transformer", tokenizer)
    record = inspect_sentence(translator, SENTENCE, translation="Der alte Mann", alternatives=False)
    assert record["translation"] == "Der alte Mann" and record["score"] is None
    assert record["alternatives"] == [[]] * 4
    scores = translator.engine.log_probabilities(
        tokenizer.encode([SENTENCE]), tokenizer.encode(["Der alte Mann"]), translator.config
    )
    assert scores is not None
    product = math.prod(word["probability"] for word in record["target_words"])
    assert product == pytest.approx(math.exp(scores[0]), rel=4 * 0.0005)  # four words, each rounded to four digits


def test_the_fixed_vector_shows_no_attention_and_a_long_text_only_the_mean_of_heads(
    tokenizer: TextTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = MODELS["rnn"].config_class.tiny_configs()
    index = next(i for i, config in enumerate(configs) if not config.has_attention)
    record = inspect_sentence(make_translator("rnn", tokenizer, index), SENTENCE)
    assert record["attention"]["cross"] is None and not record["all_at_once"]
    assert record["target_words"][0]["probability"] is not None
    monkeypatch.setattr("nmt_cli.inference.inspection.MAX_WEIGHTS", 10)
    attention = inspect_sentence(make_translator("transformer", tokenizer), SENTENCE)["attention"]
    assert [len(layer) for layer in attention["cross"]] == [1, 1]


def test_a_token_is_a_word_where_there_are_no_spaces(tokenizer: TextTokenizer) -> None:
    (ids,) = tokenizer.encode(["我喜欢"])
    assert [(word.first, word.end) for word in words_of(tokenizer, ids)] == [(i, i + 1) for i in range(len(ids) + 1)]
    assert words_of(tokenizer, []) == [(END, 0, 1)]
    with pytest.raises(UserError, match="nothing to translate"):
        inspect_sentence(make_translator("transformer", tokenizer), " ")
