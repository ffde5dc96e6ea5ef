"""nmt plot attention: what each produced word looked at in the source."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from nmt_cli.commands.runs import Run, open_run
from nmt_cli.data.batching import pad
from nmt_cli.data.files import read_lines
from nmt_cli.data.tokenizer import TextTokenizer
from nmt_cli.decoding.alignments import alignment_layer, attention_weights, word_numbers
from nmt_cli.decoding.search import search
from nmt_cli.decoding.stream import InputLine, arriving_blocks
from nmt_cli.device import find_device
from nmt_cli.disk import write_whole
from nmt_cli.errors import DataError, UserError
from nmt_cli.models.contract import Sequences
from nmt_cli.plots.attention import (
    END,
    AttentionMap,
    Choice,
    panels,
    parse_choice,
    piece_labels,
)
from nmt_cli.plots.attention_html import attention_page
from nmt_cli.plots.attention_text import Row, attention_rows
from nmt_cli.plots.fonts import missing, visible
from nmt_cli.plots.heatmaps import draw_attention
from nmt_cli.reporting import Reporter, Screen, Span

TOGETHER = 64  # most lines in a batch
Ids = list[int]


@dataclass(frozen=True)
class Shown:
    """Which layers and heads of a model are shown."""

    layer: Choice
    head: Choice


def open_attention_run(path: Path, device: str = "auto") -> Run:
    """A run in float32 whose model has attention; UserError for one without."""
    run = open_run(path, find_device(device), "fp32")
    if not run.model.has_attention:
        raise UserError(f"{path}: this model has no attention to plot")
    return run


def choose_shown(run: Run, layer: str | None, head: str) -> Shown:
    """Layer and head by number, `all` or `mean`; no layer: the one that aligns words best."""
    weights = attention_weights(run.model, [[]], [[]])
    assert weights is not None
    layers, heads = weights[0].shape[:2]
    text = str(alignment_layer(layers) + 1) if layer is None else layer
    return Shown(
        parse_choice("--layer", text, layers, "layer"), parse_choice("--head", head, heads, "head")
    )


def attention_maps(
    run: Run,
    stream: BinaryIO,
    reporter: Reporter,
    targets: Path | None = None,
    *,
    words: bool = False,
) -> Iterator[AttentionMap]:
    """The weights of each line with text, as lines arrive.

    The target is the model's own translation, found as the run's search section says, or the
    same line of the file `targets` (forced decoding); DataError where it has another number of
    lines than the input. What is left out or cut is said.
    """
    forced = None if targets is None else map(_text, read_lines(targets))
    for block in arriving_blocks(stream, TOGETHER):
        pairs = list(_with_targets(block, forced, targets))
        for line, _ in pairs:
            if line.damaged:
                reporter.warn(f"line {line.number}: bytes that are not UTF-8 became U+FFFD")
            if not line.text.strip():
                reporter.warn(f"line {line.number}: empty, so there is no picture of it")
        kept = [(line, target) for line, target in pairs if line.text.strip()]
        if kept:
            yield from _maps(run, kept, reporter, words=words)
    if forced is not None and next(forced, None) is not None:
        raise DataError(f"{targets}: more lines than the input")


def attention_text(one: AttentionMap, shown: Shown, screen: Screen) -> Iterator[Row]:
    """A sentence's heatmaps as lines for the terminal, one below the other."""
    for panel in (panel for row in panels(one.weights, shown.layer, shown.head) for panel in row):
        heading = f"line {one.number}" + (f" · {panel.title}" if panel.title else "")
        yield [Span(heading, "bold")]
        yield from attention_rows(panel.weights, one.source, one.target, screen)
        yield []


