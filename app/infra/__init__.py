"""Adapters: what the ports of the domain and the use cases are made of."""
