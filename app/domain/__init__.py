"""The rules of the queue: entities, values, events and ports, from the standard library alone."""
