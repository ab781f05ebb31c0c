"""What a case of the references is, and the sizes that most of them share."""

from dataclasses import dataclass
from typing import Any

SHORT = (23, 17)
GATE = 1e-5
LONG_GATE = 1e-4
# Beyond this many tokens rounding in float32 adds up in either implementation.
LONG = 1024


@dataclass(frozen=True)
class Case:
    """A configuration and the texts that run through it.

    Attributes
    ----------
    name
        Name of the model type, and what is special after a slash.
    settings
        Fields of the configuration that differ from the family's.
    lengths
        Tokens of each text.
    attention
        Implementation of attention that the reference runs with.
    """

    name: str
    settings: dict[str, Any]
    lengths: tuple[int, ...] = SHORT
    attention: str = "eager"

    @property
    def model_type(self) -> str:
        """Family."""
        return self.name.split("/")[0]

    @property
    def gate(self) -> float:
        """Largest difference of log-probabilities allowed, nats."""
        return LONG_GATE if max(self.lengths) > LONG else GATE


SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
HEADS = SPECIAL | {
    "vocab_size": 99,
    "hidden_size": 64,
    "intermediate_size": 112,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
GROUPS = HEADS | {"num_key_value_heads": 2}
