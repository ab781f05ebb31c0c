from .checkpoint import Checkpoint, open_checkpoint
from .config import DecoderConfig, Rope
from .decoder import Decoder
from .ensemble import ensemble_score
from .runner import ModelResult, run
from .running.model_list import ModelRequest, read_requests
from .running.options import ScoreOptions
from .score import LanguageModel, load, score, token_log_probabilities
from .sharding import make_mesh
from .texts import Corpus, read_texts
from .tokens import TextTokenizer

__all__ = [
    "Checkpoint",
    "Corpus",
    "Decoder",
    "DecoderConfig",
    "LanguageModel",
    "ModelRequest",
    "ModelResult",
    "Rope",
    "ScoreOptions",
    "TextTokenizer",
    "ensemble_score",
    "load",
    "make_mesh",
    "open_checkpoint",
    "read_requests",
    "read_texts",
    "run",
    "score",
    "token_log_probabilities",
]
