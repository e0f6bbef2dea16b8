"""`gatepost key`, `gatepost cert` and `gatepost dns` beside an installation: what a postmaster reads and copies."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from click.testing import CliRunner, Result

from gatepost.cli.root import gatepost
from gatepost.dns.zone import Zone
from gatepost.net.zoneserver import ZoneServer
from gatepost.store.store import Store

CONFIG = """
hostname = "mx.example.net"
state = "var"
[[listeners]]
address = "127.0.0.1:0"
role = "mx"
[tls]
certificate = "chain.pem"
key = "key.pem"
[dns]
servers = ["{dns}"]
[mta_sts]
address = "127.0.0.1:0"
[[domains]]
name = "example.net"
deliver = "maildir:mail"
"""
ZONE = """
example.net. MX 10 mx.example.net.
example.net. TXT "v=spf1 mx -all"
mx.example.net. A 192.0.2.1
1.2.0.192.in-addr.arpa. PTR mx.example.net.
_dmarc.example.net. TXT "v=DMARC1; p=none"
"""


class Installation:
    """One that never ran, with a DNS of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.zone = Zone.parse(ZONE)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.server = ZoneServer(self.zone)
        asyncio.run_coroutine_threadsafe(self.server.start(), self._loop).result(10)
        authority = trustme.CA()
        leaf = authority.issue_cert("mx.example.net")
        leaf.private_key_pem.write_to_path(folder / "key.pem")
        for number, blob in enumerate(leaf.cert_chain_pems):
            blob.write_to_path(folder / "chain.pem", append=number > 0)
        (folder / "gatepost.toml").write_text(CONFIG.format(dns=self.server.address))
        asyncio.run(Store.open(folder / "var").close())

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(
            gatepost, words, env={"GATEPOST_CONFIG": str(self.folder / "gatepost.toml")}
        )

    def rows(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run(*words, "--json").stdout.splitlines()]

    def publish(self, records: list[dict[str, Any]]) -> None:
        def work() -> None:
            for one in records:
                self.zone.add(one["name"], one["type"], one["value"])

        self._loop.call_soon_threadsafe(work)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop).result(10)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path)
    try:
        yield installation
    finally:
        installation.close()


def test_keys_from_the_first_record_to_the_last(here: Installation) -> None:
    assert "There are no keys" in here.run("key", "list").stderr
    made = here.run("key", "create", "example.net", "--why", "first keys")
    assert made.exit_code == 0, made.output
    assert made.stdout.count("IN TXT") == 2
    strings = [part for line in made.stdout.splitlines() for part in line.split('"')[1::2]]
    assert max(map(len, strings)) == 255, "an RSA key is split into strings of at most 255 octets"
    assert here.run("key", "check", "example.net").exit_code == 1
    assert [one["state"] for one in here.rows("key", "list")] == ["created", "created"]
    records = here.rows("key", "records", "example.net")
    assert all("".join(one["strings"]) == one["value"] for one in records)
    assert Zone.parse(made.stdout).find(records[0]["name"], "TXT").records == (records[0]["value"],)
    here.publish(records)
    checked = here.run("key", "check")
    assert checked.exit_code == 0, checked.output
    assert checked.stdout.count("is signing now") == 2
    assert [one["state"] for one in here.rows("key", "list", "example.net")] == ["signing", "signing"]
    selector = records[0]["selector"]
    refused = here.run("key", "retire", "example.net", selector)
    assert refused.exit_code == 2
    assert "gatepost key rotate example.net first" in refused.output
    assert here.run("key", "remove", "example.net", selector).exit_code == 1
    assert here.run("key", "rotate", "example.net").stdout.count("IN TXT") == 2
    assert here.run("key", "retire", "example.net", selector, "--force", "--why", "it leaked").exit_code == 0
    assert here.run("key", "remove", "example.net", selector).exit_code == 0
    assert selector not in {one["selector"] for one in here.rows("key", "list")}
    assert selector in {one["selector"] for one in here.rows("key", "list", "--all")}
    assert "first keys" in here.run("journal", "list").output


def test_what_is_asked_for_wrongly_is_told_with_the_nearest_right_name(here: Installation) -> None:
    assert "example.net" in here.run("key", "create", "exmaple.net").output
    assert (
        "There is no algorithm" in here.run("key", "create", "example.net", "--algorithm", "rsa-sha1").output
    )
    here.run("key", "create", "example.net")
    selector = here.rows("key", "list")[0]["selector"]
    assert selector in here.run("key", "retire", "example.net", selector[:-1]).output
    assert here.run("dns", "example.org").exit_code == 2


