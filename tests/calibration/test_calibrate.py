"""Calibration: right posteriors pass, wrong ones are found, and every law's own passes in its quick form."""

import json
import sys
import warnings
from dataclasses import asdict, dataclass, field, replace
from types import SimpleNamespace

import jax
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from scipy import stats
from typer.testing import CliRunner

from bayeslaw.calibration.calibrations import calibrate
from bayeslaw.calibration.coverage import LEVELS, coverage_table, held, within_chance
from bayeslaw.calibration.example_designs import DESIGNS, default_design
from bayeslaw.calibration.ranks import RANKED_DRAWS, envelope, rank, rank_table, uniform_values
from bayeslaw.calibration.row_calibration import CalibratedLaw
from bayeslaw.cli import app
from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import fit
from bayeslaw.fitting.given_rows import GivenRows
from bayeslaw.joint.law import JointLaw
from bayeslaw.laws import LAWS, ChinchillaLaw, CollaborationLaw, DiversityLaw, PowerLaw
from bayeslaw.laws.calibrated import FittedDraws, Simulated
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import Noise
from bayeslaw.plotting.calibration_files import calibration_record, write_calibration
from bayeslaw.plotting.rank_plot import plot_ranks
from bayeslaw.pools.pool_losses import make_pools
from bayeslaw.simulation.tables import simulate_losses

TARGETS = pd.DataFrame({"where": ["within", "within", "beyond"]})


@dataclass(frozen=True)
class NormalMean:
    """Five observations of unit variance around a mean with a standard normal prior: the posterior is known exactly."""

    shift: float = 0.0
    width: float = 1.0
    looks: bool = True
    fails: int = 0
    noise: float = 1.0

    name = "normal mean"
    unit = "nats"
    targets = TARGETS

    @property
    def identity(self):
        return asdict(self)

    def labels(self, quantity):
        return ("effect[a]", "effect[b]") if quantity == "effect" else (quantity,)

    def simulate(self, seed):
        rng = np.random.default_rng(seed)
        mean = rng.standard_normal(2)
        data = mean + rng.standard_normal((5, 2))
        new = mean[0] + rng.standard_normal(3)
        truth = {"effect": mean, "log_likelihood": stats.norm(mean).logpdf(data).sum()}
        return Simulated(data, truth, {"mean": np.full(3, mean[0]), "new": new})

    def fit(self, data, seed):
        if seed % 10 < self.fails:
            return None
        rng = np.random.default_rng(seed)
        centre, spread = (5 * data.mean(axis=0) / 6, np.sqrt(1 / 6)) if self.looks else (np.zeros(2), 1.0)
        draws = centre + spread * (self.shift + self.width * rng.standard_normal((400, 2)))
        log_likelihood = stats.norm(draws[:, None]).logpdf(data).sum(axis=(1, 2))
        mean = np.repeat(draws[:, :1], 3, axis=1)
        predictions = {"mean": mean, "new": mean + self.noise * rng.standard_normal(mean.shape)}
        return FittedDraws({"effect": draws, "log_likelihood": log_likelihood}, predictions, int(seed % 7 == 0))


def verdicts(result):
    return dict(zip(result.rank_table["quantity"], result.rank_table["verdict"], strict=True))


def test_an_exact_posterior_is_calibrated():
    result = calibrate(NormalMean(), simulations=200, seed=1)
    assert result.calibrated
    assert not result.quick
    assert set(verdicts(result).values()) == {"inside"}
    assert list(result.ranks) == ["effect[a]", "effect[b]", "log_likelihood"]
    assert result.ranks.shape == (200, 3)
    assert result.ranks.to_numpy().min() >= 0
    assert result.ranks.to_numpy().max() <= RANKED_DRAWS
    assert list(result.coverage["level"]) == list(LEVELS) * 4
    np.testing.assert_allclose(result.coverage["coverage"], result.coverage["level"], atol=0.12)


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ({"shift": 0.6}, "draws too high"),
        pytest.param({"shift": -0.6}, "draws too low", marks=pytest.mark.slow),
        ({"width": 0.5}, "too narrow"),
        pytest.param({"width": 2.0}, "too wide", marks=pytest.mark.slow),
    ],
)
def test_a_wrong_posterior_is_found(mistake, said):
    result = calibrate(NormalMean(**mistake), simulations=200, seed=1)
    assert not result.calibrated
    assert not result.ranks_inside
    assert said in verdicts(result)["effect[a]"]
    assert said in verdicts(result)["effect[b]"]


