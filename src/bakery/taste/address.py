"""Where the page is served: the socket, and what to open in a browser."""

import socket
from ipaddress import ip_address

from bakery.errors import ConfigError

PORT = 8321


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that is bound to this address; without a port to the usual one, or any other where that is taken.

    Raises:
        ConfigError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    ports = (PORT, 0) if port is None else (port,)
    for one in ports:
        try:
            return socket.create_server((host, one), family=family)
        except OSError as error:
            reason = error.strerror or str(error)
        except OverflowError:
            reason = "ports are numbers up to 65535"
    raise ConfigError(f"command line: --host {host} --port {ports[-1]}: {reason}; give another --port")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that is bound to this address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def address(host: str, port: int, token: str | None) -> str:
    """What to open in a browser."""
    return f"http://{in_address(host)}:{port}/" + (f"?token={token}" if token else "")


def in_address(host: str) -> str:
    """A host as it stands in an address: one of IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host
