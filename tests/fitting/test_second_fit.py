"""A second fit of a table of the same shape compiles nothing at all."""

import jax
import pytest
from forms import in_gate
from quick_fits import quick_fits
from tables import family_table

from bayeslaw.fitting.fits import fit
from bayeslaw.laws import ChinchillaLaw, CollaborationLaw, DiversityLaw, PowerLaw
from bayeslaw.likelihood.noise import Noise
from bayeslaw.losses.model_frames import models_from_frame
from bayeslaw.pools.pool_losses import make_pools
from bayeslaw.simulation.tables import simulate_chinchilla, simulate_losses

COMPILED = "/jax/core/compile/backend_compile_duration"


@pytest.fixture
def compilations():
    """Name every program that JAX compiles, whoever asks for it."""
    found = []

    def listen(event, seconds, **about):
        if event == COMPILED:
            found.append(about.get("fun_name", event))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


def pools(seed):
    losses = simulate_losses(families=2, sizes=4, samples=300, clusters=30, seed=seed)
    return make_pools(losses, max_size=2)


FITTED = {
    "power": (PowerLaw(), lambda seed: family_table(noise=0.02 + seed / 100), None),
    "chinchilla": (
        ChinchillaLaw(),
        lambda seed: models_from_frame(simulate_chinchilla(points=40, seed=seed)),
        Noise(distribution="student_t", response="log_loss"),
    ),
    "independent pools": (CollaborationLaw(), pools, Noise(dependence="independent")),
    "dependent pools": (CollaborationLaw(), pools, None),
    "diversity": (DiversityLaw(diversity=("families",)), pools, None),
}


# Each law has programs of its own; that of the gate has those of every other law of rows.
@pytest.mark.parametrize("name", in_gate({"power"}, FITTED))
def test_a_second_table_is_fitted_without_compiling(compilations, name):
    law, table, noise = FITTED[name]
    with quick_fits():
        first = fit(law, table(0), noise=noise, draws=60, chains=1, keep=["log_likelihood", "prior", "log_prior"])
        compilations.clear()
        second = fit(law, table(1), noise=noise, draws=60, chains=1, keep=["log_likelihood", "prior", "log_prior"])
    assert compilations == []
    for group in ("posterior", "prior", "log_prior", "log_likelihood"):
        assert not first.tree[group].dataset.equals(second.tree[group].dataset), group
