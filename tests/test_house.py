"""The house stays a house: its rooms, the way imports run, and nobody who asks which law it has."""

import ast
import re
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name

import pytest
from house import (
    REPOSITORY,
    ROOMS,
    TOP,
    Import,
    asks_for_a_law,
    circles,
    forks,
    is_upward,
    law_names,
    modules,
    returns,
    upward_imports,
    way_of_a_fit,
)

import bayeslaw as bl

FACES = {"__init__.py", "__init__.pyi", "py.typed"}
MOST_RETURNS = 5


@pytest.mark.parametrize("package", ROOMS)
def test_nothing_but_rooms_is_at_the_top(package):
    files = {f"{name}.py" for name in TOP} if package == "bayeslaw" else set()
    # Git leaves folders that have nothing but compiled files.
    found = {path.name for path in (REPOSITORY / package).iterdir() if path.is_file() or any(path.rglob("*.py"))}
    assert found == {*ROOMS[package], *files, *FACES}


def test_every_room_says_what_it_is():
    for name, file in modules().items():
        if file.name == "__init__.py":
            assert file.read_text().startswith('"""'), name


def test_imports_run_with_the_flow_of_data_and_in_no_circle():
    assert upward_imports() == []
    assert circles() == []


def test_nobody_outside_of_the_laws_asks_which_law_it_has():
    assert forks() == []


@pytest.mark.parametrize(
    ("code", "asks"),
    [
        ("isinstance(law, JointLaw)", True),
        ("isinstance(law, bl.PowerLaw | int)", True),
        ("law.name == 'diversity'", True),
        ("fit.law.kind in ('joint', 'gains')", True),
        ("type(law) is Law", True),
        ("isinstance(noise, Noise)", False),
        ("prior.name == 'Beta'", False),
        ("kind_of(law).predicted(fit)", False),
    ],
)
def test_who_asks_for_a_law_is_seen(code, asks):
    assert asks_for_a_law(ast.parse(code, mode="eval").body, law_names()) is asks


@pytest.mark.parametrize(
    ("by", "of", "upward"),
    [
        ("bayeslaw.laws.kinds", "bayeslaw.fitting.fits", True),
        ("bayeslaw.fitting.fits", "bayeslaw.laws.kinds", False),
        ("bayeslaw.errors", "bayeslaw.losses.frames", True),
        ("bayeslaw.losses.frames", "bayeslaw.errors", False),
        ("bayeslaw.pools.rules", "inference.runs.runner", True),
        ("bayeslaw.commands.score", "inference.runs.runner", False),
        ("inference.runs.runner", "bayeslaw.pools.rules", True),
        ("inference.runs.runner", "bayeslaw.losses.frames", False),
        ("inference.decoder.head", "inference.runs.runner", True),
    ],
)
def test_an_import_against_the_flow_is_seen(by, of, upward):
    assert is_upward(Import(by, of)) is upward


@pytest.mark.parametrize("package", ["bayeslaw", "inference"])
def test_no_module_is_named_like_a_public_function(package):
    names = {name for name in __import__(package).__all__ if name[0].islower()}
    own = {name.split(".")[-1] for name in modules() if name.startswith(f"{package}.") and ".commands." not in name}
    assert not own & names


NAMED = re.compile(r"`((?:bayeslaw|inference)\.[\w.]+)`")
FOUND_LATER = re.compile(r'"((?:bayeslaw|inference)\.[\w.]+:\w+)"')


def _is_there(name):
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:]:
            if part in getattr(found, "__dataclass_fields__", ()) or part in getattr(found, "__annotations__", ()):
                return True
            if (found := getattr(found, part, None)) is None:
                return False
        return True
    return False


def test_what_texts_and_tables_name_is_there():
    """Names in backticks, and what is imported when it is needed, which no type checker sees."""
    gone = []
    pages = [file for file in (REPOSITORY / "docs").rglob("*.md") if "_build" not in file.parts]
    for file in [*modules().values(), *REPOSITORY.glob("*.md"), *pages]:
        text = file.read_text()
        gone += [(str(file), name) for name in NAMED.findall(text) if not _is_there(name)]
        for name in FOUND_LATER.findall(text):
            assert resolve_name(name), name
    assert gone == []


def test_no_two_files_share_a_name():
    alike: dict[str, list[str]] = {}
    for name, file in modules().items():
        if file.name != "__init__.py" and ".commands." not in name:
            alike.setdefault(file.name, []).append(name)
    assert {name: found for name, found in alike.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("power", ["7e9"]),
        pytest.param("collaboration", ["7e9"], marks=pytest.mark.slow),
        ("quick_joint", {"members": ["7e9:alder"]}),
    ],
)
def test_a_fit_goes_through_predict_with_few_returns(file_of_fit, name, at):
    fit = bl.load_fit(file_of_fit(name))
    rooms = way_of_a_fit(lambda: bl.predict(fit, at))
    assert {"fitting", "prediction"} <= {*rooms}
    assert returns(rooms) <= MOST_RETURNS, rooms


def test_returns_are_counted():
    assert returns(["a", "b", "a", "c", "b"]) == 2
    assert returns(["a", "b", "c"]) == 0


def test_the_house_is_read_from_the_files_here():
    assert Path(bl.__file__).is_relative_to(REPOSITORY)
