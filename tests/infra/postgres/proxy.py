"""A TCP proxy before a PostgreSQL server, which cuts the line when it is told to."""

import re
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url

LOCK = re.compile(rb"FOR UPDATE")

_BACKEND_KEY = re.compile(rb"K\0\0\0\x0c.{4}", re.DOTALL)


class Proxy:
    """Passes bytes on, both ways, until a statement appears that it was told to cut at.

    ``cut_at`` is looked for once in what clients send; with ``deliver`` the server still gets that message, and only
    its answer is lost. ``announces`` is told to clients in place of the server's process, as by a pooler.
    """

    def __init__(self, url: str) -> None:
        self.cut_at: re.Pattern[bytes] | None = None
        self.deliver = False
        self.announces: int | None = None
        self.cuts = 0
        self._url = url
        self._server = conninfo_to_dict(make_url(url).set(drivername="postgresql").render_as_string(False))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._lines: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def url(self, **changes: Any) -> str:
        """The server's URL by way of this proxy."""
        host, port = self._listening.getsockname()
        url = make_url(self._url).difference_update_query(["host", "port"]).set(host=host, port=port)
        return url.set(**changes).render_as_string(hide_password=False)

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(self, *error: object) -> None:
        # Closing alone would not wake the thread that accepts.
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()
        for thread in self._threads:
            thread.join(timeout=10)

    def cut(self) -> None:
        """Cut every line there is now."""
        for line in tuple(self._lines):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = self._connect()
                self._lines += [client, server]
                answer_is_lost = threading.Event()
                self._run(self._to_server, client, server, answer_is_lost)
                self._run(self._to_client, server, client, answer_is_lost)

    def _connect(self) -> socket.socket:
        host, port = str(self._server["host"]), int(self._server.get("port") or 5432)
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def _to_server(self, client: socket.socket, server: socket.socket, answer_is_lost: threading.Event) -> None:
        with client, server, suppress(OSError):
            while data := client.recv(65_536):
                if self.cut_at is not None and self.cut_at.search(data):
                    self.cut_at = None
                    self.cuts += 1
                    if not self.deliver:
                        break
                    answer_is_lost.set()
                server.sendall(data)
            _end(client, server)

    def _to_client(self, server: socket.socket, client: socket.socket, answer_is_lost: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65_536):
                if answer_is_lost.is_set():
                    break
                client.sendall(self._greeting(data))
        _end(client, server)

    def _greeting(self, data: bytes) -> bytes:
        if self.announces is None:
            return data
        return _BACKEND_KEY.sub(lambda _: struct.pack("!cii", b"K", 12, self.announces), data)

    def _run(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()


def _end(*lines: socket.socket) -> None:
    for line in lines:
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
