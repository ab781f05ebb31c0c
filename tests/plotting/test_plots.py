"""Pictures of fits: what is drawn, not how it looks."""

import itertools
import json
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app
from bayeslaw.commands.plot import What
from bayeslaw.diagnosis.claim_probabilities import claims
from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit
from bayeslaw.laws import CollaborationLaw
from bayeslaw.losses.sizes import count_label
from bayeslaw.plotting import pictures as plots
from bayeslaw.plotting.claims_plot import probability_text
from bayeslaw.plotting.law_artists import TOKEN_COLOURS
from bayeslaw.plotting.law_curves import law_curve, token_levels
from bayeslaw.plotting.pictures import PLOTS, plot_claims, plot_law, save_plot
from bayeslaw.plotting.plot_style import GROUP_STYLES, lightness, nice_numbers, spread_labels
from bayeslaw.plotting.when_plot import _edge
from bayeslaw.prediction.predictions import predict


@pytest.fixture(params=["collaboration", "power", "chinchilla"])
def fitted(request):
    return request.getfixturevalue(f"{request.param}_fit")


def without(fit, group):
    return Fit(fit.tree.filter(lambda node: node.name != group))


def band(ax, name):
    """Lower and upper end of a band by budget."""
    (drawn,) = [each for each in ax.collections if each.get_label() == f"_{name}"]
    ends = {}
    for x, y in drawn.get_paths()[0].vertices:
        ends.setdefault(round(float(x), 3), []).append(float(y))
    return {x: (min(y), max(y)) for x, y in ends.items()}


def title(ax):
    return ax.get_title(loc="left").strip()


def line(ax, name):
    (drawn,) = [each for each in ax.lines if each.get_label() == f"_{name}"]
    return drawn


def words(figure):
    return " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def test_every_law_is_drawn_with_its_units(fitted):
    text = words(plot_law(fitted, interval=0.8))
    assert f"loss ({fitted.unit})" in text
    assert "total parameters of the " + ("pool" if fitted.law.name == "collaboration" else "model") in text
    assert fitted.law.name in text.lower()
    assert "80 % equal-tailed" in text


def test_bands_hold_the_line_and_the_new_band_the_mean_band(collaboration_fit):
    ax = plot_law(collaboration_fit).axes[0]
    for group in collaboration_fit.model.groups:
        mean, new = band(ax, f"mean {group}"), band(ax, f"new {group}")
        drawn = {
            round(float(x), 3): y for part in ("line", "beyond") for x, y in line(ax, f"{part} {group}").get_xydata()
        }
        assert mean.keys() == new.keys() == drawn.keys()
        for x in drawn:
            # The ends of the new band have an error of some percent of its width: its noise is drawn.
            slack = 0.02 * (new[x][1] - new[x][0])
            assert new[x][0] - slack < mean[x][0] < drawn[x] < mean[x][1] < new[x][1] + slack


def test_bands_are_those_of_predict(fitted):
    group = fitted.model.groups[0] if fitted.model.groups else ""
    tokens = 3e10 if fitted.law.name == "chinchilla" else None
    curve = law_curve(fitted, group, kinds=("mean", "new"), interval=0.8, end=1e12, training_tokens=tokens)
    at = {"parameters": curve.parameters} | ({fitted.law.group: group} if group else {})
    at |= {"training_tokens": tokens} if tokens else {}
    for kind in ("mean", "new"):
        wanted = predict(fitted, at, kind=kind, interval=0.8)
        width = (wanted["upper"] - wanted["lower"]).to_numpy()
        # The new band has other noise draws: its ends differ by their error, some percent of the width.
        allowed = 1e-6 if kind == "mean" else 0.1
        assert np.abs(curve.bands[kind][0] - wanted["lower"]).max() < allowed * width.max()
        assert np.abs(curve.bands[kind][1] - wanted["upper"]).max() < allowed * width.max()
    assert curve.parameters[-1] == pytest.approx(1e12)


def test_floors_are_drawn_at_their_posterior_median(collaboration_fit):
    ax = plot_law(collaboration_fit).axes[0]
    floors = collaboration_fit.values()["floor"]
    for index, group in enumerate(collaboration_fit.model.groups):
        assert line(ax, f"floor {group}").get_ydata()[0] == pytest.approx(np.median(floors[:, index]))
        low, high = ax.get_ylim()
        assert low < np.median(floors[:, index]) < high
    # As many digits as the intervals have.
    shown = words(ax.figure)
    assert all(any(f"{np.median(floors[:, index]):.{d}f}" in shown for d in (1, 2, 3)) for index in range(3))


