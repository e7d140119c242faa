"""Schedules: when tasks are enqueued by the clock, and what is remembered of it."""
