"""The best member's loss minus a gain that grows with a pool's size and with how different its members are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, make_dataclass, replace
from typing import Any, ClassVar, final

import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jax.typing import ArrayLike

from bayeslaw.errors import InputError, check_choice
from bayeslaw.inputs.arguments import texts
from bayeslaw.laws.base import Law
from bayeslaw.laws.observations import Observations, observe
from bayeslaw.laws.priors import Prior, log_normal
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.pools.diversity_numbers import DIVERSITY_NUMBERS
from bayeslaw.pools.gains import (
    RELATIVE,
    best_members,
    check_pools,
    diversity_columns,
    equal_shares,
    explained_shares,
    gain_sampling_factor,
    standardised,
)

PARTS = ("lasting_gain", "amplitude", "exponent")
ON = "_on_"
BEST_MEMBER_LOSS = "best_member_loss"
USUAL_GROWTH = 0.7


def coefficient_names(diversity: Iterable[str]) -> tuple[str, ...]:
    """Name the coefficients of diversity numbers, such as ``"families_on_lasting_gain"``, number by number."""
    return tuple(f"{number}{ON}{part}" for number in diversity for part in PARTS)


def diversity_law(
    parameters: ArrayLike,
    size: ArrayLike,
    best_member_loss: ArrayLike,
    *relative: ArrayLike,
    lasting_gain: ArrayLike,
    amplitude: ArrayLike,
    exponent: ArrayLike,
    growth: ArrayLike,
    **coefficients: ArrayLike,
) -> Array:
    """Evaluate the best member's loss minus the gain; see `DiversityLaw` for the equation.

    Parameters
    ----------
    parameters
        Total number of parameters relative to the reference ``N0``, any shape.
    size
        Number of members, 2 or more.
    best_member_loss
        Loss of the best member, in the loss unit.
    relative
        Exponential of each diversity number's standard score, in the order of the coefficients.
    lasting_gain, amplitude
        Gain of a pair of usual diversity at infinite size, and what it gains above that at the reference, in the loss
        unit.
    exponent
        Decay of the latter per unit of log size.
    growth
        Power with which gains grow with the binary logarithm of the number of members.
    coefficients
        By name as `coefficient_names` gives them: change of the logarithm of a part per standard deviation of a number.

    Returns
    -------
    Array
        Expected loss, broadcast over the arguments.
    """
    numbers = tuple(dict.fromkeys(name.rpartition(ON)[0] for name in coefficients))
    scores = dict(zip(numbers, (jnp.log(value) for value in relative), strict=True))

    def scaled(part: str, value: ArrayLike) -> Array:
        effect = sum(
            (jnp.asarray(coefficients[f"{number}{ON}{part}"]) * score for number, score in scores.items()),
            jnp.zeros(()),
        )
        return jnp.asarray(value) * jnp.exp(effect)

    decay = jnp.exp(-scaled("exponent", exponent) * jnp.log(parameters))
    pair = scaled("lasting_gain", lasting_gain) + scaled("amplitude", amplitude) * decay
    return jnp.asarray(best_member_loss) - jnp.log2(size) ** jnp.asarray(growth) * pair


def log_gain_effect(values: Mapping[str, np.ndarray], number: str) -> np.ndarray:
    """Work out by how much one standard deviation of a diversity number changes the log gain of a usual pool.

    Parameters
    ----------
    values
        Draws of every parameter, as `Fit.values` gives them.
    number
        The diversity number.

    Returns
    -------
    np.ndarray
        Shape ``[draw]``, for a pool of the reference size ``N0`` with the other numbers at their means; the mean over
        regimes where these differ.
    """
    before, after = np.zeros(1), np.zeros(1)
    # A part and its coefficient may be by regime each for itself.
    parts = {name: array if array.ndim > 1 else array[:, None] for name, array in values.items()}
    for part in ("lasting_gain", "amplitude"):
        before = before + parts[part]
        after = after + parts[part] * np.exp(parts[f"{number}{ON}{part}"])
    return np.log(after / before).mean(axis=1)


# A number that enters the table of numbers brings the priors of its coefficients to the law.
_LawWithCoefficients = make_dataclass(
    "_LawWithCoefficients",
    [(name, Any, None) for name in coefficient_names(DIVERSITY_NUMBERS)],
    bases=(Law,),
    frozen=True,
    kw_only=True,
)


@final
@dataclass(frozen=True)
class DiversityLaw(_LawWithCoefficients):
    r"""The loss of a pool of two or more: that of its best member, minus a gain.

    For a pool P of K members, N parameters in total and diversity numbers :math:`d_1, d_2, \ldots`,

    .. math:: \text{loss}(P) = \text{best}(P) - \text{gain}(P), \qquad \text{best}(P) = \min_{m \in P} \ell_m,

    .. math:: \text{gain}(P) = (\log_2 K)^\text{growth} \left[
        \text{lasting\_gain}\, e^{\sum_j a_j z_j} + \text{amplitude}\, e^{\sum_j b_j z_j}
        \left(\frac{N}{N_0}\right)^{-\text{exponent}\, e^{\sum_j c_j z_j}} \right],

    with :math:`z_j` the standard score of :math:`d_j` over the pools fitted, and :math:`a_j, b_j, c_j` its coefficients
    ``..._on_lasting_gain``, ``..._on_amplitude`` and ``..._on_exponent``: the change of the logarithm of that part
    per standard deviation of the number, at the same values of the others. All parts are positive, so that gains grow
    with K: the expected minimum of K independent losses falls as the root of :math:`\log K` where they are normal, and
    as :math:`\log K` where their lower tail is exponential, which are growths of 0.5 and 1.

    :math:`\ell_m` is the mean loss of member m by itself. For models of the table it is known, so that a coefficient is
    **net of the best member's quality**: it compares what pools gain over their own best members. What a model brings
    to the gains of all its pools enters as a member effect (see `bayeslaw.Noise`), here with a share of 1 / K rather
    than its win share: a gain is what the other members win, so that win shares would explain away what it comes from.
    For members that were not scored
    :math:`\ell_m` follows the best member's law, ``loss = floor_f + amplitude_f (N_m / N_0) ^ -exponent_f`` of family
    f with scatter: the `PowerLaw` of the table's models, which is fitted along (`Fit.members`).

    Parameters
    ----------
    pooling
        ``"complete"`` (default), ``"partial"`` or ``"separate"`` over regimes, for all parameters or by name.
    spread
        Priors of the spreads between regimes by parameter, on the log scale for positive parameters.
    diversity
        One or several of ``"families"`` (their number), ``"effective_families"`` (exponential of the entropy of their
        shares of the parameters), ``"decorrelation"`` and ``"win_entropy"``; see `bayeslaw.pools.diversity_numbers`.
        The first two follow from the members' families and sizes; the others are known only of pools that were scored.
    lasting_gain, amplitude
        Priors of the parts of the gain, what is left of it at infinite size and what it has above that at the reference
        size, in the loss unit; positive. Scaled to the data where None.
    exponent
        Prior of the exponent; may have any sign.
    growth
        Prior of the growth with the number of members; positive.
    families_on_lasting_gain, families_on_amplitude, families_on_exponent
        Priors of the coefficients of a number, of any sign; likewise of the other numbers. Normal around zero where
        None, with standard deviations of 0.5, 0.5 and 0.25.

    Raises
    ------
    InputError
        If a prior cannot be read, one of a positive parameter reaches below zero, a number is not known, named twice or
        none is, or a prior is given for a number that is not chosen.
    """

    pooling: str | Mapping[str, str] = "complete"
    diversity: Sequence[str] = ("effective_families",)
    lasting_gain: Any = None
    amplitude: Any = None
    exponent: Any = None
    growth: Any = None

    kind: ClassVar[str] = "gains"
    name: ClassVar[str] = "diversity"
    equation: ClassVar[str] = (
        "best_member_loss - log2(K) ** growth * (lasting_gain * exp(on_lasting_gain . z) "
        "+ amplitude * exp(on_amplitude . z) * (N / N0) ** -(exponent * exp(on_exponent . z)))"
    )
    group: ClassVar[str] = "regime"
    function: ClassVar[Any] = staticmethod(diversity_law)
    settings: ClassVar[tuple[str, ...]] = ("pooling", "diversity")
    signed: ClassVar[tuple[str, ...]] = ("exponent", *coefficient_names(DIVERSITY_NUMBERS))
    exponents: ClassVar[Mapping[str, tuple[str, ...]]] = {"parameters": ("exponent",)}
    amplitudes: ClassVar[Mapping[str, tuple[str, str]]] = {"amplitude": ("parameters", "exponent")}
    asymptote: ClassVar[str | None] = "lasting_gain"
    units: ClassVar[Mapping[str, str]] = {
        "growth": "power of log2 of the number of members",
        **dict.fromkeys(coefficient_names(DIVERSITY_NUMBERS), "log change per standard deviation"),
    }
    former_names: ClassVar[Mapping[str, str]] = {
        "floor": "lasting_gain",
        **{f"{number}{ON}floor": f"{number}{ON}lasting_gain" for number in DIVERSITY_NUMBERS},
    }
    noise_by_group: ClassVar[bool] = True
    covariates: ClassVar[tuple[str, ...]] = (
        "parameters",
        "size",
        BEST_MEMBER_LOSS,
        *(RELATIVE + number for number in DIVERSITY_NUMBERS),
    )
    parameter_names: ClassVar[tuple[str, ...]] = (*PARTS, "growth", *coefficient_names(DIVERSITY_NUMBERS))

    def __post_init__(self) -> None:
        chosen = tuple(texts("diversity", self.diversity))
        for number in chosen:
            check_choice("diversity number", str(number), DIVERSITY_NUMBERS)
        if not chosen or len(set(chosen)) < len(chosen):
            raise InputError(
                f"the diversity numbers are {', '.join(chosen) or 'none'}",
                f"one or several of {', '.join(DIVERSITY_NUMBERS)}, each once",
                "write diversity: [effective_families]",
            )
        for name in coefficient_names([number for number in DIVERSITY_NUMBERS if number not in chosen]):
            if getattr(self, name) is not None:
                raise InputError(
                    f"{name} has a prior, and the diversity numbers are {', '.join(chosen)}",
                    "priors of the numbers chosen",
                    f"add {name.rpartition(ON)[0]} to diversity, or leave out the prior",
                )
        covariates = ("parameters", "size", BEST_MEMBER_LOSS, *(RELATIVE + number for number in chosen))
        object.__setattr__(self, "diversity", chosen)
        object.__setattr__(self, "covariates", covariates)
        object.__setattr__(self, "parameter_names", (*PARTS, "growth", *coefficient_names(chosen)))
        super().__post_init__()

    def observe(self, data: xr.Dataset, *, parameters: str = "total") -> Observations:
        """Turn the pools of two or more of a table into rows.

        Parameters
        ----------
        data
            A dataset of pools.
        parameters
            Which count of parameters; a pools table fixes it.

        Returns
        -------
        Observations
            One row a pool of two members or more. Covariates are the total ``parameters``, the ``size``, the
            ``best_member_loss`` in the loss unit, and ``relative_...`` for each diversity number: the exponential of
            its standard score, whose centre and scale are facts (``..._centre``, ``..._scale``). Sampling errors are
            those of the gains, and shares are equal.

        Raises
        ------
        InputError
            If the table is not one of pools, has no pool of two or more or does not tell what members lose alone, if a
            number is missing or the same for all pools, or if pools gain nothing on average.
        """
        check_pools(data)
        pools = data.isel(pool=data["size"].to_numpy() > 1)
        rows = observe(pools, ("parameters",), parameters=parameters)
        position, best = best_members(pools)
        if not (best - rows.loss).mean() > 0:
            raise InputError(
                f"pools of this table gain {loss_text(float((best - rows.loss).mean()))} {rows.unit} over their best "
                "members on average",
                "pools that gain something",
                "use the rule 'oracle', or the collaboration law",
            )
        covariates: dict[str, np.ndarray] = {
            "parameters": rows.covariates["parameters"],
            "size": pools["size"].to_numpy().astype(float),
            BEST_MEMBER_LOSS: best,
        }
        scores, facts = {}, dict(rows.facts)
        for number, values in diversity_columns(pools, self.diversity).items():
            scores[number], centre, scale = standardised(number, values)
            facts |= {f"{number}_centre": centre, f"{number}_scale": scale}
        facts |= {
            f"{number}_explained": share
            for number, share in explained_shares(scores, covariates["parameters"], covariates["size"]).items()
        }
        covariates |= {RELATIVE + number: np.exp(score) for number, score in scores.items()}
        factor = gain_sampling_factor(data, position)
        # What the gains' errors have outside of the factor is learnt with the noise of each pool's own.
        remainder = None if factor is None else np.zeros(len(best))
        shares, members = equal_shares(pools)
        shared = {"sampling_factor": factor, "sampling_remainder": remainder, "shares": shares, "members": members}
        return replace(rows, covariates=covariates, facts=facts, **shared)

    def default_priors(self, observations: Observations) -> dict[str, Prior]:
        """Scale the priors of the gain's parts to the gains seen, half for each (95 %: a factor of seven either way).

        The growth is expected around 0.7 (95 %: 0.26 to 1.9).
        """
        gains = observations.covariates[BEST_MEMBER_LOSS] - observations.loss
        of_pairs = gains / np.log2(observations.covariates["size"]) ** USUAL_GROWTH
        half = log_normal(0.5 * float(np.mean(of_pairs)), 1.0)
        coefficients = {
            name: Prior("Normal", (("loc", 0.0), ("scale", 0.25 if name.endswith("exponent") else 0.5)))
            for name in coefficient_names(self.diversity)
        }
        usual = {"lasting_gain": half, "amplitude": half, "exponent": log_normal(0.3, 0.5)}
        return {**usual, "growth": log_normal(USUAL_GROWTH, 0.5), **coefficients}

    def describe(self, observations: Observations) -> str:
        """Print the law with the priors that the given rows lead to, and how diversity numbers are standardised."""
        facts, lines = observations.facts, super().describe(observations).split("\n")
        scores = [
            f"    z of {number}: ({number} - {facts[f'{number}_centre']:.4g}) / {facts[f'{number}_scale']:.4g}"
            for number in self.diversity
        ]
        return "\n".join([*lines[:2], *scores, *lines[2:]])
