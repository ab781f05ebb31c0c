"""Names that try to run, to load, to close what they stand in, and to hide: of models, families and units."""

import numpy as np
import pandas as pd
import xarray as xr
from tables import SIZES, power

from bayeslaw.losses.frames import losses_from_frames
from bayeslaw.losses.model_frames import models_from_frame

HOSTILE = (
    "<script>window.bad=1</script>",
    '" onload="window.bad=1',
    "]]><img src=x onerror=window.bad=1>",
    "$\\bad{$",
    "[/red]'><svg onload=window.bad=1>",
    "\u202egnp.exe\u2066",
    "</title></style></script><script>window.bad=1</script>",
    "<!-- &lt;script&gt; --><link rel=stylesheet href=http://192.0.2.1/x.css>",
    "javascript:window.bad=1",
)


def hostile_models(*, seed: int = 0) -> xr.Dataset:
    """Return whole models of families with hostile names, in a hostile unit."""
    rng = np.random.default_rng(seed)
    families = np.repeat(HOSTILE[:3], len(SIZES))
    parameters = np.tile(SIZES, 3)
    losses = power(parameters, 1.5, 1.4, 0.3) * (1 + 0.01 * rng.standard_normal(len(parameters)))
    names = [f"{HOSTILE[place % len(HOSTILE)]}{place}" for place in range(len(parameters))]
    frame = pd.DataFrame({"model": names, "family": families, "parameters": parameters, "loss": losses})
    table = models_from_frame(frame)
    table.attrs["unit"] = HOSTILE[0]
    return table


def hostile_losses(*, seed: int = 0) -> xr.Dataset:
    """Return losses of four models with hostile names on samples of hostile clusters."""
    rng = np.random.default_rng(seed)
    names = list(HOSTILE[:6])
    samples = 60
    skill = np.linspace(2.6, 2.0, len(names))
    losses = pd.DataFrame(np.abs(skill + 0.4 * rng.standard_normal((samples, len(names)))) + 0.05, columns=names)
    losses.insert(0, "sample", [f"{HOSTILE[place % len(HOSTILE)]}{place}" for place in range(samples)])
    losses.insert(1, "document", [f"{HOSTILE[place % 7]}{place // 5}" for place in range(samples)])
    models = pd.DataFrame(
        {
            "model": names,
            "family": [HOSTILE[place // 2] for place in range(6)],
            "parameters": np.geomspace(1e8, 1e10, 6),
        }
    )
    return losses_from_frames(losses, models, unit=HOSTILE[1], cluster="document")
