"""The factor law from inside: the curve of one model, the dependence between models, and the pools that follow."""
