"""Refuses, once imported, connections that leave this machine: nothing in the tests may depend on a network."""

import socket

_connect, _connect_ex, _getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo


def _refuse_outside(host, address):
    name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
    if not (name in ("localhost", "::1", "0.0.0.0", "::") or name.startswith("127.")):
        raise OSError(f"Tests run without a network; something asked for {address!r}.")


def _guarded(original):
    def connect(self, address):
        # Unix sockets have a path for an address and never leave the machine.
        _refuse_outside(address[0] if isinstance(address, tuple) else "localhost", address)
        return original(self, address)

    return connect


def _guarded_lookup(host, *args, **kwargs):
    _refuse_outside(host, host)
    return _getaddrinfo(host, *args, **kwargs)


socket.socket.connect = _guarded(_connect)
socket.socket.connect_ex = _guarded(_connect_ex)
socket.getaddrinfo = _guarded_lookup
