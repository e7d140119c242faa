"""Patterns of names as LIKE takes them."""


def like(pattern: str) -> str:
    """A LIKE pattern in which ``*`` alone is special."""
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%")
