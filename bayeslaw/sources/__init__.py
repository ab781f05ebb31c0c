"""Loss tables from elsewhere: sample logs of lm-evaluation-harness, and completions servers."""

from bayeslaw.sources.completions import ServedTexts, losses_from_completions
from bayeslaw.sources.lm_eval import losses_from_harness
from bayeslaw.sources.server import CompletionsServer

__all__ = ["CompletionsServer", "ServedTexts", "losses_from_completions", "losses_from_harness"]
