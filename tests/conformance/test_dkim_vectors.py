"""Other people's signed mail: each verifies, or does not, as its authors and today's rules say."""

from __future__ import annotations

import csv
import json

import pytest

from conftest import outside_data
from drive import drive
from gatepost.dns.zone import Zone
from gatepost.mail.authresults import DkimResult
from gatepost.mail.message import Message, to_crlf
from gatepost.mailauth.arc import validate_chain
from gatepost.mailauth.dkim import verify_signatures

VECTORS = outside_data("dkim-vectors")
CORPUS = outside_data("dkim-mail-dkim")
NOW = 1_700_000_000.0


def verify(octets: bytes, zone: Zone, now: float = NOW) -> tuple[DkimResult, ...]:
    return drive(verify_signatures(Message.parse(octets), zone, now))[0]


def results(octets: bytes, zone: Zone, now: float = NOW) -> list[str]:
    return [each.result for each in verify(octets, zone, now)]


def mail_auth(name: str) -> tuple[bytes, Zone]:
    records, _, message = (VECTORS / "mail-auth" / name).read_bytes().partition(b"\n\n")
    zone = Zone()
    for line in records.decode().splitlines():
        owner, _, text = line.partition(" ")
        zone.add(owner, "TXT", text)
    return to_crlf(message), zone


def chasquid(name: str) -> tuple[bytes, Zone]:
    zone = Zone()
    path = VECTORS / "chasquid" / f"{name}.dns"
    for line in path.read_text().replace("\\\n", "").splitlines() if path.exists() else []:
        owner, _, text = line.partition(":")
        if text.strip() == "TEMPERROR":
            zone.trouble(owner.strip(), "TXT", "servfail")
        elif text.strip() and text.strip() != "PERMERROR":
            zone.add(owner.strip(), "TXT", text.strip())
    return to_crlf((VECTORS / "chasquid" / f"{name}.msg").read_bytes()), zone


def blaze() -> Zone:
    zone = Zone()
    for path in (VECTORS / "blaze" / "cache").glob("*.dns"):
        for line in path.read_text().splitlines():
            if line.startswith("txt:"):
                zone.add(path.name.removesuffix(".dns"), "TXT", line.removeprefix("txt:"))
    return zone


@pytest.mark.parametrize(("name", "signatures"), [("001.txt", 2), ("003.txt", 2)])
def test_mail_auth(name: str, signatures: int) -> None:
    assert results(*mail_auth(name)) == ["pass"] * signatures


def test_mail_auth_expiry() -> None:
    octets, zone = mail_auth("005.txt")
    assert set(results(octets, zone, now=1_667_843_664)) == {"pass"}
    assert set(results(octets, zone, now=1_667_930_065)) == {"fail"}


def test_mail_auth_arc() -> None:
    octets, zone = mail_auth("arc-001.txt")
    assert drive(validate_chain(Message.parse(octets), zone, NOW)).result == "pass"


@pytest.mark.parametrize(
    "name",
    [
        "01-rfc8463",
        "02-too_many_headers",
        "04-bad_dkim_signature_header",
        "05-dns_temp_error",
        "06-dns_perm_error",
    ],
)
def test_chasquid(name: str) -> None:
    octets, zone = chasquid(name)
    expected = json.loads((VECTORS / "chasquid" / f"{name}.result").read_text())["Results"]
    words = {"SUCCESS": {"pass"}, "TEMPFAIL": {"temperror"}, "PERMFAIL": {"permerror", "neutral", "fail"}}
    found = results(octets, zone)
    assert len(found) >= len(expected)
    for result, each in zip(found, expected, strict=False):
        assert result in words[each["State"]]


def test_chasquid_not_a_message() -> None:
    assert results(*chasquid("03-bad_message")) == []


def test_blaze() -> None:
    zone = blaze()
    found = {
        path.name: verify(to_crlf(path.read_bytes()), zone) for path in (VECTORS / "blaze").glob("*.mail")
    }
    shown = {name: [(each.result, each.domain) for each in each_found] for name, each_found in found.items()}
    assert shown == {
        "001.mail": [("policy", "github.com"), ("policy", "sendgrid.info")],
        "002.mail": [("pass", "github.com")],
        "005.mail": [],
        "007.mail": [("pass", "football.example.com")],
    }
    assert all("SHA-1" in (each.reason or "") for each in found["001.mail"])


@pytest.mark.parametrize(
    ("name", "result", "sealers"),
    [
        ("001", "none", ()),
        ("002", "pass", ("google.com",)),
        ("005", "pass", ("webhostingserver.nl", "webhostingserver.nl", "subspace.kernel.org")),
    ],
)
def test_blaze_arc(name: str, result: str, sealers: tuple[str, ...]) -> None:
    octets = to_crlf((VECTORS / "blaze" / f"{name}.mail").read_bytes())
    chain = drive(validate_chain(Message.parse(octets), blaze(), NOW))
    assert (chain.result, chain.sealers) == (result, sealers)


def corpus_zone() -> Zone:
    zone = Zone()
    for line in (CORPUS / "FAKE_DNS.dat").read_text("latin-1").splitlines():
        if not line or line.startswith("#"):
            continue
        owner, text = line.split(None, 1)
        if text.startswith("~~"):
            zone.trouble(owner, "TXT", "timeout")
        elif text.strip() != "NXDOMAIN":
            zone.add(owner, "TXT", text)
    return zone


def corpus_rows() -> list[dict[str, str]]:
    with (CORPUS / "expected.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.parametrize("row", corpus_rows(), ids=lambda row: row["file"])
def test_mail_dkim(row: dict[str, str]) -> None:
    octets = (CORPUS / "corpus" / row["file"]).read_bytes()
    found = results(octets, corpus_zone())
    assert ("pass" in found) == (row["strict_result_rfc6376_8301"] == "pass")
    if "DomainKeys" in row["signatures"]:
        assert found == []
    if "key=dns:" in row["signatures"]:
        assert found == ["temperror"]


@pytest.mark.parametrize(("name", "signatures"), [("rfc6376.signed", 2), ("rfc6376.signed.rsa", 1)])
def test_dkimpy(name: str, signatures: int) -> None:
    octets = to_crlf((VECTORS / "dkimpy-rfc" / f"{name}.msg").read_bytes())
    zone = mail_auth("001.txt")[1]  # the keys of RFC 8463 appendix A
    assert results(octets, zone) == ["pass"] * signatures
    assert set(results(octets.replace(b"hungry", b"angry"), zone)) == {"fail"}
    assert set(results(octets.replace(b"dinner", b"lunch"), zone)) == {"fail"}
