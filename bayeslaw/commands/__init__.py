"""The commands, one module for each few. Heavy imports stand inside the functions, so that ``--help`` stays fast."""
