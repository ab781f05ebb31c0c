"""The DataTree of a fitted joint law, and the model read back from it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import arviz_base
import numpy as np
import xarray as xr

from bayeslaw.fitting.joint_posterior import joint_data, joint_posterior, log_likelihood_at
from bayeslaw.fitting.tree import JOINT, PRIOR_DRAWS, REPORTED_BUDGET
from bayeslaw.joint.curve_gradient import CurveGradient
from bayeslaw.joint.curve_predictive import curve_predictive, lines_from_prior, prior_losses
from bayeslaw.joint.joint_model import BY_FAMILY, BY_MODEL, JointModel
from bayeslaw.joint.joint_table import JointTable
from bayeslaw.joint.law import JointLaw
from bayeslaw.joint.links import check_link
from bayeslaw.laws.prior_densities import draw_from
from bayeslaw.pools.cpu_cores import one_blas_thread
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.retries import mixing

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit

TEXT = "text"
BLOCK_STATISTICS = "sample_stats_blocks"
REPORTED = ("floor", "amplitude", "amplitude_1e9", "exponent")


@one_blas_thread()
def build_joint_tree(model: JointModel, draws: Draws, *, seed: int, attrs: Mapping[str, Any]) -> xr.DataTree:
    """Put draws, prior, predictions and the table into a DataTree that every ArviZ function takes.

    Parameters
    ----------
    model
        The law and its table. Call under float64.
    draws, seed, attrs
        As in `bayeslaw.fitting.tree.build_tree`.

    Returns
    -------
    xarray.DataTree
        Groups posterior, sample_stats, prior, prior_predictive, posterior_predictive, log_likelihood, log_prior,
        observed_data and constant_data. Rows are models; ``log_likelihood`` is the density of each mean loss given all
        others, the joint density of losses and correlations is in ``sample_stats``; replicates are of other models of
        the same sizes and families. The losses on samples are in constant_data, float32, on ``text``.
    """
    generator = np.random.default_rng(seed)
    values, log_prior, log_likelihood = _at_draws(model, draws)
    curve = CurveGradient(model.curve)
    follows = curve_predictive(curve, values, generator)
    reported = _with_round_budget(model, {name: getattr(follows, name) for name in ("floor", "amplitude", "exponent")})
    drawn = {
        "posterior": reported | values,
        "posterior_predictive": {"loss": follows.replicate.astype(np.float32)},
        "log_likelihood": {"loss": follows.pointwise.astype(np.float32)},
        "log_prior": log_prior,
        "joint": {JOINT: log_likelihood},
    }
    prior = _prior(model, curve, generator, PRIOR_DRAWS)
    groups = {name: draws.by_chain(arrays) for name, arrays in drawn.items() if name != "joint"} | {
        "sample_stats": draws.statistics | draws.by_chain(drawn["joint"]),
        "prior": {name: array[None] for name, array in prior.items()},
        "prior_predictive": {"loss": prior_losses(curve, prior, seed)[None]},
        **_data(model),
    }
    tree = _tree_of(model, groups, attrs)
    if draws.blocks:
        tree[BLOCK_STATISTICS] = xr.DataTree(block_statistics(draws))
    return tree


def build_joint_prior_tree(model: JointModel, *, draws: int, seed: int, attrs: Mapping[str, Any]) -> xr.DataTree:
    """Put draws of the prior and the table into a tree; arguments as of `bayeslaw.fitting.tree.build_prior_tree`."""
    prior = _prior(model, CurveGradient(model.curve), np.random.default_rng(seed), draws)
    return _tree_of(model, {"prior": {name: array[None] for name, array in prior.items()}, **_data(model)}, attrs)


def _data(model: JointModel) -> dict[str, dict[str, np.ndarray]]:
    table = model.table
    return {
        "observed_data": {"loss": table.mean},
        "constant_data": {
            "parameters": table.parameters,
            "lm_family": table.families.astype(str),
            "losses": table.losses.astype(np.float32),
            "text_weight": table.weights,
            "text_cluster": table.clusters,
        },
    }


def _tree_of(model: JointModel, groups: Mapping[str, Any], attrs: Mapping[str, Any]) -> xr.DataTree:
    table = model.table
    dims = {name: ["family"] for name in (*BY_FAMILY, *REPORTED)} | {name: ["lm"] for name in BY_MODEL}
    dims |= {"loss": ["lm"], "parameters": ["lm"], "lm_family": ["lm"], "losses": [TEXT, "lm"]}
    dims |= {"text_weight": [TEXT], "text_cluster": [TEXT]}
    coords = {"family": list(model.groups), "lm": table.names, TEXT: np.arange(len(table.weights))}
    tree = arviz_base.from_dict(dict(groups), dims=dims, coords=coords, attrs={"/": dict(attrs)})
    tree.attrs.update(attrs)
    return tree


def block_statistics(draws: Draws) -> xr.Dataset:
    """Put the sampler statistics of blocks together, which ArviZ's pictures do not take in the group of the whole.

    Parameters
    ----------
    draws
        Draws that were put together from those of blocks.

    Returns
    -------
    xarray.Dataset
        Statistics on ``(chain, draw, block)``, and of each block over all of its coordinates ``r_hat_max``,
        ``ess_bulk_min``, ``ess_tail_min`` and ``divergences``, on ``block``.
    """
    blocks = list(draws.blocks.values())
    names = set.intersection(*(set(block.statistics) for block in blocks))
    dims, chains = ("chain", "draw", "block"), blocks[0].position.shape[:2]
    statistics = {name: (dims, np.stack([block.statistics[name] for block in blocks], -1)) for name in sorted(names)}
    figures = [mixing(block.position) for block in blocks]
    statistics |= {name: (("block",), np.array([each[name] for each in figures])) for name in figures[0]}
    statistics["divergences"] = (("block",), np.array([block.divergences for block in blocks]))
    coords = {"chain": np.arange(chains[0]), "draw": np.arange(chains[1]), "block": list(draws.blocks)}
    return xr.Dataset(statistics, coords=coords)


def _at_draws(model: JointModel, draws: Draws) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    """Values and log prior densities of all sites, in the order of the law, and the log likelihood, at every draw."""
    posterior, data = joint_posterior(model), joint_data(model)
    values, log_prior, log_slope = {}, {}, np.zeros(len(draws.flat))
    for block in posterior.blocks:
        assert block.posterior.by_hand is not None
        density, positions = block.posterior.by_hand(data), draws.flat[:, list(block.coordinates)]
        values |= density.values(positions)
        by_site, determinant = density.log_prior(positions)
        log_prior, log_slope = log_prior | by_site, log_slope + determinant
    values = {name: values[name] for name in model.sites}
    log_prior = {name: log_prior[name] for name in model.sites}
    if "lp" not in draws.statistics:
        return values, log_prior, log_likelihood_at(model, values)
    # The sampler has evaluated the posterior density at every draw: the likelihood is what is left of it.
    prior = sum((each.reshape(len(each), -1).sum(axis=1) for each in log_prior.values()), log_slope)
    return values, log_prior, draws.statistics["lp"].ravel() - prior


def table_from_tree(tree: xr.DataTree, link: str) -> JointTable:
    """Read the table that a joint law was fitted to back from its tree.

    Parameters
    ----------
    tree
        A tree made by `build_joint_tree`.
    link
        Name of the link.

    Returns
    -------
    JointTable
        The table; losses on samples in the precision kept.
    """
    data = tree["constant_data"].dataset
    return JointTable(
        losses=data["losses"].to_numpy().astype(float),
        weights=data["text_weight"].to_numpy(),
        clusters=data["text_cluster"].to_numpy(),
        mean=tree["observed_data"]["loss"].to_numpy(),
        parameters=data["parameters"].to_numpy(),
        names=data["lm"].to_numpy().astype(str),
        families=data["lm_family"].to_numpy().astype(str),
        link=check_link(link),
        unit=str(tree.attrs["unit"]),
        scale=float(tree.attrs["loss_scale"]),
        design_effect=float(tree.attrs["design_effect"]),
    )


def model_from_tree(tree: xr.DataTree, law: JointLaw) -> JointModel:
    """Put a fitted law and its table together again."""
    assert law.link is not None
    return JointModel(law, table_from_tree(tree, law.link))


def variables(model: JointModel) -> dict[str, dict[str, list[str]]]:
    """Name the variables of the posterior of the joint law; as `bayeslaw.fitting.tree.variables`."""
    families, models = {"family": list(model.groups)}, {"lm": list(map(str, model.table.names))}
    return {
        name: families if name in (*BY_FAMILY, *REPORTED) else models if name in BY_MODEL else {}
        for name in (*model.shapes, *REPORTED)
    }


def model_of_fit(fit: "Fit") -> JointModel:
    """Put the law of a fit and its table together again."""
    return model_from_tree(fit.tree, fit.law)


def _with_round_budget(model: JointModel, reported: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    ratio = np.log(REPORTED_BUDGET / model.table.reference)
    at_round = reported["amplitude"] * np.exp(-reported["exponent"] * ratio)
    return {name: {**reported, "amplitude_1e9": at_round}[name] for name in REPORTED}


def _prior(
    model: JointModel, curve: CurveGradient, generator: np.random.Generator, draws: int
) -> dict[str, np.ndarray]:
    """Draw sites from the prior, with the line of each family."""
    values = {name: draw_from(prior, (draws, *model.shapes[name]), generator) for name, prior in model.sites.items()}
    return _with_round_budget(model, lines_from_prior(curve, values, generator)) | values
