"""Configurations of checkpoints: for what they were trained."""

import pytest

from bayeslaw.errors import InputError
from inference.checkpoints.checkpoint_config import check_architectures


@pytest.mark.parametrize(
    "architecture",
    ["LlamaForSequenceClassification", "Qwen2ForRewardModel", "BertForMaskedLM", "GPT2ForTokenClassification"],
)
def test_checkpoints_for_another_task_are_refused(architecture):
    with pytest.raises(InputError, match=f"architectures is '{architecture}' in config.json"):
        check_architectures({"architectures": [architecture]})


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"architectures": None},
        {"architectures": [7]},
        {"architectures": ["LlamaModel"]},
        {"architectures": ["GPT2LMHeadModel"]},
        {"architectures": ["Gemma3ForConditionalGeneration"]},
        {"architectures": ["LlamaForCausalLM", "LlamaForSequenceClassification"]},
    ],
)
def test_language_models_pass_and_so_do_those_that_do_not_say(config):
    check_architectures(config)
