"""Scores of texts under Hugging Face checkpoints, in JAX with Flax decoders."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
