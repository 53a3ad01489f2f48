"""The socket that the service listens at."""

import socket

from emotune.server.serve import _bound


def test_small_answers_leave_at_once():
    """asyncio turns Nagle's algorithm off only where the listening socket names its protocol."""
    with _bound("127.0.0.1", 0) as bound:
        assert bound.proto == socket.IPPROTO_TCP
