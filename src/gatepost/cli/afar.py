"""A gate elsewhere, as `gatepost --remote URL` reaches it: by its API, with a token from a file."""

from __future__ import annotations

import json
import os
import ssl
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

import click

from gatepost.cli.terminal import harmless

TIMEOUT_S = 60.0
MOST_OCTETS = 64 << 20
A_PAGE = 500


@dataclass(frozen=True, slots=True)
class Remote:
    """A gate elsewhere."""

    url: str
    token: str
    opener: OpenerDirector

    def get(self, path: str, **asked: object) -> dict[str, Any]:
        """What it says. Raises ClickException."""
        given = {name: str(value) for name, value in asked.items() if value not in (None, "")}
        return self._call(Request(f"{self.url}/api{path}" + (f"?{urlencode(given)}" if given else "")))  # noqa: S310

    def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Have something done."""
        return self._call(
            Request(  # noqa: S310 - https, or http on loopback: see `open_remote`
                f"{self.url}/api{path}", data=json.dumps(body).encode(), method="POST",
                headers={"Content-Type": "application/json"},
            )
        )  # fmt: skip

    def pages(
        self, path: str, key: str, limit: int, cursor: str = "after", **asked: object
    ) -> Iterator[dict[str, Any]]:
        """Rows, page after page, at most `limit`."""
        after: object = ""
        while limit > 0:
            page = self.get(path, **asked, **{cursor: after, "limit": min(limit, A_PAGE)})
            yield from page[key]
            limit -= len(page[key])
            after = page["next"]
            if after in (None, ""):
                return

    def _call(self, request: Request) -> dict[str, Any]:
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Accept", "application/json")
        try:
            with self.opener.open(request, timeout=TIMEOUT_S) as answer:
                read = json.loads(answer.read(MOST_OCTETS))
        except HTTPError as fault:
            raise click.ClickException(harmless(f"{self.url}: {told(fault)}")) from None
        except (URLError, HTTPException, OSError) as fault:
            why = getattr(fault, "reason", fault)
            raise click.ClickException(harmless(f"{self.url} cannot be reached: {why}")) from None
        except ValueError:
            raise click.ClickException(f"{self.url} is no gate's console: its answer is no JSON.") from None
        if not isinstance(read, dict):
            raise click.ClickException(f"{self.url} is no gate's console: its answer is none of ours.")
        return read


class NoRedirect(HTTPRedirectHandler):
    """A token goes to the host it was meant for and to no other."""

    def redirect_request(self, *_: object) -> None:
        """Never."""
        return


def told(fault: HTTPError) -> str:
    """A problem (RFC 9457) in words."""
    try:
        problem = json.loads(fault.read(100_000))
        title, detail = str(problem["title"]), str(problem.get("detail") or "")
    except (ValueError, KeyError, TypeError, OSError):
        return f"it answers {fault.code}: is that the console's URL?"
    return f"{title}. {detail}".strip() if detail else f"{title}."


def open_remote(url: str, token_file: str | None) -> Remote:
    """Raises ClickException or UsageError with what to do."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise click.UsageError(f"--remote {url} is no URL such as https://console.example.net.")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise click.UsageError("--remote: a token goes over https only, but on this machine itself.")
    if not token_file:
        raise click.UsageError(
            "--token-file FILE (or GATEPOST_TOKEN_FILE) names the file with the token; it is made in the console."
        )
    opener = build_opener(NoRedirect, HTTPSHandler(context=ssl.create_default_context()))
    return Remote(f"{parts.scheme}://{parts.netloc}", token_in(Path(token_file)), opener)


def token_in(path: Path) -> str:
    """The token; a file that others may read is refused."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise click.ClickException(f"{path} can be read by others: chmod 600 {path}")
            text = file.read(1000).decode("ascii", "replace").strip()
    except OSError as fault:
        raise click.ClickException(f"{path} cannot be read: {fault.strerror}") from None
    if not text.startswith("gatepost_") or any(one.isspace() for one in text):
        raise click.ClickException(f"{path} holds no token of a gate.")
    return text


def is_loopback(host: str) -> bool:
    """Does it stay on this machine?"""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
