"""What runs inside every system's own environment; the standard library only, because those have nothing of ours."""
