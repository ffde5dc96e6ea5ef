"""Translating a large file in shards, which any batch system can run on any number of machines.

Only the output folder connects the processes; `nmt merge-shards` merges the shards.
"""

from pathlib import Path
from typing import Any

from nmt_cli.data.known_words import word_files
from nmt_cli.data.sources.files import read_lines
from nmt_cli.data.text_profile import profile_files
from nmt_cli.errors import DataError, WorkerError, pluralize
from nmt_cli.fs import sha256_of_file
from nmt_cli.inference.output import OutputFormat
from nmt_cli.recipe.loader import load_run_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder
from nmt_cli.translation.byte_ranges import Shard, find_range, open_range, sample_hash
from nmt_cli.translation.parallel import ParallelTranslator
from nmt_cli.translation.shard_files import ShardWriter
from nmt_cli.translation.summary import TranslationSummary


def translate_shard(
    translator: ParallelTranslator,
    text: Path,
    shard: Shard,
    folder: Path,
    output_format: OutputFormat,
    reporter: Reporter,
) -> None:
    """Translate one shard of a file into `folder`, resuming where a killed process stopped.

    DataError where the text cannot be read, or the folder belongs to another text, run or search.
    """
    if not text.is_file():
        reason = "not a file; only files are cut into shards" if text.exists() else "no such file"
        raise DataError(f"{text}: {reason}")
    next(read_lines(text), None)  # refuses UTF-16 before anything is written
    writer = ShardWriter(folder, shard, describe_job(translator, text, shard.total, output_format))
    if writer.is_finished:
        writer.close()
        reporter.info(f"shard {shard}: already done")
        return
    resumed_lines = writer.line_count
    if resumed_lines:
        reporter.info(f"shard {shard}: resuming after line {resumed_lines:,}")
    try:
        text_range = find_range(text, shard)
        stream = open_range(text, text_range, resumed_lines)
        size_is_known = text_range.unit == "bytes" and not resumed_lines
        size = text_range.end - text_range.begin if size_is_known else None
        lines = translator.translate(
            stream, assume_long_input=True, skipped_lines=resumed_lines, before_waiting=writer.commit
        )
        summary = TranslationSummary()
        progress = reporter.line_progress(f"shard {shard}", size)
        with reporter.line_warnings(f"shard {shard}, ") as report_line, progress as bar:
            for translated in lines:
                summary.add(translated)
                report_line(translated.line.number, translated.warnings)
                bar.add(translated.line.text + translated.line.ending, max(1, len(translated.translation.sentences)))
                writer.write(translated.output_lines(output_format))
        writer.finish(text_range)
    except (DataError, WorkerError) as error:
        error.args = (f"shard {shard}, {error}",)
        raise
    finally:
        writer.close()
    summary.report(reporter, f"shard {shard}: ")
    reporter.info(f"shard {shard}: {pluralize(writer.line_count, 'line')}, {folder / shard.name}.txt")


def describe_job(
    translator: ParallelTranslator, text: Path, shard_count: int, output_format: OutputFormat
) -> dict[str, Any]:
    """What all shards of a job must have in common: the text, the runs, the engine and the search options."""
    runs = [_describe_run(Path(run)) for run in translator.spec.runs]
    search = translator.translator.config.model_dump(mode="json")
    source = {"name": text.name, "bytes": text.stat().st_size, "sample": sample_hash(text)}
    engine = [translator.spec.engine, translator.spec.quantization]
    abstention = translator.spec.abstention
    abstaining = {} if abstention is None else {"abstain": [abstention.below, abstention.instead]}
    job = {"input": source, "runs": runs, "engine": engine, "search": search, "form": output_format, **abstaining}
    return {**job, "shards": shard_count}


def _describe_run(path: Path) -> dict[str, Any]:
    """Recipe, update, and SHA-256 of the weights, tokenizers and list of words of a run."""
    checkpoint = RunFolder(path).checkpoints.best()
    other_files = [*sorted(path.glob("tokenizer*.json")), *word_files(path), *profile_files(path)]
    return {
        "recipe": load_run_recipe(path / "recipe.yaml", checked_sections=("model", "search")).hash(),
        "update": checkpoint.update,
        "files": checkpoint.state["files"] | {file.name: sha256_of_file(file) for file in other_files},
    }
