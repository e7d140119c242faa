"""The worker: polls the queue, runs handlers, and settles what they answered."""
