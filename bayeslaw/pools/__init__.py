"""Pools: which there are, the rules that combine their members, their losses computed fast, and what they gain."""
