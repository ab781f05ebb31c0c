"""The YAML file of a fit: law, priors, pooling and noise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayeslaw.errors import InputError, nearest
from bayeslaw.inputs.foreign_files import read_regular
from bayeslaw.inputs.foreign_yaml import LARGEST, parse_yaml
from bayeslaw.laws.protocol import AnyLaw
from bayeslaw.laws.registry import LAWS, OF_EVERY_LAW, law_from_specification
from bayeslaw.likelihood.noise import Noise, noise_from_specification

NOISE = "noise"


def sections() -> tuple[str, ...]:
    """Name what a file may hold: that of all laws, noise, and the settings of each law."""
    return (*OF_EVERY_LAW, NOISE, *dict.fromkeys(name for law in LAWS.values() for name in law.settings))


def read_config(path: str | Path | None, law: str | None) -> tuple[AnyLaw | None, Noise | None]:
    """Read which law and noise to fit.

    Parameters
    ----------
    path
        A YAML file with any of `sections`, or None for defaults.
    law
        Name of the law as given elsewhere; must agree with the file's where both are given.

    Returns
    -------
    law : AnyLaw or None
        The law with the file's priors and settings; None where no law is named.
    noise : Noise or None
        The noise; None where the file says nothing of it.

    Raises
    ------
    InputError
        If the file cannot be read, a key is unknown or given twice, a prior or setting unusable, or settings are given
        for no law.
    """
    config = {} if path is None else _load(Path(path))
    named = config.get("law")
    if law and named and LAWS.current_name(law) != LAWS.current_name(named):
        raise InputError(f"--law says {law}, the file says {named}", "one law", "leave out one of them")
    # A law that an installed package brings has its settings once it is found.
    found = LAWS.find(named or law) if law or named else None
    for section in config:
        if section not in (known := sections()):
            raise InputError(
                f"the file has a section {section!r}", f"sections {', '.join(known)}", nearest(str(section), known)
            )
    for section in ("priors", NOISE):
        if not isinstance(config.get(section), (Mapping, type(None))):
            raise InputError(
                f"the section {section} is {config[section]!r}", "a mapping", f"write {section}: and indent its entries"
            )
    noise = noise_from_specification(config.pop(NOISE)) if config.get(NOISE) else None
    config.pop(NOISE, None)
    if found is not None:
        return law_from_specification({**config, "law": found.name}), noise
    if config:
        raise InputError(
            f"the file has {next(iter(config))}, and no law is named",
            f"one of {', '.join(LAWS.names())}",
            _which_law(config),
        )
    return None, noise


def _which_law(config: Mapping[str, Any]) -> str:
    """Say which laws take the settings of a file that names none."""

    def takes(name: str) -> bool:
        try:
            law_from_specification({**config, "law": name})
        except InputError:
            return False
        return True

    able = [name for name in LAWS if takes(name)]
    if not able:
        return "add law: and the name of the law that the priors are of"
    return f"add law: {' or '.join(able)}, whose settings these may be"


def _load(path: Path) -> dict[str, Any]:
    accepted = f"a YAML mapping with any of {', '.join(sections())}"
    fix = "write it like\n  priors:\n    exponent: LogNormal(-1.2, 0.5)"
    try:
        config = parse_yaml(read_regular(path, most=LARGEST).decode("utf-8-sig"))
    except InputError as error:
        raise InputError(f"{str(path)!r}: {error.problem}", error.accepted, error.fix) from None
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{str(path)!r} cannot be read: {why}", "a YAML file", "check the path") from None
    except ValueError as error:
        raise InputError(f"{str(path)!r} is not YAML: {error}", accepted, fix) from None
    if config is None:
        raise InputError(f"{str(path)!r} is empty", accepted, fix)
    if not isinstance(config, dict):
        raise InputError(f"{str(path)!r} holds {type(config).__name__}", accepted, fix)
    return config
