"""kill -9 at any instant, a graceful stop, a reload, a worker that dies: nothing that was accepted is lost."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import smtplib
import socket
import ssl
import threading
from collections import Counter
from pathlib import Path

from test_system_next_hops import behind, scripted
from whole import Gate, issue, mail, running, tls_for, until

from scripted_peer import Peer

SIZES = (300, 3_000, 60_000, 400_000)


class Senders:
    """Clients that send without end and remember what was promised them."""

    def __init__(self, gate: Gate, clients: int) -> None:
        self.accepted: set[str] = set()
        self.in_flight: set[str] = set()
        self.gate = gate
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._send, args=(one,)) for one in range(clients)]
        for thread in self.threads:
            thread.start()

    def _send(self, client: int) -> None:
        chance = random.Random()
        while not self.stopped.is_set():
            with (
                contextlib.suppress(OSError, smtplib.SMTPException),
                smtplib.SMTP(
                    "127.0.0.1", self.gate.port, local_hostname="mail.good.example", timeout=5
                ) as session,
            ):
                for _ in range(20):
                    name = f"{os.getpid()}-{client}-{chance.getrandbits(40):x}"
                    octets = mail(name, b"x" * 70 + b"\r\n" * (chance.choice(SIZES) // 2))
                    self.in_flight.add(name)
                    session.sendmail("ann@good.example", ["ana@example.net", "ben@example.net"], octets)
                    self.accepted.add(name)
                    self.in_flight.discard(name)

    def stop(self) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join(10)


def subjects(gate: Gate, address: str) -> Counter[str]:
    return Counter(re.search(rb"Subject: (\S+)", one)[1].decode() for one in gate.boxes(address))  # type: ignore[index]


def test_kill_under_load_loses_nothing_that_was_promised(tmp_path: Path) -> None:
    chance = random.Random(7)
    promised: set[str] = set()
    rounds = 6
    with running(tmp_path, start=False, workers="2", more="[delivery]\nprocesses = 3\n") as gate:
        for one in range(rounds):
            if one == rounds // 2:
                gate.path.write_text(gate.path.read_text().replace("workers = 2", "workers = 0"))
            gate.start()
            senders = Senders(gate, clients=4)
            enough = chance.randrange(4, 100)
            until(lambda senders=senders, enough=enough: len(senders.accepted) >= enough, gate.log)
            gate.kill()
            senders.stop()
            promised |= senders.accepted
        gate.start()
        for address in ("ana@example.net", "ben@example.net"):
            until(lambda address=address: promised <= set(subjects(gate, address)), gate.log, patience_s=40)
        until(lambda: not gate.rows("queue", "list"), gate.log, patience_s=60)
        assert len(promised) > 4 * rounds
        for address in ("ana@example.net", "ben@example.net"):
            twice = {name: count for name, count in subjects(gate, address).items() if count > 1}
            assert not twice
        assert gate.stop() == 0


def test_a_graceful_stop_finishes_the_message_in_hand(tmp_path: Path) -> None:
    for workers in ("0", "2"):
        folder = tmp_path / workers
        folder.mkdir()
        with running(folder, workers=workers) as gate:
            idle, busy = gate.talk(), gate.talk()
            busy.mail("ann@good.example")
            busy.rcpt("ana@example.net")
            assert busy.docmd("DATA")[0] == 354
            busy.send(mail("in hand", b"half a line, "))
            assert gate.process is not None
            gate.process.terminate()
            assert idle.getreply()[0] == 421
            idle.close()
            until(lambda gate=gate: refused(gate.port))
            busy.send(b"and the rest\r\n.\r\n")
            assert busy.getreply()[0] == 250
            assert busy.getreply()[0] == 421
            busy.close()
            assert gate.process.wait(20) == 0
            gate.start()
            assert b"half a line, and the rest" in gate.wait_for("ana@example.net")[0]


def refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_reload_takes_configuration_and_certificate_and_drops_nobody(tmp_path: Path) -> None:
    for workers in ("0", "2"):
        folder = tmp_path / workers
        folder.mkdir()
        with running(folder, workers=workers, more=tls_for(folder)) as gate:
            assert gate.process is not None
            session = gate.talk()
            session.starttls(context=ssl.create_default_context(cafile=str(folder / "ca.pem")))
            session.ehlo()
            session.mail("ann@good.example")
            assert session.rcpt("dora@example.net")[0] == 550
            assert session.rcpt("ana@example.net")[0] == 250
            before = with_tls(gate)
            issue(folder)
            text = gate.path.read_text()
            gate.path.write_text(text.replace('"chie@example.net"', '"chie@example.net", "dora@example.net"'))
            os.kill(gate.process.pid, signal.SIGHUP)
            until(lambda gate=gate, before=before: renewed(gate, before), gate.log)
            until(lambda gate=gate: gate.send(mail("new"), "dora@example.net")[0] == 250, gate.log)
            assert session.data(mail("old session"))[0] == 250
            session.quit()
            before = with_tls(gate)
            new = folder / "new"
            new.mkdir()
            issue(new)
            (new / "ca.pem").replace(folder / "ca.pem")
            moved = gate.path.read_text().replace("[dns]", "[dns]\npatience = '4s'")
            for name in ("certificate.pem", "key.pem"):
                moved = moved.replace(f'"{name}"', f'"new/{name}"')
            gate.path.write_text(moved)
            os.kill(gate.process.pid, signal.SIGHUP)
            until(lambda gate=gate, before=before: renewed(gate, before), gate.log)
            assert "dns changed in the configuration: that takes a restart" in gate.log()
            gate.path.write_text(text.replace("hostname", "hostnam"))
            os.kill(gate.process.pid, signal.SIGHUP)
            until(lambda gate=gate: "hostnam" in gate.log(), gate.log)
            assert gate.send(mail("still"), "dora@example.net")[0] == 250
            gate.path.write_text(text)


def with_tls(gate: Gate) -> str:
    context = ssl.create_default_context(cafile=str(gate.folder / "ca.pem"))
    with smtplib.SMTP("127.0.0.1", gate.port, local_hostname="mail.good.example", timeout=10) as session:
        session.starttls(context=context)
        assert isinstance(session.sock, ssl.SSLSocket)
        certificate = session.sock.getpeercert()
        assert certificate is not None
        return str(certificate["serialNumber"])


def renewed(gate: Gate, before: str) -> bool:
    """Several times, so that every worker was asked."""
    try:
        return all(with_tls(gate) != before for _ in range(4))
    except ssl.SSLError:
        return False


def test_whoever_dies_is_replaced_and_the_others_go_on(tmp_path: Path) -> None:
    with running(tmp_path, workers="2", more="[delivery]\nprocesses = 2\n") as gate:
        survivors = []
        victims = ours(gate)[::-1]
        assert len(victims) == 5
        for number, victim in enumerate(victims):  # the acceptor comes last: its end renews the workers
            sessions = [gate.talk() for _ in range(8)]
            os.kill(victim, signal.SIGKILL)
            until(lambda victim=victim: replaced(gate, victim), gate.log)
            survivors.append(sum(map(answers, sessions)))
            for session in sessions:
                session.close()
            assert gate.send(mail(f"after {number}"))[0] == 250
        gate.wait_for("ana@example.net", len(victims))
        assert json.loads(gate.run("status", "--json", status=None))["delivering"] == 2
        assert max(survivors) == 8  # delivery died, no session noticed
        assert any(0 < count < 8 for count in survivors)


def test_who_dies_again_and_again_is_an_alarm(tmp_path: Path) -> None:
    """Also where it is the very process that sends the alarms."""
    with running(tmp_path, workers="1", more='[alerts]\nto = ["ana@example.net"]\n') as gate:
        for _ in range(3):
            (victim,) = ours(gate, "delivery")
            assert not concerns(gate)
            os.kill(victim, signal.SIGKILL)
            until(lambda victim=victim: ours(gate, "delivery") not in ([], [victim]), gate.log)
        said = "Delivery processes ended by themselves 3 times within the last hour, the last with SIGKILL."
        (concern,) = concerns(gate)
        assert said in concern["text"]
        until(lambda: any(said in one.decode() for one in gate.boxes("ana@example.net")), gate.log)


def test_a_message_that_kills_whoever_delivers_it_is_held_and_other_mail_flows(tmp_path: Path) -> None:
    """The host behind kills the process when it sees the message: whatever in it does that, is not tried for ever."""
    killed: list[int] = []

    def kill(verb: str, line: str) -> str | None:
        if verb == "RCPT" and "ana@" in line:
            (victim,) = ours(gate, "delivery")
            killed.append(victim)
            os.kill(victim, signal.SIGKILL)
            return "silent"
        return None

    peer = Peer(answer=kill)
    with (
        scripted(peer),
        running(tmp_path, workers="1", domains=behind(f"smtp:127.0.0.1:{peer.port}")) as gate,
    ):
        assert gate.send(mail("killer"), "ana@example.net")[0] == 250
        for number in range(5):
            assert gate.send(mail(f"other {number}"), "ben@example.net")[0] == 250
        until(
            lambda: [row["held_because"] for row in gate.rows("queue", "list") if row["held_because"]],
            gate.log,
            patience_s=30,
        )
        assert len(killed) == 3
        until(lambda: len(gate.rows("queue", "list")) == 1, gate.log)
        [row] = gate.rows("queue", "list")
        assert row["to"] == "ana@example.net"
        assert "died 3 times" in row["held_because"]
        told = json.loads(gate.run("status", "--json", status=None))["concerns"]
        assert {one["key"] for one in told} >= {"queue-stopped", "ended:delivery"}
        assert sum(b"Subject: other" in one for one in peer.messages) >= 5
        peer.answer = lambda *_: None
        gate.run("queue", "retry", row["ref"])
        until(lambda: gate.rows("queue", "list") == [], gate.log)


def concerns(gate: Gate) -> list[dict[str, str]]:
    """What status has to say of processes that ended."""
    found = json.loads(gate.run("status", "--json", status=None))["concerns"]
    return [one for one in found if one["key"].startswith("ended:")]


def replaced(gate: Gate, victim: int) -> bool:
    now = ours(gate)
    return victim not in now and len(now) == 5


def ours(gate: Gate, which: str = "acceptor|worker-|delivery") -> list[int]:
    """Those that the supervisor replaces: the acceptor, two workers, two that deliver; not what looks into files for them."""
    found = {}
    for pid in gate.processes()[1:]:
        with contextlib.suppress(OSError):
            found[pid] = Path(f"/proc/{pid}/comm").read_text().strip()
    return [pid for pid, name in found.items() if re.search(which, name)]


def answers(session: smtplib.SMTP) -> bool:
    with contextlib.suppress(smtplib.SMTPServerDisconnected, OSError):
        return session.noop()[0] == 250
    return False
