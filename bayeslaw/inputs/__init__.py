"""What comes from outside: arguments of functions, and texts, files, JSON and YAML that others wrote."""