def test_what_lies_beyond_the_data_is_marked(collaboration_fit):
    ax = plot_law(collaboration_fit, beyond=100).axes[0]
    largest = collaboration_fit.observations.covariates["parameters"].max()
    beyond, inside = (line(ax, f"{part} heterogeneous") for part in ("beyond", "line"))
    assert beyond.get_xdata()[-1] == pytest.approx(100 * largest)
    assert inside.get_xdata()[-1] <= largest
    assert beyond.get_linewidth() < inside.get_linewidth()
    assert "extrapolated" in words(ax.figure)
    assert "extrapolated" not in words(plot_law(collaboration_fit, beyond=1))


def test_all_rows_are_drawn(collaboration_fit):
    ax = plot_law(collaboration_fit).axes[0]
    points = [each for each in ax.collections if each.get_label().startswith("_points")]
    assert sum(len(each.get_offsets()) for each in points) == len(collaboration_fit.observations.loss)


def test_many_families_have_a_panel_each_and_one_not_seen(power_fit):
    panels = [ax for ax in plot_law(power_fit).axes if title(ax)]
    assert [title(ax) for ax in panels] == [*power_fit.model.groups, "a family not seen"]
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in panels}) == 1
    new = np.array(list(band(panels[-1], "mean new").values()))
    known = np.array(list(band(panels[0], f"mean {power_fit.model.groups[0]}").values()))
    assert np.ptp(new, axis=1).mean() > 2 * np.ptp(known, axis=1).mean()


def test_chosen_families_share_one_panel(power_fit):
    chosen = power_fit.model.groups[:2]
    figure = plot_law(power_fit, groups=chosen)
    assert len([ax for ax in figure.axes if ax.get_xlabel()]) == 1
    assert {label.get_text().split(" (")[0] for label in figure.axes[0].get_legend().get_texts()[:2]} == set(chosen)


def test_training_tokens_have_a_curve_each(chinchilla_fit):
    ax = plot_law(chinchilla_fit, kinds=()).axes[0]
    curves = [each for each in ax.lines if each.get_label() == "_beyond "]
    tokens = chinchilla_fit.observations.covariates["training_tokens"]
    levels = token_levels(tokens)
    assert len(curves) == len(levels) >= 3
    assert tokens.min() <= levels.min()
    assert levels.max() <= tokens.max()
    ends = [curve.get_ydata()[-1] for curve in curves]
    assert ends == sorted(ends, reverse=True)
    assert all(f"{count_label(level)} training tokens" in words(ax.figure) for level in levels)


def test_complete_pooling_draws_one_curve(collaboration_fit):
    tree = collaboration_fit.tree.copy()
    tree["posterior"] = tree["posterior"].isel(regime=0, drop=True)
    tree["prior"] = tree["prior"].isel(regime=0, drop=True)
    priors = {name: getattr(collaboration_fit.law, name) for name in ("floor", "amplitude", "exponent")}
    law = CollaborationLaw(pooling="complete", **priors)
    noise = replace(collaboration_fit.noise, by_group=False)
    tree.attrs |= {"law": json.dumps(law.specification), "noise": json.dumps(noise.specification)}
    figure = plot_law(Fit(tree))
    assert [each.get_label() for each in figure.axes[0].lines if each.get_label().startswith("_line")] == ["_line "]
    assert "all pools" in words(figure)


def test_axes_of_the_caller_are_drawn_into(collaboration_fit):
    figure = Figure()
    ax = figure.subplots(1, 2)[1]
    assert plot_law(collaboration_fit, ax=ax) is figure
    assert ax.has_data()
    assert not figure.axes[0].has_data()


def test_settings_of_the_caller_stay_as_they_were(collaboration_fit, tmp_path):
    before, backend = dict(matplotlib.rcParams), matplotlib.get_backend()
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 40}):
        assert plot_law(collaboration_fit).axes[0].get_facecolor() == (1, 1, 1, 1)
        save_plot(collaboration_fit, tmp_path / "f.png", what="forest")
        assert matplotlib.rcParams["font.size"] == 40
    assert dict(matplotlib.rcParams) == before
    assert matplotlib.get_backend() == backend


