"""A gate that sends everything through another one: it signs in there with an app password, under TLS that verifies."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from test_system_next_hops import scripted
from whole import Gate, mail, running, tls_for, until

from scripted_peer import Peer

FAR = "127.78.1.3"
ZONE = f"""
far.example. MX 10 mx.far.example.
mx.far.example. A {FAR}
relay.example.net. A 127.0.0.1
"""
SUBMISSION = '[[listeners]]\naddress = "127.0.0.1:0"\nrole = "submission"\n'
INSIDE = """
[outbound]
smarthost = "relay.example.net:{port}"
smarthost_user = "relay@example.net"
smarthost_password_file = "password"
trust_anchors = "../outer/ca.pem"
retry_first = "200ms"
[delivery]
poll = "100ms"
"""


@dataclass
class Chain:
    inner: Gate
    outer: Gate
    far: Peer
    password: str

    def hand_in(self, subject: str) -> str:
        """To the inner gate, by a machine of its network; the reference."""
        with smtplib.SMTP("127.0.0.1", self.inner.port, "printer.lan", timeout=20) as session:
            session.ehlo()
            session.docmd("MAIL FROM:<relay@example.net>")
            session.docmd("RCPT TO:<bo@far.example>")
            code, text = session.data(mail(subject, author="relay@example.net"))
        assert code == 250, text
        return text.decode().partition("[ref ")[2].partition("]")[0]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    try:
        socket.create_server((FAR, 25)).close()
    except OSError:
        pytest.skip("may not listen on port 25")
    base = tmp_path_factory.mktemp("chain")
    for name in ("inner", "outer"):
        (base / name).mkdir()
    far = Peer(address=FAR, port=25)
    with ExitStack() as stack:
        stack.enter_context(scripted(far))
        tls = tls_for(base / "outer", "relay.example.net") + "[outbound]\nprivate_addresses = true\n"
        outer = stack.enter_context(running(base / "outer", zone=ZONE, listeners=SUBMISSION, more=tls))
        outer.run("user", "add", "relay@example.net", "--no-link")
        password = str(
            outer.rows("user", "app-password", "add", "relay@example.net", "--name", "inner")[0]["password"]
        )
        (base / "inner" / "password").write_text(password + "\n")
        (base / "inner" / "password").chmod(0o600)
        inner = stack.enter_context(
            running(
                base / "inner", zone=ZONE, listeners=SUBMISSION + 'relay_for = ["127.0.0.1"]\n',
                more=INSIDE.format(port=outer.port),
            )
        )  # fmt: skip
        yield Chain(inner, outer, far, password)


def test_everything_goes_through_the_smarthost(chain: Chain) -> None:
    ref = chain.hand_in("by way of")
    until(lambda: any(b"by way of" in one for one in chain.far.messages), chain.inner.log)
    (tried,) = chain.inner.rows("explain", ref)[0]["deliveries"]
    assert (tried["status"], tried["tls"]["verified"]) == ("delivered", True), tried
    assert "relay.example.net" in tried["host"]
    (octets,) = [one for one in chain.far.messages if b"by way of" in one]
    assert b"with ESMTPSA id" in octets, "it signed in there"
    assert chain.password not in chain.inner.log() + chain.outer.log()
    assert [one["account"] for one in chain.outer.rows("history", "--outgoing")] == ["relay@example.net"]


def test_a_password_that_is_revoked_there_keeps_the_mail_and_says_why(chain: Chain) -> None:
    (listed,) = chain.outer.rows("user", "app-password", "list", "relay@example.net")
    chain.outer.run("user", "app-password", "revoke", listed["selector"])
    chain.inner.stop()
    chain.inner.start()  # no session is kept from before
    ref = chain.hand_in("refused for now")
    until(lambda: chain.inner.rows("explain", ref)[0]["deliveries"], chain.inner.log)
    tried = chain.inner.rows("explain", ref)[0]["deliveries"][0]
    assert tried["status"] == "deferred", tried
    assert "revoked" in f"{tried['reply']} {tried['reason']}", tried
    fresh = str(
        chain.outer.rows("user", "app-password", "add", "relay@example.net", "--name", "again")[0]["password"]
    )
    (chain.inner.folder / "password").write_text(fresh + "\n")
    assert chain.inner.process is not None
    os.kill(chain.inner.process.pid, signal.SIGHUP)

    def arrived() -> bool:
        chain.inner.run("queue", "retry", ref, status=None)  # it may be under way by itself
        return any(b"refused for now" in one for one in chain.far.messages)

    until(arrived, chain.inner.log)
