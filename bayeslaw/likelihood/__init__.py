"""How rows scatter around a law: noise, what pools share, and rows compressed to a few nodes."""
