"""The joint law of losses on samples: the curve of one model, the dependence between models, and new models."""
