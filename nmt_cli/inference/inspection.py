"""How one sentence was translated, in words: their probabilities and alternatives, attention, and the search."""

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmt_cli.data.final_marks import CLOSERS, FINAL_MARKS
from nmt_cli.data.letter_case import WORD
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import BeamTrace, Hypothesis, TokenIds, TokenInspection
from nmt_cli.errors import DataError, UserError
from nmt_cli.inference.translator import Translator
from nmt_cli.inference.words import UNSPACED, Word, words_of

MAX_ALTERNATIVES = 6  # per word
MAX_CANDIDATES = 100  # tokens in place of a word that are looked at; most only lengthen the word before
MAX_WORD_TOKENS = 8  # an alternative is completed to a word of at most so many
MAX_WEIGHTS = 300_000  # numbers of attention per kind; beyond it only the mean of all heads is kept
_ENDED = re.compile(rf"[{FINAL_MARKS}][{CLOSERS}“«]*\Z")  # these two close in German


def inspect_sentence(
    translator: Translator,
    text: str,
    prefix: str = "",
    *,
    translation: str | None = None,
    alternatives: bool = True,
    beam: bool = False,
) -> dict[str, Any]:
    """The translation of a sentence that begins with `prefix`, or the one that is given, and what the model computes
    for it.

    A dictionary for JSON:
    - `text` and `translation` as the model reads and writes them, `displayed`, the translation in the case of its
      source and with what must not change, `prefix`, and `score`, null for a translation that was given;
    - `all_at_once`: whether the model writes all words at once, without probabilities and alternatives;
    - `source_words`, `target_words`: `text` and, of the target, `probability` given all words before (null: not known);
      the last of each is the end of the sentence, `END`;
    - `alternatives`: for each target word the most probable words in its place: `text` (empty: the end), `probability`
      of its first token, and `prefix`, the translation up to and including the word; none without `alternatives`;
    - `attention`: `cross`, `source` and `target`, each [layers][heads][words][words], whose rows are words of the
      target (`source`: of the source); null where the model has no such attention;
    - with `beam`, `beam`: its `size`; `steps`, hypotheses with `text` of the last token, `parent` (place in the step
      before), `log_probability` and, if ended, `score`; `best`, [step, place] of the winner; null if there is no beam.

    UserError for a text without tokens, DataError where the engine shows none of this.
    """
    planner, tokenizers = translator.planner, translator.tokenizers
    unit = planner.whole_unit(text)
    if not (source_ids := unit.source_ids):
        raise UserError("there is nothing to translate")
    (prefix_ids,) = tokenizers.target.encode([planner.normalizer(prefix.strip())]) if prefix.strip() else ([],)
    config = translator.config.model_copy(update={"n_best": 1})
    if translation is None:
        hypothesis = _search(translator, source_ids, config, prefix_ids)
        target_ids, score = hypothesis.ids, round(hypothesis.score, 4)
        displayed = translator.displayed_text(unit, hypothesis)
    else:
        (target_ids,), score = tokenizers.target.encode([planner.written_form(unit, translation)]), None
        target_ids, displayed = target_ids[: planner.max_target_tokens], translation.strip()
    inspection = translator.engine.inspect(source_ids, target_ids, MAX_CANDIDATES if alternatives else 0)
    source_words, target_words = words_of(tokenizers.source, source_ids), words_of(tokenizers.target, target_ids)
    record: dict[str, Any] = {
        "text": planner.read_form(unit),
        "translation": tokenizers.target.decode([target_ids])[0],
        "displayed": displayed,
        "prefix": tokenizers.target.decode([prefix_ids])[0],
        "score": score,
        "all_at_once": inspection is None,
        "source_words": [{"text": word.text} for word in source_words],
        "target_words": [{"text": word.text, "probability": None} for word in target_words],
        "alternatives": [[] for _ in target_words],
        "attention": {"cross": None, "source": None, "target": None},
    }
    if inspection is not None:
        _add_inspection(record, translator, inspection, source_ids, target_ids, (source_words, target_words))
    if beam:
        trace = translator.engine.trace_beam(source_ids, config, prefix_ids)
        record["beam"] = None if trace is None else _beam_record(trace, tokenizers.target)
    return record


def _search(translator: Translator, source_ids: TokenIds, config: SearchConfig, prefix_ids: TokenIds) -> Hypothesis:
    """The best translation."""
    (hypotheses,) = translator.engine.search([source_ids], config, [prefix_ids] if prefix_ids else None)
    if not hypotheses:
        raise DataError("search found no translation")
    return hypotheses[0]


def _add_inspection(
    record: dict[str, Any],
    translator: Translator,
    inspection: TokenInspection,
    source_ids: TokenIds,
    target_ids: TokenIds,
    words: tuple[list[Word], list[Word]],
) -> None:
    source_words, target_words = words
    for word, shown in zip(target_words, record["target_words"], strict=True):
        shown["probability"] = _probability(sum(inspection.log_probabilities[word.first : word.end]))
    if any(inspection.alternatives):
        record["alternatives"] = _alternatives(translator, inspection, source_ids, target_ids, target_words)
    shifted = None if inspection.target_attention is None else inspection.target_attention.roll(-1, -1)
    record["attention"] = {
        "cross": _word_weights(inspection.attention, target_words, source_words),
        "source": _word_weights(inspection.source_attention, source_words, source_words),
        "target": _word_weights(shifted, target_words, target_words),  # the beginning where the end is
    }


