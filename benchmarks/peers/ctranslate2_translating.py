"""Translate standard input with CTranslate2 alone.

Arguments: exported folder, compute type, beam size, length of every output (0: natural length); and, unless two workers
with one thread each and batches of 64 sentences are meant: workers, threads of each, batch size, examples or tokens.
"""

import json
import sys
from pathlib import Path

import ctranslate2
from tokenizers import Tokenizer

DEFAULT_SETTINGS = ["2", "1", "64", "examples"]


def main() -> None:
    folder, compute_type, beam_size, length, *settings = sys.argv[1:]
    workers, threads, batch_size, batch_type = settings or DEFAULT_SETTINGS
    translator = ctranslate2.Translator(
        folder, compute_type=compute_type, inter_threads=int(workers), intra_threads=int(threads)
    )
    tokenizer = Tokenizer.from_file(str(tokenizer_path(Path(folder))))
    lines = [line.rstrip("\n") for line in sys.stdin]
    pieces = [encoding.tokens for encoding in tokenizer.encode_batch(lines, add_special_tokens=False)]
    limits = {"min_decoding_length": int(length), "max_decoding_length": int(length)}
    results = translator.translate_batch(
        pieces, beam_size=int(beam_size), max_batch_size=int(batch_size), batch_type=batch_type,
        **(limits if int(length) else {"max_decoding_length": 100}),
    )  # fmt: skip
    vocabulary = tokenizer.get_vocab()
    ids = [[vocabulary[token] for token in result.hypotheses[0]] for result in results]
    for text in tokenizer.decode_batch(ids):
        print(text.replace("\n", " "))


def tokenizer_path(folder: Path) -> Path:
    """The tokenizer of the run that was exported."""
    inside = folder / "tokenizer.json"
    if inside.exists():
        return inside
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return Path(manifest["run"]) / "tokenizer.json"


if __name__ == "__main__":
    main()
