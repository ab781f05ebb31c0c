"""Pictures of fits: what is drawn, not how it looks."""

import itertools
import json
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
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
from bayeslaw.plotting.claims_plot import claim_words, plot_claims, probability_text
from bayeslaw.plotting.law_artists import TOKEN_COLOURS
from bayeslaw.plotting.law_curves import law_curve, token_levels
from bayeslaw.plotting.law_plot import plot_law
from bayeslaw.plotting.pictures import PLOTS, TABLE_PLOTS, save_plot
from bayeslaw.plotting.plot_style import GROUP_STYLES, lightness, nice_numbers
from bayeslaw.plotting.size_marks import MANY
from bayeslaw.plotting.when_panels import data_edge
from bayeslaw.plotting.when_plot import draw_when
from bayeslaw.prediction.predictions import predict


@pytest.fixture(params=["collaboration", "power", "chinchilla"])
def fitted(request):
    return request.getfixturevalue(f"{request.param}_fit")


@pytest.fixture(scope="module")
def drawn_law(collaboration_fit):
    """Return a picture of pools, to be looked at alone."""
    return plot_law(collaboration_fit)


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


def panels(figure):
    """Panels of a picture by their titles, without the strips beside them."""
    return {title(ax): ax for ax in figure.findobj(Axes) if title(ax)}


REGIME_TITLES = {"single": "single models", "homogeneous": "homogeneous pools", "heterogeneous": "heterogeneous pools"}


def test_a_panel_a_regime_bands_hold_the_line_and_the_new_band_the_mean_band(collaboration_fit, drawn_law):
    drawn_panels = panels(drawn_law)
    assert list(drawn_panels) == list(REGIME_TITLES.values())
    for group in collaboration_fit.model.groups:
        ax = drawn_panels[REGIME_TITLES[group]]
        mean, new = band(ax, f"mean {group}"), band(ax, f"new {group}")
        drawn = {
            round(float(x), 3): y for part in ("line", "beyond") for x, y in line(ax, f"{part} {group}").get_xydata()
        }
        assert mean.keys() == new.keys() == drawn.keys()
        for x in drawn:
            # The ends of the new band have an error of some percent of its width: its noise is drawn.
            slack = 0.02 * (new[x][1] - new[x][0])
            assert new[x][0] - slack < mean[x][0] < drawn[x] < mean[x][1] < new[x][1] + slack


def test_bands_of_a_new_pool_are_smooth(collaboration_fit):
    for group in collaboration_fit.model.groups:
        curve = law_curve(collaboration_fit, group, kinds=("new",), interval=0.9, end=1e12)
        for end in curve.bands["new"]:
            # The curvature of a band is that of the law, not of noise drawn anew at every budget.
            bends = np.abs(np.diff(np.log(end), 2))
            assert bends.max() < 0.02 * np.ptp(np.log(end)) + 1e-3


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


def strip_of(ax):
    """Strip beside a panel, in which its floor stands."""
    (strip,) = ax.child_axes
    return strip


def test_floors_stand_beside_the_axes_and_never_stretch_them(collaboration_fit, drawn_law):
    figure = drawn_law
    floors, seen = collaboration_fit.values()["floor"], collaboration_fit.observations.loss
    for index, group in enumerate(collaboration_fit.model.groups):
        ax = panels(figure)[REGIME_TITLES[group]]
        low, high = np.log(ax.get_ylim())
        place = (np.log(np.median(floors[:, index])) - low) / (high - low)
        (mark,) = [each for each in strip_of(ax).lines if each.get_label() == "_floor centre"]
        assert mark.get_ydata()[0] == pytest.approx(np.clip(place, 0.024, 0.976), abs=1e-6)
        assert mark.get_marker() == ("v" if place < 0 else "_")
    # As many digits as the intervals have.
    shown = words(figure)
    assert all(any(f"{np.median(floors[:, index]):.{d}f}" in shown for d in (1, 2, 3)) for index in range(3))
    assert np.exp(low) > 0.4 * seen.min()


