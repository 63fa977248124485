"""Checks the address of an endpoint: its URL, and whether an API answers there. Pure."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeGuard
from urllib.parse import urlsplit

from massgen_compat.cli.doctor.findings import Finding, note, ok, problem, shown, warning
from massgen_compat.cli.doctor.observed import Reply, Seen, Trouble, Unreachable
from massgen_compat.errors import ConfigError

_ENDPOINTS: Final = ("/chat/completions", "/completions", "/responses", "/models")

_ADVICE: Final[Mapping[Trouble, str]] = {
    "refused": "Start the server, or mend the port; in a container 127.0.0.1 is the container.",
    "dns": "Mend the host's name; a tunnel's name changes when the tunnel is started anew.",
    "tls": "Mend the certificate, or the scheme: http:// for a server without TLS.",
    "timeout": "Look for a firewall, a stopped tunnel, or a server that hangs.",
    "closed": "Look into the server's log: it took the connection and dropped it.",
    "not_http": "Mend the port or the scheme: https:// for a server with TLS.",
}


@dataclass(frozen=True, slots=True)
class Address:
    """A base URL without a trailing slash, and the findings about the URL as it was given."""

    base: str
    findings: tuple[Finding, ...] = ()

    @property
    def host(self) -> str:
        """The host's name or number."""
        return urlsplit(self.base).hostname or ""

    @property
    def other(self) -> str:
        """The same URL with ``/v1`` if it has none, and without ``/v1`` if it has."""
        return self.base.removesuffix("/v1") if self.has_version else f"{self.base}/v1"

    @property
    def has_version(self) -> bool:
        """Whether the URL ends in ``/v1``."""
        return self.base.endswith("/v1")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def is_private(self) -> bool:
        """Whether only a private network can reach it, judging by the host's name or number."""
        try:
            return ipaddress.ip_address(self.host).is_private
        except ValueError:
            return self.is_local or self.host.endswith((".local", ".internal", ".lan"))


def read_url(url: str) -> Address:
    """The address that a URL stands for. Raises ``ConfigError`` for what cannot be one."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ConfigError("the URL is malformed: its host or port") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError("the URL must look like http://127.0.0.1:4000/v1")
    if parts.username is not None or parts.password is not None:
        raise ConfigError("the URL must not hold a name or a password; give the key with --key")
    findings: list[Finding] = []
    path = parts.path
    if parts.query or parts.fragment:
        findings.append(
            warning("url", "It has a query or a fragment.", "Leave out `?...` and `#...`.")
        )
    if path.endswith("/"):
        path = path.rstrip("/")
        findings.append(
            note("url", "It ends in a slash; some clients double it.", "Leave out the slash.")
        )
    for endpoint in _ENDPOINTS:
        if path.endswith(endpoint):
            path = path.removesuffix(endpoint)
            findings.append(
                problem(
                    "url",
                    f"It is the URL of an endpoint; clients append {endpoint} themselves.",
                    f"Give clients the part before {endpoint}.",
                )
            )
            break
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    where = host if port is None else f"{host}:{port}"
    address = Address(f"{parts.scheme}://{where}{path}", tuple(findings))
    if address.is_local:
        findings.append(
            note(
                "url",
                f"{address.host} is this machine only. Cursor's requests come from its servers.",
                "For Cursor put a public HTTPS tunnel before it and check the tunnel's URL, too.",
            )
        )
    elif parts.scheme == "http" and not address.is_private:
        findings.append(
            warning("url", "Keys and chats travel unencrypted.", "Use https:// beyond a machine.")
        )
    return Address(address.base, tuple(findings))


def check_reach(seen: Seen) -> Finding:
    """Check whether an API answers; ``seen`` is the reply to ``GET /models``."""
    if isinstance(seen, Unreachable):
        said = f"No answer ({_words(seen.trouble)}): {shown(seen.detail)}."
        return problem("reachable", said.replace("..", "."), _ADVICE[seen.trouble])
    took = f"{seen.status} after {seen.seconds:.2f} s"
    if 300 <= seen.status < 400:
        where = shown(seen.headers.get("location", "nowhere"))
        return problem(
            "reachable",
            f"It redirects ({seen.status}) to {where}; clients do not follow, or lose the key.",
            "Give clients the final URL; if that is a login page, let the API past it.",
        )
    if seen.status in {502, 503, 504} and seen.json is None:
        return problem(
            "reachable",
            f"A proxy answers {took}: the server behind it does not.",
            "Start the server, and mend the address that the proxy forwards to.",
        )
    if seen.is_html:
        title = re.search(r"<title[^>]*>(.*?)</title>", seen.text, re.IGNORECASE | re.DOTALL)
        called = f" called {shown(title[1], 60)!r}" if title else ""
        return problem(
            "reachable",
            f"A web page{called} instead of JSON ({took}).",
            "Mend the URL (it usually ends in /v1), or let the API past the login page.",
        )
    if seen.broken is not None:
        return problem(
            "reachable", f"The reply breaks off: {shown(seen.broken)}.", _ADVICE["closed"]
        )
    return ok("reachable", f"It answers ({took}).")


def _words(trouble: Trouble) -> str:
    return {"dns": "unknown host", "tls": "TLS", "not_http": "not HTTP"}.get(trouble, trouble)


def _is_api(seen: Seen) -> TypeGuard[Reply]:
    """Whether the reply is a list of models, or a refusal that is no web page."""
    if not isinstance(seen, Reply):
        return False
    if seen.status in {401, 403}:
        return not seen.is_html
    return seen.json is not None and isinstance(seen.json.get("data"), list)


@dataclass(frozen=True, slots=True)
class Base:
    """The base URL that clients need. ``reply`` is its list of models; ``None`` without an API."""

    finding: Finding
    url: str
    reply: Reply | None


def check_base(address: Address, here: Seen, there: Seen) -> Base:
    """Find the base URL that clients need.

    ``here`` is the reply to ``GET /models`` at the URL as given, and ``there`` the reply at its
    other form (``Address.other``).
    """
    if _is_api(here):
        form = "without /v1" if address.has_version else "with /v1"
        also = f", and {form}, too" if _is_api(there) else ""
        who = "Something that asks for a key" if here.status in {401, 403} else "The API"
        return Base(ok("url", f"{who} is at {address.base}{also}."), address.base, here)
    if _is_api(there):
        found = problem(
            "url",
            f"The API is not at {address.base} but at {address.other}.",
            f"Give clients the base URL {address.other}",
        )
        return Base(found, address.other, there)
    missing = problem(
        "url",
        f"Neither {address.base} nor {address.other} lists models.",
        "Mend the URL: an OpenAI-compatible server answers GET /models with JSON.",
    )
    return Base(missing, address.base, None)
