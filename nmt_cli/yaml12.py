"""YAML by the 1.2 core schema: `no` is text, `1e-3` a number, `12:30` text.

PyYAML follows YAML 1.1, so only its parser is used, not its resolution of scalars. Duplicate keys, anchors and tags
are rejected: a recipe needs none of them.
"""

import re
from typing import Any

import yaml

from nmt_cli.errors import UserError

MAX_CHARACTERS = 1_000_000  # characters in a file
MAX_DEPTH = 50  # levels of nesting
LineNumbers = dict[tuple[str | int, ...], int]  # of each value by its path, from 1

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SURROGATE = re.compile("[\ud800-\udfff]")  # no text: it cannot be written as UTF-8
_NOT_PLAIN = re.compile("found character '[>@`%|]' that cannot|expected chomping")  # of PyYAML's messages
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class YamlError(UserError):
    """Text that is not YAML, or that uses a rejected feature."""


def read_yaml(text: str) -> tuple[Any, LineNumbers]:
    """The value, and the line number of each value in it; YamlError names line and reason."""
    if len(text) > MAX_CHARACTERS:
        raise YamlError(f"longer than {MAX_CHARACTERS:,} characters")
    if _SURROGATE.search(text):
        raise YamlError("not UTF-8 text")
    try:
        node = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        location = f"line {mark.line + 1}: " if mark else ""
        advice = _advice(str(error.problem), text.splitlines()[: mark.line + 1] if mark else [])
        raise YamlError(f"{location}not YAML: {error.problem}{advice}") from error
    except yaml.YAMLError as error:
        raise YamlError(f"not YAML: {error}".replace("\n", " ")) from error
    line_numbers: LineNumbers = {}
    return (None if node is None else _node_value(node, (), line_numbers)), line_numbers


def _advice(problem: str, lines_so_far: list[str]) -> str:
    """What may help against a problem in the last of these lines."""
    if _NOT_PLAIN.search(problem):
        return "; put a value that begins like this in quotes"
    if "'\\t'" in problem:
        return "; indent with spaces, not with tabs"
    if any(character.isspace() and not character.isascii() for line in lines_so_far for character in line):
        return "; it has spaces that are no ordinary ones (U+00A0), as word processors write: replace them"
    return ""


class _Loader(yaml.BaseLoader):
    """Makes nodes without types, and refuses what a recipe may not have before it is a node."""

    depth = 0  # of nested nodes

    def fetch_flow_collection_start(self, token: Any) -> None:
        """Rejects deeply nested brackets while scanning: PyYAML would look a thousand of them ahead, slowly."""
        if self.flow_level >= MAX_DEPTH:
            raise YamlError(f"line {self.line + 1}: nested too deeply")
        super().fetch_flow_collection_start(token)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise YamlError(f"line {line}: anchors are not allowed here")
        if event.tag:
            raise YamlError(f"line {line}: tags are not allowed here")
        if self.depth == MAX_DEPTH and isinstance(event, yaml.CollectionStartEvent):
            raise YamlError(f"line {line}: nested too deeply")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _node_value(node: yaml.Node, path: tuple[str | int, ...], line_numbers: LineNumbers) -> Any:
    line = node.start_mark.line + 1
    line_numbers.setdefault(path, line)
    if isinstance(node, yaml.SequenceNode):
        return [_node_value(item, (*path, index), line_numbers) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _mapping_value(node, path, line_numbers)
    assert isinstance(node, yaml.ScalarNode)
    if _SURROGATE.search(node.value):  # an escaped half of a pair: "\\ud800"
        raise YamlError(f"line {line}: not a character: {ascii(node.value)[:40]}")
    if node.style in ("'", '"', "|", ">"):
        return node.value
    try:
        return parse_scalar(node.value)
    except ValueError as error:  # Python converts at most 4,300 digits
        raise YamlError(f"line {line}: a number with too many digits") from error


def _mapping_value(node: yaml.MappingNode, path: tuple[str | int, ...], line_numbers: LineNumbers) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise YamlError(f"line {line}: a key must be plain text")
        key = str(key_node.value)
        if _SURROGATE.search(key):
            raise YamlError(f"line {line}: not a character: {ascii(key)[:40]}")
        if key in result:
            raise YamlError(f"line {line}: duplicate key {key}")
        line_numbers[(*path, key)] = line
        result[key] = _node_value(value_node, (*path, key), line_numbers)
    return result


def parse_scalar(text: str) -> str | int | float | bool | None:
    """The value of an unquoted scalar."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text, 0 if text.startswith("0") and text[1:2] in ("o", "x") else 10)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL_FLOAT.fullmatch(text):
        return float(text.replace(".", ""))
    return text


class _Dumper(yaml.SafeDumper):
    """Quotes text that the core schema would read as another type."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_str(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if _SURROGATE.search(text):  # of a path whose bytes are not UTF-8
        raise YamlError(f"{text!a}: not UTF-8, so it cannot stand in YAML: rename that file or folder")
    is_text = not any(pattern.fullmatch(text) for pattern in (_NULL, _BOOL, _INT, _FLOAT, _SPECIAL_FLOAT))
    plain = is_text and not re.search(r"^[\s&*!]|[\x85\u2028\u2029]", text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _represent_str)


def write_yaml(value: Any) -> str:
    """The value as YAML; `read_yaml` returns the same value. YamlError for text that YAML cannot hold."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000))
