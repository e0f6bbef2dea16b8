"""Two signatures on one message, as other people's verifiers see them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from conftest import real_program
from drive import drive
from gatepost.dns.zone import Zone
from gatepost.mail.authresults import ArcResult
from gatepost.mail.message import Message
from gatepost.mailauth.arc_seal import seal
from gatepost.mailauth.dkim import verify_signatures
from gatepost.mailauth.dkim_sign import SigningKey, sign_with_all
from gatepost.mailauth.keyrecord import key_record
from gatepost.net.zoneserver import ZoneServer
from rspamd import rspamd

NOW = 1_700_000_000.0
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED25519 = Ed25519PrivateKey.generate()
KEYS = (SigningKey("example.org", "r", RSA), SigningKey("example.org", "e", ED25519))
RECORDS = {
    "r._domainkey.example.org": key_record(RSA.public_key()),
    "e._domainkey.example.org": key_record(ED25519.public_key()),
}
ZONE = Zone()
for _name, _text in RECORDS.items():
    ZONE.add(_name, "TXT", _text)

MAILS = {
    "plain": b"From: Ana <ana@example.org>\r\nTo: ben@example.net\r\nSubject: Minutes\r\n\r\nIt was  decided.\r\n",
    "folded": b"From: Ana\r\n <ana@example.org>\r\nTo: a@example.net,\r\n\tb@example.net\r\nSubject:  a \t b \r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1@example.org>\r\n\r\n x  \t y \r\n\r\n\r\n",
    "no body": b"From: ana@example.org\r\nSubject: nothing\r\n\r\n",
    "utf-8": "From: Äna <äna@example.org>\r\nTo: ben@example.net\r\nSubject: Prüfung\r\n\r\nGrüße\r\n".encode(),
    "two to": b"From: ana@example.org\r\nTo: a@example.net\r\nTo: b@example.net\r\nSubject: x\r\n\r\n.\r\n",
}


def signed(octets: bytes, **options: float) -> bytes:
    return sign_with_all(Message.parse(octets), KEYS, now=options.pop("now", NOW), **options) + octets


@pytest.mark.parametrize("name", MAILS)
def test_both_signatures_pass(name: str) -> None:
    results, _ = drive(verify_signatures(Message.parse(signed(MAILS[name])), ZONE, NOW))
    assert [(one.result, one.algorithm, one.domain, one.covers_all) for one in results] == [
        ("pass", "rsa-sha256", "example.org", True),
        ("pass", "ed25519-sha256", "example.org", True),
    ]


def test_an_end_of_validity_is_kept() -> None:
    octets = signed(MAILS["plain"], expires_s=60)
    results, _ = drive(verify_signatures(Message.parse(octets), ZONE, NOW + 59))
    assert [one.result for one in results] == ["pass", "pass"]
    results, _ = drive(verify_signatures(Message.parse(octets), ZONE, NOW + 61))
    assert [one.result for one in results] == ["fail", "fail"]


def test_nothing_says_that_the_body_may_go_on() -> None:
    header = signed(MAILS["plain"]).partition(b"From: Ana")[0]
    assert b" l=" not in header.replace(b"\t", b" ")


@pytest.mark.parametrize(
    "name", [b"From", b"To", b"Cc", b"Subject", b"Date", b"Message-ID", b"Reply-To", b"Content-Type"]
)
def test_no_field_that_a_reader_sees_can_be_added(name: bytes) -> None:
    octets = name + b": mallory@example.com\r\n" + signed(MAILS["folded"])
    results, _ = drive(verify_signatures(Message.parse(octets), ZONE, NOW))
    assert all(one.result in ("fail", "permerror") for one in results)


def test_a_domain_in_another_script_is_signed_for_by_its_a_labels() -> None:
    octets = "From: <ana@bücher.example>\r\nSubject: x\r\n\r\n.\r\n".encode()
    key = SigningKey("xn--bcher-kva.example", "e", ED25519)
    zone = Zone()
    zone.add("e._domainkey.xn--bcher-kva.example", "TXT", key_record(ED25519.public_key()))
    field = sign_with_all(Message.parse(octets), [key], now=NOW)
    (result,), _ = drive(verify_signatures(Message.parse(field + octets), zone, NOW))
    assert (result.result, result.domain) == ("pass", "xn--bcher-kva.example")


@given(
    st.lists(st.sampled_from([b"To", b"Subject", b"X-Odd", b"Cc", b"Date"]), max_size=6),
    st.text("ab \t:;=<>@äé", max_size=60),
    st.lists(st.text("ab \t.é", max_size=30), max_size=6),
)
def test_whatever_is_signed_verifies(names: list[bytes], value: str, lines: list[str]) -> None:
    fields = b"".join(name + b": " + value.encode() + b"\r\n" for name in names)
    body = b"".join(line.encode() + b"\r\n" for line in lines)
    octets = b"From: ana@example.org\r\n" + fields + b"\r\n" + body
    field = sign_with_all(Message.parse(octets), KEYS[1:], now=NOW)
    (result,), _ = drive(verify_signatures(Message.parse(field + octets), ZONE, NOW))
    assert result.result == "pass", result


@pytest.mark.peers
@pytest.mark.parametrize("name", MAILS)
def test_dkimpy_agrees(name: str, tmp_path: Path) -> None:
    real_program("dkimverify", "python3-dkim")  # its library is asked, which has both signatures
    script = (
        "import json,sys,dkim\n"
        "records=json.load(open(sys.argv[1])); octets=open(sys.argv[2],'rb').read()\n"
        "txt=lambda name,timeout=5: records[(name.decode() if isinstance(name,bytes) else name).rstrip('.')].encode()\n"
        "d=dkim.DKIM(octets)\n"
        "print([d.verify(idx=i,dnsfunc=txt) for i in range(2)])\n"
    )
    (tmp_path / "records.json").write_text(json.dumps(RECORDS))
    (tmp_path / "mail").write_bytes(signed(MAILS[name]))
    done = subprocess.run(
        ["/usr/bin/python3", "-c", script, tmp_path / "records.json", tmp_path / "mail"],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.stdout.strip() == "[True, True]", done.stderr


@pytest.mark.peers
def test_opendkim_agrees(tmp_path: Path) -> None:
    """It asks through its own libunbound, which is told to ask our zone; Ed25519 included."""
    program = real_program("opendkim")
    for name, octets in MAILS.items():
        for key in KEYS:  # it tells of the first good signature alone
            mail = sign_with_all(Message.parse(octets), [key], now=time.time()) + octets
            (tmp_path / f"{name}.{key.selector}").write_bytes(mail.replace(b"\r\n", b"\n"))

    async def ask() -> dict[str, subprocess.CompletedProcess[str]]:
        async with ZoneServer(ZONE) as server:
            forward = f"forward-zone:\n  name: .\n  forward-addr: {server.address.replace(':', '@')}\n"
            options = "do-not-query-localhost: no\n  module-config: iterator\n"
            (tmp_path / "unbound.conf").write_text(f"server:\n  {options}{forward}")
            config = tmp_path / "opendkim.conf"
            config.write_text(
                f"Mode v\nResolverConfiguration {tmp_path / 'unbound.conf'}\nOn-Default accept\n"
            )
            done = {}
            for name in [f"{name}.{key.selector}" for name in MAILS for key in KEYS]:
                command = [program, "-x", str(config), "-t", str(tmp_path / name), "-v"]
                done[name] = await asyncio.to_thread(
                    subprocess.run, command, capture_output=True, text=True, timeout=60
                )
            return done

    for name, done in asyncio.run(ask()).items():
        told = done.stdout + done.stderr
        assert done.returncode == 0, (name, told)
        assert f"s={name[-1]}, d=example.org" in told, (name, told)
        assert "succeeded" in told, (name, told)
        assert "failed" not in told, (name, told)


@pytest.mark.peers
def test_rspamd_agrees(tmp_path: Path) -> None:
    """On both algorithms at once, and on our seals."""
    real_program("rspamd")
    both = ["example.org:s=r", "example.org:s=e"]
    sealed = seal(
        Message.parse(MAILS["folded"]), chain=ArcResult(), results="mx.example.org; spf=pass", domain="example.org",
        selector="r", key=RSA, now=time.time(),
    )  # fmt: skip

    async def ask() -> dict[str, dict[str, list[str]]]:
        async with ZoneServer(ZONE) as server, rspamd(tmp_path, server.address) as peer:
            told = {name: await peer.symbols(signed(MAILS[name], now=time.time())) for name in MAILS}
            told["altered"] = await peer.symbols(signed(MAILS["plain"], now=time.time()) + b"more\r\n")
            told["sealed"] = await peer.symbols(sealed + MAILS["folded"])
            told["seal broken"] = await peer.symbols(sealed + MAILS["folded"] + b"more\r\n")
            return told

    told = asyncio.run(ask())
    for name in MAILS.keys() - {"two to"}:
        assert sorted(told[name].get("R_DKIM_ALLOW", [])) == sorted(both), (name, told[name])
    # It lets no signature pass where a field stands twice that may stand once (RFC 5322 §3.6), whoever signed.
    for name in ("two to", "altered"):
        assert sorted(told[name].get("R_DKIM_REJECT", [])) == sorted(both), (name, told[name])
    assert "ARC_ALLOW" in told["sealed"], told["sealed"]
    assert not {"ARC_REJECT", "ARC_INVALID"}.isdisjoint(told["seal broken"]), told["seal broken"]
