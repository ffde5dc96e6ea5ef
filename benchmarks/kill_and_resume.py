"""Kill training with SIGKILL at random moments, over every model and precision, and compare.

    python benchmarks/kill_and_resume.py --kills 200

For each pair of model and precision one run is left alone and another is killed and resumed until
it has had its share of kills; then both run folders must be the same, bit by bit, apart from times.
Prints a line a pair as JSON, then the sum; exit code 1 where any run differed.
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

sys.path.insert(0, str(Path(__file__).parent.parent))

from nmt_cli.models import MODELS
from nmt_cli.yaml12 import write_yaml
from tests.conftest import toy_content, write_syllables
from tests.training.killing import differences, kill_at_random, live

EVERY = 20
PRECISIONS = ("fp32", "bf16")


def write_recipe(place: Path, model: str, precision: str, updates: int) -> Path:
    """A recipe with dropout, accumulation and averages, whose epochs end between checkpoints."""
    content = toy_content(
        place / "text", updates=updates, tokens_per_batch=96, validate_every=EVERY, log_every=7,
        accumulate=2, average_decay=0.9, precision=precision, schedule="plateau",
        plateau_patience=1, learning_rate=5e-3, warmup=20,
    )  # fmt: skip
    tiny = MODELS[model].config_class.tiny()[0].model_dump(mode="json")
    content["model"] = tiny | ({"dropout": 0.1} if "dropout" in tiny else {})
    content["tokenizer"]["joint"] = True
    path = place / f"{model}-{precision}.yaml"
    path.write_text(write_yaml(content | {"name": path.stem}))
    return path


def torment(place: Path, model: str, precision: str, kills: int, draw: random.Random) -> Any:
    """Kill a run so many times; what it lost, and how it differs from one that was left alone."""
    recipe = write_recipe(place, model, precision, updates=EVERY * (kills // 2 + 2))
    straight, broken = (place / f"{recipe.stem}.{kind}" for kind in ("straight", "broken"))

    def train(run: Path) -> list[str]:
        return ["train", str(recipe), "--resume", "--quiet", "--device", "cpu", "--out", str(run)]

    first = live(train(straight), place, straight)
    assert first.code == 0, first.said
    started, lost, killed = time.time(), [], Counter[str]()
    while len(lost) < kills - 1:
        blow = kill_at_random(draw, EVERY)
        life = live(train(broken), place, broken, blow)
        if life.code != -9:  # it was done before the blow fell
            assert life.code == 0, life.said
            break
        lost.append(life.lost)
        killed[blow.phase] += 1
    if live(train(broken), place, broken, kill_at_random(draw, 1, "test")).code == -9:
        lost.append(0)
        killed["test"] += 1
    last = live(train(broken), place, broken)
    return {
        "model": model,
        "precision": precision,
        "kills": len(lost),
        "in": dict(killed),
        "lost_work": sum(count > 0 for count in lost),
        "lost_updates": sum(lost),
        "differences": differences(straight, broken) + ([] if last.code == 0 else [last.said]),
        "seconds": round(time.time() - started, 1),
    }


def main() -> None:
    """Parse, torment, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200, help="in all")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--precisions", nargs="+", default=list(PRECISIONS))
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    chosen = parser.parse_args()
    pairs = [(model, one) for model in chosen.models for one in chosen.precisions]
    draw, results = random.Random(chosen.seed), []
    for number, (model, precision) in enumerate(pairs):
        kills = chosen.kills * (number + 1) // len(pairs) - chosen.kills * number // len(pairs)
        with tempfile.TemporaryDirectory() as folder:
            write_syllables(Path(folder) / "text", {"train": 300, "dev": 10, "test": 10})
            results.append(torment(Path(folder), model, precision, kills, draw))
        print(json.dumps(results[-1]), flush=True)
    total = {
        key: sum(one[key] for one in results) for key in ("kills", "lost_work", "lost_updates")
    }
    wrong = [f"{one['model']} {one['precision']}" for one in results if one["differences"]]
    print(json.dumps({"seed": chosen.seed, **total, "wrong": wrong}))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
