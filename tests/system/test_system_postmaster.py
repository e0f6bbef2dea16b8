"""What a postmaster does at the command line while the gate runs; a full disk; and the demo."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from whole import PROGRAM, Gate, children, mail, running, until, without_trace

from conftest import real_program

FORGED = mail("forged", "naïve\r\n.\r\n".encode(), author="ceo@strict.example")


def forged(gate: Gate, octets: bytes = FORGED) -> tuple[int, str]:
    return gate.send(octets, sender="eve@plain.example", client="203.0.113.9")


def test_observing_delivers_and_records_what_enforcing_would_have_done(tmp_path: Path) -> None:
    with running(tmp_path, mode='"observe"') as gate:
        assert forged(gate)[0] == 250
        gate.wait_for("ana@example.net")
        assert gate.send(mail("nobody"), "nobody@example.net")[0] == 550  # an observing gate is no open relay
        [row] = gate.rows("history", "--action", "deliver")
        assert (row["action"], row["would_action"], row["mode"]) == ("deliver", "refuse", "observe")
        assert "refuse" in gate.run("explain", row["ref"])
        candidate = tmp_path / "enforce.toml"
        candidate.write_text(gate.path.read_text().replace('"observe"', '"enforce"'))
        [plan] = gate.rows("plan", str(candidate))
        assert plan["changed"] == 1
        [change] = plan["changes"]
        assert (change["before"], change["after"], change["domain"]) == ("deliver", "refuse", "example.net")
        assert "would change" in gate.run("plan", str(candidate))
        assert [row["ref"] for row in gate.rows("history", "--action", "deliver")] == [row["ref"]]


def test_history_finds_by_everything(tmp_path: Path) -> None:
    with running(tmp_path) as gate:
        gate.send(mail("first"), "ana@example.net")
        gate.send(mail("second"), "ben@example.net", sender="other@good.example", client="192.0.2.10")
        gate.send(mail("null", author="x@plain.example"), "ben@example.net", sender="", client="203.0.113.5")
        forged(gate)
        until(lambda: len(gate.rows("history")) == 4)
        for words, wanted in {
            ("--from", "ann@good.example"): {"first"},
            ("--from", "@good.example"): {"first", "second"},
            ("--from", "<>"): {"null"},
            ("--to", "ben@example.net"): {"second", "null"},
            ("--to", "@example.net"): {"first", "second", "null", "forged"},
            ("--client-ip", "203.0.113.5"): {"null"},
            ("--message-id", "<second@good.example>"): {"second"},
            ("--message-id", "second@good.example"): {"second"},
            ("--action", "refuse"): {"forged"},
            ("--to", "example.net"): {"first", "second", "null", "forged"},
            ("--client-ip", "::ffff:203.0.113.5"): {"null"},
            ("--subject", "FIRST"): {"first"},
            ("--rule", "dmarc"): {"forged"},
            ("--rule", "dmarc.reject", "--from", "@good.example"): set(),
            ("--since", "1h", "--limit", "2"): {"null", "forged"},
            ("--until", "1h"): set(),
            ("--from", "@good.example", "--to", "ben@example.net", "--since", "2020-01-01"): {"second"},
        }.items():
            assert {row["subject"] for row in gate.rows("history", *words)} == wanted, words
        assert "forged" in gate.run("history", "--action", "refuse")
        ref = gate.rows("history", "--action", "refuse")[0]["ref"]
        assert "203.0.113.9" in gate.run("explain", ref.lower())
        gate.run("explain", "ZZZZZZZZZZZZZ", status=1)
        gate.run("history", "--client-ip", "nonsense", status=2)
        gate.run("history", "--since", "1h", "--until", "2h", status=2)


def test_quarantine_releases_octet_for_octet(tmp_path: Path) -> None:
    more = '[policy]\nactions = { "dmarc.reject" = "quarantine" }\n'
    big = mail("big", b"x" * 70 + b"\r\n" + b"y" * 100_000 + b"\r\n", author="ceo@strict.example")
    with running(tmp_path, more=more) as gate:
        for octets in (FORGED, big, FORGED.replace(b"forged", b"third")):
            assert forged(gate, octets)[0] == 250
        rows = gate.rows("quarantine", "list")
        assert len(rows) == 3
        third, second, first = (row["ref"] for row in rows)
        raw = subprocess.run(
            [*PROGRAM, "quarantine", "show", "--raw", second, "--config", str(gate.path)],
            capture_output=True,
            check=True,
        )
        assert raw.stdout == big
        for ref in (first, second):
            told = gate.run("quarantine", "release", ref, "--why", "ana expects it")
            assert "delivered by" in told or "on its way" in told
        gate.wait_for("ana@example.net", 2)
        assert sorted(map(without_trace, gate.boxes("ana@example.net"))) == sorted((FORGED, big))
        gate.run("quarantine", "release", first, status=1)
        assert "deleted" in gate.run("quarantine", "delete", third)
        assert gate.rows("quarantine", "list") == []
        assert "deleted" in gate.run("quarantine", "show", third)
        assert (
            "released" in gate.run("explain", first).lower() or "filed" in gate.run("explain", first).lower()
        )


def test_queue_in_a_persons_hands(tmp_path: Path) -> None:
    domains = '[[domains]]\nname = "example.net"\ndeliver = "smtp:127.0.0.1:1"\n'
    with running(tmp_path, domains=domains) as gate:
        assert gate.send(mail("stuck"), "ana@example.net", "ben@example.net")[0] == 250
        until(lambda: sum(row["attempts"] > 0 for row in gate.rows("queue", "list")) >= 1, gate.log)
        [ref] = {row["ref"] for row in gate.rows("queue", "list")}
        until(lambda: gate.run("queue", "hold", ref, "--to", "ben@example.net", status=None), gate.log)
        held = {row["to"]: row["held_because"] for row in gate.rows("queue", "list")}
        assert held["ben@example.net"]
        assert not held["ana@example.net"]
        assert "cannot be reached" in gate.run("queue", "show", ref)
        until(
            lambda: "dropped" in gate.run("queue", "drop", ref, "--to", "ana@example.net", status=None),
            gate.log,
        )
        assert [row["to"] for row in gate.rows("queue", "list")] == ["ben@example.net"]
        gate.path.write_text(gate.path.read_text().replace("smtp:127.0.0.1:1", "maildir:mail"))
        assert gate.process is not None
        os.kill(gate.process.pid, signal.SIGHUP)
        until(
            lambda: (gate.run("queue", "retry", ref, status=None), gate.boxes("ben@example.net"))[1], gate.log
        )
        assert without_trace(gate.boxes("ben@example.net")[0]) == mail("stuck")
        until(lambda: gate.rows("queue", "list") == [], gate.log)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_asks_to_come_back_and_is_fine_later(tmp_path: Path) -> None:
    state = tmp_path / "var"
    state.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m,mode=700", "tmpfs", str(state)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("this machine mounts nothing")
    try:
        more = "[store.room]\nfull = '1'\nfull_percent = 0.0\n".replace("full = '1'\n", "")
        big = mail("big", (b"x" * 76 + b"\r\n") * 13_000)
        with running(
            tmp_path,
            workers="2",
            more=more,
            domains='[[domains]]\nname = "example.net"\ndeliver = "smtp:127.0.0.1:1"\n',
        ) as gate:
            codes = []
            while not codes or codes[-1] == 250:
                codes.append(gate.send(big)[0])
                assert len(codes) < 40
            assert codes[-1] == 452
            assert len(codes) > 3
            small = [gate.send(mail(f"small {number}"))[0] for number in range(5)]
            assert set(small) <= {250, 452}
            subprocess.run(["mount", "-o", "remount,size=64m", str(state)], check=True)
            until(lambda: gate.send(big)[0] == 250, gate.log)
            kept = len({row["ref"] for row in gate.rows("queue", "list")})
            assert kept == codes.count(250) + small.count(250) + 1
    finally:
        subprocess.run(["umount", str(state)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_filled_by_the_queue_takes_mail_again_when_the_queue_is_empty(tmp_path: Path) -> None:
    """The database's file does not shrink: what it has free within counts as room.

    The disk is large, and full from a fifth on: the log of the database, whose length is chance on a busy machine, has room in any case.
    """
    state = tmp_path / "var"
    state.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs", str(state)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("this machine mounts nothing")
    try:
        letter = mail("letter", (b"x" * 76 + b"\r\n") * 700)
        with running(
            tmp_path,
            workers="2",
            more='[outbound]\nretry_first = "2s"\n[delivery.schedule]\ndestination_pause_longest = "2s"\ndestination_pause = "2s"\n'
            "[store.room]\nfull_percent = 80.0\n[store.database]\ncheckpoint = '1MiB'\nrestart = '2MiB'\n",
            domains='[[domains]]\nname = "example.net"\ndeliver = "smtp:127.0.0.1:1"\n',
        ) as gate:
            codes = []
            while not codes or codes[-1] == 250:
                codes.append(gate.send(letter)[0])
                assert len(codes) < 900
            assert codes[-1] == 452
            gate.path.write_text(gate.path.read_text().replace("smtp:127.0.0.1:1", "maildir:mail"))
            assert gate.process is not None
            os.kill(gate.process.pid, signal.SIGHUP)
            until(lambda: gate.rows("queue", "list") == [], gate.log)
            assert shutil.disk_usage(state).free < 0.8 * 64 * 2**20
            until(lambda: gate.send(letter)[0] == 250, gate.log)
    finally:
        subprocess.run(["umount", str(state)], check=True)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_file_that_may_not_grow_asks_to_come_back_and_is_fine_later(tmp_path: Path, workers: str) -> None:
    domains = '[[domains]]\nname = "example.net"\ndeliver = "smtp:127.0.0.1:1"\n'
    octets = mail("letter", b"x" * 20_000 + b"\r\n")
    with running(tmp_path, workers=workers, domains=domains, start=False) as gate:
        gate.start(before=[real_program("prlimit", "util-linux"), "--fsize=2000000:unlimited"])
        codes = []
        while not codes or codes[-1] == 250:
            codes.append(gate.send(octets)[0])
            assert len(codes) < 500
        assert codes[-1] in (451, 452)
        for pid in gate.processes():
            subprocess.run(["prlimit", "--pid", str(pid), "--fsize=unlimited"], check=True)
        until(lambda: gate.send(octets)[0] == 250, gate.log)
        kept = len({row["ref"] for row in gate.rows("queue", "list", "--limit", "1000")})
        assert kept == codes.count(250) + 1


def test_the_demo_runs_as_printed_and_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "run"
    home.mkdir()
    environment = os.environ | {"XDG_RUNTIME_DIR": str(home), "TMPDIR": str(home)}
    environment.pop("GATEPOST_CONFIG", None)
    program = [str(Path(sys.executable).with_name("gatepost"))]
    demo = subprocess.Popen(
        [*program, "demo"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        cwd=tmp_path, start_new_session=True,
    )  # fmt: skip
    assert demo.stdout is not None
    said = ""
    try:
        for line in demo.stdout:
            said += line
            if "leaves nothing behind" in line:
                break
        starts = ("  gatepost ", "  swaks ")
        commands = [line.strip() for line in said.splitlines() if line.startswith(starts)]
        first = next(line.strip() for line in said.splitlines() if line.startswith("  export PATH="))
        assert len(commands) >= 8, said
        for command in commands:
            if command.startswith("swaks") and shutil.which("swaks") is None:
                continue
            done = subprocess.run(
                f"{first}\n{command}",
                shell=True,
                capture_output=True,
                text=True,
                env=environment,
                timeout=60,
                check=False,
            )
            # "status" has something to say about the list that is broken on purpose.
            assert done.returncode == 0 or "something wants a look" in done.stdout, (
                f"{command}\n{done.stdout}\n{done.stderr}"
            )
            assert done.stdout, command
        assert list(home.iterdir())
        family = [demo.pid, *children(demo.pid)]
        demo.send_signal(signal.SIGINT)
        rest = demo.stdout.read()
        assert demo.wait(30) == 0, rest
        assert "Traceback" not in said + rest
    finally:
        if demo.poll() is None:
            os.killpg(demo.pid, signal.SIGKILL)
            demo.wait(10)
        demo.stdout.close()
    assert list(home.iterdir()) == []
    assert not any(Path(f"/proc/{pid}").exists() for pid in family)
