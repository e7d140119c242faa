"""The verbs on dead letters."""
