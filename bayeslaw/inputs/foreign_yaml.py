"""YAML that users write: plain values alone, every key once, and no more of them than the file has room for."""

from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_text import excerpt

# Bytes of a file. The parser reads some hundred thousand a second.
LARGEST = 1 << 20
# Levels of lists and mappings, and values once every alias is written out.
DEEPEST = 50
MOST_VALUES = 100_000
LONGEST_NUMBER = 1_000
ACCEPTED = "texts, numbers, true or false, lists and mappings"
_PREFIX = "tag:yaml.org,2002:"
# The tags of values that are read, and of those that keys may have.
PLAIN = ("null", "bool", "int", "float", "str", "seq", "map", "merge")
KEYS = ("null", "bool", "int", "str", "merge", "value")
KINDS = {"timestamp": "a date", "binary": "binary data", "set": "a set", "omap": "an ordered map", "pairs": "pairs"}


class _Loader(yaml.SafeLoader):
    """A safe loader that checks a document before it makes values of it."""

    flow_level: int

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:
        # Where each of many brackets may begin a key, PyYAML looks at all of them again for every one.
        if self.flow_level > DEEPEST:
            raise RecursionError
        super().fetch_flow_collection_start(TokenClass)

    def get_single_node(self) -> Node | None:
        node = super().get_single_node()
        if node is not None:
            _join_calls(node)
            _check_nodes(node)
        return node


def parse_yaml(text: str) -> Any:
    """Read one YAML document.

    Parameters
    ----------
    text
        The document.

    Returns
    -------
    Any
        Its value: None, true or false, numbers, texts, lists and dictionaries.

    Raises
    ------
    ValueError
        If it is not YAML, with the reason in one line.
    InputError
        If a key is given twice, or a value is none that is accepted: a date, a set, binary data, a number of thousands
        of digits, or lists and mappings that are too deep or, with all aliases written out, too many.
    """
    try:
        return yaml.load(text, _Loader)
    except InputError:
        raise
    except RecursionError:
        raise ValueError(f"it is nested more than {DEEPEST} levels deep") from None
    except yaml.YAMLError as error:
        raise ValueError(_reason(error)) from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        # What an explicit tag promises may be another thing: !!int '' is an IndexError, !!bool maybe a KeyError.
        raise ValueError(f"a value is not what its tag says: {excerpt(error, 80)}") from None


def _reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    why = getattr(error, "problem", None) or getattr(error, "context", None) or str(error)
    return excerpt(why, 200) + (f" (line {mark.line + 1})" if mark is not None else "")


def _line(node: Node) -> int:
    return node.start_mark.line + 1


def _check_nodes(root: Node) -> None:
    """Check kinds, depth and number of values; an alias counts as all that it stands for, but within itself."""
    sizes: dict[int, int] = {}
    depths: dict[int, int] = {}
    # A stack and no function that calls itself: an alias may make a document deeper than its text looks.
    stack, begun = [(root, False)], set()
    while stack:
        node, done = stack.pop()
        if done:
            sizes[id(node)] = 1 + sum(sizes.get(id(part), 1) for part in _parts(node))
            depths[id(node)] = 1 + max((depths.get(id(part), 1) for part in _parts(node)), default=0)
            _check_extent(node, sizes[id(node)], depths[id(node)])
        elif id(node) not in begun:
            begun.add(id(node))
            _check_kind(node)
            stack.append((node, True))
            stack += [(part, False) for part in _parts(node)]


def _check_extent(node: Node, size: int, depth: int) -> None:
    if size > MOST_VALUES:
        problem = f"what begins in line {_line(node)} holds more than {MOST_VALUES:,} values"
        raise InputError(problem, "fewer values, all aliases written out", "write no alias within another's values")
    if depth > DEEPEST:
        problem = f"what begins in line {_line(node)} is nested more than {DEEPEST} levels deep"
        raise InputError(problem, "a few levels, all aliases written out", "write it flatter")


def _parts(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _check_kind(node: Node) -> None:
    tag = node.tag.removeprefix(_PREFIX)
    if tag in KINDS:
        given = f" ({excerpt(node.value, 40)!r})" if isinstance(node, ScalarNode) else ""
        problem = f"line {_line(node)} holds {KINDS[tag]}{given}"
        raise InputError(problem, ACCEPTED, "write it in quotes if it is meant as text")
    if tag in ("int", "float") and isinstance(node, ScalarNode) and len(node.value) > LONGEST_NUMBER:
        problem = f"line {_line(node)} holds a number of {len(node.value):,} digits"
        raise InputError(problem, "numbers of a few digits", "correct it")
    if isinstance(node, MappingNode):
        _check_keys([key for key, _ in node.value if isinstance(key, ScalarNode)])


def _join_calls(root: Node) -> None:
    """Put calls such as ``LogNormal(0, 1)`` together again, which a mapping or list on one line cuts at their commas.

    There ``{exponent: LogNormal(0, 1)}`` has, to YAML, the value ``LogNormal(0`` and a key ``1)`` without a value.
    """
    stack, seen = [root], set()
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, MappingNode) and node.flow_style:
            joined: list[tuple[Node, Node]] = []
            for key, value in node.value:
                if joined and _is_open(joined[-1][1]) and isinstance(key, ScalarNode) and _is_empty(value):
                    joined[-1] = joined[-1][0], _joined(joined[-1][1], key)
                else:
                    joined.append((key, value))
            node.value = joined
        if isinstance(node, SequenceNode) and node.flow_style:
            items: list[Node] = []
            for item in node.value:
                if items and _is_open(items[-1]) and isinstance(item, ScalarNode):
                    items[-1] = _joined(items[-1], item)
                else:
                    items.append(item)
            node.value = items
        stack += _parts(node)


def _is_open(node: Node) -> bool:
    plain = isinstance(node, ScalarNode) and node.style is None
    return plain and node.value.count("(") > node.value.count(")")


def _is_empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.style is None and node.value == ""


def _joined(first: Node, second: Node) -> ScalarNode:
    return ScalarNode(f"{_PREFIX}str", f"{first.value}, {second.value}", first.start_mark, second.end_mark)


def _check_keys(keys: list[ScalarNode]) -> None:
    seen = set()
    for key in keys:
        tag, shown = key.tag.removeprefix(_PREFIX), excerpt(key.value, 80)
        if tag not in KEYS:
            problem = f"the key {shown!r} in line {_line(key)} is {KINDS.get(tag, f'a {tag}')}"
            raise InputError(problem, "keys that are text", "write it in quotes if it is meant as text")
        # To PyYAML the second is a silent overwrite.
        if (tag, key.value) in seen:
            problem = f"{shown!r} is given twice, the second time in line {_line(key)}"
            raise InputError(problem, "every key once", "remove one of the two")
        seen.add((tag, key.value))
