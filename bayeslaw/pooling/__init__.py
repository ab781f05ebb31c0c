"""Which pools, their losses computed fast, and their files."""