def test_a_fit_that_does_not_look_at_the_data_is_found():
    """The prior itself passes for every parameter; only the log likelihood gives it away."""
    found = verdicts(calibrate(NormalMean(looks=False), simulations=200, seed=1))
    assert found["effect[a]"] == found["effect[b]"] == "inside"
    assert "draws too low" in found["log_likelihood"]


def test_bands_that_forget_the_noise_are_found():
    result = calibrate(NormalMean(noise=0.0), simulations=200, seed=1)
    assert result.ranks_inside
    assert not result.bands_hold
    table = result.coverage.set_index(["kind", "where", "level"]).sort_index()
    assert table.loc["mean", "inside"].all()
    assert not table.loc[("new", "within"), "inside"].any()
    # A band of standard deviation sqrt(1/6) around an outcome with sqrt(7/6).
    expected = 2 * stats.norm.cdf(stats.norm.ppf(0.95) / np.sqrt(7)) - 1
    assert table.loc[("new", "within", 0.9), "coverage"] == pytest.approx(expected, abs=0.1)


def test_failures_and_divergences_are_counted():
    result = calibrate(NormalMean(fails=2), simulations=60, seed=3)
    seeds = (np.random.SeedSequence(3).generate_state(120).reshape(60, 2) >> 2)[:, 1]
    kept = seeds[seeds % 10 >= 2]
    assert result.failed == 60 - len(kept)
    assert 0 < result.failed < 60
    assert result.divergent == np.count_nonzero(kept % 7 == 0)
    assert len(result.ranks) == len(kept)
    with pytest.raises(InputError, match="0 of 20 simulated tables could be fitted"):
        calibrate(NormalMean(fails=10), simulations=20)


@dataclass(frozen=True)
class WarnedSearch(NormalMean):
    """The same, with the warning of a search that another thread has let out."""

    def fit(self, data, seed):
        warnings.warn("The line search algorithm did not converge", RuntimeWarning, stacklevel=1)
        return super().fit(data, seed)


def test_searches_in_threads_warn_of_nothing():
    assert calibrate(WarnedSearch(), simulations=20, seed=0).failed == 0


def test_the_same_seed_gives_the_same_ranks():
    first, second, other = (calibrate(NormalMean(), simulations=12, seed=seed) for seed in (5, 5, 6))
    pd.testing.assert_frame_equal(first.ranks, second.ranks)
    assert not first.ranks.equals(other.ranks)


class BrokenOffError(Exception):
    pass


@dataclass(frozen=True)
class Breaking(NormalMean):
    """Gives up after some fits, as a run that is killed."""

    fits: list = field(default_factory=list)
    after: int = 10**9

    @property
    def identity(self):
        return NormalMean().identity

    def fit(self, data, seed):
        if len(self.fits) >= self.after:
            raise BrokenOffError
        self.fits.append(seed)
        return super().fit(data, seed)


def test_a_broken_run_goes_on(tmp_path):
    journal, whole = tmp_path / "c.journal", calibrate(NormalMean(), simulations=30, seed=7)
    with pytest.raises(BrokenOffError):
        calibrate(Breaking(after=12), simulations=30, seed=7, journal=journal)
    kept = len(journal.read_text().splitlines()) - 1
    assert kept == 12
    # The last line as it would be had the machine stopped while it was written.
    journal.write_text(journal.read_text()[:-5])
    rest = Breaking()
    resumed = calibrate(rest, simulations=30, seed=7, journal=journal)
    assert len(rest.fits) == 30 - 11
    pd.testing.assert_frame_equal(resumed.ranks, whole.ranks)
    pd.testing.assert_frame_equal(resumed.coverage, whole.coverage)
    more = Breaking()
    longer = calibrate(more, simulations=40, seed=7, journal=journal)
    assert len(more.fits) == 10
    pd.testing.assert_frame_equal(longer.ranks, calibrate(NormalMean(), simulations=40, seed=7).ranks)
    fewer = Breaking(after=0)
    pd.testing.assert_frame_equal(calibrate(fewer, simulations=30, seed=7, journal=journal).ranks, whole.ranks)