@pytest.mark.parametrize("factor", [0.01, 0.5])
def test_a_floor_far_below_leaves_the_axis_as_it_was(collaboration_fit, drawn_law, monkeypatch, factor):
    from bayeslaw.plotting import law_scene

    before = drawn_law.axes[0].get_ylim()
    found = law_scene.floor_of
    monkeypatch.setattr(
        law_scene,
        "floor_of",
        lambda *given, **more: (
            (floor := found(*given, **more))
            and replace(floor, centre=floor.centre * factor, lower=floor.lower * factor)
        ),
    )
    assert plot_law(collaboration_fit).axes[0].get_ylim() == before


def test_what_lies_beyond_the_data_is_marked(collaboration_fit):
    ax = panels(plot_law(collaboration_fit, beyond=100))["heterogeneous pools"]
    own = collaboration_fit.model.group_index == collaboration_fit.model.groups.index("heterogeneous")
    budgets = collaboration_fit.observations.covariates["parameters"]
    beyond, inside = (line(ax, f"{part} heterogeneous") for part in ("beyond", "line"))
    assert beyond.get_xdata()[-1] == pytest.approx(100 * budgets.max())
    assert inside.get_xdata()[-1] <= budgets[own].max()
    assert beyond.get_linewidth() < inside.get_linewidth()
    (shade,) = [each for each in ax.patches if each.get_label() == "_beyond the data"]
    assert shade.get_x() == pytest.approx(budgets[own].max())
    assert "beyond the data" in words(ax.get_figure(root=True))
    assert "beyond the data" not in words(plot_law(collaboration_fit, beyond=1))


def test_curves_end_as_far_beyond_as_the_data_reach(collaboration_fit, drawn_law, power_fit):
    for fit, figure in ((collaboration_fit, drawn_law), (power_fit, plot_law(power_fit))):
        budgets = fit.observations.covariates["parameters"]
        reach = float(np.clip(budgets.max() / budgets.min(), 2, 10))
        group = fit.model.groups[0]
        ax = next(iter(panels(figure).values()))
        assert line(ax, f"beyond {group}").get_xdata()[-1] == pytest.approx(reach * budgets.max())


def marked(ax, label="_points"):
    """Rows that are marked one by one, by the label of their artist."""
    return {each.get_label(): each for each in ax.collections if str(each.get_label()).startswith(label)}


def test_all_rows_are_drawn_by_the_size_of_pools(collaboration_fit, drawn_law):
    sizes = collaboration_fit.observations.membership.sum(axis=1)
    index = collaboration_fit.model.group_index
    for place, group in enumerate(collaboration_fit.model.groups):
        ax = panels(drawn_law)[REGIME_TITLES[group]]
        own = marked(ax)
        assert {name: len(each.get_offsets()) for name, each in own.items()} == {
            f"_points {size}": int((sizes[index == place] == size).sum()) for size in np.unique(sizes[index == place])
        }
        (others,) = marked(ax, "_others").values()
        assert len(others.get_offsets()) == (index != place).sum()


def test_many_rows_are_hexagons_the_larger_the_more(monkeypatch):
    from bayeslaw.plotting.size_marks import draw_by_size, size_marks

    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, 20 * MANY))
    sizes = generator.integers(1, 4, len(x))
    ax = Figure().subplots()
    ax.set_xlim(-4, 4)
    ax.set_ylim(-4, 4)
    draw_by_size(ax, x, y, sizes, marks=size_marks(sizes))
    (cells,) = ax.collections
    areas = np.array([np.ptp(path.vertices[:, 0]) for path in cells.get_paths()])
    middles = np.array([path.vertices[:-1].mean(axis=0) for path in cells.get_paths()])
    assert len(areas) < 28**2 * 2
    assert ax.get_xlim() == (-4, 4)
    near, far = (np.hypot(*middles.T) < 0.5), (np.hypot(*middles.T) > 2.5)
    assert areas[near].min() > 1.2 * areas[far].max()


def test_few_families_have_a_panel_each_and_a_new_one_where_it_is_asked_for(power_fit):
    drawn = panels(plot_law(power_fit))
    assert list(drawn) == list(power_fit.model.groups)
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in drawn.values()}) == 1
    asked = panels(plot_law(power_fit, groups=[power_fit.model.groups[0], "new"]))
    assert list(asked) == [power_fit.model.groups[0], "a family not seen"]
    known = np.array(list(band(asked[power_fit.model.groups[0]], f"mean {power_fit.model.groups[0]}").values()))
    new = np.array(list(band(asked["a family not seen"], "mean new").values()))
    assert np.ptp(new, axis=1).mean() > 2 * np.ptp(known, axis=1).mean()


