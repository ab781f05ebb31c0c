"""The list of laws, by which files and the command line name them, and to which users add their own.

Nothing heavy is imported here: a law is, when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract
from typing import TYPE_CHECKING, Any

from bayeslaw.errors import InputError, check_choice, nearest, shown
from bayeslaw.inputs.former_names import say_former

if TYPE_CHECKING:
    from bayeslaw.laws.protocol import AnyLaw

ENTRY_POINTS = "bayeslaw.laws"
"""Group of entry points by which installed packages bring laws: the name of each is that of its law."""
OF_EVERY_LAW = ("law", "priors")
"""Keys of a specification beside the settings of a law."""
NEEDED = (
    *("kind", "name", "equation", "group", "settings", "former_names", "exponents", "amplitudes"),
    *("asymptote", "units", "covariates", "parameter_names", "varies", "specification", "from_specification"),
)
"""What `bayeslaw.laws.protocol.AnyLaw` asks for."""
HOW = "derive it from bayeslaw.Law, and write @bayeslaw.register_law above @dataclass(frozen=True)"


class LawRegistry(Mapping[str, "type[AnyLaw]"]):
    """Laws by name.

    Parameters
    ----------
    own
        ``"module:class"`` of each law of the package, by name.
    former_names
        The name of today by the name that a law had before.
    """

    def __init__(self, own: Mapping[str, str], *, former_names: Mapping[str, str]) -> None:
        self._own = own
        self.former_names = former_names
        self._loaded: dict[str, type[AnyLaw]] = {}

    def __getitem__(self, name: str) -> type[AnyLaw]:
        if name not in self._loaded and name in self._own:
            module, _, attribute = self._own[name].partition(":")
            self._loaded[name] = getattr(import_module(module), attribute)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._loaded

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._own, *self._loaded]))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def register[Class: type](self, law: Class) -> Class:
        """Add a law, so that files and the command line can name it; see `register_law`."""
        name = _check_law(law)
        before = self.get(name)
        again = before is not None and (before.__module__, before.__qualname__) == (law.__module__, law.__qualname__)
        if before is not None and before is not law and not (again and name not in self._own):
            raise InputError(
                f"the name {name!r} of {shown(law)} is that of {shown(before)} of {before.__module__}",
                f"a name other than {', '.join(self)}",
                f'write name = "my_{name}"',
            )
        self._loaded[name] = law
        return law

    def holds(self, law: Any) -> bool:
        """Say whether a value is a law of a class that is registered."""
        name = getattr(type(law), "name", None)
        return isinstance(name, str) and name in self and self[name] is type(law)

    def current_name(self, name: Any) -> Any:
        """Return the name of today for a former one; anything else as it is."""
        return self.former_names.get(name, name) if isinstance(name, str) else name

    def find(self, name: Any) -> type[AnyLaw]:
        """Return the law of a name, loading the installed package that brings it where no law has the name yet.

        A former name is taken for that of today, and said to be former.

        Parameters
        ----------
        name
            The name.

        Returns
        -------
        type
            The law's class.

        Raises
        ------
        InputError
            If there is no law of that name, or the package that brings it cannot be loaded.
        """
        if (current := self.current_name(name)) != name:
            say_former(f"the law {name}", current, stacklevel=3)
            name = current
        if isinstance(name, str) and name not in self:
            for entry in entry_points(group=ENTRY_POINTS, name=name):
                self.register(_loaded(entry))
        return self[check_choice("law", name, self.names())]

    def names(self) -> list[str]:
        """Name the laws that are registered, and those that installed packages bring."""
        brought = (entry.name for entry in entry_points(group=ENTRY_POINTS))
        return list(dict.fromkeys([*self, *brought]))


LAWS = LawRegistry(
    {
        "power": "bayeslaw.laws.power:PowerLaw",
        "broken_power": "bayeslaw.laws.broken_power:BrokenPowerLaw",
        "chinchilla": "bayeslaw.laws.chinchilla:ChinchillaLaw",
        "collaboration": "bayeslaw.laws.collaboration:CollaborationLaw",
        "diversity": "bayeslaw.laws.diversity:DiversityLaw",
        "joint": "bayeslaw.joint.law:JointLaw",
    },
    former_names={"factor": "joint"},
)


def register_law[Class: type](law: Class) -> Class:
    """Add a law of one's own to those that files, functions and the command line name.

    Parameters
    ----------
    law
        A class derived from `bayeslaw.Law`; see there for a whole one. The function may decorate it, above
        ``@dataclass(frozen=True)``. A class of the same module and name that is defined anew, as in a notebook, takes
        the place of the one before.

    Returns
    -------
    type
        The class.

    Raises
    ------
    InputError
        If it is no law, or has the name of another one.

    Notes
    -----
    A fit of the law can be read back where the module that registers it was imported before. The command line imports
    no such module; it finds laws of installed packages, which name them in the group ``bayeslaw.laws`` of their entry
    points: ``[project.entry-points."bayeslaw.laws"]`` with the line ``my_law = "my_package.my_module:MyLaw"``.
    """
    return LAWS.register(law)


def law_from_specification(specification: Mapping[str, Any]) -> Any:
    """Build a law from plain values, as they stand in a YAML file or a saved fit.

    Parameters
    ----------
    specification
        ``law``, the name of one; and optionally ``priors`` by site name and the settings that this law takes, such as
        ``pooling``.

    Returns
    -------
    AnyLaw
        The law.

    Raises
    ------
    InputError
        If the law, a prior or a setting is not known.
    """
    law = LAWS.find(specification.get("law"))
    accepted = (*OF_EVERY_LAW, *law.settings)
    for key, value in specification.items():
        if key in accepted or value is None:
            continue
        takers = [other for other in LAWS if key in LAWS[other].settings]
        if not takers:
            raise InputError(f"a law was given {key!r}", ", ".join(accepted), nearest(str(key), accepted))
        raise InputError(
            f"the law {law.name} was given {key}",
            f"{key} with the law {', '.join(takers)}",
            f"leave out {key}, or fit {takers[0]}",
        )
    return law.from_specification({key: value for key, value in specification.items() if value is not None})


def _check_law(law: Any) -> str:
    """Return the name of a class if it is a law."""
    if not isinstance(law, type):
        raise InputError(f"what was to be registered is {shown(law)}", "the class of a law", HOW)
    lacking = [name for name in NEEDED if not hasattr(law, name)]
    if lacking:
        raise InputError(f"{shown(law)} is no law: it lacks {', '.join(lacking)}", "the class of a law", HOW)
    if isabstract(law):
        missing = ", ".join(sorted(getattr(law, "__abstractmethods__", ())))
        raise InputError(f"{shown(law)} does not say its {missing}", "a law that is whole", f"write {missing}")
    if "__dataclass_fields__" not in vars(law) or not is_dataclass(law):
        raise InputError(f"{shown(law)} is not a dataclass", "a frozen dataclass", HOW)
    name: Any = law.name  # pyright: ignore[reportAttributeAccessIssue]
    if not isinstance(name, str) or not name.replace("_", "a").replace("-", "a").isalnum():
        raise InputError(
            f"the name of {shown(law)} is {shown(name)}", "letters, digits, _ and -", 'write name = "my_law"'
        )
    return name


def _loaded(entry: EntryPoint) -> Any:
    """Load the law of an installed package."""
    package = entry.dist.name if entry.dist is not None else entry.module
    try:
        law = entry.load()
    except Exception as error:
        why = " ".join([f"{type(error).__name__}:", *str(error).splitlines()[:1]])
        raise InputError(
            f"the law {entry.name!r} of {package} cannot be loaded: {why}",
            "a law that can be imported",
            f"mend or remove {package}",
        ) from error
    if getattr(law, "name", None) != entry.name:
        raise InputError(
            f"the law {entry.name!r} of {package} is {shown(law)}, whose name is {shown(getattr(law, 'name', None))}",
            "an entry point of the name of its law",
            f"mend or remove {package}",
        )
    return law