def test_failures_are_kept_in_the_journal(tmp_path):
    journal = tmp_path / "c.journal"
    first, second = (calibrate(NormalMean(fails=2), simulations=60, seed=3, journal=journal) for _ in range(2))
    assert first.failed == second.failed > 0
    pd.testing.assert_frame_equal(first.ranks, second.ranks)


@pytest.mark.parametrize("other", [{"subject": NormalMean(width=2.0)}, {"seed": 8}])
def test_the_journal_of_another_run_is_refused(other, tmp_path):
    journal = tmp_path / "c.journal"
    calibrate(NormalMean(), simulations=10, seed=7, journal=journal)
    with pytest.raises(InputError, match=r"c\.journal"):
        calibrate(other.get("subject", NormalMean()), simulations=10, seed=other.get("seed", 7), journal=journal)


def test_ranks_are_counts_of_lower_draws():
    draws = np.repeat(np.arange(RANKED_DRAWS, dtype=float), 3)[:, None]
    rng = np.random.default_rng(0)
    assert rank(np.array([-1.0]), draws, rng) == [0]
    assert rank(np.array([1e9]), draws, rng) == [RANKED_DRAWS]
    assert rank(np.array([9.5]), draws, rng) == [10]
    tied = {int(rank(np.array([0.0]), np.zeros((300, 1)), rng)[0]) for _ in range(2000)}
    assert min(tied) == 0
    assert max(tied) == RANKED_DRAWS


def test_uniform_ranks_leave_the_envelope_as_often_as_said():
    rng, simulations = np.random.default_rng(2), 50
    bounds = envelope(simulations, 0.9)
    values = {str(i): uniform_values(rng.integers(RANKED_DRAWS + 1, size=simulations), rng) for i in range(1500)}
    share = rank_table(values, bounds)["inside"].mean()
    assert share == pytest.approx(0.9, abs=0.025)


def test_bands_are_equal_tailed():
    draws = np.linspace(0, 1, 1001)[:, None]
    for outcome, expected in ((0.5, [1, 1, 1, 1]), (0.93, [0, 0, 1, 1]), (0.96, [0, 0, 0, 1]), (0.99, [0, 0, 0, 0])):
        assert held(draws, np.array([outcome]))[:, 0].tolist() == expected


def test_the_standard_error_is_over_tables():
    """Targets of one table are all held or none: as many independent facts as tables."""
    rng = np.random.default_rng(0)
    whole = np.repeat(rng.random((300, 4, 1)) < np.array(LEVELS)[:, None], 5, axis=2)
    table = coverage_table("mean", ["within"] * 5, whole)
    shares = whole[:, :, 0].mean(axis=0)
    np.testing.assert_allclose(table["coverage"], shares)
    np.testing.assert_allclose(table["standard_error"], np.sqrt(shares * (1 - shares) / 299))
    assert within_chance(table).all()
    table["coverage"] = table["level"] - 0.2
    assert not within_chance(table).any()


@pytest.fixture(scope="module")
def tiny(tiny_fit):
    return CalibratedLaw(tiny_fit.keep(()))


def test_a_law_is_simulated_from_its_prior_and_its_noise(tiny):
    drawn = [tiny.simulate(seed) for seed in range(80)]
    names = ("floor", "amplitude", "exponent", "noise_scale")
    truths = {name: np.array([each.truth[name] for each in drawn]) for name in names}
    for name in names:
        prior = dict(tiny.template.model.sites[name].arguments)
        assert stats.kstest(np.log(truths[name]), stats.norm(prior["loc"], prior["scale"]).cdf).pvalue > 1e-3
    model, standardised = tiny.template.model, []
    with jax.enable_x64(True):
        mean_of = jax.jit(lambda values: model.mean(values, model.covariates, model.group_index))
    for each in drawn:
        with jax.enable_x64(True):
            mean = np.asarray(mean_of(each.truth))
        standardised.append((each.data - mean) / each.truth["noise_scale"])
        expected = stats.norm(mean, each.truth["noise_scale"]).logpdf(each.data).sum()
        assert each.truth["log_likelihood"] == pytest.approx(expected, rel=1e-9)
    assert stats.kstest(np.ravel(standardised), "norm").pvalue > 1e-3