def test_of_many_families_those_with_most_rows_are_drawn(power_fit, monkeypatch):
    from bayeslaw.plotting import law_curves

    monkeypatch.setattr(law_curves, "MOST_GROUPS", 2)
    figure = plot_law(power_fit)
    assert len(panels(figure)) == 2
    assert f"the 2 largest of {len(power_fit.model.groups)} families" in words(figure).replace("\n", " ")


def test_chosen_families_share_axes_of_the_caller(power_fit):
    chosen = list(power_fit.model.groups[:2])
    ax = Figure().subplots()
    figure = plot_law(power_fit, groups=chosen, ax=ax)
    assert figure is ax.figure
    assert {label.get_text() for label in ax.get_legend().get_texts()[:2]} == set(chosen)
    styles = [(line(ax, f"line {name}").get_linestyle(), line(ax, f"line {name}").get_color()) for name in chosen]
    assert styles[0][0] != styles[1][0]


def test_training_tokens_have_a_curve_each(chinchilla_fit):
    ax = next(iter(panels(plot_law(chinchilla_fit, kinds=())).values()))
    curves = [each for each in ax.lines if each.get_label() == "_beyond "]
    tokens = chinchilla_fit.observations.covariates["training_tokens"]
    levels = token_levels(tokens)
    assert len(curves) == len(levels) >= 3
    assert tokens.min() <= levels.min()
    assert levels.max() <= tokens.max()
    ends = [curve.get_ydata()[-1] for curve in curves]
    assert ends == sorted(ends, reverse=True)
    assert all(f"{count_label(level)} training tokens" in words(ax.get_figure(root=True)) for level in levels)


def test_complete_pooling_draws_one_curve(collaboration_fit):
    tree = collaboration_fit.tree.copy()
    tree["posterior"] = tree["posterior"].isel(regime=0, drop=True)
    tree["prior"] = tree["prior"].isel(regime=0, drop=True)
    priors = {name: getattr(collaboration_fit.law, name) for name in ("floor", "amplitude", "exponent")}
    law = CollaborationLaw(pooling="complete", **priors)
    noise = replace(collaboration_fit.noise, by_group=False)
    tree.attrs |= {"law": json.dumps(law.specification), "noise": json.dumps(noise.specification)}
    figure = plot_law(Fit(tree))
    (ax,) = panels(figure).values()
    assert [each.get_label() for each in ax.lines if each.get_label().startswith("_line")] == ["_line "]
    assert "all pools" in words(figure)


def test_axes_and_figures_of_the_caller_are_drawn_into(collaboration_fit, drawn_law):
    figure = Figure()
    ax = figure.subplots(1, 2)[1]
    assert plot_law(collaboration_fit, ax=ax) is figure
    assert ax.has_data()
    assert not figure.axes[0].has_data()
    whole = Figure(figsize=(9, 4))
    left, right = whole.subfigures(1, 2)
    assert plot_law(collaboration_fit, figure=left) is whole
    assert bl.plot_forest(collaboration_fit, figure=right) is whole
    assert panels(left).keys() == panels(drawn_law).keys()
    assert {ax.get_xlabel() for ax in right.findobj(Axes)} >= {f"loss ({collaboration_fit.unit})"}
    with pytest.raises(InputError, match="both ax and figure"):
        plot_law(collaboration_fit, ax=ax, figure=whole)
    with pytest.raises(InputError, match="figure is 3"):
        plot_law(collaboration_fit, figure=3)


