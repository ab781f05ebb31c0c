"""What moves information between positions: a kind a file, and the table of them.

A mixer is made of a `inference.decoder.configuration.DecoderConfig` and called with hidden states
[row, position, width] and a `inference.decoder.layers.LayerInputs`. It is causal, and texts are padded on the right, so
that padding reaches nothing. Its name is that of its module in a block, with which the names of its parameters begin.
It says by `between_positions` how positions reach each other: by a ``"window"``, which ends with the text where texts
share a row, or by a ``"state"`` that goes from each position to the next, whatever text that is of.

One that hands on more than hidden states says so by a static `kept_widths`, from a configuration to widths by name, and
returns a pair: hidden states and arrays [row, position, width] by these names. One that reads what an earlier layer
handed on says so by `read_widths`, and finds it in `LayerInputs.kept`; one that reads what the first layer was given
says so by `reads_first_states`. One that shares weights with other layers makes a module of these by `shared_part`,
from a configuration: layers of one number in `layer_memory` find the same in `LayerInputs.shared`.
"""

from collections.abc import Callable
from typing import Any

from inference.decoder.configuration import DecoderConfig
from inference.decoder.mixers.attention import Attention
from inference.decoder.mixers.attention_mamba2 import AttentionMamba2Mixer
from inference.decoder.mixers.differential_attention import DifferentialAttention
from inference.decoder.mixers.gated_attention import GatedAttention
from inference.decoder.mixers.gated_delta import GatedDeltaMixer
from inference.decoder.mixers.head_gated_attention import HeadGatedAttention, HeadGatedLatentAttention
from inference.decoder.mixers.kimi_delta import KimiDeltaMixer
from inference.decoder.mixers.latent_attention import LatentAttentionMixer
from inference.decoder.mixers.lightning import LightningMixer
from inference.decoder.mixers.mamba import MambaMixer
from inference.decoder.mixers.mamba2 import Mamba2Mixer
from inference.decoder.mixers.mlstm import MatrixMemoryMixer
from inference.decoder.mixers.rglru import GatedLinearUnitMixer
from inference.decoder.mixers.routed_attention import RoutedAttention
from inference.decoder.mixers.shared_attention import KeptAttention, ReusedAttention
from inference.decoder.mixers.shared_block_mamba2 import SharedBlockMamba2Mixer
from inference.decoder.mixers.short_convolution import ShortConvolutionMixer
from inference.decoder.mixers.shortcut import ShortcutMixer
from inference.decoder.mixers.time_mixing import TimeMixer
from inference.decoder.mixers.windowed_attention import WindowedAttention

MIXERS: dict[str, Callable[[DecoderConfig], Any]] = {
    "attention": Attention,
    "attention_mamba2": AttentionMamba2Mixer,
    "differential_attention": DifferentialAttention,
    "gated_attention": GatedAttention,
    "gated_delta": GatedDeltaMixer,
    "head_gated_attention": HeadGatedAttention,
    "head_gated_latent_attention": HeadGatedLatentAttention,
    "kimi_delta": KimiDeltaMixer,
    "kept_attention": KeptAttention,
    "latent_attention": LatentAttentionMixer,
    "lightning": LightningMixer,
    "mamba": MambaMixer,
    "mamba2": Mamba2Mixer,
    "mlstm": MatrixMemoryMixer,
    "reused_attention": ReusedAttention,
    "rglru": GatedLinearUnitMixer,
    "routed_attention": RoutedAttention,
    "shared_block_mamba2": SharedBlockMamba2Mixer,
    "short_convolution": ShortConvolutionMixer,
    "shortcut": ShortcutMixer,
    "time_mixing": TimeMixer,
    "windowed_attention": WindowedAttention,
}


def _those_with(moved_by: str) -> frozenset[str]:
    return frozenset(name for name, mixer in MIXERS.items() if getattr(mixer, "between_positions", "") == moved_by)


# Those in which no text reaches another that shares its row, by the window and the positions they are given.
ROW_SHARING = _those_with("window")
# Those whose state goes through a text, from one position to the next.
RECURRENT = _those_with("state")
