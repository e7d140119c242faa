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
    is_closed = getattr(driver, "is_closed", None)  # asyncpg
    if is_closed is not None:
        return bool(is_closed())
    poll = select.poll()
    poll.register(driver.fileno(), select.POLLIN | select.POLLERR | select.POLLHUP)
    return bool(poll.poll(0))