def test_targets_lie_within_and_beyond(partial_fit):
    law = CalibratedLaw(partial_fit.keep(()))
    targets, rows = law.targets, partial_fit.observations
    assert set(targets["where"]) == {"within", "beyond", "new family"}
    for family in ("alder", "birch"):
        own = rows.covariates["parameters"][rows.groups["family"] == family]
        of_family = targets[targets["family"] == family]
        within = of_family.loc[of_family["where"] == "within", "parameters"]
        beyond = of_family.loc[of_family["where"] == "beyond", "parameters"]
        assert own.min() < within.min() < within.max() < own.max()
        np.testing.assert_allclose(beyond, own.max() * np.array([3.0, 10.0]))
    assert (targets.loc[targets["where"] == "new family", "family"] == "new").all()
    assert law.labels("floor") == ("floor[alder]", "floor[birch]", "floor[cedar]")
    assert law.labels("noise_scale") == ("noise_scale",)


@pytest.mark.parametrize("simulations", [20, pytest.param(40, marks=pytest.mark.slow)])
def test_the_quick_form_of_a_law(tiny, simulations, tmp_path):
    result = calibrate(tiny, simulations=simulations, seed=0)
    assert result.quick
    assert result.calibrated, (result.rank_table, result.coverage)
    assert result.failed == 0
    assert set(result.ranks) == {"floor", "amplitude", "exponent", "noise_scale", "log_likelihood"}
    figure = plot_ranks(result)
    assert len(figure.axes) == 5
    assert any("quick form" in text.get_text() for text in figure.findobj(Text))
    out = tmp_path / "calibration"
    write_calibration(result, out, seed=0)
    write_calibration(result, out, seed=0)
    pd.testing.assert_frame_equal(pd.read_csv(out / "ranks.csv", index_col="fit"), result.ranks, check_names=False)
    assert {path.name for path in out.iterdir()} == {
        "ranks.csv",
        "rank_table.csv",
        "coverage.csv",
        "ranks.png",
        "manifest.json",
    }
    (out / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="cannot write"):
        write_calibration(result, out, seed=0)


@pytest.mark.slow
def test_a_missing_jacobian_is_found(tiny, monkeypatch):
    """The mistake that only simulations find: a density in other coordinates without the map's determinant."""
    right = GivenRows.values
    monkeypatch.setattr(GivenRows, "values", lambda self, position: (right(self, position)[0], 0.0))
    assert not calibrate(CalibratedLaw(tiny.template), simulations=40, seed=0).ranks_inside


@pytest.mark.slow
def test_a_wrong_noise_is_found(tiny, monkeypatch):
    right = GivenRows.fast_log_likelihood
    monkeypatch.setattr(GivenRows, "fast_log_likelihood", lambda self: lambda values: 3 * right(self)(values))
    result = calibrate(CalibratedLaw(tiny.template), simulations=40, seed=0)
    assert any("too narrow" in verdict for verdict in verdicts(result).values())


@pytest.mark.slow
def test_every_law_has_a_design():
    # The joint law draws tables of losses, on a design of its own.
    for name, law in ((name, law) for name, law in LAWS.items() if law is not JointLaw):
        table = default_design(law())
        assert len(law().observe(table).loss) >= 20, name
    assert len(DESIGNS) == 3


@pytest.fixture(scope="module")
def collaboration_shared():
    """Return a fit of pools of two families that share members and samples."""
    pools = make_pools(simulate_losses(families=2, sizes=3, samples=120, clusters=24), max_size=2)
    return fit(CollaborationLaw(), pools, draws=50, chains=1)


@pytest.mark.slow
def test_pools_are_simulated_with_what_they_share(collaboration_shared):
    """Rows of pools vary together as the members and samples that they share say."""
    law = CalibratedLaw(collaboration_shared.keep(()))
    model = law.template.model
    assert model.dependence is not None
    drawn = [law.simulate(seed) for seed in range(40)]
    standardised = []
    for each in drawn:
        with jax.enable_x64(True):
            location, variance = model.location(each.truth), model.variance(each.truth)[model.group_index]
            loadings = model.dependence.scaled_loadings(each.truth["member_scale"])
            root = np.linalg.cholesky(np.asarray(loadings @ loadings.T) + np.diag(variance))
        residual = each.data - np.asarray(location)
        standardised.append(np.linalg.solve(root, residual))
        expected = stats.multivariate_normal(np.zeros(len(residual)), root @ root.T).logpdf(residual)
        assert each.truth["log_likelihood"] == pytest.approx(expected, rel=1e-6)
    assert stats.kstest(np.ravel(standardised), "norm").pvalue > 1e-3
    targets = law.targets
    assert set(targets["where"]) == {"within", "beyond"}
    assert np.isfinite(drawn[0].outcomes["new"]).all()


