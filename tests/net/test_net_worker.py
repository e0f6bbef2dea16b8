"""Supervised processes: connections are shared out, a worker that dies is replaced, a stop finishes what is in hand."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import select
import signal
import smtplib
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatepost.net.privileges import drop_capabilities

PROGRAM = Path(__file__).parent / "gate_process.py"


class Running:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.port = int(self.wait_for("ready").rpartition(":")[2])

    def wait_for(self, start: str) -> str:
        assert self.process.stdout is not None
        while select.select([self.process.stdout], [], [], 20)[0]:
            line = self.process.stdout.readline()
            if not line:
                break
            self.lines.append(line)
            if line.startswith(start):
                return line.strip()
        raise AssertionError(f"no line {start!r} in {self.lines}")

    def connect(self, source: str = "127.0.0.1") -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.port, timeout=10, source_address=(source, 0))

    def worker_of(self, client: smtplib.SMTP) -> dict[str, int]:
        client.ehlo_or_helo_if_needed()
        client.mail("a@example.org")
        _, text = client.rcpt("ana@example.net")
        client.rset()
        return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", text.decode())}

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=20)
        return "".join(self.lines) + out


@contextlib.contextmanager
def gate_process(*arguments: str, env: dict[str, str] | None = None) -> Iterator[Running]:
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env={**os.environ, **(env or {})},
    ) as process:
        try:
            yield Running(process)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_connections_are_shared_and_a_dead_worker_is_replaced():
    with gate_process("2") as gate:
        one, two = gate.connect(), gate.connect()
        first, second = gate.worker_of(one)["pid"], gate.worker_of(two)["pid"]
        assert first != second, "the connection goes to the least busy worker"
        os.kill(first, signal.SIGKILL)
        until(lambda: not alive(first))
        assert gate.worker_of(two)["pid"] == second, "sessions of others live on"
        with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
            gate.worker_of(one)

        def replaced() -> bool:
            with contextlib.closing(gate.connect("127.0.0.9")) as fresh:
                return gate.worker_of(fresh)["pid"] not in {first, second}

        until(replaced)
        one.close()
        two.close()


def test_processes_are_told_apart_by_name():
    with gate_process("2") as gate:
        ours = [
            stat.parent for stat in Path("/proc").glob("[0-9]*/stat") if parent_of(stat) == gate.process.pid
        ]
        names = sorted((one / "comm").read_text().strip() for one in ours)
    assert names == ["gate acceptor", "gate another", "gate worker-1", "gate worker-2"]


def parent_of(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has just ended
        return 0


def test_counts_of_a_dead_worker_are_cleared():
    with gate_process("1") as gate:
        clients = [gate.connect() for _ in range(4)]
        with pytest.raises(smtplib.SMTPConnectError):
            gate.connect()
        gate.wait_for("refused 127.0.0.1 too-many-from-client")
        os.kill(gate.worker_of(clients[0])["pid"], signal.SIGKILL)

        def admitted() -> bool:
            try:
                clients.append(gate.connect())
            except (smtplib.SMTPException, OSError):
                return False
            return True

        until(admitted)
        for client in clients:
            client.close()
        gate.stop()


def test_dead_acceptor_is_replaced_and_open_sessions_end_well():
    with gate_process("1") as gate:
        client = gate.connect()
        seen = gate.worker_of(client)
        children = Path(f"/proc/{seen['parent']}/task/{seen['parent']}/children").read_text().split()
        acceptor = min(int(pid) for pid in children)
        assert acceptor != seen["pid"]
        os.kill(acceptor, signal.SIGKILL)
        assert client.sock.recv(100).startswith(b"421 4.3.2 ")
        client.close()

        def served() -> bool:
            try:
                fresh = gate.connect("127.0.0.9")
            except (smtplib.SMTPException, OSError):
                return False
            pid = gate.worker_of(fresh)["pid"]
            fresh.close()
            return pid != seen["pid"]

        until(served)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_stop_finishes_the_message_in_hand(workers):
    with gate_process(workers) as gate:
        idle, busy = gate.connect(), gate.connect()
        idle.ehlo()
        busy.ehlo()
        busy.mail("a@example.org")
        busy.rcpt("ana@example.net")
        assert busy.docmd("DATA")[0] == 354
        gate.process.send_signal(signal.SIGTERM)
        assert idle.getreply()[0] == 421
        until(lambda: nobody_listens(gate.port))
        busy.send(b"Subject: x\r\n\r\n.\r\n")
        assert busy.getreply()[0] == 250
        assert busy.getreply()[0] == 421
        idle.close()
        busy.close()
        out, _ = gate.process.communicate(timeout=20)
        assert "another stopped" in out
        assert gate.process.returncode == 0


@pytest.mark.parametrize("workers", ["0", "2"])
def test_reload_reaches_everyone_and_drops_nobody(workers):
    with gate_process(workers) as gate:
        client = gate.connect()
        assert gate.worker_of(client)["reloads"] == 0
        gate.process.send_signal(signal.SIGHUP)
        gate.wait_for("reloaded")
        until(lambda: gate.worker_of(client)["reloads"] == 1)
        client.close()


def test_systemd_is_told(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(10)
        with gate_process(
            "1", env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
        ) as gate:
            told = [systemd.recv(200) for _ in range(4)]
            assert told == [b"READY=1"] + [b"WATCHDOG=1"] * 3
            gate.process.send_signal(signal.SIGHUP)
            gate.wait_for("reloaded")
            gate.stop()
            systemd.setblocking(False)
            words = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    words.append(systemd.recv(200).split(b"\n")[0])
            assert [word for word in words if word != b"WATCHDOG=1"] == [
                b"RELOADING=1",
                b"READY=1",
                b"STOPPING=1",
            ]


def test_killed_supervisor_takes_its_children_along():
    with gate_process("1") as gate:
        client = gate.connect()
        worker = gate.worker_of(client)["pid"]
        gate.process.kill()
        assert client.sock.recv(100).startswith(b"421 4.3.2 ")
        client.close()
        until(lambda: not alive(worker))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to drop")
@pytest.mark.parametrize("workers", ["0", "1"])
def test_privileges_are_dropped(workers):
    with gate_process(workers, "nobody") as gate:
        client = gate.connect()
        seen = gate.worker_of(client)
        assert seen["uid"] != 0
        status = Path(f"/proc/{seen['pid']}/status").read_text()
        assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
        assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE)
        assert not re.search(r"^Groups:.*\b0\b", status, re.MULTILINE)
        client.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to give")
def test_the_capability_that_systemd_gave_is_given_up() -> None:
    seen, said = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
            os.setresuid(65534, 65534, 65534)
            bind = struct.pack("=IIIIII", 1 << 10, 1 << 10, 1 << 10, 0, 0, 0)
            libc.capset(struct.pack("=Ii", 0x20080522, 0), bind)
            libc.prctl(47, 2, 10, 0, 0)  # PR_CAP_AMBIENT_RAISE
            before = Path("/proc/self/status").read_text()
            why = drop_capabilities()
            os.write(said, (why + before + "then\n" + Path("/proc/self/status").read_text()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(said)
    with os.fdopen(seen) as stream:
        before, _, after = stream.read().partition("then\n")
    assert os.waitpid(pid, 0)[1] == 0
    assert re.findall(r"^Cap(?:Eff|Prm|Amb):\t0*(\w+)$", before, re.MULTILINE) == ["400", "400", "400"]
    assert len(re.findall(r"^Cap(?:Inh|Eff|Prm|Amb):\t0+$", after, re.MULTILINE)) == 4
