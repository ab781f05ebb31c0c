"""Bayesian scaling laws of pools of language models."""

import lazy_loader

from bayeslaw.lazy_package import keep_functions

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
keep_functions(__name__)
