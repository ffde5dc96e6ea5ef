"""Train a model of OpenNMT-py or of Eole, which came from it, on prepared data and print its speed.

Arguments: onmt or eole, fp32 or bf16, a Python that has that toolkit, prepared folder, model section as
JSON, updates, warm-up windows. For an RNN it is the model that is most like W3, with LSTM cells. The
toolkits count padding into the 4,096 tokens of a batch, so theirs are smaller; the speed printed is without padding.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from nmt_cli.data.prepared.store import PreparedData

WINDOW = 5
REPORT = re.compile(r"Step\s+(\d+)/.*?([\d.]+)/\s*([\d.]+) tok/s")
TRAINING = {
    "optim": "adam", "learning_rate": 0.001, "decay_method": "none", "adam_beta2": 0.98, "max_grad_norm": 1.0,
    "label_smoothing": 0.1, "batch_type": "tokens", "batch_size": 4096, "batch_size_multiple": 1,
    "normalization": "tokens", "bucket_size": 29000, "num_workers": 0, "world_size": 1,
    "valid_steps": 100_000, "save_checkpoint_steps": 100_000,
}  # fmt: skip


def onmt_settings(shape: dict[str, Any], precision: str) -> dict[str, Any]:
    """The model and training of OpenNMT-py; it has no bf16 on a CPU."""
    if precision != "fp32":
        sys.exit("OpenNMT-py trains in fp32 on a CPU")
    training: dict[str, Any] = TRAINING | {"dropout": [shape["dropout"]]}
    if shape["type"] == "rnn":
        return training | {
            "encoder_type": "brnn", "decoder_type": "rnn", "enc_layers": 1, "dec_layers": 1,
            "hidden_size": shape["hidden_size"], "word_vec_size": shape["embedding_size"],
            "rnn_type": "LSTM", "global_attention": "mlp",
        }  # fmt: skip
    return training | {
        "encoder_type": "transformer", "decoder_type": "transformer", "position_encoding": True,
        "enc_layers": shape["encoder_layers"], "dec_layers": shape["decoder_layers"], "heads": shape["heads"],
        "hidden_size": shape["d_model"], "word_vec_size": shape["d_model"], "transformer_ff": shape["d_ff"],
        "attention_dropout": [0.0], "share_decoder_embeddings": True, "share_embeddings": True,
    }  # fmt: skip


def eole_settings(shape: dict[str, Any], precision: str) -> dict[str, Any]:
    """The model and training of Eole."""
    training = TRAINING | {
        "gpu_ranks": [], "compute_dtype": precision, "use_amp": precision != "fp32", "dropout": [shape["dropout"]],
        "attention_dropout": [0.0], "dropout_steps": [0], "param_init_method": "xavier_uniform",
    }  # fmt: skip
    if shape["type"] == "rnn":
        size, width = shape["hidden_size"], shape["embedding_size"]
        common = {"layers": 1, "hidden_size": size}
        model = {
            "architecture": "rnn", "hidden_size": size,
            "embeddings": {"src_word_vec_size": width, "tgt_word_vec_size": width},
            "encoder": common | {"encoder_type": "brnn", "src_word_vec_size": width},
            "decoder": common | {"decoder_type": "rnn", "tgt_word_vec_size": width, "global_attention": "mlp"},
        }  # fmt: skip
    else:
        model = {
            "architecture": "transformer", "hidden_size": shape["d_model"], "layers": shape["encoder_layers"],
            "heads": shape["heads"], "transformer_ff": shape["d_ff"],
            "share_decoder_embeddings": True, "share_embeddings": True,
            "embeddings": {"word_vec_size": shape["d_model"], "position_encoding_type": "SinusoidalInterleaved"},
        }  # fmt: skip
    return {"training": training, "model": model}


def write_texts(data: PreparedData, folder: Path) -> None:
    """Both sides as tokens separated by spaces, and their vocabulary."""
    counts: Counter[str] = Counter()
    sides = (data.tokenizers.source, data.tokenizers.target)
    for name, store, tokenizer in zip(("src", "tgt"), data.variants[0], sides, strict=True):
        with open(folder / f"train.{name}", "w", encoding="utf-8", newline="\n") as file:
            for number in range(len(store)):
                pieces = [
                    "".join(piece.replace(" ", "\u2581").split()) or "\u2581"
                    for piece in tokenizer.ids_to_tokens(store[number].tolist())
                ]
                counts.update(pieces)
                file.write(" ".join(pieces) + "\n")
    lines = (f"{piece}\t{count}\n" for piece, count in counts.most_common())
    (folder / "vocabulary").write_text("".join(lines), encoding="utf-8", newline="\n")


def configuration(toolkit: str, shape: dict[str, Any], precision: str, folder: Path, updates: int) -> dict[str, Any]:
    """The configuration file of a training in the toolkit."""
    paths = {"path_src": str(folder / "train.src"), "path_tgt": str(folder / "train.tgt"), "transforms": []}
    content = {
        "data": {"corpus": paths}, "save_data": str(folder / "data"), "overwrite": True, "seed": 1,
        "src_vocab": str(folder / "vocabulary"), "tgt_vocab": str(folder / "vocabulary"),
        "share_vocab": True, "report_every": WINDOW,
    }  # fmt: skip
    model = str(folder / "model")
    if toolkit == "onmt":
        return content | onmt_settings(shape, precision) | {"save_model": model, "train_steps": updates}
    settings = eole_settings(shape, precision)
    settings["training"] |= {"model_path": model, "train_steps": updates}
    return content | settings | {"transforms": [], "n_sample": 0}


def main() -> None:
    toolkit, precision, python, prepared, shape, updates, warmup_windows = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_texts(PreparedData(Path(prepared)), folder)
        config = folder / "config.yaml"
        config.write_text(
            yaml.safe_dump(configuration(toolkit, json.loads(shape), precision, folder, int(updates)), sort_keys=False),
            encoding="utf-8",
            newline="\n",
        )
        start = {"onmt": ["onmt.bin.train"], "eole": ["eole.bin.main", "train"]}[toolkit]
        completed = subprocess.run(
            [python, "-m", *start, "-config", str(config)], capture_output=True, encoding="utf-8", cwd=folder
        )
    if completed.returncode:
        sys.exit(completed.stderr[-2000:])
    speeds = [float(match[3]) for match in REPORT.finditer(completed.stderr + completed.stdout)][int(warmup_windows) :]
    print(json.dumps({"median": median(speeds), "least": min(speeds), "most": max(speeds)}))


if __name__ == "__main__":
    main()
