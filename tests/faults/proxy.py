"""A proxy between worker and PostgreSQL that reads along: it can lose an answer, drop or pair notifications, go silent.

Of the protocol (PostgreSQL documentation, "Message Formats") it knows no more than that: after the start-up message,
every message is one byte of type, four bytes of length, and a body.
"""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy.engine import make_url

_CANCEL_REQUEST = 80877102
_CHANGES = (b"UPDATE", b"INSERT", b"SELECT")
"""Tags of commands that change rows; a SELECT when it is asked of the changes that it makes in its WITH."""


class Proxy:
    """Listens on a port of this machine and passes everything on to the server at *url*, until it is told not to."""

    def __init__(self, url: str) -> None:
        self._upstream = make_url(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = threading.Event()
        self._open.set()
        self._lock = threading.Lock()
        self._losing: str | None = None
        self._wires: list[_Wire] = []
        self.lost = threading.Event()
        self.drops_notifications = False
        self.pairs_notifications = False
        self.holds_one = threading.Event()
        self.commits = 0
        self._acceptor = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._acceptor.start()

    @property
    def url(self) -> str:
        """Where the worker connects."""
        host, port = self._listener.getsockname()
        address = {"sslmode": "disable", "gssencmode": "disable"}
        return self._upstream.set(host=host, port=port, query=address).render_as_string(hide_password=False)

    def lose_the_answer_to_the_commit_of(self, statement: str) -> None:
        """Once: the next transaction that changes rows with *statement* is committed, and its connection ends
        without a word. ``lost`` is set when that has happened.
        """
        self.lost.clear()
        with self._lock:
            self._losing = statement

    def go_silent(self) -> None:
        """Connections stay, and nothing passes any more, in either direction."""
        self._open.clear()

    def go_on(self) -> None:
        self._open.set()

    def close(self) -> None:
        # A blocked accept() does not notice that its socket was closed.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._open.set()
        self._acceptor.join()
        for wire in self._wires:
            wire.close()

    def wait_until_open(self) -> None:
        self._open.wait()

    def looks_for(self, statement: str) -> bool:
        """Asked of each statement that commits itself."""
        with self._lock:
            found = self._losing is not None and self._losing in statement
            self.commits += not found
            return found

    def is_to_lose(self, statements: list[str]) -> bool:
        """Asked at each commit; true once."""
        with self._lock:
            self.commits += 1
            if self._losing is None or not any(self._losing in statement for statement in statements):
                return False
            self._losing = None
            return True

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each answer waits for 40 ms
            try:
                server = self._connect()
            except OSError:  # the server is away: then we look as if we were, too
                client.close()
                continue
            self._wires.append(_Wire(self, client, server))

    def _connect(self) -> socket.socket:
        query = self._upstream.query
        host, port = str(query.get("host") or self._upstream.host), query.get("port") or self._upstream.port or 5432
        if not host.startswith("/"):
            return socket.create_connection((host, int(str(port))))
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(f"{host}/.s.PGSQL.{port}")
        except OSError:
            server.close()
            raise
        return server


class _Wire:
    """One connection: two threads, and the statements of its transaction so far."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._statements: list[str] = []
        self._changed_rows = False
        self._losing = False
        self._prepared: dict[bytes, str] = {}
        self._in_transaction = False
        self._holding = False
        self._held = b""
        self._pumps = [
            threading.Thread(target=self._run, args=(pump,), name="proxy-wire", daemon=True)
            for pump in (self._upwards, self._downwards)
        ]
        for thread in self._pumps:
            thread.start()

    def close(self) -> None:
        self.cut()
        for thread in self._pumps:
            thread.join()
        self._client.close()
        self._server.close()

    def cut(self) -> None:
        """End the connection on both sides; the pumps notice."""
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _run(self, pump: Callable[[], None]) -> None:
        try:
            pump()
        except (OSError, EOFError):
            pass
        finally:
            self.cut()

    def _upwards(self) -> None:
        length = _read(self._client, 4)
        start = _read(self._client, struct.unpack("!I", length)[0] - 4)
        self._server.sendall(length + start)
        if struct.unpack("!I", start[:4])[0] == _CANCEL_REQUEST:
            return
        while True:
            kind, length, body = _message(self._client)
            first, _, rest = body.partition(b"\0")
            if kind == b"Q":
                self._note(first.decode())
            elif kind == b"P":  # parsed now, and run as often as it is bound
                self._prepared[first] = rest.partition(b"\0")[0].decode()
            elif kind == b"B":
                self._note(self._prepared[rest.partition(b"\0")[0]])
            self._proxy.wait_until_open()
            self._server.sendall(kind + length + body)

    def _note(self, statement: str) -> None:
        if statement == "COMMIT":
            self._losing = self._proxy.is_to_lose(self._statements if self._changed_rows else [])
            self._in_transaction = False
        elif statement == "ROLLBACK":
            self._in_transaction = False
        elif statement.startswith("BEGIN"):
            self._statements, self._changed_rows, self._in_transaction = [], False, True
        elif self._in_transaction:
            self._statements.append(statement)
        else:
            # It commits itself; its answer is held until it is known whether it changed rows.
            self._statements, self._changed_rows = [statement], False
            self._holding = self._proxy.looks_for(statement)

    def _downwards(self) -> None:
        while True:
            kind, length, body = _message(self._server)
            self._proxy.wait_until_open()
            if kind == b"C" and body.startswith(_CHANGES) and not body.endswith(b" 0\0"):
                self._changed_rows = True
            if self._holding:
                self._held += kind + length + body
                if kind != b"Z":
                    continue
                self._holding = False
                if self._proxy.is_to_lose(self._statements if self._changed_rows else []):
                    self.cut()
                    self._proxy.lost.set()
                    return
                self._client.sendall(self._held)
                self._held = b""
                continue
            if self._losing and (kind, body) == (b"C", b"COMMIT\0"):
                # It is done, and nobody will ever say so.
                self.cut()
                self._proxy.lost.set()
                return
            if kind == b"A" and self._proxy.drops_notifications:
                continue
            if kind == b"A" and self._proxy.pairs_notifications and not self._held:
                self._held = kind + length + body
                self._proxy.holds_one.set()
                continue
            self._client.sendall(self._held + kind + length + body)
            self._held = b""


def _message(end: socket.socket) -> tuple[bytes, bytes, bytes]:
    kind, length = _read(end, 1), _read(end, 4)
    return kind, length, _read(end, struct.unpack("!I", length)[0] - 4)


def _read(end: socket.socket, count: int) -> bytes:
    parts = b""
    while len(parts) < count:
        part = end.recv(count - len(parts))
        if not part:
            raise EOFError
        parts += part
    return parts
