"""What real clients send arrives, octet for octet: smtplib, swaks, curl, Postfix and Exim."""

from __future__ import annotations

import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from whole import Gate, mail, running, tls_for, until, without_trace

from conftest import real_program
from real_servers import postfix
from unpacked_servers import exim, told

ODD = mail("odd", b".\r\n..two dots\r\n" + "naïve 8-bit\r\n".encode() + b"x" * 20_000 + b"\r\n\r\n\r\n")
BIG = mail("big", b"".join(b"%08d %s\r\n" % (line, b"y" * 60) for line in range(9_000)))


@pytest.fixture(scope="module", params=["0", "2"], ids=["one process", "two workers"])
def gate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("gate")
    with running(folder, workers=request.param, more=tls_for(folder)) as gate:
        yield gate


def arrived(gate: Gate, octets: bytes, address: str = "ana@example.net") -> bool:
    return octets in [without_trace(one) for one in gate.boxes(address)]


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "STARTTLS"])
def test_smtplib(gate: Gate, secure: bool) -> None:
    for number, octets in enumerate((ODD, BIG, mail("short"))):
        sent = octets.replace(b"Subject: ", b"Subject: smtplib %d %d " % (secure, number))
        with smtplib.SMTP("127.0.0.1", gate.port, timeout=20) as session:
            if secure:
                session.starttls(context=ssl.create_default_context(cafile=str(gate.folder / "ca.pem")))
                session.ehlo()
            session.sendmail(
                "ann@good.example", ["ana@example.net", "ben@example.net"], sent, ["BODY=8BITMIME"]
            )
        for address in ("ana@example.net", "ben@example.net"):
            until(lambda sent=sent, address=address: arrived(gate, sent, address), gate.log)


def test_swaks(gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "mail").write_bytes(ODD.replace(b"odd", b"swaks"))
    done = subprocess.run(
        [real_program("swaks"), "--server", "127.0.0.1", "--port", str(gate.port), "--from", "ann@good.example",
         "--to", "ana@example.net,ben@example.net", "--data", f"@{tmp_path}/mail", "--pipeline"],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    # swaks puts one line break behind what it reads
    until(
        lambda: any(b"swaks" in one and b"..two dots\n" in one for one in gate.boxes("ben@example.net")),
        gate.log,
    )


def test_curl(gate: Gate, tmp_path: Path) -> None:
    sent = ODD.replace(b"odd", b"curl")
    (tmp_path / "mail").write_bytes(sent)
    done = subprocess.run(
        [real_program("curl"), "--silent", "--show-error", "--url", f"smtp://127.0.0.1:{gate.port}/mail.good.example",
         "--mail-from", "ann@good.example", "--mail-rcpt", "ana@example.net", "--mail-rcpt", "ben@example.net",
         "--upload-file", str(tmp_path / "mail"), "--ssl-reqd", "--cacert", str(gate.folder / "ca.pem")],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    until(lambda: arrived(gate, sent), gate.log)


@pytest.mark.peers
def test_postfix(gate: Gate) -> None:
    settings = {
        "default_transport": f"smtp:[127.0.0.1]:{gate.port}",
        "relay_transport": f"smtp:[127.0.0.1]:{gate.port}",
        "virtual_mailbox_domains": "",
        "relay_domains": "example.net",
        "smtp_tls_security_level": "verify",
        "smtp_tls_verify_cert_match": "mx.example.net",
        "smtp_tls_CAfile": str(gate.folder / "ca.pem"),
        "smtp_line_length_limit": "0",
    }
    with postfix(**settings) as client:
        sent = [one.replace(b"Subject: ", b"Subject: postfix ") for one in (ODD, BIG, mail("letter"))]
        for octets in sent:
            with smtplib.SMTP("127.0.0.1", client.port, timeout=20) as session:
                session.sendmail(
                    "ann@good.example",
                    ["ana@example.net", "ben@example.net", "chie@example.net"],
                    octets,
                    ["BODY=8BITMIME"],
                )
        for octets in sent:
            for name in ("ana", "ben", "chie"):
                until(
                    lambda octets=octets, name=name: arrived(gate, octets, f"{name}@example.net"),
                    lambda: client.log() + gate.log(),
                )
        assert b"with ESMTPS" in gate.boxes("chie@example.net")[0]


EXIM_ROUTE = """
out:
  driver = manualroute
  domains = example.net
  transport = out
  route_list = * 127.0.0.1 byname
  self = send
  no_more
"""
EXIM_TRANSPORT = """
out:
  driver = smtp
  port = {port}
  hosts_require_tls = *
  tls_verify_certificates = FOLDER/ca.pem
  tls_verify_hosts = *
  tls_verify_cert_hostnames = !*
  message_linelength_limit = 1000000
"""


@pytest.mark.peers
def test_exim(gate: Gate) -> None:
    """It speaks BDAT (RFC 3030) where that is offered, pipelined, over TLS whose chain it verifies."""
    with exim(
        relay="accept hosts = 127.0.0.1", route=EXIM_ROUTE, transport=EXIM_TRANSPORT.format(port=gate.port),
        files=(gate.folder / "ca.pem",),
    ) as client:  # fmt: skip
        sent = [one.replace(b"Subject: ", b"Subject: exim ") for one in (ODD, BIG, mail("letter"))]
        for octets in sent:
            with smtplib.SMTP("127.0.0.1", client.port, timeout=20) as session:
                session.sendmail(
                    "ann@good.example", ["ana@example.net", "ben@example.net", "chie@example.net"], octets,
                    ["BODY=8BITMIME"],
                )  # fmt: skip
        for octets in sent:
            for name in ("ana", "ben", "chie"):
                until(
                    lambda octets=octets, name=name: arrived(gate, octets, f"{name}@example.net"),
                    lambda: told(client) + gate.log(),
                )
        assert " K " in told(client), "it said DATA and not BDAT"
