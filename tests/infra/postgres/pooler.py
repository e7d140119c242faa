"""A transaction pooler, as small as one can be: each transaction has a server connection, and no longer than that."""

import asyncio
import struct
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Self

_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102
_PROTOCOL = 196608
_ENDS_WITH_READY = (b"Q", b"S", b"F")
"""Messages that the server answers with one ReadyForQuery each: query, sync, function call."""


class Pooler:
    """Accepts any client over TCP and shares *size* connections to the server on a Unix socket among all of them.

    Like PgBouncer in transaction mode: what a client leaves on a server connection (a LISTEN, a prepared statement) it
    does not find there again. ``most_clients`` and ``most_servers`` say how many there were at the same time.
    """

    def __init__(self, socket: Path, size: int = 2) -> None:
        self.most_clients = self.most_servers = self.clients = self.servers = 0
        self.port = 0
        self._socket = socket
        self._size = size
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._idle: asyncio.Queue[_Server | None] = asyncio.Queue()
        self._busy: set[asyncio.Task[None]] = set()
        listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = listening.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        listening.close()
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        self.clients += 1
        self.most_clients = max(self.most_clients, self.clients)
        client = _Client(writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                if (startup := await _startup(reader, writer)) is not None:
                    await self._transactions(client, reader, startup)
        finally:
            self.clients -= 1
            self._busy.discard(task)
            if client.server is not None:  # in the middle of a transaction, which must not be another's
                client.server.writer.close()
            writer.close()

    async def _transactions(self, client: "_Client", reader: asyncio.StreamReader, startup: bytes) -> None:
        server = await self._server(startup)
        client.writer.write(server.greeting)
        self._idle.put_nowait(server)
        while (message := await _message(reader))[:1] != b"X":
            if client.server is None:
                client.server = await self._server(startup)
                client.server.client = client
            client.unsynced = message[:1] not in _ENDS_WITH_READY
            client.awaited += not client.unsynced
            client.server.writer.write(message)
            await client.server.writer.drain()

    async def _server(self, startup: bytes) -> "_Server":
        while True:
            if self._idle.empty() and self.servers < self._size:
                self.servers += 1
                self.most_servers = max(self.most_servers, self.servers)
                reader, writer = await asyncio.open_unix_connection(str(self._socket))
                server = _Server(writer)
                writer.write(startup)
                async for message in _messages(reader):
                    server.greeting += message
                    if message[:1] == b"Z":
                        break
                task = asyncio.create_task(self._answers(server, reader))
                self._busy.add(task)
                return server
            found = await self._idle.get()
            if found is not None and not found.writer.is_closing():
                return found

    async def _answers(self, server: "_Server", reader: asyncio.StreamReader) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                async for message in _messages(reader):
                    client = server.client
                    if client is None:
                        continue  # a notification for somebody who is not here any more
                    client.writer.write(message)
                    if message[:1] == b"Z":
                        client.awaited -= 1
                        if message[5:] == b"I" and not client.awaited and not client.unsynced:
                            client.server = server.client = None
                            self._idle.put_nowait(server)
        finally:
            self.servers -= 1
            server.writer.close()
            if server.client is not None:
                server.client.writer.close()
            self._idle.put_nowait(None)  # whoever waits may open another one


class _Client:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.server: _Server | None = None
        self.awaited = 0
        self.unsynced = False


class _Server:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.client: _Client | None = None
        self.greeting = b""


async def _startup(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
    """The client's startup message; None when it only came to cancel, which is not done here."""
    while True:
        head = await reader.readexactly(8)
        length, code = struct.unpack("!II", head)
        if code in (_SSL, _GSS):
            writer.write(b"N")
            continue
        assert code in (_PROTOCOL, _CANCEL), code
        rest = await reader.readexactly(length - 8)
        return head + rest if code == _PROTOCOL else None


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        yield await _message(reader)
