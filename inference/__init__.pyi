from .checkpoints.checkpoint import Checkpoint, open_checkpoint
from .checkpoints.sharding import make_mesh
from .decoder.configuration import DecoderConfig, Rope
from .decoder.family_list import FamilyEntry, list_families
from .decoder.transformer import Decoder
from .runs.model_list import ModelRequest, read_requests
from .runs.options import ScoreOptions
from .runs.runner import ModelResult, run
from .scoring.ensembles import ensemble_score
from .scoring.language_models import LanguageModel, load
from .scoring.scores import score, token_log_probabilities
from .texts.documents import Corpus, read_texts
from .texts.tokens import TextTokenizer

__all__ = [
    "Checkpoint",
    "Corpus",
    "Decoder",
    "DecoderConfig",
    "FamilyEntry",
    "LanguageModel",
    "ModelRequest",
    "ModelResult",
    "Rope",
    "ScoreOptions",
    "TextTokenizer",
    "ensemble_score",
    "list_families",
    "load",
    "make_mesh",
    "open_checkpoint",
    "read_requests",
    "read_texts",
    "run",
    "score",
    "token_log_probabilities",
]
