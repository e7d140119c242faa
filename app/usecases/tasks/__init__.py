"""The verbs of the task: what applications call, and what workers call."""
