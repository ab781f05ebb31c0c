"""Texts to tokens, spans, windows and batches."""
