"""Dead letters: what ended for good and is kept for somebody to look at."""
