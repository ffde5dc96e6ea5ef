"""Translate standard input with CTranslate2 alone: two workers with one thread each, batches of 64.

Arguments: exported folder, compute type, beam size, length of every output (0: natural length).
"""

import json
import sys
from pathlib import Path

import ctranslate2
from tokenizers import Tokenizer

BATCH = 64


def main() -> None:
    folder, compute_type, beam_size, length = sys.argv[1:]
    translator = ctranslate2.Translator(folder, compute_type=compute_type, inter_threads=2, intra_threads=1)
    tokenizer = Tokenizer.from_file(str(tokenizer_path(Path(folder))))
    lines = [line.rstrip("\n") for line in sys.stdin]
    pieces = [encoding.tokens for encoding in tokenizer.encode_batch(lines, add_special_tokens=False)]
    limits = {"min_decoding_length": int(length), "max_decoding_length": int(length)}
    results = translator.translate_batch(
        pieces, beam_size=int(beam_size), max_batch_size=BATCH, batch_type="examples",
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
    manifest = json.loads((folder / "manifest.json").read_text())
    return Path(manifest["run"]) / "tokenizer.json"


if __name__ == "__main__":
    main()
