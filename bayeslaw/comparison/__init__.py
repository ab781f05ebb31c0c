"""Fits compared by what they predict of what was left out, and put together."""
