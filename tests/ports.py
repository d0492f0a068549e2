"""Ports of the loopback for servers that must be told one."""

from __future__ import annotations

import secrets
from socket import socket

# Below the ports that systems give out by themselves, to whoever connects or binds port 0: between the look and the
# server's start nobody is given this one. By chance, as other test runs look at the same time.
OURS = range(20_000, 32_000)


def free_port():
    """A port of the loopback that nobody has."""
    while True:
        port = secrets.choice(OURS)
        with socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
