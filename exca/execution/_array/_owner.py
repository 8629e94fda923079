"""The process that a pool belongs to, as the pool's supervisor sees it: it sends arrays, and the pool ends with it.

The line between them is a pair of connected Unix sockets. The owner sends the folder of an array, ended by a zero
byte, and nothing but the zero byte for "leave when there is nothing left to do".
"""

from __future__ import annotations

import os
import socket

__all__ = ["END_OF_ORDER", "LINE", "Owner"]

LINE = 3  # file descriptor of the supervisor's end
END_OF_ORDER = b"\0"


class Owner:
    """The owner of this supervisor."""

    def __init__(self) -> None:
        os.set_inheritable(LINE, False)
        self._line = socket.socket(fileno=LINE)
        self._line.setblocking(False)
        self._parent = os.getppid()
        self._read = b""
        self._hung_up = False
        self._refuses = False

    def fileno(self) -> int:
        return self._line.fileno()

    def close(self) -> None:
        """Leave the line to the supervisor; for a worker."""
        self._line.close()

    def listen(self) -> None:
        """Read what was sent."""
        while not self._hung_up:
            try:
                read = self._line.recv(65536)
            except BlockingIOError:
                return
            except ConnectionError:
                read = b""
            if not read:
                self._hung_up = not self._refuses
                return
            self._read += read

    def is_gone(self) -> bool:
        """Whether it has ended. A fork of it may hold its end open; then the change of parent tells."""
        return self._hung_up or os.getppid() != self._parent

    def next_order(self) -> str | None:
        """The folder of the next array, "" for the wish that the pool leaves; None: nothing was sent."""
        order, end, rest = self._read.partition(END_OF_ORDER)
        if not end:
            return None
        self._read = rest
        return os.fsdecode(order)

    def refuse_more(self) -> None:
        """From now on its orders fail at its end; what was sent before can still be read."""
        self._refuses = True
        self._line.shutdown(socket.SHUT_RD)
