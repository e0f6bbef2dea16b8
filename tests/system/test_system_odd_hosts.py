"""Domains that send mail into our own network: a whole gate writes to none of their hosts, and says so to who wrote."""

from __future__ import annotations

import smtplib
import socket
import ssl
from contextlib import ExitStack
from pathlib import Path

import pytest
from test_system_next_hops import scripted
from whole import mail, running, tls_for, until

from scripted_peer import Peer

INSIDE = "127.79.0.25"
ZONE = f"""
loop.example.       MX 10 localhost.
number.example.     MX 10 {INSIDE}.
mapped.example.     MX 10 mx.mapped.example.
mx.mapped.example.  AAAA  ::ffff:{INSIDE}
zero.example.       MX 10 mx.zero.example.
mx.zero.example.    A     0.0.0.0
inner.example.      MX 10 mx.inner.example.
mx.inner.example.   A     {INSIDE}
bare.example.       A     {INSIDE}
"""
ODD = (
    "loop.example", "number.example", "mapped.example", "zero.example", "inner.example", "bare.example",
)  # fmt: skip
LISTENERS = '[[listeners]]\naddress = "127.0.0.1:0"\nrole = "submission"\nrelay_for = ["127.0.0.1"]\n'
MORE = '[delivery]\npoll = "50ms"\n'


def test_mail_to_others_does_not_reach_into_our_network(tmp_path: Path) -> None:
    try:
        socket.create_server((INSIDE, 25)).close()
    except OSError:
        pytest.skip(f"may not listen on {INSIDE}:25")
    inner = Peer(address=INSIDE, port=25)
    with (
        scripted(inner),
        running(tmp_path, zone=ZONE, listeners=LISTENERS, more=tls_for(tmp_path) + MORE) as gate,
    ):
        refs = {}
        with smtplib.SMTP("127.0.0.1", gate.port, timeout=20) as session:
            session.starttls(context=ssl.create_default_context(cafile=str(tmp_path / "ca.pem")))
            session.ehlo("desk.example.net")
            for domain in ODD:
                session.mail("ana@example.net")
                assert session.rcpt(f"bo@{domain}")[0] == 250
                code, text = session.data(mail(domain, author="ana@example.net"))
                assert code == 250, text
                refs[domain] = text.decode().partition("[ref ")[2].partition("]")[0]
            session.mail("ana@example.net")
            code, text = session.rcpt(f"bo@[{INSIDE}]")
            assert (code, text[:5]) == (550, b"5.1.2")

        def story(ref: str) -> list[dict[str, str]]:
            found: list[dict[str, str]] = gate.rows("explain", ref)[0]["deliveries"]
            return found

        until(lambda: all(story(ref) for ref in refs.values()), gate.log)
        for domain, ref in refs.items():
            (tried,) = story(ref)
            assert tried["status"] == "failed", (domain, tried)
            assert "no address of the public network" in tried["reply"], (domain, tried)
        assert inner.connections == 0


HOSTS = {
    "good": Peer(address="127.79.1.1", port=25),
    "later": Peer(
        address="127.79.1.2", port=25, answer=lambda verb, line: "452 4.3.1 disk full" if verb == "MAIL" else None
    ),
    "backup": Peer(address="127.79.1.3", port=25),
    "picky": Peer(
        address="127.79.1.4", port=25, answer=lambda verb, line: "550 5.1.1 nobody" if "gone@" in line else None
    ),
    "small": Peer(address="127.79.1.5", port=25, keywords=("SIZE 100", "8BITMIME", "SMTPUTF8")),
    "seven": Peer(address="127.79.1.6", port=25, keywords=("PIPELINING",)),
    "narrow": Peer(address="127.79.1.7", port=25, keywords=("PIPELINING", "8BITMIME")),
}  # fmt: skip
WORLD = "".join(
    f"{name}.example. MX 10 mx.{name}.example.\nmx.{name}.example. A {peer.address}\n" for name, peer in HOSTS.items()
) + "later.example. MX 20 mx.backup.example.\n"  # fmt: skip
TO = (
    "bo@good.example", "quiet@good.example", "bo@later.example", "here@picky.example", "gone@picky.example",
    "never@picky.example.net", "bo@small.example", "bo@seven.example", "plain@narrow.example", "jürgen@narrow.example",
)  # fmt: skip