def test_groups_differ_in_grey():
    shades = [lightness(style.colour) for style in GROUP_STYLES]
    assert min(abs(one - other) for one, other in itertools.combinations(shades, 2)) >= 15
    assert len({style.marker for style in GROUP_STYLES}) == len({style.dashes for style in GROUP_STYLES}) == 4
    tokens = [lightness(TOKEN_COLOURS(position)) for position in np.linspace(0, 1, 20)]
    assert (np.diff(tokens) < 0).all()


@pytest.mark.parametrize(("colour", "expected"), [("white", 100), ("black", 0), ("#777777", 50.03), ("red", 53.24)])
def test_lightness_is_cie(colour, expected):
    assert lightness(colour) == pytest.approx(expected, abs=0.05)


def test_claims_show_both_probabilities(collaboration_fit):
    figure = plot_claims(collaboration_fit)
    stated, text = claims(collaboration_fit), words(figure)
    panels = {title(ax).lower(): ax for ax in figure.axes if title(ax)}
    assert set(panels) == {claim.claim.lower() for claim in stated}
    for claim in stated:
        ax = panels[claim.claim.lower()]
        assert f"prior  {probability_text(claim.prior_probability)}" in text
        assert f"posterior  {probability_text(claim.probability)}" in text
        assert ax.get_xlabel().endswith(f"({claim.unit})")
        assert any(np.allclose(each.get_xdata(), 0) for each in ax.lines)
        low, high = ax.get_xlim()
        assert low < 0 < high


@pytest.mark.parametrize(
    ("probability", "text"), [(1, "> 0.999"), (0, "< 0.001"), (0.5, "0.50"), (0.995, "0.995"), (0.0021, "0.002")]
)
def test_probabilities_are_not_rounded_to_certainty(probability, text):
    assert probability_text(probability) == text


def test_claims_need_the_collaboration_law_and_its_prior(power_fit, collaboration_fit):
    with pytest.raises(InputError, match="says nothing of the claims"):
        plot_claims(power_fit)
    with pytest.raises(InputError, match="without its prior"):
        plot_claims(without(collaboration_fit, "prior"))


@pytest.mark.parametrize("what", sorted(set(PLOTS) - {"pair", "trace", "pareto", "attainability"}))
def test_every_picture_is_written(collaboration_fit, tmp_path, what):
    path = tmp_path / "picture.png"
    save_plot(collaboration_fit, path, what=what)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [each.name for each in tmp_path.iterdir()] == ["picture.png"]


def test_the_front_is_of_a_joint_fit(joint_fit, collaboration_fit, tmp_path):
    save_plot(joint_fit, tmp_path / "picture.png", what="pareto")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="which knows no losses of single models"):
        save_plot(collaboration_fit, tmp_path / "other.png", what="pareto")
    assert not (tmp_path / "other.png").exists()


def test_pools_that_cost_nothing_are_in_the_picture_of_prices():
    losses = bl.simulate_losses(samples=200, clusters=100, families=2, sizes=2, seed=3)
    losses["price"] = ("lm", [0.0, 3.0, 0.5, 2.0])
    found = bl.choose(losses, cost="price", max_size=2, draws=50)
    assert found.front[0].cost == 0
    (ax,) = bl.plot_pareto(found).axes
    marked = np.concatenate([line.get_xdata() for line in ax.lines if line.get_marker() not in ("None", "", None)])
    assert len(marked) == len(found.front)
    cheapest = min(pool.cost for pool in found.front if pool.cost > 0)
    assert marked.min() == pytest.approx(cheapest / 3)
    assert "price 0" in [text.get_text() for text in ax.texts]
    assert min(ax.get_xticks()) > cheapest / 3
    everything_free = losses.assign(price=("lm", np.zeros(4)))
    bl.plot_pareto(bl.choose(everything_free, cost="price", max_size=2, draws=50))