def _alternatives(
    translator: Translator,
    inspection: TokenInspection,
    source_ids: TokenIds,
    target_ids: TokenIds,
    words: Sequence[Word],
) -> list[list[dict[str, Any]]]:
    """The most probable words in place of each word; each begins with another token and is completed greedily.

    Left out are tokens that would only lengthen the word before, pieces of words that remain without their rest, and a
    final mark after another.
    """
    tokenizer = translator.tokenizers.target
    end_id = translator.tokenizers.vocabulary.end
    candidates = [
        _first_tokens(tokenizer, inspection, [*target_ids, end_id], word.first, end_id)[: MAX_ALTERNATIVES + 1]
        for word in words
    ]
    prefixes = [
        [*target_ids[: word.first], token]
        for word, tokens in zip(words, candidates, strict=True)
        for token, _ in tokens
        if token != end_id
    ]
    longest = max(map(len, prefixes), default=0)
    config = translator.config.model_copy(
        update={"beam": 1, "n_best": 1, "sampling": False, "min_length": 0, "max_length": longest + MAX_WORD_TOKENS}
    )
    limit = translator.planner.max_target_tokens
    searchable = [prefix for prefix in prefixes if limit is None or len(prefix) <= limit]
    hypotheses = iter(translator.engine.search([source_ids] * len(searchable), config, searchable))
    alternatives = []
    for word, tokens in zip(words, candidates, strict=True):
        before = tokenizer.decode([target_ids[: word.first]])[0]
        choices: dict[str, dict[str, Any]] = {}  # by their text
        for token, log_probability in tokens:
            text, prefix = "", None
            if token != end_id:
                if limit is not None and word.first >= limit:
                    continue
                (hypothesis, *_) = next(hypotheses)
                written = hypothesis.ids[word.first :]
                first_word = words_of(tokenizer, written)[0]
                text = first_word.text
                is_in_place = token in target_ids[word.first : word.first + 1]
                if not is_in_place and _is_misplaced(translator, before, written[:2], text):
                    continue
                (prefix,) = tokenizer.decode([hypothesis.ids[: word.first + first_word.end]])
                if not text or prefix != translator.planner.normalizer(prefix):
                    continue  # bytes that form no character, or a character that is never in a text
            choice = {"text": text, "probability": _probability(log_probability), "prefix": prefix}
            choices.setdefault(text, choice)
        alternatives.append(list(choices.values())[:MAX_ALTERNATIVES])
    return alternatives


def _first_tokens(
    tokenizer: TextTokenizer, inspection: TokenInspection, target_ids: TokenIds, place: int, end_id: int
) -> list[tuple[int, float]]:
    """The tokens that may stand at a place where a word begins, with their log probabilities: the end, the token that
    is there, punctuation, and beginnings of words, but none that would lengthen the word before."""
    before = "".join(tokenizer.ids_to_tokens(target_ids[max(0, place - 1) : place]))
    tokens = []
    for token_id, log_probability in inspection.alternatives[place]:
        (token,) = tokenizer.ids_to_tokens([token_id])
        is_punctuation = len(token) > 0 and all(unicodedata.category(character)[0] in "PS" for character in token)
        begins = token.startswith(" ") or UNSPACED.match(token) or UNSPACED.match(before)
        if begins or is_punctuation or token_id in (end_id, target_ids[place]):
            tokens.append((token_id, log_probability))
    return tokens


def _is_misplaced(translator: Translator, before: str, ids: TokenIds, text: str) -> bool:
    """Whether a word that begins with these ids is a final mark after another, or a single piece of other words, which
    the training text hardly has by itself. A word with a capital that begins a sentence may be known from there."""
    tokenizer, profile = translator.tokenizers.target, translator.planner.profile
    is_ended = _ENDED.search(before) is not None
    word = WORD.match(text)
    if word is None:
        return is_ended and text[:1] in FINAL_MARKS
    piece, *rest = tokenizer.ids_to_tokens(ids)
    is_single = f" {word[0]}" in (piece, "".join([piece, *rest]) if piece == " " else "")
    if not is_single or (word[0][0].isupper() and (is_ended or not before)):
        return False
    return profile.target_truecaser.lacks(word[0], profile.target_language) and not tokenizer.has_only_words


def _probability(log_probability: float) -> float:
    """To four significant digits."""
    return float(f"{math.exp(log_probability):.4g}")


def _word_weights(
    weights: ArrayLike | None, rows: Sequence[Word], columns: Sequence[Word]
) -> list[list[list[list[float]]]] | None:
    """Attention between words, [layers][heads][rows][columns]: a row is the mean over its tokens, a column the sum."""
    if weights is None:
        return None
    values: NDArray[np.float32] = np.asarray(weights)
    values = np.add.reduceat(values, [word.first for word in columns], axis=3)
    sizes = np.array([word.end - word.first for word in rows])
    values = np.add.reduceat(values, [word.first for word in rows], axis=2) / sizes[:, None]
    if values.size > MAX_WEIGHTS:
        values = values.mean(1, keepdims=True)
    rounded: list[list[list[list[float]]]] = np.round(values.astype(float), 4).tolist()
    return rounded


def _beam_record(trace: BeamTrace, tokenizer: TextTokenizer) -> dict[str, Any]:
    tokens = [node.token for step in trace.steps for node in step if node.score is None]
    texts = iter(tokenizer.ids_to_tokens(tokens))
    steps, best = [], None
    for step_number, step in enumerate(trace.steps):
        nodes = []
        for place, node in enumerate(step):
            shown = {"text": "" if node.score is not None else next(texts), "parent": node.parent}
            shown["log_probability"] = round(node.log_probability, 3)
            if node.score is not None:
                shown["score"] = round(node.score, 4)
                if best is None or node.score > best[0]:
                    best = (node.score, step_number, place)
            nodes.append(shown)
        steps.append(nodes)
    return {"size": trace.beam_size, "steps": steps, "best": None if best is None else [best[1], best[2]]}
