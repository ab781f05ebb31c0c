"""Which model types are read and which are not, as a list to look at."""

from dataclasses import asdict, dataclass
from typing import Any

from bayeslaw.inputs.arguments import a_flag, accepts
from inference.decoder.families import FAMILIES, MULTIMODAL, SAME_AS
from inference.decoder.family_kinds import OTHER_KINDS, Kinds
from inference.decoder.not_covered import NOT_COVERED


@dataclass(frozen=True)
class FamilyEntry:
    """One ``model_type`` of a ``config.json``.

    Attributes
    ----------
    model_type
        The name.
    covered
        Whether checkpoints of it are read.
    mixers
        What moves information between positions in its layers; empty where it is not covered.
    feed_forwards
        What else its layers are made of; empty where it is not covered.
    read_as
        The model types as which checkpoints are read, where these have names of their own: the text part of a model of
        text and images, or the same architecture.
    reason
        Why it is not covered; empty where it is.
    """

    model_type: str
    covered: bool
    mixers: tuple[str, ...] = ()
    feed_forwards: tuple[str, ...] = ()
    read_as: tuple[str, ...] = ()
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


@accepts(every=a_flag)
def list_families(*, every: bool = False) -> tuple[FamilyEntry, ...]:
    """List the model types that are read.

    Parameters
    ----------
    every
        Whether to list those as well that are not, with the reason: what the newest transformers allowed counts among
        its causal language models.

    Returns
    -------
    tuple of FamilyEntry
        By name.

    Examples
    --------
    >>> from inference import list_families
    >>> [entry.model_type for entry in list_families() if entry.model_type.startswith("gemma3")]
    ['gemma3', 'gemma3_text', 'gemma3n', 'gemma3n_text']
    >>> next(entry.reason for entry in list_families(every=True) if entry.model_type == "xlnet")
    'predicts tokens in any order, not the next one of those before'
    """
    entries = []
    for name, others in (dict.fromkeys(FAMILIES, ()) | MULTIMODAL | SAME_AS).items():
        kinds = [OTHER_KINDS.get(other, Kinds()) for other in others or (name,)]
        mixers, feed_forwards = (
            tuple(dict.fromkeys(kind for one in kinds for kind in getattr(one, part)))
            for part in ("mixers", "feed_forwards")
        )
        entries.append(FamilyEntry(name, covered=True, mixers=mixers, feed_forwards=feed_forwards, read_as=others))
    if every:
        entries += [FamilyEntry(name, covered=False, reason=reason) for name, reason in NOT_COVERED.items()]
    return tuple(sorted(entries, key=lambda entry: entry.model_type))
