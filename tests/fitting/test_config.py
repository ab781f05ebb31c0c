"""The YAML file of a fit."""

import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bayeslaw.errors import InputError
from bayeslaw.fitting.settings_file import read_config
from bayeslaw.inputs.former_names import FormerNameWarning
from bayeslaw.joint.law import JointLaw
from bayeslaw.laws import LAWS, ChinchillaLaw, CollaborationLaw, PowerLaw
from bayeslaw.laws.priors import parse_prior
from bayeslaw.likelihood.noise import Noise
from bayeslaw.likelihood.noise_distributions import DISTRIBUTIONS

EVERYTHING = """\
law: collaboration
priors:
  floor: LogNormal(0.2, 0.4)
  exponent: {distribution: Normal, loc: 0.3, scale: 0.1}
  amplitude_spread: HalfNormal(0.2)
pooling:
  floor: separate
noise:
  distribution: student_t
  response: log_loss
  standard_errors: true
  scale: HalfNormal(0.1)
  degrees_of_freedom: Gamma(2, 0.1)
  by_group: false
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "fit.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_every_setting_reaches_the_fit(write):
    law, noise = read_config(write(EVERYTHING), None)
    assert law == CollaborationLaw(
        floor="LogNormal(0.2, 0.4)",
        exponent="Normal(0.3, 0.1)",
        spread={"amplitude": "HalfNormal(0.2)"},
        pooling={"floor": "separate"},
    )
    assert noise == Noise("student_t", "log_loss", True, "HalfNormal(0.1)", "Gamma(2, 0.1)", by_group=False)


def test_without_a_file_there_are_defaults():
    assert read_config(None, "chinchilla") == (ChinchillaLaw(), None)
    assert read_config(None, None) == (None, None)


@pytest.mark.parametrize("name", LAWS)
def test_a_law_is_named_by_either(write, name):
    path = write(f"law: {name}\n")
    assert read_config(path, None)[0] == read_config(path, name)[0] == read_config(None, name)[0] == LAWS[name]()


@pytest.mark.parametrize("text", ["priors:\nnoise:\n", "law:\npooling:\n", "# a comment\npriors: {}\n"])
def test_an_empty_section_is_none(write, text):
    assert read_config(write(text), "power") == (PowerLaw(), None)


@settings(deadline=None, max_examples=40)
@given(
    pooling=st.dictionaries(
        st.sampled_from(["floor", "amplitude", "exponent"]), st.sampled_from(["partial", "complete", "separate"])
    ),
    loc=st.floats(-5, 5),
    scale=st.floats(0.01, 5),
    distribution=st.sampled_from(sorted(DISTRIBUTIONS)),
    response=st.sampled_from(["loss", "log_loss"]),
)
def test_what_a_law_specifies_a_file_says(tmp_path_factory, pooling, loc, scale, distribution, response):
    law = PowerLaw(pooling=pooling, exponent={"distribution": "Normal", "loc": loc, "scale": scale})
    noise = Noise(distribution=distribution, response=response)
    path = tmp_path_factory.mktemp("config") / "fit.yaml"
    path.write_text(yaml.safe_dump({**law.specification, "noise": noise.specification}), encoding="utf-8")
    assert read_config(path, None) == (law, noise)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "priors:\n  floor: HalfNormal(1)\n  floor: HalfNormal(2)\n",
            "'floor' is given twice, the second time in line 3",
        ),
        ("noise: {family: normal}\nnoise: {family: laplace}\n", "'noise' is given twice, the second time in line 2"),
        ("priors:\n  floor: {distribution: Normal, loc: 1, loc: 2}\n", "'loc' is given twice"),
        ("prior:\n  floor: HalfNormal(1)\n", "use 'priors'"),
        ("1: 2\n", "a section 1"),
        ("priors: HalfNormal(1)\n", "the section priors is 'HalfNormal(1)'"),
        ("priors: [1]\n", "the section priors is [1]"),
        ("priors: false\n", "the section priors is False"),
        ("noise: normal\n", "the section noise is 'normal'"),
        ("noise: 0\n", "the section noise is 0"),
        ("pooling: 3\n", "pooling is 3"),
        ("priors:\n  flor: HalfNormal(1)\n", "use 'floor'"),
        ("priors:\n  1: HalfNormal(1)\n", "no prior 1"),
        ("priors:\n  floor: Normal(0, 1)\n", "below zero"),
        ("priors:\n  floor:\n", "the prior of floor is None"),
        ("noise:\n  distribution: gauss\n", "noise distribution 'gauss'"),
        ("noise:\n  distributon: normal\n", "use 'distribution'"),
        ("law: collaboration\n", "--law says power, the file says collaboration"),
        ("law: [power]\n", "the file says ['power']"),
        ("- a\n- b\n", "holds list"),
        ("just words\n", "holds str"),
        ("", "is empty"),
        ("a: [1\n", "is not YAML"),
        ("a: 'b\n", "is not YAML"),
        ("? [a]\n: b\n", "is not YAML"),
        ("? {a: 1}\n: b\n", "is not YAML"),
        ("law: !!python/object/apply:os.getcwd []\n", "is not YAML"),
        ("a: b\n---\nc: d\n", "is not YAML"),
        ("law: \0\n", "is not YAML"),
    ],
)
def test_an_unusable_file_is_refused(write, text, said):
    with pytest.raises(InputError, match=re.escape(said)):
        read_config(write(text), "power")


def test_messages_name_the_file(write):
    with pytest.raises(InputError, match=r"fit\.yaml.*given twice"):
        read_config(write("law: power\nlaw: power\n"), None)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path / "none.yaml", "power")
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path, "power")
    (tmp_path / "latin.yaml").write_bytes(b"law: \xff\xfe\n")
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path / "latin.yaml", "power")


def test_settings_need_a_law_and_a_link_the_joint_law(write):
    assert read_config(write("noise: {family: laplace}\n"), None) == (None, Noise("laplace"))
    with pytest.raises(InputError, match="no law is named"):
        read_config(write("priors:\n  exponent: Normal(0.3, 0.1)\n"), None)
    with pytest.raises(InputError, match="the law power was given link"):
        read_config(write("law: power\nlink: log\n"), None)
    with pytest.raises(InputError, match="the law joint was given pooling"):
        read_config(write("law: joint\npooling: complete\n"), None)
    law, _ = read_config(write("law: joint\nlink: softplus\npriors:\n  model_spread: LogNormal(-3, 0.5)\n"), None)
    assert (law.link, law.model_spread) == ("softplus", parse_prior("model_spread", "LogNormal(-3, 0.5)"))


def test_a_law_must_be_known(write):
    with pytest.raises(InputError, match="use 'power'"):
        read_config(write("law: powr\n"), None)
    with pytest.raises(InputError, match="use 'power'"):
        read_config(None, "powr")


def test_a_law_may_go_by_both_of_its_names(write):
    with pytest.warns(FormerNameWarning, match="the law factor is called joint"):
        law, _ = read_config(write("law: factor\n"), "joint")
    assert law == JointLaw()
    with pytest.raises(InputError, match="--law says power, the file says joint"):
        read_config(write("law: joint\n"), "power")
