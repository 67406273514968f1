"""Ports on 127.0.0.1: reserved for as long as the sandbox lives, with a clear error when one is taken."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from canary.errors import BadUsage

HOST = "127.0.0.1"
_LISTEN = "0A"


def reserve(port: int | None = None) -> socket.socket:
    """Keep a port (a free one, if none is given) for a child, which binds it again with SO_REUSEPORT.

    The socket never listens: while no child does, connections are refused, and nobody else gets the port.
    Raises BadUsage when the port is taken.
    """
    if port:
        _bound(port, socket.SO_REUSEADDR).close()
    return _bound(port or 0, socket.SO_REUSEPORT)


def port_of(reserved: socket.socket) -> int:
    """The port a socket is bound to."""
    return int(reserved.getsockname()[1])


def _bound(port: int, option: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        sock.bind((HOST, port))
    except OSError as error:
        sock.close()
        raise _taken(port, error) from error
    return sock


def _taken(port: int, error: OSError) -> BadUsage:
    if isinstance(error, PermissionError):
        return BadUsage(f"port {port} may not be used by this user", "choose a port above 1023")
    holder = _holder(port)
    by = f" by {holder}" if holder else ""
    return BadUsage(
        f"port {port} on {HOST} is taken{by}",
        "stop that process, or give another --router-port, or none for a free one",
    )


def _holder(port: int) -> str | None:
    """`pid 123 (name)` of the listener, or None where the kernel does not tell this user."""
    inode = _listening_inode(port)
    if inode is None:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        if _holds(process, f"socket:[{inode}]"):
            return f"pid {process.name} ({(process / 'comm').read_text().strip()})"
    return None


def _listening_inode(port: int) -> str | None:
    """The socket's inode, from /proc/net/tcp{,6}: fields `sl local rem st … uid timeout inode`."""
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        lines = table.read_text().splitlines()[1:] if table.exists() else []
        for fields in (line.split() for line in lines):
            if fields[1].endswith(f":{port:04X}") and fields[3] == _LISTEN:
                return fields[9]
    return None


def _holds(process: Path, link: str) -> bool:
    try:
        return any(os.readlink(fd) == link for fd in (process / "fd").iterdir())
    except OSError:
        return False