def test_the_style_of_the_caller_is_kept_and_left_as_it_was(collaboration_fit, tmp_path):
    before, backend = dict(matplotlib.rcParams), matplotlib.get_backend()
    with matplotlib.rc_context({"axes.facecolor": "#123456", "font.size": 13.0, "text.color": "red"}):
        ax = next(iter(panels(plot_law(collaboration_fit)).values()))
        assert matplotlib.colors.to_hex(ax.get_facecolor()) == "#123456"
        assert ax.title.get_color() == "red" or ax._left_title.get_fontsize() == 13
        save_plot(collaboration_fit, tmp_path / "f.png", what="forest")
        assert matplotlib.rcParams["font.size"] == 13
    with matplotlib.style.context("dark_background"):
        figure = plot_law(collaboration_fit)
        ax = next(iter(panels(figure).values()))
        assert figure.get_facecolor() == (0, 0, 0, 1)
        assert lightness(line(ax, "line single").get_color()) > 60
        figure.canvas.draw()
        assert {label.get_color() for label in ax.get_yticklabels()} == {"white"}
        assert min(lightness(mark.get_facecolor()[0][:3]) for mark in marked(ax).values()) > 40
    assert dict(matplotlib.rcParams) == before
    assert matplotlib.get_backend() == backend


def test_pictures_on_a_dark_ground_stay_dark_in_files(collaboration_fit, tmp_path):
    from PIL import Image

    with matplotlib.style.context("dark_background"):
        save_plot(collaboration_fit, tmp_path / "f.png", what="forest")
    with Image.open(tmp_path / "f.png") as drawn:
        assert max(drawn.convert("RGB").getpixel((0, 0))) < 10


@pytest.mark.parametrize("width", [3.3, pytest.param(8.0, marks=pytest.mark.slow)])
def test_pictures_have_the_width_asked_for(collaboration_fit, tmp_path, width):
    from PIL import Image

    save_plot(collaboration_fit, tmp_path / "f.png", width=width)
    with Image.open(tmp_path / "f.png") as drawn:
        assert drawn.size[0] == pytest.approx(200 * width, abs=2)
    with matplotlib.rc_context({"figure.figsize": (width, 4)}):
        figure = plot_law(collaboration_fit)
    assert figure.get_figwidth() == width
    # Nothing stands outside of the picture.
    figure.canvas.draw()
    for text in figure.findobj(matplotlib.text.Text):
        if text.get_text() and text.get_visible():
            box = text.get_window_extent()
            assert box.x0 >= -2, text
            assert box.x1 <= figure.bbox.x1 + 3, text


def test_groups_differ_in_grey():
    shades = [lightness(style.colour) for style in GROUP_STYLES]
    assert min(abs(one - other) for one, other in itertools.combinations(shades, 2)) >= 15
    assert len({style.marker for style in GROUP_STYLES}) == len({style.dashes for style in GROUP_STYLES}) == 4
    tokens = [lightness(TOKEN_COLOURS(position)) for position in np.linspace(0, 1, 20)]
    assert (np.diff(tokens) < 0).all()


@pytest.mark.parametrize(("colour", "expected"), [("white", 100), ("black", 0), ("#777777", 50.03), ("red", 53.24)])
def test_lightness_is_cie(colour, expected):
    assert lightness(colour) == pytest.approx(expected, abs=0.05)


@pytest.mark.slow
def test_claims_show_both_probabilities_and_a_reading(collaboration_fit):
    figure = plot_claims(collaboration_fit)
    stated, text = claims(collaboration_fit), words(figure)
    drawn = {title(ax).replace("\n", " "): ax for ax in figure.axes if title(ax)}
    assert set(drawn) == {claim_words(claim) for claim in stated}
    for claim in stated:
        ax = drawn[claim_words(claim)]
        assert f"prior {probability_text(claim.prior_probability)}" in text
        assert probability_text(claim.probability) in text
        assert f"({claim.unit})" in ax.get_xlabel().replace("\n", " ")
        assert any(np.allclose(each.get_xdata(), 0) for each in ax.lines)
        low, high = ax.get_xlim()
        assert low < 0 < high
    sure = sum(claim.probability > 0.95 for claim in stated)
    assert f"Of {len(stated)}, posterior probability over 0.95: {sure};" in text.replace("\n", " ")


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


@pytest.mark.parametrize("what", sorted(set(PLOTS) - {"pair", "trace", "pareto", "forest", "attainability"}))
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
        ("zoo", ["--what", "law", "--members", "a"], 2, "--members was given with --what law"),
        ("zoo", ["--what", "attainability", "--members", "a,b", "--max-size", "2"], 2, "--max-size was given with"),
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
            assert tuple(np.round([row["difference_lower"], row["difference_upper"]], 9)) in drawn
    assert f"minus best member ({found.unit}); below 0 the rule is better" in ax.get_xlabel().replace("\n", " ")
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
    with pytest.raises(InputError, match="one axes was given for 5 panels"):
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


