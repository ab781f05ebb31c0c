"""Losses at targets that were not fitted, with their bands."""
