"""A law and a table made into a posterior."""
