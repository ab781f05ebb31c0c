"""Findings: one kind of them, each code documented once and in use."""

import ast
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from house import parsed

import bayeslaw
import inference
from bayeslaw.commands.common import COLOURS
from bayeslaw.findings import CODES, SEVERITIES, Finding

PACKAGES = tuple(Path(package.__file__).parent for package in (bayeslaw, inference))


def modules() -> Iterator[ast.Module]:
    for folder in PACKAGES:
        for path in folder.rglob("*.py"):
            if path.name != "findings.py":
                yield parsed(path)


def given_codes() -> Iterator[str]:
    """Codes written where a finding is made."""
    for module in modules():
        for node in ast.walk(module):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id in ("Finding", "_error") and node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)


def test_every_code_given_is_documented():
    codes = set(given_codes())
    assert len(codes) > 30
    assert codes <= set(CODES)


def test_every_code_documented_is_given_somewhere():
    texts = {node.value for module in modules() for node in ast.walk(module) if isinstance(node, ast.Constant)}
    assert set(CODES) <= texts


def test_codes_are_words_with_hyphens_and_documented_once():
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in CODES)
    assert len(set(CODES.values())) == len(CODES)
    source = (PACKAGES[0] / "findings.py").read_text(encoding="utf-8")
    [table] = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Dict)]
    assert len(table.keys) == len(CODES)


def test_severities_are_of_one_tuple():
    assert list(COLOURS) == list(SEVERITIES)
    assert [Finding("a", severity, "b").is_error for severity in SEVERITIES] == [True, False, False]
    with pytest.raises(ValueError, match="severity 'note' is not one of error, warning, info"):
        Finding("a", "note", "b")


def test_there_is_one_kind_of_finding():
    made = {
        node.name
        for module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.ClassDef)
        and {"code", "message"} <= {each.target.id for each in node.body if isinstance(each, ast.AnnAssign)}
    }
    assert made == set()


def test_a_finding_prints_its_code():
    finding = Finding("rhat", "error", "Chains disagree.")
    assert str(finding) == "rhat: Chains disagree."
    assert asdict(finding) == {"code": "rhat", "severity": "error", "message": "Chains disagree.", "remedy": ""}
