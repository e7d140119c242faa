"""Isolation: handlers in processes of their own, which a worker starts, listens to and can kill."""
