"""What deserves a look in a fit, and what it says of pools."""
