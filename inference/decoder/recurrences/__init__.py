"""Recurrences over the positions of a text, computed chunk by chunk: no module, no weights, only what is computed."""
