"""The DataTree of a fitted joint law, and the model read back from it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import arviz_base
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array

from bayeslaw.fitting.joint_posterior import joint_data, site_values
from bayeslaw.fitting.tree import JOINT, PRIOR_DRAWS, REPORTED_BUDGET
from bayeslaw.joint.curve import BETWEEN_DEVIATION, LEVEL_DEVIATION
from bayeslaw.joint.joint_model import BY_FAMILY, BY_MODEL, JointModel
from bayeslaw.joint.joint_table import JointTable
from bayeslaw.joint.law import JointLaw
from bayeslaw.joint.links import check_link
from bayeslaw.likelihood.compiled import one_by_one
from bayeslaw.posterior.draws import Draws

if TYPE_CHECKING:
    from bayeslaw.fitting.fits import Fit

TEXT = "text"
REPORTED = ("floor", "amplitude", "amplitude_1e9", "exponent")


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
    values_of, data = site_values(model), joint_data(model)
    flat = jnp.asarray(draws.flat)
    keys = jax.random.split(jax.random.PRNGKey(seed), 3)

    def everything(position: Array, key: Array) -> dict[str, dict[str, Array]]:
        values, _ = values_of(position, data)
        reported_key, replicate_key = jax.random.split(key)
        noise = jax.random.normal(reported_key, (2 * len(model.groups),))
        return {
            "posterior": _with_round_budget(model, model.reported(values, noise)) | values,
            "posterior_predictive": {"loss": _replicate(model, values, replicate_key).astype(jnp.float32)},
            "log_likelihood": {"loss": model.curve.pointwise(values).astype(jnp.float32)},
            "log_prior": model.log_prior(values),
            "joint": {JOINT: model.log_likelihood(values)},
        }

    drawn = jax.jit(one_by_one(everything))(flat, jax.random.split(keys[0], len(flat)))
    prior = jax.jit(one_by_one(lambda key: _prior(model, key)))(jax.random.split(keys[1], PRIOR_DRAWS))
    table = model.table
    groups = {name: draws.by_chain(arrays) for name, arrays in drawn.items() if name != "joint"} | {
        "sample_stats": draws.statistics | draws.by_chain(drawn["joint"]),
        "prior": {name: np.asarray(array)[None] for name, array in prior["prior"].items()},
        "prior_predictive": {"loss": np.asarray(prior["loss"], dtype=np.float32)[None]},
        "observed_data": {"loss": table.mean},
        "constant_data": {
            "parameters": table.parameters,
            "lm_family": table.families.astype(str),
            "losses": table.losses.astype(np.float32),
            "text_weight": table.weights,
            "text_cluster": table.clusters,
        },
    }
    dims = {name: ["family"] for name in (*BY_FAMILY, *REPORTED)} | {name: ["lm"] for name in BY_MODEL}
    dims |= {"loss": ["lm"], "parameters": ["lm"], "lm_family": ["lm"], "losses": [TEXT, "lm"]}
    dims |= {"text_weight": [TEXT], "text_cluster": [TEXT]}
    coords = {"family": list(model.groups), "lm": table.names, TEXT: np.arange(len(table.weights))}
    tree = arviz_base.from_dict(groups, dims=dims, coords=coords, attrs={"/": dict(attrs)})
    tree.attrs.update(attrs)
    return tree


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


def _with_round_budget(model: JointModel, reported: dict[str, Array]) -> dict[str, Array]:
    ratio = np.log(REPORTED_BUDGET / model.table.reference)
    at_round = reported["amplitude"] * jnp.exp(-reported["exponent"] * ratio)
    return {name: {**reported, "amplitude_1e9": at_round}[name] for name in REPORTED}


def _replicate(model: JointModel, values: Mapping[str, Array], key: Array) -> Array:
    models = model.models
    empty = jnp.zeros(0)
    noise = {"model": jax.random.normal(key, (len(models.log_size),)), "floor": empty, "scale": empty}
    return model.curve.draw(values, models, noise, own_part=True)


def _prior(model: JointModel, key: Array) -> dict[str, Any]:
    """Draw sites from the prior, with the line of each family and losses of the models seen."""
    keys = jax.random.split(key, 4)
    values = model.draw_prior(keys[0])
    curve, models, families = model.curve, model.models, len(model.groups)
    shared, by_family = jax.random.normal(keys[1], (2, 1)), jax.random.normal(keys[2], (2, families))
    between = BETWEEN_DEVIATION * jnp.asarray(models.first_size) * jax.random.normal(keys[3], ())
    spread = values["amplitude_spread"] * jnp.sqrt(values["family_scale"])
    level = curve.mean(0.0) + LEVEL_DEVIATION * shared[0] + between + spread * by_family[0]
    exponent = curve.exponent[0] + curve.exponent[1] * shared[1] + values["exponent_spread"] * by_family[1]
    floors = curve.new_floor(values, values["floor_offset"])
    reported = _with_round_budget(model, {"floor": floors, "amplitude": jnp.exp(level), "exponent": exponent})
    scale = values["family_scale"][models.family]
    covariance = curve.covariance(values, models, models, scale, scale) + curve.own_variance(values, len(curve.loss))
    noise = jnp.linalg.cholesky(covariance) @ jax.random.normal(jax.random.fold_in(key, 1), (len(curve.loss),))
    loss = floors[models.family] + jnp.exp(curve.mean(models.log_size) + noise)
    return {"prior": reported | values, "loss": loss}
