"""Who may use the page: this machine's own browser, or whoever has the token; no other site through that browser.

Without a token the page answers under the names of this machine only, so that no foreign name can be made to lead here
(DNS rebinding). A request that another site makes carries that site's `Origin` and is refused.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest

from bakery.taste.address import in_address, is_loopback

OPEN_PATHS = ("/page/",)
"""Files of the page itself, which hold nothing of the run."""
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of every response: nothing is loaded from elsewhere, nothing written as text is run, nothing stays in a cache."""


@dataclass(frozen=True)
class Gate:
    """What a request must bring.

    Args:
        hosts: names (with port) under which the page may be asked for; empty: any.
        token: to be given as `token` in the address, or in the header `x-bakery-token`; none: not needed.
    """

    hosts: frozenset[str]
    token: str | None = None

    def refusal(self, path: str, headers: Mapping[str, str], token: str) -> str | None:
        """Why a request is refused, if it is; names of headers are in lower case."""
        host, origin = headers.get("host", "").lower(), headers.get("origin")
        if self.hosts and host not in self.hosts:
            return "this page does not answer under that name"
        if origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}"):
            return "this page answers no other site"
        if path != "/" and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return "this page answers no other site"
        if self.token is None or path.startswith(OPEN_PATHS):
            return None
        given = headers.get("x-bakery-token", token)
        return None if compare_digest(given.encode(), self.token.encode()) else "the token of the address is missing"


def gate_of(host: str, port: int) -> Gate:
    """The gate of a server that is bound to this address: with a new token unless only this machine reaches it."""
    if is_loopback(host):
        names = {"127.0.0.1", "localhost", "[::1]", in_address(host)}
        return Gate(frozenset(f"{name}:{port}" for name in names))
    wildcard = host in ("0.0.0.0", "::")
    return Gate(
        frozenset() if wildcard else frozenset({f"{in_address(host).lower()}:{port}"}), secrets.token_urlsafe(24)
    )
