"""Lifecycle events told to this process: blinker signals, after the commit."""
