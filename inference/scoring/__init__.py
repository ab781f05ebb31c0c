"""Log-probabilities of tokens and samples under loaded models."""
