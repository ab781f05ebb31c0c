"""What the README and the pages of the site say is so, as far as that can be told without building it."""

import re
import tomllib
from itertools import chain

import pytest
import yaml
from house import REPOSITORY, ROOMS
from typer.main import get_command

import bayeslaw as bl
import inference
from bayeslaw.cli import app
from bayeslaw.fitting.settings_file import read_config

DOCS = REPOSITORY / "docs"
README = REPOSITORY / "README.md"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts and "generated" not in page.parts)
OF_README = ("pip install uv && uv run bayeslaw demo", "pip install uv && uv run pytest")
FENCE = re.compile(r"^(`{3,})(.*?)\n(.*?)^\1 *$", re.MULTILINE | re.DOTALL)
# What is run when the site is built, and what is no code.
RUN = ("{code-cell}", "{command-output}", "{prepared}", "{every-command}")
NO_CODE = ("{toctree}", "{figure}", "{include}", "{glossary}", "{code-block} yaml", "{code-block} text", "yaml")


def commands_of(text: str) -> list[str]:
    """Find the commands that a text tells to type, one line each."""
    typed = chain(
        re.findall(r"^ {4}(bayeslaw .*)$", text, re.MULTILINE),
        re.findall(r"^\$ (bayeslaw .*)$", text, re.MULTILINE),
        re.findall(r"^```\{(?:command-output|prepared)\} (bayeslaw .*)$", text, re.MULTILINE),
        re.findall(r"`(bayeslaw [a-z-]+(?: [^`\n]+)?)`", text),
    )
    return [re.sub(r"\s+#.*", "", line) for line in typed]


def wrong_words(command: str) -> list[str]:
    """Find a command that is not there, and options that its command does not have."""
    known = vars(get_command(app))["commands"]
    _, name, *words = command.split()
    if name not in known:
        return [] if name.startswith("-") or not name.islower() else [name]
    options = {each for parameter in known[name].params for each in (*parameter.opts, *parameter.secondary_opts)}
    return [word for word in words if word.startswith("--") and word not in options | {"--help", "--quiet"}]


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("bayeslaw fit pools --law power", []),
        ("bayeslaw fit pools --laws power", ["--laws"]),
        ("bayeslaw fits pools", ["fits"]),
    ],
)
def test_a_wrong_command_is_seen(command, wrong):
    assert wrong_words(command) == wrong


@pytest.mark.parametrize("page", [README, REPOSITORY / "CONTRIBUTING.md", *PAGES], ids=lambda page: page.name)
def test_commands_and_options_are_there(page):
    text = page.read_text()
    assert [(line, wrong_words(line)) for line in commands_of(text) if wrong_words(line)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_code_of_pages_is_run_or_says_why_not(page):
    for _, info, content in FENCE.findall(page.read_text()):
        fine = info.startswith(RUN) or info in NO_CODE or (info.startswith(NO_CODE[:4]))
        assert fine or (info == "{code-block} console" and ":class: not-run" in content), info
    # Nor is code hidden in an indented block.
    outside = FENCE.sub("", page.read_text())
    assert re.findall(r"^\n {4,}(?:bayeslaw|import|from|\$) .*", outside, re.MULTILINE) == []


@pytest.mark.parametrize("page", [README, REPOSITORY / "CHANGELOG.md", *PAGES], ids=lambda page: page.name)
def test_names_of_the_package_are_there(page):
    used = re.findall(r"\bbl\.([A-Za-z_]\w*)", page.read_text())
    assert [name for name in used if name not in bl.__all__ and not hasattr(bl, name)] == []


def test_the_readme_is_short_and_holds_the_two_commands():
    lines = README.read_text().splitlines()
    assert len(lines) <= 100
    for line in OF_README:
        assert f"    {line}" in lines


def test_the_readme_points_at_what_is_there():
    targets = re.findall(r"\]\(([^)]+)\)", README.read_text())
    assert [each for each in targets if "://" not in each and not (REPOSITORY / each).exists()] == []
    assert {"docs/law.png", "CONTRIBUTING.md", "CITATION.cff"} <= {*targets}


def test_every_public_name_is_in_the_reference_once():
    text = (DOCS / "api" / "index.rst").read_text()
    listed: dict[str, list[str]] = {"bayeslaw": [], "inference": []}
    for module, names in re.findall(r"currentmodule:: (\w+)\n\n\.\. autosummary::\n(?: +:.*\n)+\n((?: +\w+\n)+)", text):
        listed[module] += names.split()
    assert sorted(listed["bayeslaw"]) == sorted(bl.__all__)
    assert sorted(listed["inference"]) == sorted(inference.__all__)


def test_files_of_settings_in_pages_are_read(tmp_path):
    texts = re.findall(r"^```yaml\n(.*?)^```$", (DOCS / "guide" / "configuration.md").read_text(), re.M | re.S)
    assert texts
    for text in texts:
        file = tmp_path / "config.yaml"
        file.write_text(text)
        law, noise = read_config(file, None)
        assert law is not None
        assert law.name == yaml.safe_load(text)["law"]
        assert noise is not None


def test_the_map_names_every_room_and_files_that_are_there():
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    named = {*re.findall(r"`(\w+)`", text)}
    assert {room for rooms in ROOMS.values() for room in rooms} <= named
    files = {name for name in re.findall(r"`([\w/.]+\.py)`", text) if "/" in name}
    roots = (REPOSITORY, REPOSITORY / "bayeslaw", REPOSITORY / "inference")
    assert [name for name in files if not any((root / name).exists() for root in roots)] == []


def test_the_citation_is_of_this_package():
    cited = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert (cited["title"], cited["version"], cited["license"]) == (
        project["name"],
        project["version"],
        project["license"],
    )
    assert cited["authors"] == project["authors"]
    (paper,) = cited["references"]
    assert paper["identifiers"] == [{"type": "other", "value": "arXiv:2512.23340"}]


def test_terms_of_the_glossary_stand_once_and_in_order():
    (_, _, content), *_ = FENCE.findall((DOCS / "glossary.md").read_text())
    terms = [line for line in content.splitlines() if line and not line.startswith(" ")]
    assert terms == sorted(set(terms), key=str.lower)
    wanted = ("pool", "regime", "oracle", "win share", "gain", "decorrelation", "elpd", "Pareto k", "budget", "drift")
    assert {*wanted, "CRPS", "crossover", "regret", "attainability", "floor", "exponent", "joint law"} <= {*terms}
