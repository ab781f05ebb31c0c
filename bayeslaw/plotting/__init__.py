"""Pictures of fits and calibrations, one a file."""
