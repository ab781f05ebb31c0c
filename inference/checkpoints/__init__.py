"""Checkpoints: found, opened, checked and read into a decoder."""
