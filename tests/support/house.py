"""The house in figures: its rooms, which way imports run, who asks which law it has, and the way of a fit.

``python tests/support/house.py`` prints them.
"""

import ast
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).parents[2]
TOP = ("errors", "findings", "storage", "progress", "journal", "markup", "cli")
"""Files at the top of `bayeslaw`, which every room may import."""
ROOMS = {
    "bayeslaw": (
        "inputs",
        "losses",
        "sources",
        "datasets",
        "pools",
        "laws",
        "likelihood",
        "joint",
        "posterior",
        "fitting",
        "prediction",
        "decision",
        "diagnosis",
        "comparison",
        "simulation",
        "calibration",
        "plotting",
        "reporting",
        "commands",
    ),
    "inference": ("decoder", "checkpoints", "texts", "scoring", "runs"),
}
"""The rooms of each package, in the order in which data flows: a room imports those before it alone."""
LAW_ROOMS = ("laws", "joint")
"""Where a law lives: nobody else asks which law it is."""


class Import(NamedTuple):
    """An import of one module of the project by another; what only type checkers run is none."""

    by: str
    of: str


class Fork(NamedTuple):
    """A place that asks which law it has."""

    file: str
    line: int
    code: str


def modules() -> dict[str, Path]:
    """Name every module of the project."""
    found = {}
    for package in ROOMS:
        for file in sorted((REPOSITORY / package).rglob("*.py")):
            parts = file.relative_to(REPOSITORY).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


@cache
def parsed(file: Path) -> ast.Module:
    """Return the code of a file, read once."""
    return ast.parse(file.read_text(encoding="utf-8"))


def room_of(module: str) -> str:
    """Return the folder of a module, or the file at the top; empty for a package itself."""
    return module.split(".")[1] if "." in module else ""


@cache
def imports() -> set[Import]:
    """Find every import of one module of the project by another, inside functions too."""
    known, found = modules(), set()
    for name, file in known.items():
        for node in _run(parsed(file)):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                targets = [f"{node.module}.{alias.name}" for alias in node.names]
                found |= {Import(name, target if target in known else node.module) for target in targets}
            elif isinstance(node, ast.Import):
                found |= {Import(name, alias.name) for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level:
                raise AssertionError(f"{file}:{node.lineno}: a relative import, which this script cannot follow")
    return {edge for edge in found if edge.of in known}


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk through what is run, leaving out what only type checkers see."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _run(child)


def upward_imports() -> list[Import]:
    """List the imports that run against the flow of data, from a room to one behind it."""
    return sorted(edge for edge in imports() if is_upward(edge))


def is_upward(edge: Import) -> bool:
    """Say whether an import runs against the flow of data."""
    package, other = edge.by.split(".")[0], edge.of.split(".")[0]
    by, of = room_of(edge.by), room_of(edge.of)
    if package != other:
        # `bayeslaw` asks for scores in its commands alone, and scoring knows tables and what lies at the top.
        return by != "commands" if package == "bayeslaw" else of not in ("", "inputs", "losses", *TOP)
    rooms = ROOMS[package]
    if by == "cli" or of in ("", *TOP):
        return False
    if by in ("", *TOP):
        return of != "inputs"
    return rooms.index(of) > rooms.index(by)


def circles() -> list[set[str]]:
    """List the sets of folders that import each other in a loop."""
    follows: dict[str, set[str]] = {}
    for by, of in imports():
        one, other = (f"{name.split('.')[0]}/{room_of(name)}" for name in (by, of))
        if one != other and all(room_of(name) in ROOMS[name.split(".")[0]] for name in (by, of)):
            follows.setdefault(one, set()).add(other)
    reached = {room: _reachable(room, follows) for room in follows}
    loops = [{other for other in reached[room] if room in reached.get(other, set())} for room in follows]
    return [loop for index, loop in enumerate(loops) if loop and loop not in loops[:index]]


def _reachable(room: str, follows: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    todo = [room]
    while todo:
        new = follows.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found


def law_names() -> set[str]:
    """Names by which code can tell laws apart: classes, names in the registry, and kinds."""
    from bayeslaw.laws import LAWS, Law
    from bayeslaw.laws.kinds import KINDS

    classes = {law.__name__ for law in LAWS.values()} | {Law.__name__}
    return classes | set(LAWS) | set(KINDS)


def forks() -> list[Fork]:
    """List the places outside of the laws' rooms that ask which law they have."""
    names, found = law_names(), []
    for name, file in modules().items():
        if room_of(name) in LAW_ROOMS:
            continue
        for node in ast.walk(parsed(file)):
            if asks_for_a_law(node, names):
                found.append(Fork(str(file.relative_to(REPOSITORY)), node.lineno, ast.unparse(node)))
    return found


def asks_for_a_law(node: ast.AST, names: set[str]) -> bool:
    """Say whether an expression tells laws apart by their classes, names or kinds."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("isinstance", "issubclass"):
        return bool(names & _mentioned(node.args[1]))
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        tells = any(isinstance(side, ast.Attribute) and side.attr in ("name", "kind") for side in sides)
        by_type = any(isinstance(side, ast.Call) and ast.unparse(side.func) == "type" for side in sides)
        return (tells or by_type) and any(names & _mentioned(side) for side in sides)
    if isinstance(node, ast.match_case):
        return isinstance(node.pattern, ast.MatchClass) and bool(names & _mentioned(node.pattern.cls))
    return False


def _mentioned(node: ast.AST) -> set[str]:
    parts = list(ast.walk(node))
    named = {part.id for part in parts if isinstance(part, ast.Name)}
    named |= {part.attr for part in parts if isinstance(part, ast.Attribute)}
    return named | {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def way_of_a_fit(work: Callable[[], Any]) -> list[str]:
    """Run something, and list the rooms that a fit is handed to, function by function, each at its first call."""
    from bayeslaw import Fit

    seen: set[tuple[str, str]] = set()
    rooms: list[str] = []

    def look(frame: Any, event: str, _: Any) -> None:
        module = frame.f_globals.get("__name__", "")
        place = module, frame.f_code.co_qualname
        if event != "call" or not module.startswith("bayeslaw.") or place in seen:
            return
        if any(isinstance(value, Fit) for value in frame.f_locals.values()):
            seen.add(place)
            if rooms[-1:] != [room_of(module)]:
                rooms.append(room_of(module))

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        work()
    finally:
        sys.setprofile(before)
    return rooms


def returns(rooms: list[str]) -> int:
    """Count how often a way goes back to a room that it has left."""
    return sum(room in rooms[:index] for index, room in enumerate(rooms))


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY))
    print(f"{len(modules())} modules in {sum(map(len, ROOMS.values()))} rooms, {len(imports())} imports")
    for title, found in (("imports against the flow", upward_imports()), ("circles", circles()), ("forks", forks())):
        print(f"{len(found)} {title}", *found, sep="\n  ")
