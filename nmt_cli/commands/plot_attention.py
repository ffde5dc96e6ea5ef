"""nmt plot attention: what each produced word looked at in the source."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from nmt_cli.data.sources.files import read_lines
from nmt_cli.data.tokenization.tokenizer import TextTokenizer, spell_bytes
from nmt_cli.decoding.engine import TokenIds
from nmt_cli.decoding.torch_engine import TorchEngine
from nmt_cli.decoding.word_alignment import alignment_layer, attention_weights, token_word_indices
from nmt_cli.device import find_device
from nmt_cli.errors import DataError, UserError
from nmt_cli.fs import atomic_write_text
from nmt_cli.inference.line_plan import LinePlan, LinePlanner, TranslationUnit
from nmt_cli.inference.lines import InputLine, read_blocks
from nmt_cli.inference.translator import Translator
from nmt_cli.plots.attention import (
    EOS_LABEL,
    AttentionMap,
    Selection,
    attention_panels,
    parse_selection,
    subword_labels,
)
from nmt_cli.plots.attention_html import attention_page
from nmt_cli.plots.attention_text import attention_rows
from nmt_cli.plots.chart import Row
from nmt_cli.plots.fonts import escape_controls, missing_characters
from nmt_cli.plots.heatmaps import draw_attention
from nmt_cli.reporting import Reporter, Screen, Span
from nmt_cli.runs.loading import LoadedRun, open_run
from nmt_cli.translation.opening import load_profile

MAX_LINES_PER_BATCH = 64  # most lines in a batch
INVALID_UTF8 = "invalid UTF-8 was replaced by U+FFFD"
EMPTY = "empty, so there is no picture of it"
AttentionSelection = tuple[Selection, Selection]  # the layers and the heads that are shown


def open_attention_run(path: Path, device: str) -> LoadedRun:
    """A run in float32 whose model has attention; UserError for one without."""
    run = open_run(path, find_device(device), "fp32")
    if not run.model.has_attention:
        raise UserError(f"{path}: this model has no attention to the source, so there is none to plot")
    return run


def choose_selection(run: LoadedRun, layer: str | None, head: str) -> AttentionSelection:
    """Layer and head by number, `all` or `mean`; no layer: the one that aligns words best."""
    weights = attention_weights(run.model, [[]], [[]])
    assert weights is not None
    layers, heads = weights[0].shape[:2]
    layer_text = str(alignment_layer(layers) + 1) if layer is None else layer
    return parse_selection("--layer", layer_text, layers, "layer"), parse_selection("--head", head, heads, "head")


def attention_maps(
    run: LoadedRun, stream: BinaryIO, reporter: Reporter, targets: Path | None = None, *, words: bool = False
) -> Iterator[AttentionMap]:
    """The weights of each line with text, as lines arrive, normalised and in the case that `nmt translate` gives them.

    The target is the run's own translation, part by part as `nmt translate` finds it in one process, a map for each
    part; or the same line of the file `targets` (forced decoding), a map for the whole line. What the model does not
    read, because it is copied, is in no map. DataError where `targets` has another number of lines than the input,
    UserError where there is nothing to translate. What is left out or cut is said.
    """
    profile = load_profile([run.folder.path], run.recipe)
    translator = Translator(TorchEngine(run.model), run.tokenizers, run.recipe.search, profile)
    pairs = (
        _translated_pairs(translator, stream, reporter)
        if targets is None
        else _forced_pairs(run, translator.planner, stream, reporter, targets)
    )
    is_empty = True
    for pair in pairs:
        is_empty = False
        yield _attention_map(run, pair, words=words)
    if is_empty:
        raise UserError("standard input has no text to translate: there is nothing to plot")


def attention_text(attention_map: AttentionMap, selection: AttentionSelection, screen: Screen) -> Iterator[Row]:
    """A map's heatmaps as lines for the terminal, one below the other."""
    for panel in chain.from_iterable(attention_panels(attention_map.weights, *selection)):
        heading = attention_map.name + (f" · {panel.title}" if panel.title else "")
        yield [Span(heading, "bold")]
        yield from attention_rows(panel.weights, attention_map.source, attention_map.target, screen)
        yield []


def write_attention(
    maps: list[AttentionMap], selection: AttentionSelection, out: Path, title: str, reporter: Reporter
) -> list[Path]:
    """Write the pictures and return their paths.

    HTML holds all maps. Of an image there is one a map, with the number of its line, and of its part where the line
    has several, before the ending where there are several.
    """
    if out.suffix.lower() == ".html":
        atomic_write_text(out, attention_page(maps, title, *selection))
        return [out]
    paths = []
    for attention_map in maps:
        path, heading = out, title
        if len(maps) > 1:
            path = out.with_stem("-".join([out.stem, *map(str, attention_map.numbers)]))
            heading = f"{title} · {attention_map.name}"
        rows = attention_panels(attention_map.weights, *selection)
        draw_attention(path, attention_map.source, attention_map.target, rows, heading, attention_map.weight_label)
        uncovered = missing_characters(escape_controls("".join([*attention_map.source, *attention_map.target])))
        if uncovered:
            reporter.warning(
                f"{path}: no font here has {uncovered}, so boxes are drawn; "
                "install a font that has them, for example of the Noto family"
            )
        paths.append(path)
    return paths


class _Pair(NamedTuple):
    """The ids of a line, or of a part of it, and of its translation."""

    line_number: int
    part: int | None  # from 1; None: the line is drawn as a whole
    source: TokenIds
    target: TokenIds


