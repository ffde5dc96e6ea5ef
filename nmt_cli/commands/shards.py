"""nmt translate --shard I/N: one part of a large file, so that any batch system can run the others.

Nothing but the folder of the output connects the processes; nmt join puts the parts together.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nmt_cli.commands.processes import ParallelTranslator
from nmt_cli.commands.translate import Form, TranslatedLine
from nmt_cli.data.ranges import Shard, find_range, open_range, sample_hash
from nmt_cli.data.shards import ShardWriter, digest
from nmt_cli.data.words import word_files
from nmt_cli.errors import DataError
from nmt_cli.recipe import load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.run_folder import RunFolder

MARK_SECONDS = 10.0  # of work that a kill can cost


@dataclass(frozen=True)
class ShardDone:
    """A finished shard: its lines, and how many of them were there already."""

    shard: Shard
    lines: int
    before: int


def translate_shard(
    translator: ParallelTranslator,
    text: Path,
    shard: Shard,
    folder: Path,
    form: Form,
    reporter: Reporter,
) -> ShardDone:
    """Translate one part of a file into `folder`, going on where a killed process stopped.

    DataError where the text cannot be read, or the folder belongs to another text, run or search.
    """
    if not text.is_file():
        raise DataError(f"{text}: no such file")
    writer = ShardWriter(folder, shard, describe_job(translator, text, shard.total, form))
    if writer.done:
        writer.close()
        reporter.say(f"shard {shard}: already done")
        return ShardDone(shard, writer.lines, writer.lines)
    before = writer.lines
    if before:
        reporter.say(f"shard {shard}: going on after line {before:,}")
    try:
        part = find_range(text, shard)
        marked = time.monotonic()
        stream = open_range(text, part, before)
        with reporter.lines(f"shard {shard}, ") as tell:
            for one in translator.translate(stream, much=True):
                shifted = _shifted(one, before)
                tell(shifted.line.number, shifted.warnings)
                writer.write(shifted.output(form))
                if time.monotonic() - marked > MARK_SECONDS:
                    writer.mark()
                    marked = time.monotonic()
        writer.finish(part)
    finally:
        writer.close()
    reporter.say(f"shard {shard}: {writer.lines:,} lines, {folder / shard.name}.txt")
    return ShardDone(shard, writer.lines, before)


def _shifted(one: TranslatedLine, by: int) -> TranslatedLine:
    """The line with the number that it has in its shard."""
    return replace(one, line=replace(one.line, number=one.line.number + by))


def describe_job(
    translator: ParallelTranslator, text: Path, shards: int, form: Form
) -> dict[str, Any]:
    """What all shards must have in common: the text, the runs and how they search."""
    runs = [_describe_run(Path(run)) for run in translator.opening.runs]
    search = translator.translator.config.model_dump(mode="json")
    source = {"name": text.name, "bytes": text.stat().st_size, "sample": sample_hash(text)}
    engine = [translator.opening.engine, translator.opening.quantization]
    facts = {"input": source, "runs": runs, "engine": engine, "search": search, "form": form}
    return {**facts, "shards": shards}


def _describe_run(path: Path) -> dict[str, Any]:
    """Recipe, update, and SHA-256 of the weights, tokenizers and list of words of a run."""
    checkpoint = RunFolder(path).best()
    others = [*sorted(path.glob("tokenizer*.json")), *word_files(path)]
    return {
        "recipe": load_recipe(path / "recipe.yaml").hash(),
        "update": checkpoint.update,
        "files": checkpoint.state["files"] | {one.name: digest(one) for one in others},
    }
