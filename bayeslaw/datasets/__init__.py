"""Loss tables that come with the package, with the checkpoints and texts that a part of them is of."""