def write_attention(
    maps: list[AttentionMap], shown: Shown, out: Path, title: str, reporter: Reporter
) -> list[Path]:
    """Write the pictures and return their paths.

    HTML holds all sentences. Of an image there is one a sentence, with the number of its line
    before the ending where there are several. UserError where there is no sentence.
    """
    if not maps:
        raise UserError("standard input has no line with text: there is nothing to plot")
    if out.suffix.lower() == ".html":
        write_whole(out, attention_page(maps, title, shown.layer, shown.head))
        return [out]
    paths = []
    for one in maps:
        path = out if len(maps) == 1 else out.with_stem(f"{out.stem}-{one.number}")
        rows = panels(one.weights, shown.layer, shown.head)
        draw_attention(path, one.source, one.target, rows, title)
        unknown = missing(visible("".join([*one.source, *one.target])))
        if unknown:
            reporter.warn(
                f"{path}: no font here has {unknown}, so they are boxes; "
                "install one that has, for example of the Noto family"
            )
        paths.append(path)
    return paths


def _with_targets(
    block: list[InputLine], forced: Iterator[str] | None, targets: Path | None
) -> Iterable[tuple[InputLine, str | None]]:
    for line in block:
        target = None if forced is None else next(forced, None)
        if forced is not None and target is None:
            raise DataError(f"{targets}: fewer lines than the input")
        yield line, target


def _maps(
    run: Run, pairs: list[tuple[InputLine, str | None]], reporter: Reporter, *, words: bool
) -> Iterator[AttentionMap]:
    """The maps of a block of lines with text."""
    lines, limit = [line for line, _ in pairs], run.recipe.search.max_source_length
    sources = run.tokenizers.source.encode([line.text.strip() for line in lines])
    sources = _cut(sources, [run.model.longest_source, limit + 1], lines, "source", reporter)
    given = [target.strip() for _, target in pairs if target is not None]
    targets = run.tokenizers.target.encode(given) if given else _translated(run, sources)
    targets = _cut(targets, [run.model.longest_target], lines, "target", reporter)
    for line, source, target in zip(lines, sources, targets, strict=True):
        weights = attention_weights(run.model, [source], [target])
        assert weights is not None
        labels = [
            [*piece_labels(tokenizer.pieces(ids)), END]
            for tokenizer, ids in (
                (run.tokenizers.source, source), (run.tokenizers.target, target)
            )
        ]  # fmt: skip
        found = AttentionMap(line.number, labels[0], labels[1], np.asarray(weights[0]))
        yield _merged(found, run, source, target) if words else found


def _cut(
    sequences: list[Ids], limits: list[int | None], lines: list[InputLine], side: str,
    reporter: Reporter,
) -> list[Ids]:  # fmt: skip
    """No more pieces than the model can take beside an end of sentence; what is cut is said."""
    most = min((limit for limit in limits if limit is not None), default=1 << 30) - 1
    for line, ids in zip(lines, sequences, strict=True):
        if len(ids) > most:
            reporter.warn(
                f"line {line.number}: the picture shows the first {most} of {len(ids)} "
                f"{side} pieces"
            )
    return [ids[:most] for ids in sequences]


def _translated(run: Run, sources: list[Ids]) -> list[Ids]:
    """The ids of the best translation of each source."""
    vocabulary, device = run.model.vocabulary, next(run.model.parameters()).device
    padded = pad([(ids, [vocabulary.end]) for ids in sources], vocabulary.pad)
    ids, lengths = (torch.from_numpy(part).to(device) for part in padded)
    batch = Sequences(ids, lengths)
    return [found[0].ids for found in search(run.model, batch, run.recipe.search)]


def _merged(found: AttentionMap, run: Run, source: Ids, target: Ids) -> AttentionMap:
    """The map for words; each end of sentence is a word of its own."""
    sides = [
        _words(tokenizer, ids)
        for tokenizer, ids in ((run.tokenizers.source, source), (run.tokenizers.target, target))
    ]
    return found.merged(sides[0][0], sides[1][0], sides[0][1], sides[1][1])


def _words(tokenizer: TextTokenizer, ids: Ids) -> tuple[list[int], list[str]]:
    """The word of each position, the end of sentence included, and the text of each word."""
    numbers = word_numbers(tokenizer.pieces(ids))
    count = max(numbers, default=-1) + 1
    parts: list[Ids] = [[] for _ in range(count)]
    for number, one in zip(numbers, ids, strict=True):
        parts[number].append(one)
    return [*numbers, count], [*tokenizer.decode(parts), END]


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
