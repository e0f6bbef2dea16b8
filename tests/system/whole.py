"""The whole program as tests see it: `gatepost serve` as a process of its own, on free loopback ports, in its own
folder, with its own answers to DNS; and the command line beside it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import trustme
from click.testing import CliRunner

from gatepost.cli.root import gatepost
from gatepost.demo.run import OwnAnswers
from gatepost.dns.zone import Zone

ZONE = """
$TTL 300
example.net.              MX  10 mx.example.net.
mx.example.net.           A   192.0.2.1
good.example.             TXT "v=spf1 ip4:192.0.2.10 ip4:127.0.0.0/8 -all"
good.example.             MX  10 mail.good.example.
mail.good.example.        A   192.0.2.10
10.2.0.192.in-addr.arpa.  PTR mail.good.example.
_dmarc.good.example.      TXT "v=DMARC1; p=reject"
plain.example.            MX  10 mail.good.example.
strict.example.           TXT "v=spf1 -all"
strict.example.           MX  10 mail.good.example.
_dmarc.strict.example.    TXT "v=DMARC1; p=reject"
soft.example.             TXT "v=spf1 -all"
soft.example.             MX  10 mail.good.example.
_dmarc.soft.example.      TXT "v=DMARC1; p=quarantine"
back.example.             TXT "v=spf1 ip4:192.0.2.10 -all"
back.example.             MX  10 mail.good.example.
"""
PROGRAM = [sys.executable, "-m", "gatepost"]
TRACE = (
    b"Received",
    b"Authentication-Results",
    b"X-Gatepost",
    b"X-Gatepost-Verdict",
    b"Return-Path",
    b"Delivered-To",
    b"X-Original-To",
)
"""What we, or a real server behind us, put in front of a message."""


class Gate:
    """One installation. Start it with `running`."""

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        self.path = folder / "gatepost.toml"
        self.path.write_text(config)
        self.process: subprocess.Popen[bytes] | None = None
        self.ports: dict[str, int] = {}

    @property
    def port(self) -> int:
        """Of the first listener."""
        return next(iter(self.ports.values()))

    def start(self, *, before: Sequence[str] = (), environment: dict[str, str] | None = None) -> None:
        """Returns when it is ready. `before` is put in front of the command."""
        if self.process is not None:
            self.kill()  # it has ended already; this only tidies up
        log = (self.folder / "log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [*before, *PROGRAM, "serve", "--config", str(self.path)],
                stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                env=os.environ | (environment or {}),
            )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        assert line.startswith("ready"), f"{line!r}\n{self.log()}"
        self.ports = {
            f"{role}{number or ''}": int(port)
            for number, (role, port) in enumerate(re.findall(r"([a-z]+)=127\.0\.0\.1:(\d+)", line))
        }

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(40)
        finally:
            self.kill()
        return status

    def kill(self) -> None:
        """kill -9 of everything it consists of, in one instant."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def processes(self) -> list[int]:
        """Process ids, the supervisor's first."""
        assert self.process is not None
        return [self.process.pid, *children(self.process.pid)]

    def resident(self) -> int:
        """Octets of memory that all processes together have in RAM; what they share counts once (proc(5), Pss)."""
        total = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total << 10

    def log(self) -> str:
        """The end of it."""
        return (self.folder / "log").read_text(errors="replace")[-6000:]

    def run(self, *words: str, status: int | None = 0, given: bytes = b"") -> str:
        """A command of the command line; its standard output."""
        return run(*words, config=self.path, status=status, given=given)

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """The same with --json, read."""
        return [json.loads(line) for line in self.run(*words, "--json").splitlines()]

    def story(self, said: str) -> dict[str, Any]:
        """What `explain --json` has about the reference in a reply; a refusal is on record a moment later."""
        found = re.search(r"\[ref (\w+)\]", said)
        assert found, said
        until(lambda: self.run("explain", found[1], status=None), self.log)
        return self.rows("explain", found[1])[0]

    def boxes(self, address: str, *, junk: bool = False) -> list[bytes]:
        """The messages in a Maildir of ours, the order being nobody's promise."""
        local, _, domain = address.partition("@")
        box = self.folder / "mail" / domain / local / (".Junk" if junk else ".")
        return [path.read_bytes() for part in ("new", "cur") for path in sorted((box / part).glob("*"))]

    def wait_for(
        self, address: str, count: int = 1, *, junk: bool = False, patience_s: float = 15
    ) -> list[bytes]:
        """The same once so many are there."""
        until(lambda: len(self.boxes(address, junk=junk)) >= count, self.log, patience_s=patience_s)
        return self.boxes(address, junk=junk)

    def talk(self, hello: str = "mail.good.example", client: str = "", *, port: int = 0) -> smtplib.SMTP:
        """A session, behind XCLIENT when another client's address is wanted."""
        session = smtplib.SMTP("127.0.0.1", port or self.port, local_hostname=hello, timeout=30)
        session.ehlo()
        if client:
            code, text = session.docmd(f"XCLIENT ADDR={client} NAME=[UNAVAILABLE] HELO={hello}")
            assert code == 220, text
            session.ehlo()
        return session

    def send(
        self, octets: bytes, *to: str, sender: str = "ann@good.example", client: str = "192.0.2.10",
        hello: str = "mail.good.example", port: int = 0,
    ) -> tuple[int, str]:  # fmt: skip
        """One message as one client; the last answer: that of the message, or of the first recipient when none is taken."""
        with self.talk(hello, client, port=port) as session:
            code, text = session.docmd(f"MAIL FROM:<{sender}>")
            if code != 250:
                return code, text.decode()
            said = [session.docmd(f"RCPT TO:<{one}>") for one in to or ("ana@example.net",)]
            if all(code >= 300 for code, _ in said):
                return said[0][0], said[0][1].decode()
            code, text = session.data(octets)
            return code, text.decode()


