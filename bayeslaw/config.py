"""The YAML file of a fit: law, priors, pooling and noise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayeslaw.errors import InputError, nearest
from bayeslaw.foreign_files import read_regular
from bayeslaw.foreign_yaml import LARGEST, parse_yaml
from bayeslaw.laws import LAW_NAMES, DiversityLaw, FactorLaw, Law, law_from_specification
from bayeslaw.noise import Noise, noise_from_specification

SECTIONS = ("law", "priors", "pooling", "noise", "link", "diversity")
ACCEPTED = "a YAML mapping with law, priors, pooling, noise, link and diversity, each optional"


def read_config(path: str | Path | None, law: str | None) -> tuple[Law | FactorLaw | None, Noise | None]:
    """Read which law and noise to fit.

    Parameters
    ----------
    path
        A YAML file with any of `SECTIONS`, or None for defaults.
    law
        Name of the law as given elsewhere; must agree with the file's where both are given.

    Returns
    -------
    law : Law, FactorLaw or None
        The law with the file's priors and pooling; None where no law is named.
    noise : Noise or None
        The noise; None where the file says nothing of it.

    Raises
    ------
    InputError
        If the file cannot be read, a key is unknown or given twice, a prior or setting unusable, or settings are given
        for no law.
    """
    config = {} if path is None else _load(Path(path))
    for section in config:
        if section not in SECTIONS:
            raise InputError(
                f"the file has a section {section!r}",
                f"sections {', '.join(SECTIONS)}",
                nearest(str(section), SECTIONS),
            )
    named = config.get("law")
    if law and named and law != named:
        raise InputError(f"--law says {law}, the file says {named}", "one law", "leave out one of them")
    for section in ("priors", "noise"):
        if not isinstance(config.get(section), (Mapping, type(None))):
            raise InputError(
                f"the section {section} is {config[section]!r}", "a mapping", f"write {section}: and indent its entries"
            )
    noise = noise_from_specification(config["noise"]) if config.get("noise") else None
    if not (law or named):
        if settings := [section for section in config if section != "noise"]:
            raise InputError(
                f"the file has {settings[0]}, and no law is named", f"one of {', '.join(LAW_NAMES)}", "add law: factor"
            )
        return None, noise
    if config.get("link") is not None and (law or named) != FactorLaw.name:
        raise InputError(
            f"the file has a link for the law {law or named}", "a link for the law factor only", "leave out the link"
        )
    if config.get("diversity") is not None and (law or named) != DiversityLaw.name:
        raise InputError(
            f"the file has diversity numbers for the law {law or named}",
            "diversity for the law diversity only",
            "leave out diversity",
        )
    return law_from_specification({**config, "law": law or named}), noise


def _load(path: Path) -> dict[str, Any]:
    fix = "write it like\n  priors:\n    exponent: LogNormal(-1.2, 0.5)"
    try:
        config = parse_yaml(read_regular(path, most=LARGEST).decode("utf-8-sig"))
    except InputError as error:
        raise InputError(f"{str(path)!r}: {error.problem}", error.accepted, error.fix) from None
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{str(path)!r} cannot be read: {why}", "a YAML file", "check the path") from None
    except ValueError as error:
        raise InputError(f"{str(path)!r} is not YAML: {error}", ACCEPTED, fix) from None
    if config is None:
        raise InputError(f"{str(path)!r} is empty", ACCEPTED, fix)
    if not isinstance(config, dict):
        raise InputError(f"{str(path)!r} holds {type(config).__name__}", ACCEPTED, fix)
    return config
