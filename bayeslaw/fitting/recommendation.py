"""Which law to fit to a table where none is named."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.fitting.held_out_models import scores
from bayeslaw.inputs.arguments import a_choice, accepts
from bayeslaw.joint.joint_table import check_joint_table
from bayeslaw.joint.law import JointLaw
from bayeslaw.laws import AnyLaw, ChinchillaLaw, CollaborationLaw, PowerLaw
from bayeslaw.losses.parameter_counts import PARAMETER_COUNTS, parameter_counts
from bayeslaw.losses.table_arguments import any_table

FEWEST_MODELS_FOR_TOKENS = 8
LARGEST_CORRELATION = 0.95
FEWEST_A_FAMILY = 4
MARGIN = 1.25
"""How many times the best score that of a law may be for it to be chosen before those that are named after it."""
POWER, CHINCHILLA = "the power law by family", "one Chinchilla law"
BY_FAMILY = "the Chinchilla law by family"


@dataclass(frozen=True)
class Recommendation:
    """A law for a table, and why.

    Parameters
    ----------
    law
        The law, with default priors.
    reason
        Why this law, in a sentence.
    """

    law: AnyLaw
    reason: str


@accepts(data=any_table, parameters=a_choice(PARAMETER_COUNTS))
def recommend(data: xr.Dataset, *, parameters: str = "total") -> Recommendation:
    """Choose a law for a table by what the table holds.

    Losses on samples of models that the joint law can be fitted to get the joint law: it alone uses how models differ
    from sample to sample, and predicts pools of any models. Pools get the collaboration law. Whole models get the power
    law, or the Chinchilla law, one for all or by family, where training tokens vary apart from sizes and it predicts
    the largest models of the table better from the others (`bayeslaw.fitting.held_out_models.scores`).

    Parameters
    ----------
    data
        A dataset of losses, of whole models, or of pools.
    parameters
        Which count of parameters is the budget: ``"total"``, ``"non-embedding"`` or ``"active"``.

    Returns
    -------
    Recommendation
        The law and the reason.

    Raises
    ------
    InputError
        If the data is no such table, or no law can be fitted to it.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> bl.recommend(bl.load_dataset("zoo", unit="document")).law.name
    'joint'
    """
    kind = data.attrs.get("kind")
    if kind == "pools":
        return Recommendation(CollaborationLaw(), "the table is of pools, whose regimes it tells apart")
    if kind != "models" and "nll" in data:
        try:
            check_joint_table(data, parameters)
        except InputError as error:
            # Where not even this law can be fitted, that is what there is to say.
            PowerLaw().observe(data, parameters=parameters)
            return Recommendation(
                PowerLaw(), f"single models by size; the joint law needs {error.accepted.split(':')[0]}"
            )
        return Recommendation(
            JointLaw(),
            f"from losses of {data.sizes['lm']} models on {data.sizes['sample']} samples it predicts any pool, "
            "also of larger models",
        )
    if _tokens_tell(data, parameters):
        return _by_tokens(data, parameters)
    PowerLaw().observe(data, parameters=parameters)
    return Recommendation(PowerLaw(), "whole models, whose sizes alone can tell their losses")


def _by_tokens(data: xr.Dataset, parameters: str) -> Recommendation:
    """Choose between laws with and without training tokens, and of one curve or one by family."""
    laws = {POWER: PowerLaw(), CHINCHILLA: ChinchillaLaw()}
    families = len(np.unique(data["family"].to_numpy().astype(str)))
    # Two or three models of a family say next to nothing of five parameters, and their posterior is hard to sample.
    if families > 1 and data.sizes["lm"] >= FEWEST_A_FAMILY * families:
        laws[BY_FAMILY] = ChinchillaLaw(pooling="partial")
    found = scores(laws, data, parameters=parameters)
    if not found:
        return Recommendation(laws[CHINCHILLA], "whole models, with training tokens that vary by themselves")
    best = min(found.values())
    chosen = next(name for name, score in found.items() if score <= MARGIN * best)
    others = ", ".join(f"{name} {score:.3g}" for name, score in found.items() if name != chosen)
    unit = str(data.attrs.get("loss_unit", "nats"))
    how = "best" if found[chosen] == best else "within a quarter of the best, and is preferred to it"
    reason = (
        f"{chosen} predicts the largest models of the table from the others {how}: "
        f"CRPS {found[chosen]:.3g} {unit} (by least squares; {others})"
    )
    return Recommendation(laws[chosen], reason)


def _tokens_tell(data: xr.Dataset, parameters: str) -> bool:
    """Whether every model has training tokens, enough of them differ, and not only as sizes do."""
    if "training_tokens" not in data or data.sizes["lm"] < FEWEST_MODELS_FOR_TOKENS:
        return False
    tokens, counts = data["training_tokens"].to_numpy(), parameter_counts(data, parameters)
    if not np.isfinite(tokens).all() or len(np.unique(tokens)) < 3 or len(np.unique(counts)) < 3:
        return False
    return abs(float(np.corrcoef(np.log(tokens), np.log(counts))[0, 1])) < LARGEST_CORRELATION
