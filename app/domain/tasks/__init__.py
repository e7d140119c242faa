"""Tasks: the entity, its lifecycle, its events and the ports it is kept behind."""