def test_targets_of_a_diversity_law_are_pools():
    law, pools = DiversityLaw(), default_design(DiversityLaw())
    observations = law.observe(pools)
    model = LawModel(law, Noise(), observations)
    targets = CalibratedLaw(SimpleNamespace(law=law, model=model, observations=observations)).targets
    assert set(targets["size"]) <= set(observations.covariates["size"])
    assert set(targets["regime"]) == {"homogeneous", "heterogeneous"}
    assert targets["parameters"].max() == pytest.approx(10 * pools["parameters"].to_numpy().max())
    assert np.isfinite(targets.drop(columns=["where", "regime"]).to_numpy(float)).all()


def test_the_factor_law_has_tables_of_its_own():
    with pytest.raises(InputError, match="its own prior"):
        calibrate(JointLaw(), default_design(PowerLaw()), simulations=10)
    with pytest.raises(InputError, match="its own prior"):
        calibrate(JointLaw(), noise=Noise(), simulations=10)


@pytest.fixture
def tiny_template(monkeypatch, tiny_fit):
    given = {}

    def stand_in(law, data, **arguments):
        given.update(law=law, data=data, **arguments)
        return tiny_fit

    # The function hides the module of its name.
    monkeypatch.setattr(sys.modules["bayeslaw.calibration.row_calibration"], "fit", stand_in)
    return given


def run(*arguments):
    return CliRunner().invoke(app, ["calibrate", *map(str, arguments)])


def test_the_command_prints_both_tables(tiny_template, tmp_path):
    out = tmp_path / "c"
    result = run("--law", "power", "--simulations", 12, "--seed", 4, "--out", out)
    assert result.exit_code == 0, result.output
    assert isinstance(tiny_template["law"], PowerLaw)
    assert tiny_template["data"].sizes["lm"] == 24
    assert "quick form" in result.stdout
    assert "log_likelihood" in result.stdout
    assert "share of equal-tailed bands" in result.stdout
    assert json.loads((out / "manifest.json").read_text())["attrs"]["seed"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


@pytest.mark.slow
def test_json_and_exit_code(tiny_template, monkeypatch):
    right = GivenRows.fast_log_likelihood
    monkeypatch.setattr(GivenRows, "fast_log_likelihood", lambda self: lambda values: 9 * right(self)(values))
    result = run("--law", "power", "--simulations", 30, "--json")
    record = json.loads(result.stdout)
    assert result.exit_code == 1
    assert record["calibrated"] is False
    assert record["quick"] is True
    assert set(record["ranks"][0]) == {"quantity", "mean", "spread", "reach", "inside", "verdict"}
    assert set(record["coverage"][0]) >= {"kind", "where", "level", "coverage", "standard_error", "inside"}


def test_the_record_is_plain():
    result = replace(calibrate(NormalMean(), simulations=12), seconds=1.0)
    record = json.loads(json.dumps(calibration_record(result)))
    assert record["simulations"] == 12
    assert len(record["ranks"]) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--law", "power", "--simulations", 3), "10"),
        (("--law", "pwer"), "power"),
        (("--law", "power", "--unit", "word"), "--table"),
        (("--law", "power", "--seed", -1), "seed"),
        ((), "no law is named"),
    ],
)
def test_bad_input_is_one_message(arguments, said):
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_folder_of_another_kind_is_refused_before_the_work(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("words")
    result = run("--law", "power", "--out", tmp_path / "mine")
    assert result.exit_code == 2
    assert "cannot write" in result.stderr


def test_a_law_of_the_users_own_table(tiny_fit):
    law = ChinchillaLaw()
    with pytest.raises(InputError, match="training_tokens"):
        calibrate(law, default_design(PowerLaw()), simulations=10)
