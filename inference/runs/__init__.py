"""Runs of many models over many texts, to a loss table."""
