"""What a fit found, told to a reader: its summary."""
