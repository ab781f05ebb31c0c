"""Tables, pools and fits that the version before wrote are read, and say what they said then.

The files under ``former/`` were written by it, with `values.json`: the means of every variable, and medians predicted.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from forms import in_gate

import bayeslaw as bl
from bayeslaw.inputs.former_names import FormerNameWarning

FORMER = Path(__file__).parent / "former"
FAMILY = "alder"
SIMULATED = ("diversity", "factor")
"""Laws whose predictions are simulated anew, by random numbers and by what rows share, which no version promises."""
AT = {
    "power": {"parameters": [7e9, 1e11], "family": [FAMILY, "new"]},
    "diversity": {"members": [f"7e9:{FAMILY},3e9:{FAMILY}"]},
    "factor": {"members": [f"7e9:{FAMILY}"]},
}


def test_a_table_and_its_pools_are_read():
    losses, pools = bl.read_losses(FORMER / "losses"), bl.read_pools(FORMER / "pools")
    made = bl.make_pools(losses, max_size=2)
    np.testing.assert_allclose(pools["loss"], made["loss"], rtol=1e-12)
    np.testing.assert_allclose(pools["standard_error"], made["standard_error"], rtol=1e-12)


@pytest.mark.parametrize("name", in_gate(["power", "factor"], AT))
@pytest.mark.filterwarnings("ignore:the law factor is called joint")
def test_a_fit_says_what_it_said(name):
    before = json.loads((FORMER / "values.json").read_text())[name]
    fit = bl.load_fit(FORMER / f"{name}.nc")
    renamed = {former.replace("floor", "lasting_gain"): former for former in before["means"] if name == "diversity"}
    for variable, values in fit.values().items():
        assert np.mean(values) == pytest.approx(before["means"][renamed.get(variable, variable)], rel=1e-12)
    assert len(fit.values()) == len(before["means"])
    if name in SIMULATED:
        # With other random numbers the share of draws below is half but for Monte Carlo error, four times which is .2.
        # What the rows of a diversity fit share is worked out of them when it is read.
        band = bl.predict(fit, AT[name], interval=0.4)
        assert ((band["lower"] < before["median"]) & (before["median"] < band["upper"])).all()
    else:
        np.testing.assert_allclose(bl.predict(fit, AT[name])["median"], before["median"], rtol=1e-6)


def test_a_former_name_of_a_law_is_said_once():
    with pytest.warns(FormerNameWarning, match="the law factor is called joint") as said:
        fit = bl.load_fit(FORMER / "factor.nc")
    assert len(said) == 1
    assert isinstance(fit.law, bl.JointLaw)
    assert "JointLaw" in str(fit)
