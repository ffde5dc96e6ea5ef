"""Command-line interface of text perturbation."""

from enum import StrEnum
from itertools import chain
from typing import Annotated

import typer

from nmt_cli.cli.options import input_blocks, print_line
from nmt_cli.data.perturbation import KINDS, perturb_lines

Kind = StrEnum("Kind", [(kind, kind) for kind in KINDS])  # type: ignore[misc]


def perturb(
    kind: Annotated[Kind, typer.Argument(help="What is done to each line.")],
    seed: Annotated[int, typer.Option(help="Decides what is drawn, together with the number of the line.")] = 1,
) -> None:
    """Change text as people's typing does, to see whether a model still translates it.

    upper, title, lower: capitals; no-stop: no final punctuation; typos: in a tenth of the words;
    spaces: some doubled; no-accents; address: a URL or e-mail address in the middle.

    Example: nmt perturb typos < test.en | nmt translate RUN | nmt score test.de
    """
    for line in perturb_lines(chain.from_iterable(input_blocks()), kind.value, seed):
        print_line(line)
