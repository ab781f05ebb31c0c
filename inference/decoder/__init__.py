"""The decoder: what it is made of, the families of models, and its parts."""
