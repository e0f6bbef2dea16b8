"""Two whole gates that send an address on to each other: the circle is cut after one round, and the bounce finds back."""

from __future__ import annotations

import smtplib
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from test_system_next_hops import scripted
from whole import mail, running, until

from scripted_peer import Peer

ONE, TWO, FAR = "127.78.0.1", "127.78.0.2", "127.78.0.3"
ZONE = "".join(
    f'{name}.example. MX 10 mx.{name}.example.\nmx.{name}.example. A {address}\n{name}.example. TXT "v=spf1 ip4:127.0.0.0/8 -all"\n'
    for name, address in (("one", ONE), ("two", TWO), ("far", FAR))
)
LISTENERS = '[[listeners]]\naddress = "{address}:25"\nrole = "mx"\n'
DOMAINS = """
[[domains]]
name = "{own}.example"
recipients = ["postmaster@{own}.example"]
deliver = "maildir:mail"
aliases = {{ "round" = "round@{other}.example" }}
"""
MORE = """
[outbound]
private_addresses = true
[delivery]
poll = "50ms"
[checks.rdns]
mode = "off"
[checks.hello]
mode = "off"
[checks.greylist]
mode = "off"
"""


def test_forwarders_that_point_at_each_other_do_not_send_for_ever(tmp_path: Path) -> None:
    try:
        for address in (ONE, TWO, FAR):
            socket.create_server((address, 25)).close()
    except OSError:
        pytest.skip("may not listen on port 25")
    sender = Peer(address=FAR, port=25)
    with ExitStack() as stack:
        stack.enter_context(scripted(sender))
        gates = {}
        for own, other, address in (("one", "two", ONE), ("two", "one", TWO)):
            folder = tmp_path / own
            folder.mkdir()
            gate = stack.enter_context(
                running(
                    folder, zone=ZONE, listeners=LISTENERS.format(address=address),
                    domains=DOMAINS.format(own=own, other=other), more=MORE, hostname=f'"mx.{own}.example"',
                )
            )  # fmt: skip
            gates[own] = gate
        code, said = talk(ONE, mail("round and round", author="ann@far.example"))
        assert code == 250, said
        until(lambda: sender.messages, lambda: gates["one"].log() + gates["two"].log())
        (bounce,) = sender.messages
        assert b"it is in a loop" in bounce
        assert b"5.4.6" in bounce
        assert [line.partition(">")[0] for line in sender.lines if line.startswith(("MAIL", "RCPT"))] == [
            "MAIL FROM:<", "RCPT TO:<ann@far.example",
        ]  # fmt: skip
        taken = {
            name: [one["recipients"][0]["to"] for one in gate.rows("history")][::-1]
            for name, gate in gates.items()
        }
    assert taken["one"][:2] == ["round@one.example"] * 2, "it came back once, and no further"
    assert taken["two"][0] == "round@two.example"
    (back_at_two,), (back_at_one,) = taken["two"][1:], taken["one"][2:]
    assert back_at_two.startswith("SRS1=")
    assert back_at_one.startswith("SRS0="), "the bounce goes from forwarder to forwarder to who wrote"


def talk(address: str, octets: bytes) -> tuple[int, bytes]:
    """One message to the gate there, for the address that goes round."""
    with smtplib.SMTP(address, 25, "mx.far.example", timeout=20) as session:
        session.ehlo()
        session.docmd("MAIL FROM:<ann@far.example>")
        session.docmd("RCPT TO:<round@one.example>")
        return session.data(octets)
