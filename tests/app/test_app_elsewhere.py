"""What `gatepost doctor` says of the identity provider and the directory."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from gatepost.app.elsewhere import elsewhere
from gatepost.config.schema import load
from gatepost.dns.zone import Zone
from provider_samples import TestProvider
from slapd import BASE, READER, person, slapd

CONFIG = """
hostname = "mx.example.net"
[[listeners]]
address = "127.0.0.1:0"
[[domains]]
name = "example.net"
recipients = "*"
deliver = "maildir:mail"
"""
PROVIDER = """
[identity_provider]
issuer = "{issuer}"
client_id = "gatepost"
client_secret_file = "{secret}"
trust_anchors = "ca.pem"
private_network = true
mail_audience = "mail"
mail_introspect = true
"""
SOURCE = f"""
[people_source]
servers = ["{{ldap}}"]
bind_dn = "{READER}"
password_file = "password"
base = "ou=people,{BASE}"
trust_anchors = "ca.pem"
filter = "(uid={{uid}})"
"""


async def said(folder: Path, tables: str) -> list[str]:
    path = folder / "gatepost.toml"
    path.write_text(CONFIG + tables)
    return [f"{one.key}: {one.text}" async for one in elsewhere(load(path), Zone.parse(""))]


def test_the_identity_provider_is_asked(tmp_path: Path) -> None:
    async def go() -> None:
        async with TestProvider(tmp_path, time.time).up() as other:
            good = PROVIDER.format(issuer=other.issuer, secret="secret")
            assert await said(tmp_path, good) == []
            other.metadata["introspection_endpoint"] = ""
            assert "offers no introspection" in (await said(tmp_path, good))[0]
            other.answers["/keys"] = (200, b'{"keys": []}')
            assert "publishes no key" in (await said(tmp_path, good))[0]
            (problem,) = await said(tmp_path, PROVIDER.format(issuer=other.issuer, secret="none"))
            assert problem.startswith(
                "identity-provider: Nobody can sign in by the identity provider: none cannot be read"
            )
            assert await said(tmp_path, PROVIDER.format(issuer=other.issuer, secret="%d/secret")) == []
        assert await said(tmp_path, "") == []

    asyncio.run(go())


@pytest.mark.peers
def test_the_directory_is_asked(tmp_path: Path) -> None:
    def go(tables: str) -> list[str]:
        return asyncio.run(said(tmp_path, tables))

    with slapd(tmp_path, person("ana")) as server:
        assert go(SOURCE.format(ldap=server.tls, uid="ana")) == []
        assert "shows nobody below" in go(SOURCE.format(ldap=server.tls, uid="nobody"))[0]
    (problem,) = go(SOURCE.format(ldap=server.tls, uid="ana"))
    assert problem.startswith(
        "people-source: Accounts do not follow the directory: no directory can be reached"
    )
