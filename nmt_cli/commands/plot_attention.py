"""nmt plot attention: what each produced word looked at in the source."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nmt_cli.data.sources.files import read_lines
from nmt_cli.data.text_profile import TextProfile
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.decoding.beam import search
from nmt_cli.decoding.engine import TokenIds
from nmt_cli.decoding.host import batch_with_end
from nmt_cli.decoding.word_alignment import alignment_layer, attention_weights, token_word_indices
from nmt_cli.device import find_device
from nmt_cli.errors import DataError, UserError
from nmt_cli.fs import atomic_write_text
from nmt_cli.inference.casing import CaseHandler
from nmt_cli.inference.lines import InputLine, read_blocks
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

MAX_LINES_PER_BATCH = 64  # most lines in a batch
AttentionSelection = tuple[Selection, Selection]  # the layers and the heads that are shown


def open_attention_run(path: Path, device: str) -> LoadedRun:
    """A run in float32 whose model has attention; UserError for one without."""
    run = open_run(path, find_device(device), "fp32")
    if not run.model.has_attention:
        raise UserError(f"{path}: this model has no attention to plot")
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

    The target is the model's own translation, found as the run's search section says, or the
    same line of the file `targets` (forced decoding); DataError where it has another number of
    lines than the input, UserError where no line has text. What is left out or cut is said.
    """
    is_blank = True
    profile = TextProfile.load(run.folder.path, run.recipe.corpus)
    normalize, casing = profile.normalizer(), CaseHandler(profile, run.recipe.search.case)
    target_lines: Iterator[str | None] = repeat(None)
    if targets is not None:
        target_lines = (normalize(line.decode(errors="replace").strip()) for line in read_lines(targets))
    for block in read_blocks(stream, MAX_LINES_PER_BATCH):
        normalized = [replace(line, text=casing.model_form(normalize(line.text.strip()))) for line in block]
        pairs = list(zip(normalized, target_lines, strict=False))
        if len(pairs) < len(normalized):
            raise DataError(f"{targets}: fewer lines than the input")
        for line, _ in pairs:
            if line.invalid_utf8:
                reporter.warning(f"line {line.number}: invalid UTF-8 was replaced by U+FFFD")
            if not line.text:
                reporter.warning(f"line {line.number}: empty, so there is no picture of it")
        nonempty = [(line, target) for line, target in pairs if line.text]
        if nonempty:
            is_blank = False
            yield from _block_maps(run, nonempty, reporter, words=words)
    if next(target_lines, None) is not None:
        raise DataError(f"{targets}: more lines than the input")
    if is_blank:
        raise UserError("standard input has no line with text: there is nothing to plot")


def attention_text(attention_map: AttentionMap, selection: AttentionSelection, screen: Screen) -> Iterator[Row]:
    """A sentence's heatmaps as lines for the terminal, one below the other."""
    for panel in chain.from_iterable(attention_panels(attention_map.weights, *selection)):
        heading = f"line {attention_map.line_number}" + (f" · {panel.title}" if panel.title else "")
        yield [Span(heading, "bold")]
        yield from attention_rows(panel.weights, attention_map.source, attention_map.target, screen)
        yield []


def write_attention(
    maps: list[AttentionMap], selection: AttentionSelection, out: Path, title: str, reporter: Reporter
) -> list[Path]:
    """Write the pictures and return their paths.

    HTML holds all sentences. Of an image there is one a sentence, with the number of its line
    before the ending where there are several.
    """
    if out.suffix.lower() == ".html":
        atomic_write_text(out, attention_page(maps, title, *selection))
        return [out]
    paths = []
    for attention_map in maps:
        path = out if len(maps) == 1 else out.with_stem(f"{out.stem}-{attention_map.line_number}")
        rows = attention_panels(attention_map.weights, *selection)
        draw_attention(path, attention_map.source, attention_map.target, rows, title)
        uncovered = missing_characters(escape_controls("".join([*attention_map.source, *attention_map.target])))
        if uncovered:
            reporter.warning(
                f"{path}: no font here has {uncovered}, so they are boxes; "
                "install one that has, for example of the Noto family"
            )
        paths.append(path)
    return paths


def _block_maps(
    run: LoadedRun, pairs: list[tuple[InputLine, str | None]], reporter: Reporter, *, words: bool
) -> Iterator[AttentionMap]:
    """The maps of a block of normalised lines with text."""
    lines, max_source_tokens = [line for line, _ in pairs], run.recipe.search.max_source_length
    sources = run.tokenizers.source.encode([line.text for line in lines])
    sources = _truncate(sources, [run.model.max_source_positions, max_source_tokens + 1], lines, "source", reporter)
    target_texts = [target for _, target in pairs if target is not None]
    targets = run.tokenizers.target.encode(target_texts) if target_texts else _translate(run, sources)
    targets = _truncate(targets, [run.model.max_target_positions], lines, "target", reporter)
    for line, source, target in zip(lines, sources, targets, strict=True):
        weights = attention_weights(run.model, [source], [target])
        assert weights is not None
        source_labels, target_labels = _labels(run.tokenizers.source, source), _labels(run.tokenizers.target, target)
        attention_map = AttentionMap(line.number, source_labels, target_labels, np.asarray(weights[0]))
        yield _merge_to_words(attention_map, run, source, target) if words else attention_map


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


def _translate(run: LoadedRun, sources: list[TokenIds]) -> list[TokenIds]:
    """The ids of the best translation of each source."""
    batch = batch_with_end(run.model, sources)
    return [hypotheses[0].ids for hypotheses in search(run.model, batch, run.recipe.search)]


def _merge_to_words(attention_map: AttentionMap, run: LoadedRun, source: TokenIds, target: TokenIds) -> AttentionMap:
    """The map for words; each end of sentence is a word of its own."""
    source_word_ids, source_words = _group_words(run.tokenizers.source, source)
    target_word_ids, target_words = _group_words(run.tokenizers.target, target)
    return attention_map.merge_to_words(source_word_ids, target_word_ids, source_words, target_words)


def _group_words(tokenizer: TextTokenizer, ids: TokenIds) -> tuple[list[int], list[str]]:
    """The word of each position, the end of sentence included, and the text of each word."""
    word_ids = token_word_indices(tokenizer.ids_to_tokens(ids))
    count = max(word_ids, default=-1) + 1
    word_tokens: list[TokenIds] = [[] for _ in range(count)]
    for word_id, token in zip(word_ids, ids, strict=True):
        word_tokens[word_id].append(token)
    return [*word_ids, count], [*tokenizer.decode(word_tokens), EOS_LABEL]
