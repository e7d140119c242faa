"""The command line: a driving adapter over the same use cases as everybody else's."""
