"""What a postmaster sees of a running gate: status, doctor, lists, backup, journal, metrics and the log."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gatepost.cli.root import COMMANDS, gatepost
from gatepost.config.schema import load
from gatepost.demo.run import free_port
from gatepost.store.secretfile import SecretFile
from gatepost.store.store import Store, StoreSettings
from system.whole import PROGRAM, Gate, mail, running, tls_for, until

ZONE = """
$SECURE .
. SOA a.example. b.example. 1 2 3 4 5
$BOGUS dnssec-failed.org
dnssec-failed.org. SOA a.example. b.example. 1 2 3 4 5
1.2.0.192.in-addr.arpa. PTR mx.example.net.
2.0.0.127.bl.example. A 127.0.0.2
10.2.0.192.bl.example. A 127.0.0.2
2.0.0.127.s3cretlabel.keyed.example. A 127.0.0.2
1.0.0.127.world.example. A 127.0.0.2
2.0.0.127.world.example. A 127.0.0.2
"""
LISTS = """
[[checks.dnsbl.lists]]
zone = "bl.example"
[[checks.dnsbl.lists]]
zone = "keyed.example"
key_file = "{folder}/list-key"
"""


def told(gate: Gate, *words: str, status: int | None = 0) -> str:
    """Standard output of a command, run in this process because starting another takes longer than all it does."""
    said = CliRunner().invoke(gatepost, words, env={"GATEPOST_CONFIG": str(gate.path)})
    assert status is None or said.exit_code == status, said.output
    return said.stdout


def rows(gate: Gate, *words: str) -> list[dict[str, Any]]:
    """The same with --json, read."""
    return [json.loads(line) for line in told(gate, *words, "--json").splitlines()]


def refused(gate: Gate, *words: str) -> str:
    """One sentence and status 1."""
    said = CliRunner().invoke(gatepost, words, env={"GATEPOST_CONFIG": str(gate.path)})
    assert said.exit_code == 1
    assert len(said.output.splitlines()) == 1
    return said.output


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """Two workers, all well, five messages delivered, one recipient refused."""
    folder = tmp_path_factory.mktemp("gate")
    (folder / "list-key").write_text("s3cretlabel\n")
    more = (
        tls_for(folder)
        + LISTS.format(folder=folder)
        + f'[metrics]\naddress = "127.0.0.1:{free_port(0)}"\n'
        + '[alerts]\nto = ["ana@example.net"]\n[log]\nformat = "json"\n'
    )
    with running(folder, zone=ZONE, workers="2", more=more) as gate:
        for number in range(5):
            assert gate.send(mail(f"letter {number}"), "ben@example.net")[0] == 250
        assert gate.send(mail("x"), "nobody@example.net")[0] == 550
        gate.wait_for("ben@example.net", 5)
        until(lambda: len(rows(gate, "history")) == 6, gate.log)  # refusals are written a moment later
        yield gate


def test_status_of_a_gate_that_is_well(gate: Gate) -> None:
    shown = told(gate, "status")
    assert shown.startswith("mx.example.net: it is well\n")
    assert "gate         running since" in shown
    assert "validates DNSSEC, and its word is taken" in shown
    assert "list         bl.example in service" in shown
    assert "5 deliver" in shown
    (row,) = rows(gate, "status")
    assert row["state"] == "well"
    assert row["running"] is True
    assert row["concerns"] == []
    assert row["last_24_h"]["deliver"] == 5
    assert row["last_24_h"]["turned_down"] == 1
    assert row["disk"]["room"] == "ok"
    assert [one["file"] for one in row["certificates"]] == ["certificate.pem"]


def test_doctor_finds_nothing_wrong(gate: Gate) -> None:
    *remarks, last = told(gate, "doctor").splitlines()
    assert last == "Nothing is wrong."
    (remark,) = [line for line in remarks if line.startswith("- ")]
    assert "No virus scanner is asked" in remark


def test_a_second_gate_on_the_same_state_is_refused(gate: Gate) -> None:
    said = subprocess.run(
        [*PROGRAM, "serve", "--config", str(gate.path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert said.returncode == 1
    assert "another gate is at work on" in said.stderr


def test_lists_tell_what_each_is_worth(gate: Gate) -> None:
    listed, keyed = rows(gate, "lists")
    assert (listed["list"], listed["mode"], listed["in_service"]) == ("bl.example", "observe", True)
    assert (listed["asked"], listed["hit"], listed["decided"]) == (6, 6, 0)
    assert (keyed["asked"], keyed["hit"], keyed["in_service"]) == (6, 0, True)
    assert re.search(r"^bl\.example +observe +6 +6 +0 ", told(gate, "lists"), re.MULTILINE)


def test_metrics_sum_up_all_processes(gate: Gate) -> None:
    address = re.search(r'\[metrics\]\naddress = "(.*)"', gate.path.read_text())
    assert address is not None

    def text() -> str:
        with urllib.request.urlopen(f"http://{address[1]}/metrics", timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain")
            return answer.read().decode()

    wanted = (
        'gatepost_messages_total{action="deliver",role="mx"} 5.0',
        'gatepost_refusals_total{kind="attempt",role="mx",rule="recipients.unknown"} 1.0',
        'gatepost_deliveries_total{outcome="delivered"} 5.0',
        'gatepost_message_seconds_count{stage="total"} 5.0',
        'gatepost_list_in_service{list="bl.example"} 1.0',
        'gatepost_concerns{level="critical"} 0.0',
    )
    until(lambda: all(line in text() for line in wanted), text)
    assert re.search(r"^gatepost_connections_total [1-9]", text(), re.MULTILINE)
    assert re.search(r'^gatepost_dns_questions_total\{answered="network"\} [1-9]', text(), re.MULTILINE)


def test_the_log_has_one_json_line_a_message_and_no_secret(gate: Gate) -> None:
    log = (gate.folder / "log").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    messages = [line for line in lines if line["event"] == "message"]
    assert len(messages) == 5
    assert len({line["ref"] for line in messages}) == 5
    assert messages[0]["sender"] == "ann@good.example"
    assert messages[0]["recipients"] == ["ben@example.net"]
    assert "dnsbl.listed:bl.example" in messages[0]["findings"]
    story = told(gate, "explain", messages[0]["ref"], "--json")
    assert "keyed.example" in story
    assert "s3cretlabel" not in log + story + told(gate, "status", "--json") + told(gate, "lists", "--json")


def test_a_reference_without_a_story_leads_to_where_it_may_be(gate: Gate) -> None:
    told = refused(gate, "explain", "2N50XR3CZPCTX")
    assert "No message with the reference 2N50XR3CZPCTX is on record here." in told
    assert "journalctl -u gatepost --grep 2N50XR3CZPCTX" in told
    assert "journalctl" not in refused(gate, "explain", "2N50X")


def test_a_backup_of_a_running_gate_is_verified_and_restored_elsewhere(gate: Gate, tmp_path: Path) -> None:
    kept, there = tmp_path / "kept", load(gate.path).state
    SecretFile(there / "keys" / "srs.secret", "for tests").secrets()
    assert "6 entries of history" in told(gate, "backup", "create", str(kept))
    assert "whole and unaltered" in told(gate, "backup", "verify", str(kept))
    assert "exists already" in refused(gate, "backup", "create", str(kept))
    assert "a gate is at work on" in refused(gate, "backup", "restore", str(kept))
    other = Gate(tmp_path, gate.path.read_text())
    state = load(other.path).state
    assert "put the key file there first" in refused(other, "backup", "restore", str(kept))
    (state / "keys").mkdir(parents=True)
    shutil.copy2(there / "keys" / "quarantine.key", state / "keys" / "quarantine.key")
    said = told(other, "backup", "restore", str(kept))
    assert "is as it was on" in said
    assert "Whoever was erased after" in said
    (tmp_path / "third").mkdir()
    third = Gate(tmp_path / "third", gate.path.read_text())
    (load(third.path).state / "keys").mkdir(parents=True)
    shutil.copy2(there / "keys" / "quarantine.key", load(third.path).state / "keys" / "quarantine.key")
    (tmp_path / "gone").write_text(told(gate, "backup", "gone"))
    said = told(third, "backup", "restore", str(kept), "--gone", str(tmp_path / "gone"))
    assert "and done again: nothing." in said
    assert "after that list was written is back" in said
    assert "Whoever was erased after" not in said
    assert told(other, "history", "--json") == told(gate, "history", "--json")
    assert (state / "keys" / "srs.secret").read_bytes() == (there / "keys" / "srs.secret").read_bytes()
    (kept / "gatepost.db").write_bytes(b"x")
    assert told(other, "backup", "verify", str(kept), status=1) == ""
    assert "is not empty" in refused(other, "backup", "restore", str(kept))


def test_what_a_person_did_is_in_the_journal(gate: Gate) -> None:
    (row,) = rows(gate, "history", "--limit", "1", "--to", "ben@example.net")
    sound = json.loads(told(gate, "journal", "verify", "--json"))
    assert sound["sound"] is True
    assert rows(gate, "journal", "list", "--about", row["ref"]) == []


def test_a_head_kept_elsewhere_tells_that_the_journal_was_cut(tmp_path: Path) -> None:
    heads = tmp_path / "heads"
    more = f'[journal]\nsend_head_to = ["{heads}"]\nhead_every = "60s"\n'
    with running(tmp_path, zone=ZONE, more=more) as gate:
        told(
            gate,
            "lists",
            "block",
            "add",
            "mallory@example.org",
            "--reason",
            "mallory@example.org sells pills",
        )
        heads.write_text("some text\n" + told(gate, "journal", "head"))
        assert "1 heads from elsewhere are all in it" in told(gate, "journal", "verify", "--head", str(heads))
        assert "2 fields were erased" in told(
            gate, "journal", "erase", "mallory@example.org", "--reason", "case 4"
        )
        assert "names the person" in refused(
            gate, "journal", "erase", "x@example.org", "--reason", "X@example.org asked"
        )
        sound = json.loads(told(gate, "journal", "verify", "--head", str(heads), "--json"))
        assert (sound["sound"], sound["erased_fields"], sound["heads"]) == (True, 2, 1)
        exported = [json.loads(line) for line in told(gate, "journal", "export").splitlines()]
        assert exported[-1]["number"] == exported[-2]["number"] == 2
        (tmp_path / "none").write_text("nothing here")
        assert "no head of a journal" in refused(gate, "journal", "verify", "--head", str(tmp_path / "none"))
        gate.stop()
        with closing(sqlite3.connect(tmp_path / "var" / "gatepost.db", isolation_level=None)) as database:
            database.execute("DELETE FROM journal")
            database.execute("DELETE FROM journal_fields")
        assert "known from earlier and is missing" in refused(gate, "journal", "verify", "--head", str(heads))


def test_an_alarm_comes_by_mail_and_a_stopped_gate_is_critical(tmp_path: Path) -> None:
    more = '[alerts]\nto = ["ana@example.net"]\n[[checks.dnsbl.lists]]\nzone = "world.example"\n[jobs]\nhealth = "0.3s"\n'
    with running(tmp_path, zone=ZONE, more=more, mode='"observe"') as gate:
        (alarm,) = gate.wait_for("ana@example.net")
        assert b"\nReturn-Path: <>" in b"\n" + alarm
        assert b"Auto-Submitted: auto-generated" in alarm
        assert b"The list world.example is out of service: it lists the world" in alarm
        assert "Something wants a look".lower() in told(gate, "status", status=1)
        (row,) = [one for one in rows(gate, "lists") if one["list"] == "world.example"]
        assert "it lists the world" in row["why_out"]
        findings = [json.loads(line) for line in told(gate, "doctor", "--json", status=1).splitlines()]
        levels = {one["key"]: one["level"] for one in findings}
        assert levels["list:world.example"] == "warning"
        assert levels["no-tls"] == "warning"
        assert levels["observing"] == "well"
        gate.stop()
        assert "The gate is not running." in told(gate, "status", status=2)
        assert "CRITICAL: The gate is not running." in told(gate, "doctor", status=2)
        assert len(gate.boxes("ana@example.net")) == 1


def test_a_released_message_contradicts_the_list_that_hit_it(tmp_path: Path) -> None:
    more = '[[checks.dnsbl.lists]]\nzone = "bl.example"\nmode = "enforce"\nweight = 9.0\n'
    with running(tmp_path, zone=ZONE, more=more) as gate:
        code, said = gate.send(mail("held", author="x@plain.example"), sender="x@plain.example")
        assert code == 250, said
        ref = re.search(r"\[ref (\w+)\]", said)
        assert ref is not None
        told(gate, "quarantine", "release", ref[1], "--why", "ana expects it")
        gate.wait_for("ana@example.net")
        (row,) = rows(gate, "lists")
        assert (row["hit"], row["decided"], row["contradicted"]) == (1, 1, 1)
        lenient = tmp_path / "lenient.toml"
        lenient.write_text(gate.path.read_text().replace("weight = 9.0", "weight = 1.0"))
        assert "of these, 1 a person had released" in told(gate, "plan", str(lenient))
        (done,) = rows(gate, "journal", "list", "--about", ref[1])
        assert done["what"] == "quarantine release <ana@example.net>"
        assert done["why"] == "ana expects it"
        assert rows(
            gate, "journal", "list", "--about", "<ana@example.net>", "--kind", "quarantine release"
        ) == [done]


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_what_cannot_be_read_is_critical(command: str, tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("hostnme = 1\n")
    said = CliRunner().invoke(gatepost, [command, "--config", str(tmp_path / "broken.toml")])
    assert said.exit_code == 2
    assert "Did you mean hostname?" in said.output
    (tmp_path / "fresh.toml").write_text(
        'hostname = "mx.example.net"\n[dns]\nservers = ["127.0.0.1:1"]\npatience = "0.1s"\n'
    )
    said = CliRunner().invoke(gatepost, [command, "--config", str(tmp_path / "fresh.toml")])
    assert said.exit_code == 2
    assert "has the gate been started once?" in said.output


LOOKING = (
    ("history", "--limit", "1"), ("queue", "list"), ("quarantine", "list"), ("journal", "list"), ("backup", "create"),
)  # fmt: skip


@pytest.mark.parametrize("words", LOOKING, ids=lambda words: words[0])
def test_looking_takes_neither_every_room_nor_a_sound_configuration(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    """Cron and hooks call these often: what they do not use is not imported, and what is wrong with it stops nobody."""
    path = tmp_path / "gatepost.toml"
    path.write_text('hostname = "mx.example.net"\n[checks.dnsbl]\nlist = 7\n')
    state = tmp_path / "var"
    state.mkdir(mode=0o700)
    asyncio.run(Store.open(state, StoreSettings()).close())
    target = [str(tmp_path / "backup")] if words[0] == "backup" else []
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gatepost", *words, *target, "--config", str(path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "gatepost.store.store" in imported
    assert not {"gatepost.config.schema", "gatepost.checks.registry", "numpy", "uvloop"} & imported
    assert "checks.dnsbl" in CliRunner().invoke(gatepost, ["status", "--config", str(path)]).output


def commands() -> list[list[str]]:
    """Every command and subcommand that there is."""
    found = []
    for name in COMMANDS:
        command = gatepost.get_command(None, name)  # type: ignore[arg-type]
        found += [[name], *([name, one] for one in getattr(command, "commands", ()))]
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_help_shows_an_example(words: list[str]) -> None:
    said = CliRunner().invoke(gatepost, [*words, "--help"])
    assert said.exit_code == 0
    assert f"Example: gatepost {words[0]}" in said.output