def test_one_message_to_hosts_of_every_kind(tmp_path: Path) -> None:
    """Each recipient has its own fate, what was asked for goes along, and the sender hears of what failed, once each."""
    with ExitStack() as stack:
        try:
            for peer in HOSTS.values():
                socket.create_server((peer.address, 25)).close()
        except OSError:
            pytest.skip("may not listen on port 25")
        for peer in HOSTS.values():
            stack.enter_context(scripted(peer))
        more = tls_for(tmp_path) + MORE + "[outbound]\nprivate_addresses = true\n"
        gate = stack.enter_context(running(tmp_path, zone=WORLD, listeners=LISTENERS, more=more))
        with smtplib.SMTP("127.0.0.1", gate.port, timeout=20) as session:
            session.starttls(context=ssl.create_default_context(cafile=str(tmp_path / "ca.pem")))
            session.ehlo("desk.example.net")
            session.command_encoding = "utf-8"
            code, text = session.docmd(
                "MAIL FROM:<ana@example.net> SMTPUTF8 BODY=8BITMIME RET=HDRS ENVID=order+2B7"
            )
            assert code == 250, text
            for to in TO:
                asked = " NOTIFY=NEVER" if to.startswith(("quiet", "never")) else ""
                asked = " NOTIFY=FAILURE,DELAY ORCPT=rfc822;old+2Bbo@good.example" if to == TO[0] else asked
                code, text = session.docmd(f"RCPT TO:<{to}>{asked}")
                assert code == 250, text
            code, text = session.data(mail("many", "naïve\r\n".encode(), author="ana@example.net"))
            assert code == 250, text
        ref = text.decode().partition("[ref ")[2].partition("]")[0]
        until(lambda: len(gate.rows("explain", ref)[0]["deliveries"]) >= len(TO), gate.log, patience_s=30)
        came = {one["to"]: one for one in gate.rows("explain", ref)[0]["deliveries"]}
        notices = gate.wait_for("ana@example.net", 4)
    assert {to: (one["status"], one["host"]) for to, one in came.items()} == {
        "bo@good.example": ("delivered", "mx.good.example"),
        "quiet@good.example": ("delivered", "mx.good.example"),
        "bo@later.example": ("delivered", "mx.backup.example"),
        "here@picky.example": ("delivered", "mx.picky.example"),
        "gone@picky.example": ("failed", "mx.picky.example"),
        "never@picky.example.net": ("failed", "picky.example.net"),
        "bo@small.example": ("failed", "mx.small.example"),
        "bo@seven.example": ("failed", "mx.seven.example"),
        "plain@narrow.example": ("delivered", "mx.narrow.example"),
        "jürgen@narrow.example": ("failed", "mx.narrow.example"),
    }
    good = HOSTS["good"].lines
    assert any(
        one.startswith("MAIL FROM:<ana@example.net> BODY=8BITMIME") and "RET=HDRS ENVID=order+2B7" in one
        for one in good
    )
    assert "RCPT TO:<bo@good.example> NOTIFY=DELAY,FAILURE ORCPT=rfc822;old+2Bbo@good.example" in good
    assert "RCPT TO:<quiet@good.example> NOTIFY=NEVER" in good
    assert not any(one.startswith("MAIL") for name in ("small", "seven") for one in HOSTS[name].lines)
    told = [one.decode().partition("Final-Recipient: ")[2].partition("\n")[0] for one in notices]
    assert all(b"\nOriginal-Envelope-Id: order+7\n" in one for one in notices)
    assert not any("naïve".encode() in one for one in notices), "RET=HDRS: no text goes back"
    assert sorted(told) == [
        "rfc822; bo@seven.example", "rfc822; bo@small.example", "rfc822; gone@picky.example",
        "utf-8; jürgen@narrow.example",
    ]  # fmt: skip
