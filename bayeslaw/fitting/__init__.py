"""A law and a table to a fit, and a fit to a file and back."""
