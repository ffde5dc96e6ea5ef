"""Coverage-guided fuzzing of whatever reads a file: `make fuzz` (needs the extra nmt-cli[fuzz]).

    python -m tests.fuzz.run --minutes 10 [TARGET...]

runs each target for so long, one after another, and exits with 1 at the first crash, whose input
lies in the working folder of the run. A finding becomes a file in tests/fuzz/findings/TARGET,
which tests/test_fuzz.py tries for ever after.
"""

import argparse
import subprocess
import sys
from pathlib import Path

WORK = Path(".fuzz")
LONGEST = {"recipe": 8192, "tokenizer": 32768, "jsonl": 2048, "tsv": 2048, "tmx": 2048, "translate": 512}


def fuzz(name: str, arguments: list[str]) -> None:
    """Fuzz one target in this process; never returns."""
    import atheris

    with atheris.instrument_imports(include=["nmt_cli", "yaml", "json"]):
        from tests.fuzz import targets

    folder = WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(targets.seeds(name)):
        (folder / f"seed-{number}").write_bytes(seed)
    limits = [f"-max_len={LONGEST[name]}", "-timeout=30", "-rss_limit_mb=4096"]
    command = [sys.argv[0], *limits, f"-artifact_prefix={WORK / name}-crash-", *arguments]
    atheris.Setup([*command, str(folder)], lambda data: targets.attempt(name, data))
    atheris.Fuzz()


def main() -> int:
    """Fuzz the targets one after another in processes of their own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*")
    options = parser.parse_args()
    seconds = int(60 * options.minutes)
    if options.only:
        fuzz(options.only, [f"-max_total_time={seconds}", "-print_final_stats=1"])
    for name in options.targets or LONGEST:
        print(f"== {name}: {options.minutes} minutes", flush=True)
        command = [sys.executable, "-m", "tests.fuzz.run", "--only", name]
        if subprocess.run([*command, "--minutes", str(options.minutes)]).returncode:
            print(f"{name}: a crash; its input is {WORK / name}-crash-*")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
