"""Tables of kinds: entries are looked up, and no code asks for a name of theirs."""

import ast
from pathlib import Path

import pytest

import bayeslaw
from bayeslaw.errors import InputError, check_choice
from bayeslaw.joint.links import LINKS, check_link
from bayeslaw.laws import DiversityLaw
from bayeslaw.laws.diversity import coefficient_names
from bayeslaw.likelihood.noise import DEPENDENCE, Noise
from bayeslaw.likelihood.noise_distributions import DISTRIBUTIONS
from bayeslaw.likelihood.responses import RESPONSES
from bayeslaw.pools.diversity_numbers import DIVERSITY_NUMBERS
from bayeslaw.pools.gains import RELATIVE

TABLES = {
    "distributions": DISTRIBUTIONS,
    "responses": RESPONSES,
    "links": LINKS,
    "diversity numbers": DIVERSITY_NUMBERS,
}
# Words that also stand for a column of a table or an attribute of a fit.
COLUMNS = {"loss", "families"}
NAMES = {name for table in (*TABLES.values(), DEPENDENCE) for name in table} - COLUMNS


def compared(tree: ast.Module) -> list[tuple[int, set[str]]]:
    """Return each comparison's line, and the texts and attributes that are compared."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            parts = (node.left, *node.comparators)
            inner = [
                each for part in parts for each in (part.elts if isinstance(part, ast.Tuple | ast.Set) else [part])
            ]
            texts = {each.value for each in inner if isinstance(each, ast.Constant) and isinstance(each.value, str)}
            texts |= {f".{each.attr}" for each in parts if isinstance(each, ast.Attribute)}
            found.append((node.lineno, texts))
    return found


def asks(source: str) -> list[int]:
    """Return the lines on which a name of a table is asked for."""
    wanted = NAMES | {".distribution"}
    return [line for line, texts in compared(ast.parse(source)) if texts & wanted]


def test_no_module_asks_for_a_name_of_a_table():
    for path in Path(bayeslaw.__file__).parent.rglob("*.py"):
        assert asks(path.read_text(encoding="utf-8")) == [], path


@pytest.mark.parametrize(
    "source", ["x.distribution == y", 'response == "log_loss"', 'name in ("log", "other")', '"shared" != x']
)
def test_a_question_is_seen(source):
    assert asks(source) == [1]


@pytest.mark.parametrize("table", TABLES)
def test_entries_have_the_names_that_they_are_found_by(table):
    assert all(name == entry.name for name, entry in TABLES[table].items())


@pytest.mark.parametrize("table", TABLES)
def test_an_unknown_name_is_refused_with_all_names(table):
    refuse = {
        "distributions": lambda: Noise(distribution="gauss"),
        "responses": lambda: Noise(response="gauss"),
        "links": lambda: check_link("gauss"),
        "diversity numbers": lambda: DiversityLaw(diversity=("gauss",)),
    }[table]
    with pytest.raises(InputError, match="'gauss' is not known") as error:
        refuse()
    assert error.value.accepted == f"one of {', '.join(TABLES[table])}"


def test_every_diversity_number_has_its_coefficients_in_the_law():
    for number in DIVERSITY_NUMBERS:
        law = DiversityLaw(diversity=(number,))
        assert set(coefficient_names((number,))) < set(law.parameter_names)
        assert RELATIVE + number in law.covariates
    assert check_choice("number", "families", DIVERSITY_NUMBERS) == "families"


def test_sites_of_distributions_are_fields_of_the_noise():
    sites = {site for entry in DISTRIBUTIONS.values() for site in entry.priors}
    assert sites <= set(Noise.__dataclass_fields__)
