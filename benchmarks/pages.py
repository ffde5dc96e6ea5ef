"""Markdown pages with hand-written prose and tables that programs fill in.

A table lies between the lines `<!-- table: NAME -->` and `<!-- end of table -->`.
"""

import re
from collections.abc import Iterable

NOT_MEASURED = "Not measured yet.\n"
TABLE_BLOCK = re.compile(r"(?<=<!-- table: )([\w-]+)( -->\n).*?(?=<!-- end of table -->\n)", re.DOTALL)


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """A table, or a line that says that nothing was measured where there are no rows."""
    lines = [header, ["---"] * len(header), *rows] if rows else []
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells) or NOT_MEASURED


def fill_tables(page: str, tables: dict[str, str]) -> str:
    """The page with each of its tables replaced; ValueError where page and tables differ in names."""
    names = [match[1] for match in TABLE_BLOCK.finditer(page)]
    if sorted(names) != sorted(tables):
        raise ValueError(f"the page has the tables {sorted(names)}, the program {sorted(tables)}")
    return TABLE_BLOCK.sub(lambda match: f"{match[1]}{match[2]}\n{tables[match[1]]}\n", page)


def date_range(days: Iterable[str]) -> str:
    """The first and last of several ISO dates."""
    ordered = sorted(days)
    return " to ".join(dict.fromkeys((ordered[0], ordered[-1])))
