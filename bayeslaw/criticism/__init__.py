"""Criticism of fitted laws: what is left out, how laws predict it, and laws put together by that."""
