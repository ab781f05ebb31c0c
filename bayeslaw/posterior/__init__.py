"""Posteriors: coordinates, the mode, the sampler, and draws that are kept while it runs."""
