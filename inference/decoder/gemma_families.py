"""The Gemmas after the third: layers that share keys and values, and have embeddings of their own."""

from inference.decoder import gemma_tensor_names as names
from inference.decoder.configuration_reading import activation
from inference.decoder.family import Family
from inference.decoder.family_settings import ATTENTION_BIASES, BY_TYPE, join_settings
from inference.decoder.gemma_settings import (
    gemma3n_layers,
    gemma3n_parts,
    gemma4_embeddings,
    gemma4_experts,
    gemma4_layers,
    shared_keys,
)
from inference.decoder.tensor_names import TensorNames

SHARING = join_settings(
    ATTENTION_BIASES,
    BY_TYPE,
    shared_keys,
    placement="sandwich",
    activation=lambda hf: activation(hf.hidden_activation),
    query_key_norm="head",
    value_norm=True,
    attention_scale=1.0,
    embedding_scale=lambda hf: hf.hidden_size**0.5,
    logit_softcap=lambda hf: hf.final_logit_softcapping,
)
GEMMA4_TENSORS = TensorNames(names.GEMMA4, unread=names.KEYS)
# Images alone are attended to in both directions.
CAUSAL_TEXT = {"use_bidirectional_attention": (None, "vision")}

GEMMA_FAMILIES: dict[str, Family] = {
    "gemma3n_text": Family(
        join_settings(SHARING, gemma3n_layers, gemma3n_parts),
        TensorNames(names.GEMMA3N, unread=names.KEYS),
        {"altup_active_idx": (0,)},
    ),
    "gemma4_text": Family(
        join_settings(SHARING, gemma4_layers, gemma4_embeddings, gemma4_experts, layer_scaled=True),
        GEMMA4_TENSORS,
        CAUSAL_TEXT,
    ),
    "gemma4_unified_text": Family(
        join_settings(SHARING, gemma4_layers, layer_scaled=True), GEMMA4_TENSORS, CAUSAL_TEXT
    ),
}
