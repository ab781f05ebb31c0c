"""Loss tables from files and frames, and the report on them."""
