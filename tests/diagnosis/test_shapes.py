"""Tables whose shape is not that of the law: each is named, and a table that has it is not."""

import numpy as np
import pytest
from quick_fits import quick_fits
from tables import models_table, power
from typer.testing import CliRunner

from bayeslaw.cli import app
from bayeslaw.diagnosis.checks import check, trusted
from bayeslaw.diagnosis.row_residuals import outlying_probability, residuals_of
from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import fit
from bayeslaw.fitting.usual_noise import reason_for
from bayeslaw.laws import PowerLaw
from bayeslaw.likelihood.noise import Noise
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.losses.sizes import read_size

SIZES = np.geomspace(1e7, 1e10, 12)
SCATTER = 0.01 * np.random.default_rng(0).standard_normal(len(SIZES))
FALLING = power(SIZES, 1.5, 0.6, 0.3) * (1 + SCATTER)
SHAPES = {"rising-loss", "outlying-rows", "bent-rows", "negative-losses"}


def fitted(losses, sizes=SIZES, noise=None, law=None):
    with quick_fits():
        table = models_table(losses, sizes, ["alder"] * len(sizes))
        return fit(law or PowerLaw(pooling="complete"), table, noise=noise, draws=500, chains=2)


def shapes(result):
    return {finding.code: finding for finding in check(result) if finding.code in SHAPES}


@pytest.fixture(scope="module")
def falling():
    return fitted(FALLING)


def test_a_law_that_the_rows_have_is_in_order(falling):
    assert shapes(falling) == {}
    assert falling.noise.response == "loss"


def test_losses_that_rise_are_an_error():
    found = shapes(fitted(2 + 0.1 * np.log10(SIZES / 1e7) + SCATTER))
    assert found["rising-loss"].severity == "error"
    slope = np.polyfit(np.log10(SIZES), 2 + 0.1 * np.log10(SIZES / 1e7) + SCATTER, 1)[0]
    assert f"by {loss_text(slope)} nats for ten times as many" in found["rising-loss"].message


def test_a_law_that_may_rise_is_let_rise():
    rising = fitted(
        2 + 0.1 * np.log10(SIZES / 1e7) + SCATTER,
        law=PowerLaw(pooling="complete", exponent="Normal(0, 0.3)", floor="HalfNormal(2)"),
    )
    assert "rising-loss" not in shapes(rising)


@pytest.mark.parametrize("row", [3, 5, 8])
def test_one_row_three_times_too_high_is_named(row):
    losses = FALLING.copy()
    losses[row] *= 3
    message = shapes(fitted(losses))["outlying-rows"].message
    assert f"lies alder-{row} ({loss_text(losses[row])}, the law" in message
    assert "of 12 rows" in message


@pytest.mark.slow
def test_heavy_tails_take_a_row_that_lies_far_off():
    losses = FALLING.copy()
    losses[5] *= 3
    assert "outlying-rows" not in shapes(fitted(losses, noise=Noise("student_t")))


def test_probabilities_are_adjusted_for_the_number_of_rows(falling):
    probability = outlying_probability(falling, residuals_of(falling))
    assert probability.shape == (12,)
    assert (probability == 1).sum() >= 8
    assert (probability > 0.01).all()


def test_double_descent_is_named():
    bump = 0.25 * np.exp(-((np.log10(SIZES) - 8.5) ** 2) / 0.3)
    message = shapes(fitted(FALLING + bump))["bent-rows"].message
    assert "losses lie above it" in message
    low, high = (read_size("a size", part) for part in message.split("from ")[1].split(" parameters")[0].split(" to "))
    assert 1e8 < low < 10**8.5 < high < 1e9


def test_bands_below_zero_are_named_and_noted(tmp_path):
    losses = np.abs(0.05 + (SIZES / 1e7) ** -0.5 + 10 * SCATTER)
    result = fitted(losses)
    assert "reach below zero (-0." in shapes(result)["negative-losses"].message
    result.save(tmp_path / "f.nc")
    arguments = ["predict", str(tmp_path / "f.nc"), "--parameters", "1e11", "--family", "alder"]
    assert "warning negative-losses: 1 of 1 bands" in CliRunner().invoke(app, arguments).stderr
    positive = fitted(losses, noise=Noise(response="log_loss"))
    assert "negative-losses" not in shapes(positive)


def test_losses_that_span_much_get_noise_in_proportion():
    sizes = np.geomspace(1e3, 1e12, 12)
    losses = (1.5 + 98 * (sizes / 1e3) ** -0.25) * np.exp(2 * SCATTER)
    chosen = fitted(losses, sizes)
    assert chosen.noise.response == "log_loss"
    assert "noise is on log losses: losses span a factor of" in reason_for(chosen.noise, chosen.observations)
    assert trusted(check(chosen))
    # Scatter of one size on all of them is told apart.
    even = fitted(1.5 + 98 * (sizes / 1e3) ** -0.25 + 5 * SCATTER, sizes)
    assert even.noise.response == "loss"
    assert reason_for(even.noise, even.observations) == ""
    asked = fitted(losses, sizes, noise=Noise())
    assert asked.noise.response == "loss"


def test_small_losses_are_printed_with_their_digits(tmp_path):
    small = fitted(1e-4 * FALLING)
    assert shapes(small) == {}
    small.save(tmp_path / "f.nc")
    arguments = ["predict", str(tmp_path / "f.nc"), "--parameters", "1e9", "--family", "alder", "--kind", "mean"]
    printed = CliRunner().invoke(app, arguments).stdout
    assert "0.0000 " not in printed
    assert "0.0002" in printed


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.5, "2.5000"), (-0.0973, "-0.0973"), (1.5e-4, "0.0001500"), (0.0, "0.0000"), (3.21e-9, "3.210e-09")],
)
def test_losses_are_written_with_four_decimals_or_digits(value, text):
    assert loss_text(value) == text


def test_not_a_number_is_written():
    assert loss_text(float("nan")) == "nan"


def test_losses_that_are_all_the_same_are_refused():
    with pytest.raises(InputError, match=r"all 12 rows have the same loss, 2\.0000 nats"):
        fitted(np.full(len(SIZES), 2.0))
