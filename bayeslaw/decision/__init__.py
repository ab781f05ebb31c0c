"""Decisions: which pool to take, with the uncertainty of the choice."""
