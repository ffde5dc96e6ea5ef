"""What capitals, typos, missing stops and an address cost a run, with and without training.augment.

    python -m benchmarks.robustness DATA FOLDER [--updates N] [--seeds 1 2 3] [--threads N]

DATA holds train and val (.en and .de, also .gz) of Multi30k. For each seed a small Transformer is trained into FOLDER
without and with augmentation, unless it is there already. Then the development text is translated as it is and in each
way of `nmt perturb`, clean text and typos also with search.correct_typos, and a Markdown table of mean BLEU over the
seeds is printed, for docs/training.md. Capitals are compared without case, also with the clean text; an address that
comes out is taken out before scoring.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import torch

import nmt_cli
from nmt_cli.data.perturbation import perturb_lines
from nmt_cli.evaluation.metrics import corpus_scores, read_texts
from nmt_cli.yaml12 import write_yaml

KINDS = ("upper", "title", "no-stop", "typos", "address")
ADDRESS = re.compile(r"(?:https://\w{6}\.example\.org/\d+|\w{6}@example\.org) ?")
SYSTEMS: dict[str, dict[str, Any] | None] = {"without": None, "with": {}}
MIN_KEPT_SHARE, MAX_CLEAN_LOSS = 0.9, 0.3


def recipe_content(data: Path, augment: dict[str, Any] | None, updates: int, seed: int) -> dict[str, Any]:
    return {
        "name": "robustness",
        "corpus": {"root": str(data.absolute()), "source": "en", "target": "de", "dev": "val"},
        "tokenizer": {"vocab_size": 4000},
        "model": {"d_model": 128, "heads": 4, "encoder_layers": 3, "decoder_layers": 3, "d_ff": 256, "dropout": 0.1},
        "training": {
            "augment": augment, "updates": updates, "tokens_per_batch": 1024, "learning_rate": 3.0e-3,
            "schedule": "cosine", "warmup_updates": 300, "validate_every": max(1, updates // 4), "metric": "loss",
            "seed": seed, "precision": "fp32",
        },
        "search": {"precision": "fp32"},
    }  # fmt: skip


def train_run(data: Path, folder: Path, system: str, updates: int, seed: int) -> Path:
    """The run of a system and seed, trained unless it is there."""
    run = folder / f"{system}-{seed}"
    if not (run / "result.json").is_file():
        path = folder / f"{run.name}.yaml"
        path.write_text(
            write_yaml(recipe_content(data, SYSTEMS[system], updates, seed)), encoding="utf-8", newline="\n"
        )
        nmt_cli.train(path, run, resume=run.exists(), quiet=False)
    return run


def bleu_by_kind(run: Path, sources: list[str], references: list[str]) -> Iterator[tuple[str, float]]:
    """BLEU of a run on the clean text, without case, and on each changed one."""
    translator = nmt_cli.load_run(run, device="cpu")
    corrector = nmt_cli.load_run(run, device="cpu", search={"correct_typos": True})

    def bleu(lines: list[str], translator: Any = translator, *, caseless: bool = False) -> float:
        texts = [ADDRESS.sub("", translation.text) for translation in translator.translate(lines)]
        pairs = [texts, references]
        hypotheses, expected = [[text.lower() for text in side] for side in pairs] if caseless else pairs
        return corpus_scores(hypotheses, [expected], ["bleu"])[0].score

    yield "clean", bleu(sources)
    yield "clean, without case", bleu(sources, caseless=True)
    for kind in KINDS:
        yield kind, bleu(list(perturb_lines(sources, kind)), caseless=kind == "upper")
    yield "clean, corrected", bleu(sources, corrector)
    yield "typos, corrected", bleu(list(perturb_lines(sources, "typos")), corrector)


def kept_share(scores: dict[str, float], kind: str) -> float:
    """The share of the clean BLEU that a kind of text keeps."""
    clean = {"upper": "clean, without case", "typos, corrected": "clean, corrected"}.get(kind, "clean")
    return scores[kind] / scores[clean]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.folder.mkdir(parents=True, exist_ok=True)
    sources, references = (read_texts(next(options.data.glob(f"val.{language}*"))) for language in ("en", "de"))
    scores_by_system: dict[str, list[dict[str, float]]] = {system: [] for system in SYSTEMS}
    for seed in options.seeds:
        for system, scores in scores_by_system.items():
            run = train_run(options.data, options.folder, system, options.updates, seed)
            scores.append(dict(bleu_by_kind(run, sources, references)))
            print(f"seed {seed}, {system}: {scores[-1]}", file=sys.stderr)
    print("| text | without: BLEU | kept | with: BLEU | kept |\n|---|---|---|---|---|")
    means = {
        system: {kind: mean(entry[kind] for entry in scores) for kind in scores[0]}
        for system, scores in scores_by_system.items()
    }
    for kind in next(iter(means.values())):
        cells = [
            f"{scores[kind]:.2f} | " + (f"{kept_share(scores, kind):.1%}" if not kind.startswith("clean") else "")
            for scores in means.values()
        ]
        print(f"| {kind} | {' | '.join(cells)} |")
    passed = all(kept_share(means["with"], kind) >= MIN_KEPT_SHARE for kind in KINDS)
    return 0 if passed and means["with"]["clean"] >= means["without"]["clean"] - MAX_CLEAN_LOSS else 1


if __name__ == "__main__":
    sys.exit(main())
