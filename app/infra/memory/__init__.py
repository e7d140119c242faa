"""The queue kept in this process's memory: the behaviour of PostgreSQL, for tests and local use."""
