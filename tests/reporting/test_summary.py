"""What a summary tells: parameters in their units, claims, trust, of every law and of a user's own."""

import csv
import io
import json
import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from quick_fits import quick_fits
from tables import family_table
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app
from bayeslaw.diagnosis.checks import check_record
from bayeslaw.diagnosis.joint_pool_check import check_fit
from bayeslaw.laws.kinds import KINDS, kind_of
from bayeslaw.laws.registry import LAWS
from bayeslaw.losses.sizes import count_label
from bayeslaw.reporting.summary_text import parameter_texts

KEYS = {"law", "unit", "rows", "parameters", "claims", "trusted", "findings"}
PARAMETER_KEYS = ["name", "group", "mean", "lower", "upper", "unit"]


@pytest.fixture(scope="module")
def told(collaboration_fit):
    return bl.summary(collaboration_fit)


def by_name(summary):
    return {(parameter.name, parameter.group): parameter for parameter in summary.parameters}


def test_parameters_are_those_of_the_draws(collaboration_fit, told):
    found = by_name(told)
    draws = collaboration_fit.tree["posterior"]["exponent"].sel(regime="heterogeneous").to_numpy().ravel()
    exponent = found["exponent", "heterogeneous"]
    assert exponent.mean == pytest.approx(draws.mean())
    assert [exponent.lower, exponent.upper] == pytest.approx(np.quantile(draws, [0.05, 0.95]).tolist())
    assert exponent.unit == "per unit of log parameters"
    assert found["amplitude_1e9", "single"].unit == "nats per sample at 1B parameters"
    assert found["floor", "single"].unit == found["noise_scale", "single"].unit == "nats per sample"
    assert found["exponent_population", None].unit == "per unit of log parameters"
    assert not [name for name, _ in found if name.endswith("_spread")]


def test_the_level_is_what_was_asked_for(collaboration_fit, told):
    half = bl.summary(collaboration_fit, interval=0.5)
    for wide, narrow in zip(told.parameters, half.parameters, strict=True):
        assert wide.lower < narrow.lower < narrow.upper < wide.upper
    assert "Posterior means and 50 % equal-tailed intervals" in str(half)
    assert "50% equal-tailed interval" in half.crossover[0]


def test_claims_and_findings_are_those_of_the_check(collaboration_fit, told):
    record = check_record(collaboration_fit)
    plain = told.to_dict()
    assert set(plain) == KEYS
    assert {key: plain[key] for key in ("claims", "findings", "trusted")} == {
        key: record[key] for key in ("claims", "findings", "trusted")
    }
    assert [list(parameter) for parameter in plain["parameters"]] == [PARAMETER_KEYS] * len(told.parameters)
    assert plain["rows"] == 171


def test_crossover_is_that_of_when(collaboration_fit, told):
    assert told.crossover == bl.when(collaboration_fit).sentences


def test_the_text_says_what_was_fitted_to_what(told):
    text = str(told)
    assert text.startswith("Collaboration law of 171 pools, loss in nats per sample\n")
    assert "pools by regime: single (18), homogeneous (45), heterogeneous (108)" in text
    assert "the exponent is larger in heterogeneous pools than in single models" in text
    assert "12 more at other budgets" in text
    assert "59.2M to 138B parameters" in text
    assert text.endswith("Trusted: no check found an error.")
    assert len(repr(told)) < 120


def test_a_summary_needs_no_groups_beside_the_draws(collaboration_fit, told):
    slim = bl.summary(collaboration_fit.keep([]))
    assert slim.parameters == told.parameters
    assert slim.claims == ()
    assert {"no-prior", "no-log-prior"} <= {finding.code for finding in slim.findings}


@pytest.mark.slow
def test_chinchilla_amplitudes_are_told_at_their_own_budgets(chinchilla_fit):
    found = by_name(bl.summary(chinchilla_fit))
    assert found["token_amplitude_1e9", None].unit == "nats at 1B training tokens"
    assert found["token_exponent", None].unit == "per unit of log training tokens"
    # This noise is of log losses.
    assert found["noise_scale", None].unit == "log loss: a relative error"


def test_the_joint_law_tells_its_families(joint_fit):
    told = bl.summary(joint_fit)
    assert (told.rows, told.rows_are, told.group_is) == (8, "models", "family")
    assert {group for name, group in by_name(told) if name == "floor"} == set(told.groups)
    assert "family_difference" in {parameter.name for parameter in told.parameters}
    assert told.crossover


def test_numbers_of_a_parameter_have_the_same_decimals():
    def of(name: str, *numbers: float) -> bl.ParameterSummary:
        return bl.ParameterSummary(name, None, *numbers, unit="")

    told = parameter_texts(
        [
            of("floor", 1.77, 1.5341, 1.92),
            of("floor", 1.8, 1.5, 1.9),
            of("tiny", 2e-9, 1e-9, 3e-9),
            of("count", 5200.0, 3e3, 1e4),
            of("fixed", 0.5, 0.5, 0.5),
        ]
    )
    assert told == [
        ("1.770", "1.534", "1.920"),
        ("1.800", "1.500", "1.900"),
        ("2e-09", "1e-09", "3e-09"),
        ("5200", "3000", "1e+04"),
        ("0.5", "0.5", "0.5"),
    ]


