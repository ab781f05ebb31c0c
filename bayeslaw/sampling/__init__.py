"""From a model to draws: coordinates, mode, preconditioner and NUTS."""