def test_probabilities_of_all_regimes_are_drawn_into_axes_of_the_caller(collaboration_fit):
    found, ax = bl.when(collaboration_fit), Figure().subplots()
    assert bl.plot_when(collaboration_fit, ax=ax) is ax.figure
    for regime in found.advantages.regimes:
        drawn = line(ax, f"probability {regime.regime}")
        np.testing.assert_allclose(drawn.get_ydata(), (regime.draws > 0).mean(axis=0))
    many = replace(found, advantages=replace(found.advantages, regimes=found.advantages.regimes * 3))
    with pytest.raises(InputError, match="at most 4 regimes in one axes"):
        draw_when(many, parameters="total", ax=ax)


@pytest.mark.slow
def test_what_changes_by_steps_is_told_at_readable_budgets(joint_fit):
    found = bl.when(joint_fit, regimes="best")
    (regime,) = found.advantages.regimes
    assert regime.steps
    above, below = draw_when(found, parameters="total").axes
    shown = np.isin(regime.budgets, found.advantages.shown)
    (points,) = marked(below, "_shown median").values()
    np.testing.assert_allclose(points.get_offsets()[:, 0], regime.budgets[shown])
    np.testing.assert_allclose(points.get_offsets()[:, 1], np.median(regime.draws[:, shown], axis=0))
    steps = line(above, "steps probability")
    assert steps.get_drawstyle() == "steps-post"
    assert lightness(steps.get_color()) > 60
    (bars,) = [each for each in below.collections if each.get_label() == "_advantage"]
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends.T, np.quantile(regime.draws[:, shown], [0.05, 0.95], axis=0))


@pytest.fixture(scope="module")
def decisions():
    losses = bl.simulate_losses(samples=100, clusters=50, families=2, sizes=2, seed=3)
    members = [str(name) for name in losses["lm"].to_numpy()[:3]]
    return {
        bl.plot_pareto: bl.choose(losses, max_size=2, draws=50),
        bl.plot_attainability: bl.attainability(losses, members, rules=["oracle", "mixture"], draws=50),
    }


@pytest.mark.parametrize("draw", [bl.plot_pareto, bl.plot_attainability])
@pytest.mark.parametrize("width", [3.3, 8.0])
def test_pictures_of_decisions_have_any_width_and_a_place(decisions, draw, width):
    found = decisions[draw]
    with matplotlib.rc_context({"figure.figsize": (width, 4)}):
        figure = draw(found)
    assert figure.get_figwidth() == width
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for text in figure.findobj(matplotlib.text.Text):
        if text.get_visible() and text.get_text().strip():
            box = text.get_window_extent(canvas.get_renderer())
            assert box.x0 > -2, text.get_text()
            assert box.x1 < figure.bbox.width + 2, text.get_text()
    whole = Figure(figsize=(9, 4))
    left, right = whole.subfigures(1, 2)
    assert draw(found, figure=left) is whole
    ax = right.subplots()
    assert draw(found, ax=ax) is whole
    assert ax.has_data()
    with pytest.raises(InputError, match="both ax and figure"):
        draw(found, ax=ax, figure=whole)


def test_an_argument_that_is_not_there_is_named(decisions):
    with pytest.raises(InputError, match=r"plot_pareto has no argument 'axs'\n.*\nfix: use 'ax'"):
        bl.plot_pareto(decisions[bl.plot_pareto], axs=Figure().subplots())
    with pytest.raises(TypeError, match="plot_claims has no argument 'ax'"):
        bl.plot_claims("f.nc", ax=None)


def test_shade_begins_where_the_data_end(collaboration_fit):
    found = bl.when(collaboration_fit)
    budgets, index = collaboration_fit.observations.covariates["parameters"], collaboration_fit.model.group_index
    single = budgets[index == collaboration_fit.model.groups.index("single")].max()
    for regime in found.advantages.regimes:
        own = budgets[index == collaboration_fit.model.groups.index(regime.regime)].max()
        assert data_edge(regime, -1) == pytest.approx(min(single, own), rel=0.02)


def test_command_knows_every_plot():
    assert set(What.__args__) == {*PLOTS, *TABLE_PLOTS}


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
