"""One kept-alive connection that asks and waits, with as little of its own work as that takes."""

from __future__ import annotations

import re
import socket

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Client:
    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> bytes:
        """The body of the answer to a whole request, head included."""
        self._socket.sendall(request)
        read = bytearray()
        while (end := read.find(b"\r\n\r\n")) < 0:
            read += self._some()
        head = bytes(read[: end + 2])
        length = _LENGTH.search(head)
        assert head[9:12] == b"200", bytes(read)
        assert length, head
        while len(read) < end + 4 + int(length[1]):
            read += self._some()
        return bytes(read[end + 4 :])

    def close(self) -> None:
        self._socket.close()

    def _some(self) -> bytes:
        some = self._socket.recv(1 << 20)
        assert some, "the server closed the connection"
        return some
