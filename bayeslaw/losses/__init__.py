"""The loss table: read, checked, written and reported."""
