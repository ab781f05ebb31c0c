"""Which families of models there are."""

from inference.decoder.corrected_families import CORRECTED_FAMILIES
from inference.decoder.dense_families import DENSE_FAMILIES
from inference.decoder.family import Family
from inference.decoder.further_routed_families import FURTHER_ROUTED_FAMILIES
from inference.decoder.gemma_families import GEMMA_FAMILIES
from inference.decoder.gpt_families import GPT_FAMILIES
from inference.decoder.linear_attention_families import LINEAR_ATTENTION_FAMILIES
from inference.decoder.recurrent_families import RECURRENT_FAMILIES
from inference.decoder.routed_families import ROUTED_FAMILIES

FAMILIES: dict[str, Family] = {
    **DENSE_FAMILIES,
    **GPT_FAMILIES,
    **RECURRENT_FAMILIES,
    **LINEAR_ATTENTION_FAMILIES,
    **ROUTED_FAMILIES,
    **CORRECTED_FAMILIES,
    **FURTHER_ROUTED_FAMILIES,
    **GEMMA_FAMILIES,
}
SUPPORTED = tuple(sorted(FAMILIES))
# Models of text and images, and which families their text part may be of; the first one where they name none.
MULTIMODAL: dict[str, tuple[str, ...]] = {
    "apertus1p5": ("apertus1p5_text",),
    "aria": ("aria_text",),
    "fuyu": ("persimmon",),
    "gemma3": ("gemma3_text",),
    "gemma3n": ("gemma3n_text",),
    "gemma4": ("gemma4_text",),
    "gemma4_unified": ("gemma4_unified_text",),
    "llama4": ("llama4_text",),
    "mistral3": ("mistral", "ministral3"),
    "qwen3_5": ("qwen3_5_text",),
    "qwen3_5_moe": ("qwen3_5_moe_text",),
}
# Further names of an architecture.
SAME_AS: dict[str, tuple[str, ...]] = {"gpt-sw3": ("gpt2",)}
