"""Whether posteriors and bands mean what they say, on simulated tables."""
