"""Where requests go and the key that opens it: what may be printed, and what never is."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from thoughtgraph.errors import Unauthorized

_SECRET_LIKE = re.compile(r"key|token|secret|sig|password", re.IGNORECASE)
SHORT = 6
"""A key of fewer characters is a word that any server takes, and may stand anywhere."""

_KEY_LIKE = re.compile(r"\b(sk-|Bearer |Basic )[\w.~+/=*-]{6,}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model on one server. The base URL may carry `user:password`; nothing that this class prints does.

    The key is in the environment variable `key_env`, or in the file that `{key_env}_FILE` names.
    """

    model: str
    base_url: str = field(repr=False)
    key_env: str = "OPENAI_API_KEY"
    _secrets: set[str] = field(default_factory=set[str], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            sound = self._parts.scheme in ("http", "https") and self._parts.hostname and self._parts.port != 0
        except ValueError:  # brackets that do not close, a port that is none
            sound = False
        if not sound:
            shown = re.sub(r".*@", "***@", self.base_url, flags=re.DOTALL).split("?")[0]
            raise ValueError(f"base_url is {shown!r}: expected something like http://localhost:8000/v1")
        self._hide(self._parts)

    def __str__(self) -> str:
        return f"{self.model} at {self.shown}"

    @property
    def shown(self) -> str:
        """The base URL without user, password and query: safe to print."""
        return _bare(self._parts)._replace(query="", fragment="").geturl()

    @property
    def bare(self) -> str:
        """The base URL without user and password."""
        return _bare(self._parts).geturl()

    @property
    def host(self) -> str:
        """The server's name."""
        return self._parts.hostname or ""

    @property
    def chat(self) -> str:
        """The URL that chat requests are sent to, without user and password."""
        return self.below("/chat/completions").at("/chat/completions")

    def below(self, last: str) -> Endpoint:
        """The same without `last` at the end of the base URL's path, as people copy it from somewhere."""
        path = self._parts.path.rstrip("/").removesuffix(last)
        return replace(self, base_url=self._parts._replace(path=path).geturl())

    def at(self, path: str) -> str:
        """The URL of `path` below the base URL, without user and password; what it asks behind a "?" stays."""
        whole = self._parts.path.rstrip("/") + path
        return _bare(self._parts)._replace(path=whole, fragment="").geturl()

    def shown_at(self, path: str) -> str:
        """The same without its query: safe to print."""
        return urlsplit(self.at(path))._replace(query="").geturl()

    @property
    def proxy(self) -> str | None:
        """The environment's proxy for this server, perhaps with a password; None for this machine's own servers."""
        parts = self._parts
        if self.loopback or proxy_bypass(parts.netloc.rpartition("@")[2]):
            return None
        proxy = getproxies().get(parts.scheme)
        if proxy is None:
            return None
        proxy = proxy if "://" in proxy else f"http://{proxy}"
        self._hide(urlsplit(proxy))
        return proxy

    @property
    def shown_proxy(self) -> str | None:
        """The proxy without user and password: safe to print."""
        return _bare(urlsplit(proxy)).geturl() if (proxy := self.proxy) else None

    @property
    def key(self) -> str | None:
        """The key, read now; None if there is none. It is remembered as something never to print."""
        variable = f"{self.key_env}_FILE"
        path = os.environ.get(variable, "").strip()
        if key := os.environ.get(self.key_env, "").strip() or (_read(path, variable) if path else ""):
            self._secrets.update(word for word in (key, *key.split()) if len(word) >= SHORT)
            if not (key.isascii() and key.isprintable()):  # a transport's own error would quote it
                named = self.key_env if os.environ.get(self.key_env, "").strip() else variable
                raise Unauthorized(f"the key in {named} is not plain text on one line: set it to the key alone")
        return key or None

    def authorization(self) -> str | None:
        """The header: user and password of the URL, else the key; None for an http server that wants neither.

        Without a key nothing is sent to an https server: the prompt would leave the machine for a sure refusal.
        """
        if self._parts.username is not None:
            pair = f"{unquote(self._parts.username)}:{unquote(self._parts.password or '')}"
            told = b64encode(pair.encode()).decode()
            self._secrets.add(told)
            return f"Basic {told}"
        if key := self.key:
            return f"Bearer {key}"
        if self._parts.scheme == "https" and not self.loopback:
            raise self.keyless()
        return None

    def keyless(self) -> Unauthorized:
        """The error for a key that is missing."""
        return Unauthorized(
            f"no key for {self}: set {self.key_env} to the key, or {self.key_env}_FILE to a file that holds it "
            "(a server that wants no key takes any text)"
        )

    @property
    def loopback(self) -> bool:
        """Whether the server is this machine."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:  # a name; 127.example.com is one too
            return False

    def scrub(self, text: str, limit: int = 300) -> str:
        """Text from outside made fit to print: no credentials, one line, printable, at most `limit` characters."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        text = _KEY_LIKE.sub(r"\1***", text)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= limit else text[:limit] + "..."

    def masked(self, raw: bytes) -> bytes:
        """A reply without the credentials, whatever becomes of it: a server may say again what it was told."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            raw = raw.replace(secret.encode(), b"***")
        return raw

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.base_url)

    def _hide(self, parts: SplitResult) -> None:
        """Remember the secrets of a URL: its password, and what its query calls a key."""
        asked = parse_qsl(parts.query)
        secrets = [value for name, value in asked if _SECRET_LIKE.search(name) and len(value) >= 8]
        if parts.password:
            secrets += [parts.password, unquote(parts.password)]
        self._secrets.update(secrets)


def _bare(parts: SplitResult) -> SplitResult:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2])


def _read(path: str, variable: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = f"{variable} names {path}, which cannot be read ({error}): expected a file that holds the key"
        raise Unauthorized(why) from error
