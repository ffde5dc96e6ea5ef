"""The scaling factor: dot products with and without 1 / sqrt(d_k), for d_k from 16 to 512.

    NMT_DATA=... python -m benchmarks.comparison.scaling

Vaswani et al. (2017, section 3.2.1) suspect that large dot products push the softmax into regions
with small gradients. The model's width is fixed; fewer heads have a larger d_k each.
"""

import json
import math
from pathlib import Path
from typing import Any

import torch

from benchmarks.comparison.experiment import RESULTS, RUNS, run_nmt, set_options, training_facts
from benchmarks.workloads import ROOT, log_records
from nmt_cli.data.prepared.store import PreparedData
from nmt_cli.decoding.word_alignment import attention_weights
from nmt_cli.models.attention import MultiHeadAttention
from nmt_cli.runs.loading import open_run

D_MODEL, UPDATES = 512, 200
HEAD_WIDTHS = (16, 32, 64, 128, 256, 512)
DEV_PAIRS = 200  # whose attention weights are measured after training


def measure_initial(head_width: int, scaled: bool, tokens: int = 32) -> dict[str, float]:
    """Entropy of the attention weights and norm of the softmax's Jacobian before training.

    Means over 200 draws of queries and keys with variance one, as the paper assumes.
    """
    torch.manual_seed(1)
    attention = MultiHeadAttention(head_width, 1, 1, 0.0, scaled=scaled)
    queries, keys = torch.randn(2, 200, 1, tokens, head_width).unbind(0)
    weights = attention.attention_weights(queries, keys, None)
    jacobian = torch.diag_embed(weights) - weights[..., :, None] * weights[..., None, :]
    return {"entropy": relative_entropy(weights), "jacobian": float(torch.linalg.matrix_norm(jacobian).mean())}


def relative_entropy(weights: torch.Tensor) -> float:
    """Mean entropy of the distributions along the last axis, relative to that of the uniform one."""
    entropies = -(weights * weights.clamp(min=1e-30).log()).sum(-1)
    return float(entropies.mean()) / math.log(weights.shape[-1])


def measure_trained(head_width: int, scaled: bool) -> dict[str, Any]:
    """Losses of a small trained Transformer, and the entropy of its attention on the development text."""
    settings: dict[str, Any] = {
        "model.d_model": D_MODEL, "model.heads": D_MODEL // head_width, "model.d_ff": 512,
        "model.encoder_layers": 2, "model.decoder_layers": 2,
        "model.scaled_attention": str(scaled).lower(),
        "training.updates": UPDATES, "training.validate_every": UPDATES, "training.warmup_updates": 50,
        "training.learning_rate": 1e-3, "training.tokens_per_batch": 1024,
        "training.metric": "loss", "search.beam": 1,
    }  # fmt: skip
    run = RUNS / f"scaling-{head_width}-{'scaled' if scaled else 'plain'}"
    run_nmt("train", "multi30k-en-de-transformer", "--resume", "--out", run, *set_options(settings))
    opened = open_run(run, torch.device("cpu"), "fp32")
    dev = prepared_data(run).split("dev")
    assert dev is not None
    sources = [dev.source_ids[index].tolist() for index in range(DEV_PAIRS)]
    targets = [dev.target_ids[index].tolist() for index in range(DEV_PAIRS)]
    weights = attention_weights(opened.model, sources, targets)
    assert weights is not None
    (validation,) = log_records(run, "validation")
    return {
        "training_loss": log_records(run, "train")[-1]["loss"],
        "dev_loss": validation["loss"],
        "entropy": sum(relative_entropy(matrix) for matrix in weights) / len(weights),
    } | training_facts(run)


def prepared_data(run: Path) -> PreparedData:
    """The data that a run was trained on."""
    fingerprint = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["fingerprint"]
    return PreparedData(next((ROOT / "prepared").glob(f"*{fingerprint}")))


def main() -> None:
    path = RESULTS / "scaling.json"
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    RESULTS.mkdir(parents=True, exist_ok=True)
    for head_width in HEAD_WIDTHS:
        for scaled in (True, False):
            key = f"{head_width} {'scaled' if scaled else 'plain'}"
            if key not in results:
                results[key] = measure_initial(head_width, scaled) | {"trained": measure_trained(head_width, scaled)}
                path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
