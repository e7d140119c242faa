"""Sockets: whether a connection that lay in a pool still leads to a server."""

import select
from typing import Any

from sqlalchemy import Connection


def is_dead(connection: Connection) -> bool:
    """Whether the server has closed *connection* while it lay in its pool.

    Looking at the socket costs a system call, where asking would be a round trip. Nobody speaks on an idle connection:
    whatever there is to read is a farewell, or at worst a notice, and then the price is a new connection.
    """
    driver: Any = connection.connection.driver_connection
    if not hasattr(driver, "is_closed"):
        return is_readable(driver)
    # asyncpg learns of it from its loop, which may not have run since, and shows its socket to nobody.
    transport = getattr(driver, "_transport", None)
    return driver.is_closed() or (transport is not None and is_readable(transport.get_extra_info("socket")))


def is_readable(driver: Any) -> bool:
    """Whether there is anything to read from *driver*, which has a ``fileno``: its end included."""
    poll = select.poll()
    poll.register(driver.fileno(), select.POLLIN | select.POLLERR | select.POLLHUP)
    return bool(poll.poll(0))
