"""Decisions under a fit or a table: when a pool pays, which pool, and what to score next."""
