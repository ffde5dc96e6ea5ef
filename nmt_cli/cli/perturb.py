"""Command-line interface of text perturbation."""

from itertools import chain
from typing import Annotated

import typer

from nmt_cli.cli.options import input_blocks, print_line
from nmt_cli.data.perturbation import KINDS, perturb_lines
from nmt_cli.errors import UserError, suggest


def perturb(
    kind: Annotated[str, typer.Argument(help="What is done to each line; see above.", show_default=False)],
    seed: Annotated[int, typer.Option(help="Decides what is drawn, together with the number of the line.")] = 1,
) -> None:
    """Change text as people type it, to see whether a model still translates it.

    upper, title, lower: all capitals, a capital on every word, none; no-stop: no final punctuation;
    typos: in a tenth of the words; spaces: some doubled; no-accents: letters without accents;
    address: a URL or e-mail address in the middle.

    Example: nmt perturb typos < test.en | nmt translate RUN | nmt score test.de
    """
    if kind not in KINDS:
        raise UserError(f"no kind '{kind}'; {suggest(kind, KINDS)}")
    for line in perturb_lines(chain.from_iterable(input_blocks()), kind, seed):
        print_line(line)
