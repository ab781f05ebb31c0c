"""Tables whose truth is known."""