def test_tables_and_joint_fits_have_pictures_of_decisions(joint_file, collaboration_file, tmp_path):
    """By the command: what rules gain, and the front under limits; a joint fit draws what its table does."""
    table, names = bl.load_fit(joint_file).model.table, []
    for name in table.names[:2]:
        names.append(str(name))
    arguments = ["--what", "attainability", "--members", ",".join(names)]
    cases = [
        (str(joint_file), arguments, 0, ""),
        ("zoo", ["--what", "attainability", "--members", "zoo-gpt2-600k,zoo-llama-600k"], 0, ""),
        ("zoo", ["--what", "pareto", "--max-size", "1", "--max-parameters", "3M"], 0, ""),
        ("zoo", ["--what", "attainability"], 2, "needs the members of a pool"),
        ("zoo", ["--what", "law", "--members", "a"], 2, "--members is given with law"),
        ("zoo", ["--what", "attainability", "--members", "a,b", "--max-size", "2"], 2, "--max-size is given with"),
        (str(collaboration_file), arguments, 2, "knows no losses of single models"),
        (str(joint_file), [*arguments, "--unit", "line"], 2, "--unit is given with a fit"),
    ]
    for number, (source, options, code, said) in enumerate(cases):
        path = tmp_path / f"{number}.png"
        done = CliRunner().invoke(app, ["plot", source, *options, "--out", str(path)])
        assert done.exit_code == code, done.output
        assert path.exists() == (code == 0)
        assert said in done.output


def test_a_joint_fit_gives_its_table_back(joint_file):
    from bayeslaw.laws.kinds import kind_of

    fit = bl.load_fit(joint_file)
    table, losses = fit.model.table, kind_of(fit.law).scored_losses(fit)
    assert bl.loss_unit(losses) == table.unit
    np.testing.assert_allclose(bl.mean_losses(losses)["loss"], table.mean, rtol=1e-7)


def test_what_rules_gain_is_drawn_with_its_intervals(tmp_path):
    losses = bl.simulate_losses(samples=200, clusters=100, families=2, sizes=2, seed=3)
    members = [str(name) for name in losses["lm"].to_numpy()[:3]]
    found = bl.attainability(losses, members, rules=["oracle", "mixture", "best"])
    (ax,) = bl.plot_attainability(found).axes
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert set(labels) == {"oracle\n(not attainable)", "mixture"}
    drawn = {tuple(np.round(line.get_xdata(), 9)) for line in ax.lines}
    for row in found.records:
        if row["rule"] != "best":
            assert tuple(np.round([-row["difference_upper"], -row["difference_lower"]], 9)) in drawn
    assert found.unit in ax.get_xlabel()
    bl.save_attainability(found, tmp_path / "picture.svg")
    assert (tmp_path / "picture.svg").read_text().startswith("<?xml")
    with pytest.raises(InputError, match="single model"):
        bl.plot_attainability(bl.attainability(losses, members[:1]))


@pytest.mark.parametrize("what", ["pair", pytest.param("trace", marks=pytest.mark.slow)])
def test_large_pictures_keep_to_few_panels(chinchilla_fit, tmp_path, what):
    save_plot(chinchilla_fit, tmp_path / "picture.png", what=what)
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_arviz_leaves_no_figures_behind(chinchilla_fit, tmp_path):
    from matplotlib import pyplot as plt

    mine = plt.figure()
    save_plot(chinchilla_fit, tmp_path / "picture.png", what="forest")
    assert plt.get_fignums() == [mine.number]
    plt.close(mine)


@pytest.mark.parametrize(
    "ending", ["svg", *(pytest.param(ending, marks=pytest.mark.slow) for ending in ("png", "pdf", "PNG"))]
)
@pytest.mark.parametrize("what", ["law", "forest"])
def test_same_fit_same_bytes(chinchilla_fit, tmp_path, ending, what):
    written = []
    for name in ("one", "other"):
        save_plot(chinchilla_fit, tmp_path / f"{name}.{ending}", what=what)
        written.append((tmp_path / f"{name}.{ending}").read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("f.jpg", {}, "ending is '.jpg'"),
        ("f", {}, "ending is 'missing'"),
        ("f.png", {"what": "lawn"}, "plot 'lawn' is not known"),
        ("f.png", {"interval": 1.0}, "interval is 1.0"),
        ("f.png", {"interval": float("nan")}, "interval is nan"),
        ("file/f.png", {}, "cannot write"),
        ("f.png", {"what": "prior_posterior"}, "without its prior"),
    ],
)
def test_bad_requests_write_nothing(collaboration_fit, tmp_path, name, arguments, problem):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=problem):
        save_plot(without(collaboration_fit, "prior"), tmp_path / name, **arguments)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_failure_while_drawing_writes_nothing(collaboration_fit, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("while drawing")

    monkeypatch.setattr(Figure, "savefig", fail)
    (tmp_path / "f.png").write_text("old")
    with pytest.raises(RuntimeError):
        save_plot(collaboration_fit, tmp_path / "f.png")
    assert (tmp_path / "f.png").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"beyond": 0.5}, "beyond is 0.5"),
        ({"kinds": ("median",)}, "kind 'median'"),
        ({"groups": ("mixed",)}, "'mixed' is not known"),
        ({"groups": ()}, "no groups"),
        ({"interval": 0}, "interval is 0"),
    ],
)
def test_bad_laws_are_refused(power_fit, arguments, problem):
    with pytest.raises(InputError, match=problem):
        plot_law(power_fit, **arguments)
    with pytest.raises(InputError, match="one axes was given for 6 panels"):
        plot_law(power_fit, ax=Figure().subplots())


