"""Rows made few, so that a likelihood over them costs little."""
