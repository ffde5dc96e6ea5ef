"""Train an attention RNN of OpenNMT-py on the tokens of prepared data and print its speed.

Arguments: Python with OpenNMT-py 3.5, prepared folder, updates, warm-up windows. The model that is
most like W3: LSTM of 512 units with additive attention.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from statistics import median

import yaml

from nmt_cli.data.prepared.store import PreparedData

WINDOW = 5
REPORT = re.compile(r"Step\s+(\d+)/.*?([\d.]+)/\s*([\d.]+) tok/s")
SETTINGS = {
    "encoder_type": "brnn", "decoder_type": "rnn", "enc_layers": 1, "dec_layers": 1,
    "hidden_size": 512, "word_vec_size": 256, "rnn_type": "LSTM", "global_attention": "mlp",
    "optim": "adam", "learning_rate": 0.001, "decay_method": "none", "max_grad_norm": 1.0,
    "label_smoothing": 0.1, "dropout": [0.1], "batch_type": "tokens", "batch_size": 4096,
    "batch_size_multiple": 1, "normalization": "tokens", "bucket_size": 29000, "num_workers": 0,
    "world_size": 1, "report_every": WINDOW, "valid_steps": 100_000,
    "save_checkpoint_steps": 100_000, "share_vocab": True, "overwrite": True, "seed": 1,
}  # fmt: skip


def write_texts(data: PreparedData, folder: Path) -> None:
    """Both sides as tokens separated by spaces, and their vocabulary."""
    counts: Counter[str] = Counter()
    sides = (data.tokenizers.source, data.tokenizers.target)
    for name, store, tokenizer in zip(("src", "tgt"), data.variants[0], sides, strict=True):
        with open(folder / f"train.{name}", "w", encoding="utf-8") as file:
            for number in range(len(store)):
                pieces = [
                    "".join(piece.replace(" ", "\u2581").split()) or "\u2581"
                    for piece in tokenizer.ids_to_tokens(store[number].tolist())
                ]
                counts.update(pieces)
                file.write(" ".join(pieces) + "\n")
    lines = (f"{piece}\t{count}\n" for piece, count in counts.most_common())
    (folder / "vocabulary").write_text("".join(lines), encoding="utf-8")


def main() -> None:
    python, prepared, updates, warmup_windows = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_texts(PreparedData(Path(prepared)), folder)
        paths = {"path_src": str(folder / "train.src"), "path_tgt": str(folder / "train.tgt")}
        content = SETTINGS | {
            "data": {"corpus": paths | {"transforms": []}}, "save_data": str(folder / "data"),
            "src_vocab": str(folder / "vocabulary"), "tgt_vocab": str(folder / "vocabulary"),
            "save_model": str(folder / "model"), "train_steps": int(updates),
        }  # fmt: skip
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(content))
        command = [python, "-m", "onmt.bin.train", "-config", str(config)]
        completed = subprocess.run(command, capture_output=True, text=True)
    if completed.returncode:
        sys.exit(completed.stderr[-2000:])
    speeds = [float(match[3]) for match in REPORT.finditer(completed.stderr + completed.stdout)][int(warmup_windows) :]
    print(json.dumps({"median": median(speeds), "least": min(speeds), "most": max(speeds)}))


if __name__ == "__main__":
    main()
