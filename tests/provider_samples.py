"""An identity provider for tests: a real HTTPS server on loopback with discovery, keys, codes, user info and introspection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

import trustme
from joserfc import jwk, jwt

CLIENT, SECRET = "gatepost", "a secret: with odd/characters"


@dataclass
class TestProvider:
    """What it says can be changed by each test: `claims`, `metadata`, `answers`."""

    __test__ = False
    folder: Path
    now: Callable[[], float]
    port: int = 0
    claims: dict[str, Any] = field(default_factory=dict)
    """Of the ID token, over what is usual."""
    header: dict[str, str] = field(default_factory=dict)
    """Of the ID token, over what is usual."""
    userinfo: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    active: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What introspection says of tokens."""
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """Instead of the usual, by path."""
    asked: list[str] = field(default_factory=list)
    key: jwk.ECKey = field(default_factory=lambda: jwk.ECKey.generate_key("P-256", {"kid": "one"}))
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.published: list[Any] = [self.key]

    @property
    def issuer(self) -> str:
        return f"https://localhost:{self.port}/staff"

    def signed(self, claims: dict[str, Any], **header: str) -> str:
        """A token with these claims."""
        return jwt.encode(
            {"alg": "ES256", "kid": str(self.key.kid)} | header, claims, self.key, algorithms=["ES256"]
        )

    def usual(self, **more: Any) -> dict[str, Any]:
        """Claims of a token that is good."""
        now = int(self.now())
        return {"iss": self.issuer, "sub": "u-17", "iat": now, "exp": now + 300} | more

    def authorize(self, url: str) -> dict[str, str]:
        """As a browser: the person agrees, and comes back with these words in the address."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert url.startswith(f"{self.issuer}/authorize?")
        assert (asked["client_id"], asked["response_type"], asked["code_challenge_method"]) == (
            CLIENT,
            "code",
            "S256",
        )
        code = f"code {len(self._codes)}"
        self._codes[code] = asked
        return {"code": code, "state": asked["state"], "iss": self.issuer}

    @contextlib.asynccontextmanager
    async def up(self) -> AsyncIterator[TestProvider]:
        ca = trustme.CA()
        ca.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("localhost").configure_cert(context)
        (self.folder / "secret").write_text(SECRET + "\n")
        server = await asyncio.start_server(self._came, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")
            fields = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines)
                if name
            }
            form = (await reader.readexactly(int(fields.get("content-length", 0)))).decode()
            status, body = self._answer(first.split()[1].removeprefix("/staff"), fields, form)
            writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def _answer(self, path: str, fields: dict[str, str], form: str) -> tuple[int, bytes]:
        self.asked.append(path)
        if path in self.answers:
            return self.answers[path]
        said = {name: values[0] for name, values in parse_qs(form).items()}
        match path:
            case "/.well-known/openid-configuration":
                told: dict[str, Any] = {
                    "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
                    "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
                    "userinfo_endpoint": f"{self.issuer}/me", "introspection_endpoint": f"{self.issuer}/introspect",
                } | self.metadata  # fmt: skip
            case "/keys":
                told = {
                    "keys": [one.as_dict(private=False) for one in self.published]
                    + [{"kty": "AKP"}, {"kty": "EC"}, 7]
                }
            case _ if path.startswith("/authorize?"):  # a page where the person agrees
                asked = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
                back = f"{asked['redirect_uri']}?{urlencode(self.authorize(self.issuer + path))}"
                return (
                    200,
                    f"<!doctype html><html><title>x</title><a id=agree href='{escape(back)}'>agree</a></html>".encode(),
                )
            case "/me":
                assert fields["authorization"] == "Bearer access"
                told = self.userinfo
            case "/token":
                told = self._tokens(fields, said)
            case "/introspect":
                self._insist_on_client(fields, said)
                told = self.active.get(said["token"], {"active": False})
            case _:
                return 404, b"{}"
        return 400 if "error" in told else 200, json.dumps(told).encode()

    def _tokens(self, fields: dict[str, str], said: dict[str, str]) -> dict[str, Any]:
        self._insist_on_client(fields, said)
        asked = self._codes.pop(said["code"], None)
        if (
            asked is None
            or asked["redirect_uri"] != said["redirect_uri"]
            or said["grant_type"] != "authorization_code"
        ):
            return {"error": "invalid_grant"}
        proof = urlsafe_b64encode(sha256(said["code_verifier"].encode()).digest()).decode().rstrip("=")
        if proof != asked["code_challenge"]:
            return {"error": "invalid_grant"}
        claims = self.usual(aud=CLIENT, nonce=asked["nonce"], email="ana@example.net", email_verified=True)
        return {
            "access_token": "access",
            "token_type": "Bearer",
            "id_token": self.signed(claims | self.claims, **self.header),
        }

    def _insist_on_client(self, fields: dict[str, str], said: dict[str, str]) -> None:
        if "authorization" in fields:
            name, _, secret = (
                b64decode(fields["authorization"].removeprefix("Basic ")).decode().partition(":")
            )
            assert (unquote_plus(name), unquote_plus(secret)) == (CLIENT, SECRET)
        else:
            assert (said["client_id"], said["client_secret"]) == (CLIENT, SECRET)


@contextlib.contextmanager
def provider(folder: Path) -> Iterator[TestProvider]:
    """One in a thread of its own, beside blocking tests."""
    other, up, loop = TestProvider(folder, time.time), threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        async with other.up():
            up.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert up.wait(20)
    try:
        yield other
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()
