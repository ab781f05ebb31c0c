"""Model types that transformers counts among its causal language models and that are not read, each with the reason."""

ENCODER_DECODER = "the decoder of an encoder-decoder model, which reads what an encoder made of another text"
ENCODER = "an encoder that attends in both directions; its checkpoints are no models of the next token"
AUDIO = "writes or hears audio"
IMAGES = "its layers need an image, or attend to one"
DRAFTS = "drafts tokens for another model, whose keys and values it reads"
RELATIVE = "biases by distance that are made of each position, and convolutions around each part of a layer"
RECURRENT = "recurrences, or what stands around them, that are not covered yet"
INDEXED = "chooses by an index which tokens it attends to"
LOOPED = "goes through the same layers several times"

# One line each: whoever adds a family takes its line away.
NOT_COVERED: dict[str, str] = {
    "axk2": INDEXED,
    "bart": ENCODER_DECODER,
    "bert": ENCODER,
    "bert-generation": ENCODER_DECODER,
    "big_bird": ENCODER,
    "bigbird_pegasus": ENCODER_DECODER,
    "bitnet": "its checkpoints hold weights of three values, which are not read",
    "blenderbot": ENCODER_DECODER,
    "blenderbot-small": ENCODER_DECODER,
    "blt": "reads bytes in patches that a model of its own cuts, and has no tokens",
    "camembert": ENCODER,
    "cohere_compass_text": "rotates each position by three numbers, of time, height and width",
    "cpmant": "reads a learnt prompt before each text, and biases by ranges of distance",
    "data2vec-text": ENCODER,
    "deepseek_v32": INDEXED,
    "deepseek_v4": INDEXED,
    "dory": LOOPED,
    "dots3_note": INDEXED,
    "dots3_note_text": INDEXED,
    "electra": ENCODER,
    "emu3": "a model of images as tokens of its vocabulary",
    "ernie": ENCODER,
    "gemma4_assistant": DRAFTS,
    "gemma4_unified_assistant": DRAFTS,
    "git": IMAGES,
    "glm_moe_dsa": INDEXED,
    "got_ocr2": IMAGES,
    "hrm_text": LOOPED,
    "hy_v4": INDEXED,
    "inkling2_loop_text": LOOPED,
    "inkling2_text": RELATIVE,
    "inkling_text": RELATIVE,
    "lara_mini": RECURRENT,
    "marian": ENCODER_DECODER,
    "mbart": ENCODER_DECODER,
    "megatron-bert": ENCODER,
    "minimax_m3_vl_text": INDEXED,
    "mllama": IMAGES,
    "moshi": AUDIO,
    "moss_transcribe_diarize": AUDIO,
    "musicgen": AUDIO,
    "musicgen_melody": AUDIO,
    "mvp": ENCODER_DECODER,
    "pegasus": ENCODER_DECODER,
    "phi4_multimodal": "its maps lie beside adapters for images and audio",
    "plbart": ENCODER_DECODER,
    "prophetnet": ENCODER_DECODER,
    "qwen4_exp": INDEXED,
    "qwen4_exp_text": INDEXED,
    "reformer": "attends by hashes that are drawn at random",
    "rembert": ENCODER,
    "roberta": ENCODER,
    "roberta-prelayernorm": ENCODER,
    "roc_bert": ENCODER,
    "roformer": ENCODER,
    "trocr": IMAGES,
    "whisper": AUDIO,
    "xlm": "reads the language of each token beside it",
    "xlm-roberta": ENCODER,
    "xlm-roberta-xl": ENCODER,
    "xlnet": "predicts tokens in any order, not the next one of those before",
    "xmod": ENCODER,
    "zamba": RECURRENT,
    "zaya": "the router of each layer reads what that of the layer before made",
}
