"""One adapter per system; each is started with ``python -m benchmarks.systems.<name>`` in its own environment."""
