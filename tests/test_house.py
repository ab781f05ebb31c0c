"""The house stays a house: its rooms, the way imports run, and nobody who asks which law it has."""

from pathlib import Path

import pytest
from house import REPOSITORY, ROOMS, TOP, circles, forks, modules, returns, upward_imports, way_of_a_fit

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


@pytest.mark.parametrize("package", ["bayeslaw", "inference"])
def test_no_module_hides_a_function(package):
    names = __import__(package).__all__
    top = {name.split(".")[1] for name in modules() if name.startswith(f"{package}.")}
    assert not top & {*names}


def test_no_two_files_share_a_name():
    alike: dict[str, list[str]] = {}
    for name, file in modules().items():
        if file.name != "__init__.py" and ".commands." not in name:
            alike.setdefault(file.name, []).append(name)
    assert {name: found for name, found in alike.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("name", "at"), [("power", ["7e9"]), ("collaboration", ["7e9"]), ("quick_joint", {"members": ["7e9:alder"]})]
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
