"""What changes each position by itself: a kind a file, and the table of them.

A feed-forward part is made of a `inference.decoder.configuration.DecoderConfig` and called with hidden states
[row, position, width]. Its name is that of its module in a block, with which the names of its parameters begin.
One that says `normed_inside` is given hidden states as they are, and norms them itself.
"""

from collections.abc import Callable
from typing import Any

from inference.decoder.configuration import DecoderConfig
from inference.decoder.feed_forwards.channel_mixing import ChannelMixing
from inference.decoder.feed_forwards.experts import RoutedExperts
from inference.decoder.feed_forwards.experts_beside_mlp import ExpertsBesideMLP
from inference.decoder.feed_forwards.mlp import MLP
from inference.decoder.feed_forwards.scaled_mlp import ScaledMLP

FEED_FORWARDS: dict[str, Callable[[DecoderConfig], Any]] = {
    "mlp": MLP,
    "scaled_mlp": ScaledMLP,
    "experts": RoutedExperts,
    "experts_beside_mlp": ExpertsBesideMLP,
    "channel_mixing": ChannelMixing,
}
