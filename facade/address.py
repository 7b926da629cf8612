"""Addresses to listen on, as they are written in plans."""

from facade.errors import AddressError


def parse_listen(listen: str) -> tuple[str, int]:
    """Read ``host:port`` or ``[ipv6]:port``. Raises AddressError."""
    host, separator, port = listen.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not separator or not port.isdigit() or int(port) > 65535 or (":" in bare and bare == host):
        raise AddressError(f"the address {listen!r} is not understood. Write 127.0.0.1:8080 or [::1]:8080.")
    return bare, int(port)
