"""Findings about a fit, by subject."""
