"""Comparison of fits by leave-one-out densities of the loss."""

import numpy as np
import pytest
from brute import brute_posterior
from scipy import stats
from tables import TINY_MEDIANS, tiny_table

from bayeslaw.comparison.comparisons import OVERLAP_WARNING, _loo, compare
from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit

FITS = {"loss": "tiny_fit", "log_loss": "tiny_log_fit"}


def brute(response):
    table = tiny_table()
    parameters, loss = (table[name].to_numpy() for name in ("parameters", "loss"))
    return brute_posterior(parameters, loss, TINY_MEDIANS, logarithm=response == "log_loss")


@pytest.fixture(params=FITS)
def both(request):
    return request.param, request.getfixturevalue(FITS[request.param])


def losses_at_every_draw(fit):
    """Log density of every loss at every draw, from parameters alone."""
    values, rows = fit.values(), fit.observations
    mean = (
        values["floor"][:, None]
        + values["amplitude_1e9"][:, None] * (rows.covariates["parameters"] / 1e9) ** -values["exponent"][:, None]
    )
    scale = values["noise_scale"][:, None]
    if fit.noise.response == "loss":
        return stats.norm(mean, scale).logpdf(rows.loss)
    return stats.lognorm(scale, scale=mean).logpdf(rows.loss)


def test_pointwise_densities_are_near_exact_leaving_one_out(both):
    response, fit = both
    found = _loo(fit)
    reliable = np.asarray(found.pareto_k) < 0.7
    assert reliable.sum() >= 5
    np.testing.assert_allclose(np.asarray(found.elpd_i)[reliable], brute(response).elpd[reliable], atol=0.12)


def test_pointwise_densities_are_near_plain_importance_weights(both):
    """Smoothing alone stands between ours and the harmonic mean over the same draws."""
    _, fit = both
    plain = -np.log(np.mean(np.exp(-losses_at_every_draw(fit)), axis=0))
    found = _loo(fit)
    reliable = np.asarray(found.pareto_k) < 0.7
    np.testing.assert_allclose(np.asarray(found.elpd_i)[reliable], plain[reliable], atol=0.06)


def test_fits_of_losses_and_log_losses_are_compared_on_the_loss(tiny_fit, tiny_log_fit):
    table = compare({"plain": tiny_fit, "log": tiny_log_fit}).table
    rows = {"plain": np.asarray(_loo(tiny_fit).elpd_i), "log": np.asarray(_loo(tiny_log_fit).elpd_i)}
    for name, elpd in rows.items():
        assert float(table.loc[name, "elpd"]) == pytest.approx(elpd.sum(), rel=1e-6)
    difference = rows["log"] - rows["plain"]
    assert table.index[0] == ("log" if difference.sum() > 0 else "plain")
    assert abs(table["elpd_diff"]).max() == pytest.approx(abs(difference.sum()), rel=1e-6)
    # Without the Jacobian the two would be apart by the sum of the log losses.
    assert np.log(tiny_fit.observations.loss).sum() > 3 * abs(difference.sum())


def test_a_fit_of_pools_is_warned_about(collaboration_fit):
    found = compare({"one": collaboration_fit, "other": collaboration_fit})
    assert found.warnings[0] == OVERLAP_WARNING
    assert list(found.table["elpd_diff"]) == [0, 0]


def test_independent_rows_are_not_warned_about(tiny_fit, tiny_log_fit):
    assert OVERLAP_WARNING not in compare({"plain": tiny_fit, "log": tiny_log_fit}).warnings


def test_unreliable_rows_are_counted_under_the_name_of_their_fit(few_rows_fit):
    found = compare({"first": few_rows_fit, "second": few_rows_fit})
    high = int((np.asarray(_loo(few_rows_fit).pareto_k) > 0.7).sum())
    assert high > 0
    assert [note.split(":")[0] for note in found.warnings] == ["first", "second"]
    assert f"first: {high} rows" in found.warnings[0]


def shifted(fit, **changes):
    tree = fit.tree.copy(deep=True)
    for group, function in changes.items():
        tree[group] = tree[group].assign(function(tree[group].dataset))
    return Fit(tree)


def test_other_rows_are_refused(tiny_fit, partial_fit):
    with pytest.raises(InputError, match="b and a were fitted to different rows"):
        compare({"a": tiny_fit, "b": partial_fit})
    moved = shifted(tiny_fit, observed_data=lambda data: {"loss": data["loss"] + 1e-4})
    with pytest.raises(InputError, match="different rows"):
        compare({"a": tiny_fit, "b": moved})
    other_unit = Fit(tiny_fit.tree.copy())
    other_unit.tree.attrs = {**tiny_fit.tree.attrs, "unit": "bits per byte"}
    with pytest.raises(InputError, match="different rows"):
        compare({"a": tiny_fit, "b": other_unit})


def test_what_cannot_be_compared_is_refused(tiny_fit):
    with pytest.raises(InputError, match="1 fit was given"):
        compare({"alone": tiny_fit})
    with pytest.raises(InputError, match="0 fit"):
        compare({})


def test_fits_that_hold_no_densities_are_compared_all_the_same(tiny_fit, tiny_log_fit):
    held = compare({"a": tiny_fit, "b": tiny_log_fit}).table
    made = compare({"a": tiny_fit.keep(["prior"]), "b": tiny_log_fit.keep(())}).table
    assert made["elpd"].to_dict() == pytest.approx(held["elpd"].to_dict(), rel=1e-5)
