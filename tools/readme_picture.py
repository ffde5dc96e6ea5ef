"""Draw the README's picture of a terminal: what nmt prints for the run of `make quickstart`.

    python tools/readme_picture.py [RUN] [PICTURE]      # runs/quickstart docs/terminal.svg

The commands run in a pseudo-terminal, so that colours come out as a reader would see them.
"""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME
from rich.text import Text

COLUMNS, ROWS = 102, 50
COMMANDS = (
    "echo 'The old man reads a book.' | nmt translate runs/quickstart",
    "echo 'Will their curious grandmother send the sister these boots?' | nmt translate runs/quickstart",
    "echo 'Tomorrow his little sister will buy a bicycle.' | nmt plot attention runs/quickstart --words",
)


def terminal_output(command: str, folder: Path) -> str:
    """What a shell command prints on a terminal (ANSI sequences included), without its standard error."""
    main, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    shims = f'nmt() {{ "{sys.executable}" -m nmt_cli "$@"; }}; set -o pipefail; '
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPATH": os.getcwd()}
    process = subprocess.Popen(
        ["bash", "-c", shims + command], cwd=folder, env=environment, stdout=child, stderr=subprocess.PIPE
    )
    os.close(child)
    printed = b""
    try:
        while chunk := os.read(main, 65536):
            printed += chunk
    except OSError:  # Linux: the last writer closed the terminal
        pass
    os.close(main)
    _, errors = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"{command}: {errors.decode(errors='replace')}")
    return printed.decode().replace("\r\n", "\n").rstrip("\n")


def picture(session: list[tuple[str, str]]) -> str:
    """An SVG of a terminal in which these commands printed these lines."""
    console = Console(
        record=True,
        width=COLUMNS,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    for number, (command, printed) in enumerate(session):
        console.print(Text.assemble("\n" * (number > 0), ("$ ", "bold green"), (command, "bold")), soft_wrap=False)
        console.print(Text.from_ansi(printed))
    svg = console.export_svg(title="nmt", theme=DEFAULT_TERMINAL_THEME)
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # these name another host


def main() -> None:
    """Run the commands and write the picture."""
    run = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/quickstart").resolve()
    path = Path(sys.argv[2] if len(sys.argv) > 2 else "docs/terminal.svg")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "runs").mkdir()
        (folder / "runs/quickstart").symlink_to(run)
        session = [(command, terminal_output(command, folder)) for command in COMMANDS]
    path.write_text(picture(session), encoding="utf-8", newline="\n")
    print(path)


if __name__ == "__main__":
    main()
