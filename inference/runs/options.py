"""How a run scores: what a user may choose."""

from dataclasses import dataclass

from bayeslaw.errors import InputError, check_choice, check_whole
from bayeslaw.inputs.arguments import a_flag, check_fields, optional
from inference.checkpoints.weights import DTYPES
from inference.texts.spans import UNITS

BOS_POLICIES = ("auto", "always", "never")


@dataclass(frozen=True)
class ScoreOptions:
    """The options of a run.

    Attributes
    ----------
    unit
        What a sample is: ``"document"``, ``"paragraph"``, ``"line"`` or ``"word"``.
    bos
        What stands before a text; see `inference.load`.
    window, stride
        As in `inference.score`; by default each model's own.
    dtype
        Type of weights and products; by default float32 on a CPU and bfloat16 on an accelerator.
    batch_tokens
        Positions in a batch; by default 2,048 on a CPU and 16,384 on an accelerator.
    keep_tokens
        Whether to keep the log-probability of each token beside the sums.
    strict
        Whether a model that fails a sanity gate is refused rather than reported.
    offline
        Whether to use only what is on this machine.
    tensor_parallel
        Over how many devices each weight is split; the others share out the rows of a batch.
    stream_layers
        Whether all texts go through one layer of a model before the next one is read, so that memory holds two layers
        and the hidden states; by default where a model's weights do not fit into memory.

    Raises
    ------
    InputError
        If a choice is not known or a number out of bounds.
    """

    unit: str = "document"
    bos: str = "auto"
    window: int | None = None
    stride: int | None = None
    dtype: str | None = None
    batch_tokens: int | None = None
    keep_tokens: bool = False
    strict: bool = False
    offline: bool = False
    tensor_parallel: int = 1
    stream_layers: bool | None = None

    def __post_init__(self) -> None:
        check_fields(self, keep_tokens=a_flag, strict=a_flag, offline=a_flag, stream_layers=optional(a_flag))
        check_choice("unit", self.unit, UNITS)
        check_choice("bos policy", self.bos, BOS_POLICIES)
        if self.dtype is not None:
            check_choice("dtype", self.dtype, DTYPES)
        if self.batch_tokens is not None:
            check_whole("batch_tokens", self.batch_tokens, lowest=2, suggested=2048)
        check_whole("tensor_parallel", self.tensor_parallel, lowest=1, suggested=1)
        if self.stream_layers and self.tensor_parallel > 1:
            problem = f"--stream-layers reads each layer whole, and --tensor-parallel {self.tensor_parallel} splits it"
            raise InputError(problem, "one of the two", "leave --tensor-parallel out")
        for name, lowest, usual in (("window", 2, "what each model is made for"), ("stride", 1, "half of the window")):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < lowest):
                accepted = f"a whole number of at least {lowest}"
                raise InputError(f"{name} is {value!r}", accepted, f"leave --{name} out for {usual}")


def check_place(options: ScoreOptions, *, elsewhere: bool) -> None:
    """Refuse options that this process alone can keep, where another scorer does the work.

    Parameters
    ----------
    options
        The options.
    elsewhere
        Whether a scorer is given, such as a cluster.

    Raises
    ------
    InputError
        If models are to be read layer by layer elsewhere.
    """
    if elsewhere and options.stream_layers:
        problem = "--stream-layers is for models that this process scores, and another scorer is given (--ray)"
        raise InputError(problem, "one of the two", "leave --ray out, or leave --stream-layers out")
