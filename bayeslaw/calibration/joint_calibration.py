"""The joint law, ready to be calibrated: tables from its own prior, bands of larger models and of their pools."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.calibration.quantities import JointQuantities, joint_log_likelihood
from bayeslaw.errors import InputError
from bayeslaw.fitting.joint_posterior import joint_data, joint_posterior, site_values
from bayeslaw.joint.drawn_pools import draw_pools
from bayeslaw.joint.hypothetical import NewModel
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.joint_table import JointTable, joint_table
from bayeslaw.joint.law import JointLaw
from bayeslaw.joint.simulated_tables import JointDesign, JointSimulation, simulate_joint
from bayeslaw.laws.calibrated import KINDS, FittedDraws, Simulated
from bayeslaw.likelihood.compiled import compile_once
from bayeslaw.likelihood.noise import Noise
from bayeslaw.posterior.solution import draw_posterior

WARMUP = 300
CHAINS, DRAWS = 4, 200
ATTEMPTS = {"hmc": ((WARMUP, 0.9), (2 * WARMUP, 0.97))}
# The width of a direction that the curvature hardly limits is a guess, so chains start near the mode.
CHAIN_SPREAD = 0.3
REPORTED = ("floor", "amplitude", "exponent")
SEEN_SIZES = (1e8, 4e8, 1.6e9)
SHIFTS = {"alder": 1.0, "birch": 1.5}
NEW_SIZES = (("alder", 6.4e9), ("birch", 2.4e10), ("cedar", 6.4e9))


def joint_design(link: str | None = None) -> JointDesign:
    """Make a small design: six models of two families, four and ten times larger ones, and one of a new family.

    Parameters
    ----------
    link
        The link; log where None.

    Returns
    -------
    JointDesign
        Larger models come twice: with a part of their own, and on the curve of their family.
    """
    seen = [(family, size * shift) for family, shift in SHIFTS.items() for size in SEEN_SIZES]
    families, sizes = zip(*seen, *NEW_SIZES, *NEW_SIZES, strict=True)
    return JointDesign(sizes, families, seen=len(seen), link=link or "log")


@dataclass(frozen=True)
class CalibratedJointLaw:
    """The joint law with a design whose last models, half of those not seen, follow the curves of their families.

    Fits are of the density that `bayeslaw.fit` samples, in its coordinates; pools of larger models are drawn by
    the code that `bayeslaw.predict` uses. See `bayeslaw.joint.simulated_tables` for which ranks are exact.

    Parameters
    ----------
    law
        The law.
    design
        The design.
    """

    law: JointLaw
    design: JointDesign

    name = JointLaw.name

    @property
    def unit(self) -> str:
        """Unit of the losses."""
        return "nats per sample"

    @property
    def identity(self) -> dict[str, Any]:
        """Law, design and settings, without what JSON would change."""
        own = {"law": self.law.resolved(self.design.link).specification, "design": asdict(self.design)}
        return json.loads(json.dumps(own)) | {"warmup": WARMUP, "chains": CHAINS, "draws": DRAWS}

    @property
    def _new(self) -> int:
        """Number of larger models to predict."""
        return (len(self.design.names) - self.design.seen) // 2

    def model(self, table: JointTable) -> JointModel:
        """Put the law and a simulated table together."""
        return JointModel(self.law.resolved(self.design.link), table)

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every site, the same for all tables."""
        return self.model(self._table(self._draw(0))).shapes

    @property
    def targets(self) -> pd.DataFrame:
        """Each larger model by itself, with the best model seen of another family, and all of them together."""
        return self._every_target[0]

    @cached_property
    def _every_target(self) -> tuple[pd.DataFrame, tuple[tuple[int, ...], ...]]:
        design, rows = self.design, []
        largest = [int(np.flatnonzero(design.family[: design.seen] == f)[-1]) for f in range(design.known_families)]
        for number in range(self._new):
            model = design.seen + number
            known = design.family[model] < design.known_families
            partner = next(seen for seen in largest if design.family[seen] != design.family[model])
            word = "family seen" if known else "new family"
            rows += [(f"model, {word}", (model,)), (f"pool, {word}", (partner, model))]
        rows.append(("pool of all", tuple(range(design.seen + self._new))))
        members = tuple(pool for _, pool in rows)
        names = [" + ".join(design.names[model] for model in pool) for pool in members]
        return pd.DataFrame({"where": [where for where, _ in rows], "members": names}), members

    def labels(self, quantity: str) -> tuple[str, ...]:
        """Names of the elements of a quantity: families or models."""
        shape = self._shapes.get(quantity, ())
        if quantity in REPORTED:
            shape = (self.design.known_families,)
        if not shape:
            return (quantity,)
        names = self.design.names if quantity == "own_offset" else self.design.family_names
        return tuple(f"{quantity}[{name}]" for name in names[: shape[0]])

    def _draw(self, seed: int) -> JointSimulation:
        last = tuple(range(len(self.design.names) - self._new, len(self.design.names)))
        return simulate_joint(self.law, self.design, without_own_part=last, seed=seed)

    def _table(self, simulation: JointSimulation) -> JointTable:
        return joint_table(simulation.seen, link=self.design.link, parameters="total")

    def simulate(self, seed: int) -> Simulated:
        """Draw a table.

        Parameters
        ----------
        seed
            Seed.

        Returns
        -------
        Simulated
            Its data is the `JointTable` of the models seen.
        """
        drawn = self._draw(seed)
        table, seen, new = self._table(drawn), self.design.seen, self._new
        with jax.enable_x64(True):
            truth = {name: np.asarray(drawn.truth[name], dtype=float) for name in (*self._shapes, *REPORTED)}
            data = joint_data(self.model(table))
            truth["log_likelihood"] = np.asarray(compile_once(joint_log_likelihood, truth, data)(truth, data))
        hidden = {"mean": slice(seen + new, None), "new": slice(seen, seen + new)}
        losses = {kind: np.hstack([drawn.losses[:, :seen], drawn.losses[:, hidden[kind]]]).T for kind in KINDS}
        return Simulated(table, truth, {kind: np.stack(self._pools(array)) for kind, array in losses.items()})

    def _pools(self, losses: np.ndarray) -> list[float]:
        """Mean oracle loss of every target, of losses [lm, sample]."""
        return [float(losses[np.array(pool)].min(axis=0).mean()) for pool in self._every_target[1]]

    def fit(self, data: JointTable, seed: int) -> FittedDraws | None:
        """Draw from the posterior, with smaller steps where trajectories diverge.

        Parameters
        ----------
        data
            The table of the models seen.
        seed
            Seed.

        Returns
        -------
        FittedDraws or None
            Draws and predictions; None where no mode is found or draws are not finite.
        """
        model = self.model(data)
        with jax.enable_x64(True):
            given = joint_data(model)
            made: dict[str, Any] = {"draws": DRAWS, "chains": CHAINS, "attempts": ATTEMPTS, "spread": CHAIN_SPREAD}
            solution = draw_posterior(joint_posterior(model), given, seed=seed, **made)
            if not solution.level:
                return None
            positions = solution.draws.flat
            keys = jax.random.split(jax.random.PRNGKey(seed + 1), len(positions))
            program = JointQuantities(site_values(model), len(model.groups))
            quantities = compile_once(program, positions, given, keys)(positions, given, keys)
            draws = {name: np.asarray(array) for name, array in quantities.items()}
            if not all(np.isfinite(array).all() for array in draws.values()):
                return None
            predictions = self._predict(model, draws, seed)
        return FittedDraws(draws, predictions, solution.draws.divergences)

    def _predict(self, model: JointModel, draws: Mapping[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
        design, values = self.design, {name: draws[name] for name in model.shapes}
        sizes_and_families = zip(design.parameters, design.families, design.names, strict=True)
        hidden = [NewModel(*each) for each in sizes_and_families][design.seen :]
        members = [*design.names[: design.seen], *hidden]
        pools = [[members[model] for model in pool] for pool in self._every_target[1]]
        return {
            kind: draw_pools(model, values, pools, own_part=kind == "new", seed=seed + number)
            for number, kind in enumerate(KINDS)
        }


def calibrated_joint(law: JointLaw, data: xr.Dataset | None, *, noise: Noise | None, seed: int) -> CalibratedJointLaw:
    """Return what draws tables from the joint law, on a small design, and fits them.

    Raises
    ------
    InputError
        If a table or noise is given: the law's tables are drawn from its own prior.
    """
    if data is not None or noise is not None:
        raise InputError(
            "the joint law was given a table or noise to be calibrated with",
            "neither: its tables are drawn from its own prior on a small design",
            "leave them out, or give calibrate a CalibratedJointLaw with a design of your own",
        )
    return CalibratedJointLaw(law, joint_design(law.link))