@contextlib.contextmanager
def running(
    folder: Path, *, zone: str = ZONE, listeners: str = "", domains: str = "", start: bool = True, **top: str
) -> Iterator[Gate]:
    """A gate for example.net (ana, ben and chie in Maildirs), answered by `zone`.

    `listeners` and `domains` replace the parts of that name; `top` are lines of the top (`mode='"observe"'`) and,
    as `more`, tables behind everything.
    """
    more = top.pop("more", "")
    names = OwnAnswers()
    dns_port = names.start(Zone.parse(ZONE, zone if zone is not ZONE else ""))
    gate = Gate(folder, config(dns_port=dns_port, listeners=listeners, domains=domains, more=more, **top))
    try:
        if start:
            gate.start()
        yield gate
    except BaseException:
        sys.stderr.write(f"--- the gate's log\n{gate.log() if (folder / 'log').exists() else ''}\n")
        raise
    finally:
        if gate.process is not None:
            status = gate.stop() if gate.process.poll() is None else gate.process.returncode
            gate.kill()
            assert status in (0, -signal.SIGKILL), gate.log()
        names.stop()


def config(*, dns_port: int, listeners: str = "", domains: str = "", more: str = "", **top: str) -> str:
    """The text of a configuration."""
    lines = {"hostname": '"mx.example.net"', "workers": "0", **top}
    return f"""
{chr(10).join(f"{key} = {value}" for key, value in lines.items())}

{listeners or LISTENERS}

[dns]
servers = ["127.0.0.1:{dns_port}"]
trust_ad = true

{domains or DOMAINS}
{more}
"""


LISTENERS = """
[[listeners]]
address = "127.0.0.1:0"
role = "mx"
xclient_from = ["127.0.0.1"]
"""
DOMAINS = """
[[domains]]
name = "example.net"
recipients = ["ana@example.net", "ben@example.net", "chie@example.net"]
deliver = "maildir:mail"
"""


def tls_for(folder: Path, *names: str) -> str:
    """A certificate in the folder, and the table that names it."""
    issue(folder, *names)
    return '[tls]\ncertificate = "certificate.pem"\nkey = "key.pem"\n'


def issue(folder: Path, *names: str) -> None:
    """A fresh key and certificate of a fresh authority, which is in ca.pem."""
    authority = trustme.CA()
    made = authority.issue_cert(*(names or ("mx.example.net", "127.0.0.1")))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    made.private_key_pem.write_to_path(str(folder / "key.pem"))
    made.cert_chain_pems[0].write_to_path(str(folder / "certificate.pem"))


def run(*words: str, config: Path | None = None, status: int | None = 0, given: bytes = b"") -> str:
    """`gatepost WORDS`, in this process, which is far quicker; its standard output.

    `status` is the exit status expected, None for any.
    """
    environment = {"GATEPOST_CONFIG": str(config) if config else None}
    done = CliRunner().invoke(gatepost, list(words), input=given, env=environment)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert status is None or done.exit_code == status, (
        f"{words}: {done.exit_code}\n{done.stdout}\n{done.stderr}"
    )
    return done.stdout


def until(true: Callable[[], Any], tell: Callable[[], str] = str, *, patience_s: float = 15) -> None:
    """Wait for something to come true; `tell` says what was seen when it does not."""
    end = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < end, f"waited {patience_s} s in vain\n{tell()}"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """Processes started by this one, with theirs."""
    with contextlib.suppress(OSError):
        found = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [*found, *(below for one in found for below in children(one))]
    return []


def mail(
    subject: str = "hello", body: bytes = b"text\r\n", *, author: str = "ann@good.example", more: bytes = b""
) -> bytes:
    """An unremarkable message with CRLF."""
    head = (
        f"From: Ann <{author}>\r\nTo: ana@example.net\r\nSubject: {subject}\r\n"
        f"Date: Tue, 24 Nov 2026 08:00:00 +0000\r\nMessage-ID: <{subject.replace(' ', '.')}@good.example>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    )
    return head.encode() + more + b"\r\n" + body


def crlf(octets: bytes) -> bytes:
    """A message as a Maildir has it, with CRLF again."""
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def without_trace(octets: bytes) -> bytes:
    """A delivered message with CRLF and without the fields that servers put in front."""
    lines = crlf(octets).split(b"\r\n")
    at = 0
    while at < len(lines) and (lines[at][:1] in (b" ", b"\t") or lines[at].partition(b":")[0] in TRACE):
        at += 1
    return b"\r\n".join(lines[at:])


def raw(port: int, octets: bytes = b"", *, wait_s: float = 10) -> bytes:
    """Everything that is said to somebody who sends this and then only listens."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait_s) as peer:
        with contextlib.suppress(OSError):
            peer.sendall(octets)
            peer.shutdown(socket.SHUT_WR)
        said = b""
        with contextlib.suppress(OSError):
            while got := peer.recv(65536):
                said += got
        return said
