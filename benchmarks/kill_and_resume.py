"""Kill training with SIGKILL at random moments, for every model and precision, and compare results.

    python -m benchmarks.kill_and_resume --kills 200

For each pair of model and precision, one run is left alone and another is killed and resumed until
it has had its share of kills; then both run folders must be bit-identical apart from times. Prints
a JSON line per pair, then the totals; exits with 1 where any run differed.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from nmt_cli.models import MODELS
from nmt_cli.yaml12 import write_yaml
from tests.conftest import toy_content, write_syllables
from tests.training.killing import differences, kill_at_random, live

VALIDATE_EVERY = 20
PRECISIONS = ("fp32", "bf16")


def write_recipe(folder: Path, model: str, precision: str, updates: int) -> Path:
    """A recipe with dropout, gradient accumulation and averaging whose epochs end between checkpoints."""
    content = toy_content(
        folder / "text", updates=updates, tokens_per_batch=96, validate_every=VALIDATE_EVERY, log_every=7,
        gradient_accumulation=2, ema_decay=0.9, precision=precision, schedule="plateau",
        plateau_patience=1, learning_rate=5e-3, warmup_updates=20,
    )  # fmt: skip
    tiny = MODELS[model].config_class.tiny_configs()[0].model_dump(mode="json")
    content["model"] = tiny | ({"dropout": 0.1} if "dropout" in tiny else {})
    content["tokenizer"]["joint"] = True
    path = folder / f"{model}-{precision}.yaml"
    path.write_text(write_yaml(content | {"name": path.stem}), encoding="utf-8", newline="\n")
    return path


def kill_repeatedly(folder: Path, model: str, precision: str, kills: int, rng: random.Random) -> Any:
    """What a run lost when killed `kills` times, and how it differs from one that was left alone."""
    recipe = write_recipe(folder, model, precision, updates=VALIDATE_EVERY * (kills // 2 + 2))
    uninterrupted, interrupted = (folder / f"{recipe.stem}.{kind}" for kind in ("straight", "broken"))

    def train(run: Path) -> list[str]:
        return ["train", str(recipe), "--resume", "--quiet", "--device", "cpu", "--out", str(run)]

    first = live(train(uninterrupted), folder, uninterrupted)
    assert first.code == 0, first.said
    lost: list[int] = []
    started, killed = time.time(), Counter[str]()
    while len(lost) < kills - 1:
        kill = kill_at_random(rng, VALIDATE_EVERY)
        process = live(train(interrupted), folder, interrupted, kill)
        if process.code != -9:  # it ended before the kill
            assert process.code == 0, process.said
            break
        lost.append(process.lost)
        killed[kill.phase] += 1
    if live(train(interrupted), folder, interrupted, kill_at_random(rng, 1, "test")).code == -9:
        lost.append(0)
        killed["test"] += 1
    last = live(train(interrupted), folder, interrupted)
    return {
        "model": model,
        "precision": precision,
        "kills": len(lost),
        "in": dict(killed),
        "lost_work": sum(count > 0 for count in lost),
        "lost_updates": sum(lost),
        "differences": differences(uninterrupted, interrupted) + ([] if last.code == 0 else [last.said]),
        "seconds": round(time.time() - started, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="total")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--precisions", nargs="+", default=list(PRECISIONS))
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    arguments = parser.parse_args()
    pairs = [(model, dtype) for model in arguments.models for dtype in arguments.precisions]
    rng, results = random.Random(arguments.seed), []
    for number, (model, precision) in enumerate(pairs):
        kills = arguments.kills * (number + 1) // len(pairs) - arguments.kills * number // len(pairs)
        with tempfile.TemporaryDirectory() as folder:
            write_syllables(Path(folder) / "text", {"train": 300, "dev": 10, "test": 10})
            results.append(kill_repeatedly(Path(folder), model, precision, kills, rng))
        print(json.dumps(results[-1]), flush=True)
    total = {key: sum(result[key] for result in results) for key in ("kills", "lost_work", "lost_updates")}
    differing = [f"{result['model']} {result['precision']}" for result in results if result["differences"]]
    print(json.dumps({"seed": arguments.seed, **total, "wrong": differing}))
    sys.exit(bool(differing))


if __name__ == "__main__":
    main()