def _translated_pairs(translator: Translator, stream: BinaryIO, reporter: Reporter) -> Iterator[_Pair]:
    """The parts of each line that are translated by themselves, with the run's own translations."""
    for block in read_blocks(stream, MAX_LINES_PER_BATCH):
        searched = translator.searched_units([line.text for line in block])
        for line, (plan, units) in zip(block, searched, strict=True):
            _warn_of_line(line, plan, len(units), reporter)
            for number, (unit, ids) in enumerate(units, 1):
                yield _Pair(line.number, number if len(units) > 1 else None, unit.source_ids, ids)


def _warn_of_line(line: InputLine, plan: LinePlan, drawn: int, reporter: Reporter) -> None:
    """Say what of a line is not in its pictures, of which so many are drawn."""
    warnings = [INVALID_UTF8] if line.invalid_utf8 else []
    warnings += plan.warnings
    if plan.truncated_tokens:
        warnings.append(f"the picture lacks its last {plan.truncated_tokens:,} subwords, which the model does not read")
    searched = sum(unit.given is None for unit in plan.units)
    if not plan.units:
        warnings.append(EMPTY)
    elif not searched:
        warnings.append("copied, not translated, so there is no picture of it")
    elif copied := [text for unit in plan.units for text in _copied_texts(unit)]:
        warnings.append(f"copied, not read by the model, so not in the picture: {' '.join(copied)}")
    if drawn < searched:
        warnings.append("search found no translation")
    for warning in warnings:
        reporter.warning(f"line {line.number}: {warning}")


def _copied_texts(unit: TranslationUnit) -> Sequence[str]:
    """What of a unit is copied to its translation without the model's doing."""
    if unit.given is not None:
        return [unit.given]
    return [] if unit.hidden is None else unit.hidden.parts


def _forced_pairs(
    run: LoadedRun, planner: LinePlanner, stream: BinaryIO, reporter: Reporter, targets: Path
) -> Iterator[_Pair]:
    """Each line with text as a whole, with the same line of a file of translations."""
    normalize = planner.normalizer
    target_lines = (normalize(line.decode(errors="replace").strip()) for line in read_lines(targets))
    for block in read_blocks(stream, MAX_LINES_PER_BATCH):
        normalized = [replace(line, text=planner.casing.model_form(normalize(line.text.strip()))) for line in block]
        pairs = list(zip(normalized, target_lines, strict=False))
        if len(pairs) < len(normalized):
            raise DataError(f"{targets}: fewer lines than the input")
        for line, _ in pairs:
            if line.invalid_utf8:
                reporter.warning(f"line {line.number}: {INVALID_UTF8}")
            if not line.text:
                reporter.warning(f"line {line.number}: {EMPTY}")
        nonempty = [(line, target) for line, target in pairs if line.text]
        if nonempty:
            yield from _encode_pairs(run, nonempty, reporter)
    if next(target_lines, None) is not None:
        raise DataError(f"{targets}: more lines than the input")


def _encode_pairs(run: LoadedRun, pairs: list[tuple[InputLine, str]], reporter: Reporter) -> Iterator[_Pair]:
    """The pairs of normalised lines with text and their translations, cut to what the model takes."""
    lines, max_source_tokens = [line for line, _ in pairs], run.recipe.search.max_source_length
    sources = run.tokenizers.source.encode([line.text for line in lines])
    sources = _truncate(sources, [run.model.max_source_positions, max_source_tokens + 1], lines, "source", reporter)
    targets = run.tokenizers.target.encode([target for _, target in pairs])
    targets = _truncate(targets, [run.model.max_target_positions], lines, "target", reporter)
    for line, source, target in zip(lines, sources, targets, strict=True):
        yield _Pair(line.number, None, source, target)


def _attention_map(run: LoadedRun, pair: _Pair, *, words: bool) -> AttentionMap:
    weights = attention_weights(run.model, [pair.source], [pair.target])
    assert weights is not None
    source, target = _labels(run.tokenizers.source, pair.source), _labels(run.tokenizers.target, pair.target)
    weight_label = run.model.config.attention_label
    attention_map = AttentionMap(pair.line_number, source, target, np.asarray(weights[0]), pair.part, weight_label)
    if not words:
        return attention_map
    source_word_ids, source_words = _group_words(run.tokenizers.source, pair.source)
    target_word_ids, target_words = _group_words(run.tokenizers.target, pair.target)
    return attention_map.merge_to_words(source_word_ids, target_word_ids, source_words, target_words)


def _labels(tokenizer: TextTokenizer, ids: TokenIds) -> list[str]:
    return [*subword_labels(tokenizer.ids_to_tokens(ids)), EOS_LABEL]


def _truncate(
    sequences: list[TokenIds], limits: list[int | None], lines: list[InputLine], side: str,
    reporter: Reporter,
) -> list[TokenIds]:  # fmt: skip
    """No more pieces than the model can take beside an end of sentence; what is cut is said."""
    max_tokens = min((limit for limit in limits if limit is not None), default=1 << 30) - 1
    for line, ids in zip(lines, sequences, strict=True):
        if len(ids) > max_tokens:
            reporter.warning(
                f"line {line.number}: the picture shows the first {max_tokens} of {len(ids)} {side} subwords"
            )
    return [ids[:max_tokens] for ids in sequences]


def _group_words(tokenizer: TextTokenizer, ids: TokenIds) -> tuple[list[int], list[str]]:
    """The word of each position and the text of each word; the end of sentence is a word of its own."""
    word_ids = token_word_indices(spell_bytes(tokenizer.ids_to_tokens(ids)))
    count = max(word_ids, default=-1) + 1
    word_tokens: list[TokenIds] = [[] for _ in range(count)]
    for word_id, token in zip(word_ids, ids, strict=True):
        word_tokens[word_id].append(token)
    return [*word_ids, count], [*tokenizer.decode(word_tokens), EOS_LABEL]
