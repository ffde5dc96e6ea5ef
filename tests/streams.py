"""Translating a stream with a translator in this process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmt_cli.inference.lines import BlockPartitioner, BlockReader
from nmt_cli.inference.output import TranslatedLine
from nmt_cli.inference.translator import Translator
from nmt_cli.translation.parallel import translate_blocks


def translate_stream(
    translator: Translator,
    stream: Any,
    prefix_path: Path | None = None,
    *,
    strict: bool = False,
    partitioner: BlockPartitioner | None = None,
) -> Iterator[TranslatedLine]:
    return translate_blocks(translator, BlockReader(stream, partitioner, prefix_path, strict=strict))
