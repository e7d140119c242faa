"""The benchmark: our queue beside its peers and a floor, on one PostgreSQL; run it with ``make bench``."""