def test_a_summary_finds_what_a_check_finds(read_fit, monkeypatch):
    """By fewer replicates of pools, unless they leave a finding open."""
    from bayeslaw.diagnosis import checks

    fit = read_fit("quick_joint")
    whole = check_record(fit)
    assert check_record(fit, details=False)["findings"] == whole["findings"]
    assert {"pools", "sensitivity"} <= {*whole} - {*check_record(fit, details=False)}
    asked, verb = [], kind_of(fit.law).pool_check

    def lying(fit, **choices):
        asked.append(choices)
        return verb(fit, **choices).assign(tail=1 / checks.FIRST_REPLICATES)

    monkeypatch.setitem(KINDS["joint"].found_at, "pool_check", lying)
    check_record(fit, details=False)
    assert asked == [{"first": checks.FIRST_REPLICATES}, {}]


def test_a_draw_gives_the_same_replicate_among_fewer(read_fit):
    fit = read_fit("quick_joint")
    few, more = (bl.pool_check(fit, max_size=2, draws=20), check_fit(fit, max_size=2, draws=400, first=20))
    assert few["observed"].tolist() == more["observed"].tolist()
    all_of_them = check_fit(fit, max_size=2, draws=20, first=None)
    assert check_fit(fit, max_size=2, draws=20, first=20).equals(all_of_them)


@dataclass(frozen=True)
class SlopeLaw(bl.Law):
    """``loss = level + slope log(N / N0)``, in no units that anybody told."""

    level: Any = None
    slope: Any = None

    name = "slope"
    equation = "level + slope * log(N / N0)"
    function = staticmethod(lambda parameters, *, level, slope: level + slope * jnp.log(parameters))
    signed = ("slope",)

    def default_priors(self, observations):
        """Scale the priors to the mean loss."""
        middle = float(observations.loss.mean())
        return {"level": f"LogNormal({np.log(middle)}, 0.5)", "slope": f"Normal(0, {0.3 * middle})"}


@dataclass(frozen=True)
class NamedUnits(SlopeLaw):
    """As it, with units, of which one holds what a format would choke on."""

    name = "named_units"
    units = {"level": "{unit}", "slope": "{unit} per e-fold of {N0} parameters {}{0}"}  # noqa: RUF012


@pytest.mark.parametrize(
    ("law", "units"),
    [
        (SlopeLaw, {"level": "", "slope": ""}),
        (NamedUnits, {"level": "{unit}", "slope": "{unit} per e-fold of {N0} parameters {}{0}"}),
    ],
)
def test_a_law_of_ones_own_says_its_units(law: Any, units: dict[str, str], monkeypatch):
    monkeypatch.setattr(LAWS, "_loaded", {**LAWS._loaded})
    bl.register_law(law)
    with quick_fits():
        fit = bl.fit(law(pooling="complete"), family_table(one_law=True, noise=0.02), draws=200, chains=2, seed=1)
        told = bl.summary(fit)
    size = count_label(fit.observations.reference["parameters"])
    shown = {name: unit.replace("{unit}", fit.unit).replace("{N0}", size) for name, unit in units.items()}
    assert {name: by_name(told)[name, None].unit for name in units} == shown
    assert "Rows: " in told.trust[1]
    assert json.dumps(told.to_dict())


def test_nothing_from_outside_is_markup_or_steers_a_terminal():
    table = family_table(one_law=True, noise=0.02)
    names = {name: f"<script>{name}</script>" for name in np.unique(table["family"].to_numpy())}
    table["family"] = ("lm", [names[name] for name in table["family"].to_numpy()])
    table.attrs["loss_unit"] = "nats<img>\x1b[2J"
    with quick_fits():
        told = bl.summary(bl.fit(bl.PowerLaw(), table, draws=100, chains=2, seed=1))
    html = told._repr_html_()
    assert "<script" not in html
    assert "<img" not in html
    assert "\x1b" not in html
    assert "&lt;script&gt;" in html
    assert "\x1b" not in str(told)


def test_the_command_prints_saves_and_names_the_level(collaboration_file, told, tmp_path):
    run = CliRunner().invoke
    file = tmp_path / "parameters.csv"
    printed = run(app, ["summary", str(collaboration_file), "--json", "--csv", str(file)])
    assert printed.exit_code == 0
    assert json.loads(printed.stdout) == json.loads(json.dumps(told.to_dict()))
    text = run(app, ["summary", str(collaboration_file), "--priors", "--interval", "0.8"]).stdout
    assert "80 % equal-tailed intervals" in text
    assert "exponent_population ~ " in text
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    assert [float(row["mean"]) for row in rows] == [parameter.mean for parameter in told.parameters]
    assert {row["interval"] for row in rows} == {"0.9"}
    assert math.isclose(float(rows[0]["lower"]), told.parameters[0].lower, rel_tol=0)
