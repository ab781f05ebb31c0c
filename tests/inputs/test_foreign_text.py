"""Text from outside on its way to a terminal."""

import json
import unicodedata

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from bayeslaw.commands.common import console, note, print_json
from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_text import LONGEST_MESSAGE, excerpt, printable

KEY = 'sk-"sécret\\key'
STEERING = "\x1b[31m\x9b2J\x07\r\x7f\u202e\u2066\u200b\u2028\ufeff\ud800\U000e0001"


@given(st.text(st.characters(), max_size=40))
def test_nothing_printable_steers_a_terminal(text):
    shown = printable(text)
    assert all(each == "\n" or each.isprintable() or unicodedata.category(each) == "Zs" for each in shown)
    assert printable(shown) == shown
    assert shown.encode().decode() == shown
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    "text", [KEY, f"Bearer {KEY}.", KEY.upper(), repr(KEY), json.dumps(KEY), "x" * 295 + KEY, f"{KEY[:4]}{KEY}"]
)
@pytest.mark.parametrize("variable", ["OPENAI_API_KEY", "HF_TOKEN"])
def test_keys_are_hidden_however_they_are_written(monkeypatch, text, variable):
    monkeypatch.setenv(variable, f" {KEY}\n")
    for shown in (printable(text), excerpt(text), str(InputError(text, "a", "b"))):
        assert "key" not in shown.lower()
    monkeypatch.setenv(variable, "abc")
    assert printable("abc") == "abc"


def test_errors_are_printable_and_have_an_end():
    error = InputError(f"a{STEERING}\nb", STEERING, "x" * 10**6)
    assert error.problem.startswith("a\\x1b[31m\\x9b2J\\x07\\r\\x7f\\u202e")
    assert error.problem.endswith("\nb")
    assert error.accepted.isprintable()
    assert len(error.fix) < LONGEST_MESSAGE + 100
    assert InputError(error.problem, error.accepted, error.fix).problem == error.problem


def test_what_commands_print_is_printable(capsys):
    context = typer.Context(typer.main.get_command(typer.Typer(callback=lambda: None)))
    note(context, f"a model {STEERING}")
    console().print(f"a model {STEERING}", soft_wrap=True)
    print_json({f"a{STEERING}": STEERING})
    shown = capsys.readouterr()
    assert (shown.out + shown.err).replace("\n", "").isprintable()
    assert json.loads(shown.out[shown.out.index("{") :]) == {f"a{STEERING}": STEERING}


def test_a_table_has_room_for_escapes(capsys):
    from rich.table import Table

    table = Table("name")
    table.add_row(f"a{STEERING}z")
    console().print(table)
    shown = capsys.readouterr().out
    assert shown.replace("\n", "").isprintable()
    assert printable(f"a{STEERING}z") in shown