def test_command_draws(collaboration_file, tmp_path):
    out = tmp_path / "new" / "law.svg"
    result = CliRunner().invoke(app, ["plot", str(collaboration_file), "--out", str(out), "--interval", "0.5"])
    assert result.exit_code == 0, result.output
    assert out.read_text().startswith("<?xml")
    assert "law.svg" in result.output


@pytest.mark.parametrize(
    "arguments", [["--what", "lawn"], ["--interval", "2"], ["--what", "claims"], ["--out", "{folder}/f.gif"]]
)
def test_command_refuses(power_file, tmp_path, arguments):
    given = [each.format(folder=tmp_path) for each in arguments]
    result = CliRunner().invoke(app, ["plot", str(power_file), "--out", str(tmp_path / "f.png"), *given])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_when_a_pool_pays_is_drawn_as_it_is_told(collaboration_fit):
    found = bl.when(collaboration_fit, interval=0.8)
    figure = bl.plot_when(collaboration_fit, interval=0.8)
    axes = figure.axes
    assert len(axes) == 4
    for place, regime in enumerate(found.advantages.regimes):
        above, below = axes[place], axes[place + 2]
        assert title(above).lower() == regime.regime
        np.testing.assert_allclose(line(above, "probability").get_ydata(), (regime.draws > 0).mean(axis=0))
        ends = band(below, "advantage")
        for point in (0, 100, 240):
            expected = np.quantile(regime.draws[:, point], [0.1, 0.9])
            np.testing.assert_allclose(ends[round(float(regime.budgets[point]), 3)], expected, atol=1e-9)
        assert below.get_xlim()[0] < regime.budgets[0] < regime.budgets[-1] < below.get_xlim()[1]
    assert "oracle" in words(figure)
    assert found.unit in words(figure)


def test_shade_begins_where_the_data_end(collaboration_fit):
    found = bl.when(collaboration_fit)
    budgets, index = collaboration_fit.observations.covariates["parameters"], collaboration_fit.model.group_index
    single = budgets[index == collaboration_fit.model.groups.index("single")].max()
    for regime in found.advantages.regimes:
        own = budgets[index == collaboration_fit.model.groups.index(regime.regime)].max()
        assert _edge(regime, -1) == pytest.approx(min(single, own), rel=0.02)


def test_command_knows_every_plot():
    assert set(What.__args__) == set(PLOTS) == set(plots.PLOTS)


@given(st.floats(1e-3, 1e12), st.floats(1.05, 1e9), st.integers(4, 9))
def test_ticks_are_few_round_and_inside(low, ratio, most):
    ticks = nice_numbers(low, low * ratio, most=most)
    assert 1 <= len(ticks) <= most or ratio < 10
    assert len(ticks) <= most
    assert (np.diff(ticks) > 0).all()
    assert all(low * (1 - 1e-6) <= tick <= low * ratio * (1 + 1e-6) for tick in ticks)


@pytest.mark.parametrize(
    ("count", "label"),
    [(7e10, "70B"), (1.5e8, "150M"), (999.9e6, "1B"), (1e12, "1T"), (2500, "2.5k"), (12, "12"), (2.5e16, "25,000T")],
)
def test_counts_are_written_with_their_unit(count, label):
    assert count_label(count) == label


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_labels_are_apart_and_in_order(positions):
    places = spread_labels(np.array(positions), gap=0.1, low=0.0, high=1.0)
    order = np.argsort(positions, kind="stable")
    assert (np.diff(places[order]) >= 0.1 - 1e-9).all()
    assert places.min() >= -1e-9
    assert places.max() <= 1 + 1e-9


def test_labels_that_are_apart_stay():
    np.testing.assert_allclose(spread_labels(np.array([0.9, 0.1, 0.5]), gap=0.1, low=0, high=1), [0.9, 0.1, 0.5])
