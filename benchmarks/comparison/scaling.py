"""The scaling factor: dot products with and without 1 / sqrt(d_k), for d_k from 16 to 512.

Vaswani et al. 2017, section 3.2.1, suspect that large dot products push the softmax to where its
gradient is small. The width stays the same; fewer heads have a larger d_k each.
"""

import math
from typing import Any

import torch
from experiment import RESULTS, RUNS, made, nmt, records, sets

from nmt_cli.data.prepared.store import PreparedData
from nmt_cli.decoding.word_alignment import attention_weights
from nmt_cli.models.attention import MultiHeadAttention
from nmt_cli.runs.loading import open_run

WIDTH, UPDATES = 512, 200
HEAD_WIDTHS = (16, 32, 64, 128, 256, 512)


def at_the_start(width: int, scaled: bool, tokens: int = 32) -> dict[str, float]:
    """Entropy of the weights, and norm of the softmax's Jacobian, before training.

    Queries and keys are drawn with variance one, as the paper assumes; means over 200 draws.
    """
    torch.manual_seed(1)
    attend = MultiHeadAttention(width, 1, 1, 0.0, scaled=scaled)
    queries, keys = torch.randn(2, 200, 1, tokens, width).unbind(0)
    weights = attend.attention_weights(queries, keys, None)
    jacobian = torch.diag_embed(weights) - weights[..., :, None] * weights[..., None, :]
    return {"entropy": entropy_of(weights), "jacobian": float(torch.linalg.matrix_norm(jacobian).mean())}


def entropy_of(weights: torch.Tensor) -> float:
    """Mean entropy of distributions along the last axis, as a share of the highest possible."""
    bits = -(weights * weights.clamp(min=1e-30).log()).sum(-1)
    return float(bits.mean()) / math.log(weights.shape[-1])


def trained(width: int, scaled: bool) -> dict[str, Any]:
    """A small Transformer's losses, and the entropy of its weights on the development text."""
    name = f"scaling-{width}-{'scaled' if scaled else 'plain'}"
    settings: dict[str, Any] = {
        "model.d_model": WIDTH, "model.heads": WIDTH // width, "model.d_ff": 512,
        "model.encoder_layers": 2, "model.decoder_layers": 2,
        "model.scaled_attention": str(scaled).lower(),
        "training.updates": UPDATES, "training.validate_every": UPDATES, "training.warmup_updates": 50,
        "training.learning_rate": 1e-3, "training.tokens_per_batch": 1024,
        "training.metric": "loss", "search.beam": 1,
    }  # fmt: skip
    run = RUNS / name
    nmt("train", "multi30k-en-de-transformer", "--resume", "--out", run, *sets(settings))
    opened = open_run(run, torch.device("cpu"), "fp32")
    data = PreparedData(next(run.parents[1].glob(f"../prepared/*{_fingerprint(run)}")))
    split = data.split("dev")
    assert split is not None
    pairs = [(split.source_ids[n].tolist(), split.target_ids[n].tolist()) for n in range(200)]
    weights = attention_weights(opened.model, *map(list, zip(*pairs, strict=True)))
    assert weights is not None
    (validation,) = records(run, "validation")
    return {
        "training_loss": records(run, "train")[-1]["loss"],
        "dev_loss": validation["loss"],
        "entropy": sum(entropy_of(matrix) for matrix in weights) / len(weights),
    } | made(run)


def _fingerprint(run: Any) -> str:
    import json

    return str(json.loads((run / "manifest.json").read_text())["fingerprint"])


def main() -> None:
    import json

    path = RESULTS / "scaling.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    RESULTS.mkdir(parents=True, exist_ok=True)
    for width in HEAD_WIDTHS:
        for scaled in (True, False):
            key = f"{width} {'scaled' if scaled else 'plain'}"
            if key not in results:
                results[key] = at_the_start(width, scaled) | {"trained": trained(width, scaled)}
                path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
