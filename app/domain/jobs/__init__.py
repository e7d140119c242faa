"""Jobs: the definitions in code, what a handler is given, and what it may answer."""