def test_dns_tells_what_is_there_and_what_is_not(here: Installation) -> None:
    found = here.run("dns", "example.net")
    assert found.exit_code == 1
    rows = {
        (one["name"], one["type" if "type" in one else "kind"]): one
        for one in here.rows("dns", "example.net")
    }
    states = {key: one["state"] for key, one in rows.items()}
    assert states["mx.example.net", "A"] == "ok"
    assert states["1.2.0.192.in-addr.arpa", "PTR"] == "ok"
    assert states["example.net", "MX"] == "ok"
    assert states["example.net", "TXT"] == "ok"
    assert states["mx.example.net", "TXT"] == "missing"
    assert states["_dmarc.example.net", "TXT"] == "ok"
    assert "p=none" in rows["_dmarc.example.net", "TXT"]["text"]
    assert states["mta-sts.example.net", "CNAME"] == "missing"
    assert states["_smtp._tls.example.net", "TXT"] == "optional"
    assert states["_25._tcp.mx.example.net", "TLSA"] == "optional"
    assert "gatepost key create example.net" in found.output


def test_what_dns_prints_for_the_zone_makes_everything_right(here: Installation) -> None:
    here.run("key", "create", "example.net")
    asyncio.run(policy_made(here))
    zone = here.run("dns", "example.net", "--zone")
    wanted = Zone.parse(zone.stdout)
    for name, kind in (
        ("mx.example.net", "TXT"), ("mta-sts.example.net", "CNAME"), ("_mta-sts.example.net", "TXT"),
        ("_smtp._tls.example.net", "TXT"), ("_25._tcp.mx.example.net", "TLSA"),
    ):  # fmt: skip
        answer = wanted.find(name, kind)
        assert answer.records, (name, zone.stdout)
        here.publish([{"name": name, "type": kind, "value": one} for one in answer.records])
    here.publish(here.rows("key", "records", "example.net"))
    after = here.run("dns", "example.net")
    assert after.exit_code == 0, after.output


async def policy_made(here: Installation) -> None:
    """As the running gate does in its first hour."""
    from gatepost.store import ownpolicies
    from gatepost.store.journal import Why

    store = Store.open(here.folder / "var")
    policy = ownpolicies.OwnPolicy(
        domain="example.net", mode="testing", policy_id="20261124", hosts=("mx.example.net",), since=0.0
    )
    await store.database.commit(lambda connection: ownpolicies.put(connection, policy, Why("x", "", 0.0)))
    await store.close()


def test_spf_that_keeps_us_out_and_another_mx_are_told(here: Installation) -> None:
    def work() -> None:
        fresh = Zone.parse(ZONE.replace("v=spf1 mx -all", "v=spf1 -all").replace("10 mx.", "10 elsewhere."))
        here.server.zone = fresh

    here._loop.call_soon_threadsafe(work)
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), here._loop).result(10)
    rows = {(one["name"], one["kind"]): one for one in here.rows("dns", "example.net")}
    assert rows["example.net", "TXT"]["state"] == "differs"
    assert "192.0.2.1 is fail" in rows["example.net", "TXT"]["text"]
    assert rows["example.net", "MX"]["state"] == "differs"
    assert "elsewhere.example.net takes its mail, and we do not" in rows["example.net", "MX"]["text"]


def test_certificates_are_told_with_their_tlsa(here: Installation, tmp_path: Path) -> None:
    told = here.run("cert", "status")
    assert told.exit_code == 0, told.output
    assert "mx.example.net" in told.stdout
    (record,) = here.rows("cert", "records")
    assert record["name"] == "_25._tcp.mx.example.net"
    assert record["value"].startswith("3 1 1 ")
    following = tmp_path / "next.pem"
    trustme.CA().issue_cert("mx.example.net").cert_chain_pems[0].write_to_path(following)
    assert len(here.rows("cert", "records", "--file", str(following))) == 2
    assert here.run("cert", "records", "--file", str(tmp_path / "gatepost.toml")).exit_code == 1
    assert "others renew" in here.run("cert", "renew").output
    assert "others renew" in here.run("cert", "account-key").output


def test_status_and_doctor_say_that_a_key_waits(here: Installation) -> None:
    here.run("key", "create", "example.net")
    told = here.run("status")
    assert "Nothing signs the mail of example.net" in told.output
    assert "gatepost key records example.net" in told.output
