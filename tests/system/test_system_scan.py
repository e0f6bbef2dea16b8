"""`gatepost scan` as scripts call it: exit statuses, JSON, zones, mailboxes, standard input."""

from __future__ import annotations

import base64
import json
import mailbox
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from whole import PROGRAM, children, mail

from gatepost.cli.root import gatepost
from gatepost.mail.message import Message
from gatepost.mailauth.dkim_sign import sign

KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
NOW = 1_790_000_000
ZONE = f"""
good.example.                 TXT "v=spf1 ip4:192.0.2.10 -all"
good.example.                 MX 10 mail.good.example.
mail.good.example.            A 192.0.2.10
10.2.0.192.in-addr.arpa.      PTR mail.good.example.
_dmarc.good.example.          TXT "v=DMARC1; p=reject; sp=quarantine"
k._domainkey.good.example.    TXT "v=DKIM1; k=ed25519; p={PUBLIC}"
soft.example.                 TXT "v=spf1 -all"
soft.example.                 MX 10 mail.good.example.
_dmarc.soft.example.          TXT "v=DMARC1; p=quarantine"
helo.example.                 TXT "v=spf1 ip4:192.0.2.10 -all"
$FAIL broken.example.
$FAIL _dmarc.broken.example.
$TIMEOUT slow.example. TXT
$TIMEOUT _dmarc.slow.example. TXT
$SECURE safe.example.
safe.example.                 TXT "v=spf1 ip4:192.0.2.10 -all"
_dmarc.safe.example.          TXT "v=DMARC1; p=reject"
$BOGUS bogus.example.
bogus.example.                TXT "v=spf1 ip4:192.0.2.10 -all"
_dmarc.bogus.example.         TXT "v=DMARC1; p=none"
"""
LISTS = """
hostname = "mx.example.net"
[policy]
{policy}
"""


def scan(
    folder: Path, *words: str, given: bytes = b"", zone: bool = True
) -> tuple[int, list[dict[str, Any]], str]:
    """Exit status, the objects, and standard error."""
    (folder / "the.zone").write_text(ZONE)
    names = ["--zone", str(folder / "the.zone")] if zone else []
    environment = {"GATEPOST_CONFIG": None}
    # In this process, which is far quicker; a real one is started where that could matter.
    done = CliRunner().invoke(
        gatepost, ["scan", "--json", *names, "--now", str(NOW), *words], input=given, env=environment
    )
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def signed(octets: bytes, **options: Any) -> bytes:
    return (
        sign(Message.parse(octets), domain="good.example", selector="k", key=KEY, now=NOW - 60, **options)
        + octets
    )


GOOD = (
    "--client-ip",
    "192.0.2.10",
    "--hello",
    "mail.good.example",
    "--mail-from",
    "ann@good.example",
    "--rcpt",
    "ana@example.net",
)
FORGER = ("--client-ip", "203.0.113.9", "--hello", "mail.good.example", "--rcpt", "ana@example.net")


def test_a_message_that_is_all_right(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(signed(mail()))
    status, [found], _ = scan(tmp_path, *GOOD, str(tmp_path / "a.eml"))
    assert (status, found["action"], found["index"], found["path"]) == (
        0,
        "deliver",
        0,
        str(tmp_path / "a.eml"),
    )
    assert found["would_action"] == "deliver"
    assert isinstance(found["score"], float)
    assert found["milliseconds"]["total"] > 0
    assert found["reason"]
    proved = found["authentication"]
    assert proved["spf"]["mail_from"]["result"] == "pass"
    assert proved["spf"]["mail_from"]["domain"] == "good.example"
    assert proved["spf"]["mail_from"]["mechanism"] == "ip4:192.0.2.10"
    [dkim] = proved["dkim"]
    assert {name: dkim[name] for name in ("result", "domain", "selector", "algorithm", "reason")} == {
        "result": "pass", "domain": "good.example", "selector": "k", "algorithm": "ed25519-sha256", "reason": None,
    }  # fmt: skip
    assert proved["arc"]["result"] == "none"
    assert proved["arc"]["sealers"] == []
    dmarc = proved["dmarc"]
    assert dmarc["result"] == "pass"
    assert (dmarc["author_domain"], dmarc["policy_domain"], dmarc["policy"]) == (
        "good.example",
        "good.example",
        "reject",
    )
    assert sorted(dmarc["aligned_by"]) == ["dkim", "spf"]
    for finding in found["findings"]:
        assert {"name", "text", "weight", "mode", "evidence"} <= set(finding)


@pytest.mark.parametrize(
    ("sender", "author", "policy", "status", "action"),
    [
        ("x@nobody.example", "ann@good.example", "", 4, "refuse"),
        ("x@nobody.example", "ann@sub.good.example", "", 6, "junk"),
        (
            "x@nobody.example",
            "ann@good.example",
            'actions = {"dmarc.reject" = "quarantine"}',
            3,
            "quarantine",
        ),
        ("ann@broken.example", "ann@broken.example", "", 5, "defer"),
        ("ann@slow.example", "ann@slow.example", "", 5, "defer"),
        ("ann@bogus.example", "ann@bogus.example", "", 5, "defer"),
    ],
)
def test_exit_status_says_what_would_be_done(
    tmp_path: Path, sender: str, author: str, policy: str, status: int, action: str
) -> None:
    (tmp_path / "a.eml").write_bytes(mail(author=author))
    (tmp_path / "gatepost.toml").write_text(LISTS.format(policy=policy))
    got, [found], _ = scan(
        tmp_path,
        *FORGER,
        "--mail-from",
        sender,
        "--config",
        str(tmp_path / "gatepost.toml"),
        str(tmp_path / "a.eml"),
    )
    assert (got, found["action"]) == (status, action), found
    if action == "defer":
        spf = found["authentication"]["spf"]["mail_from"]["result"]
        assert "temperror" in (spf, found["authentication"]["dmarc"]["result"])
        assert found["authentication"]["dmarc"]["result"] != "none"


def test_the_null_sender_is_postmaster_at_the_hello_name(tmp_path: Path) -> None:
    for null in ("", "<>"):
        (tmp_path / "a.eml").write_bytes(mail(author="mailer-daemon@helo.example"))
        _, [found], _ = scan(
            tmp_path,
            "--client-ip",
            "192.0.2.10",
            "--hello",
            "helo.example",
            "--mail-from",
            null,
            str(tmp_path / "a.eml"),
        )
        spf = found["authentication"]["spf"]
        assert (spf["mail_from"]["result"], spf["mail_from"]["domain"]) == ("pass", "helo.example")
        assert (spf["hello"]["result"], spf["hello"]["domain"]) == ("pass", "helo.example")


def test_an_expired_signature_does_not_pass(tmp_path: Path) -> None:
    octets = signed(mail(), expires_s=160)
    (tmp_path / "a.eml").write_bytes(octets)
    for now, passes in ((NOW, True), (NOW + 101, False)):
        _, [found], _ = scan(tmp_path, *GOOD, "--now", str(now), str(tmp_path / "a.eml"))
        assert (found["authentication"]["dkim"][0]["result"] == "pass") is passes


def test_without_dns_nothing_is_asked_and_nothing_waits(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(signed(mail()))
    status, [found], _ = scan(tmp_path, *GOOD, "--no-dns", str(tmp_path / "a.eml"), zone=False)
    assert (status, found["action"]) in ((0, "deliver"), (6, "junk"))
    assert found["authentication"]["dmarc"]["result"] == "none"


def test_standard_input_and_the_envelope_of_the_message(tmp_path: Path) -> None:
    octets = (
        b"Return-Path: <ann@good.example>\r\nReceived: from mail.good.example (mail.good.example [192.0.2.10])\r\n"
        b"\tby mx.example.net with ESMTP id 1; Tue, 24 Nov 2026 08:00:00 +0000\r\n" + mail()
    )
    status, [found], _ = scan(tmp_path, "-", given=octets)
    assert status == 0
    assert found["path"] == "-"
    assert found["authentication"]["spf"]["mail_from"]["result"] == "pass"
    status, [found], _ = scan(tmp_path, "-", given=mail())
    assert found["authentication"]["spf"]["mail_from"]["result"] == "none"


def test_mailboxes_maildirs_and_folders(tmp_path: Path) -> None:
    box = mailbox.mbox(tmp_path / "all.mbox")
    maildir = mailbox.Maildir(tmp_path / "Maildir")
    (tmp_path / "folder").mkdir()
    for number in range(5):
        octets = mail(f"number {number}")
        box.add(octets.replace(b"\r\n", b"\n"))
        maildir.add(octets.replace(b"\r\n", b"\n"))
        (tmp_path / f"folder/{number}.eml").write_bytes(octets)
    box.close()
    (tmp_path / "folder/picture.eml").write_bytes(bytes(range(256)) * 50)
    status, found, told = scan(tmp_path, *GOOD, str(tmp_path / "all.mbox"))
    assert status == 0
    assert [one["index"] for one in found] == [0, 1, 2, 3, 4]
    status, found, _ = scan(tmp_path, *GOOD, str(tmp_path / "Maildir"))
    assert (status, len(found)) == (0, 5)
    status, found, told = scan(tmp_path, *GOOD, str(tmp_path / "folder"))
    assert (status, [one["path"][-5:] for one in found]) == (0, [f"{one}.eml" for one in range(5)])
    assert "picture.eml" in told
    assert told.splitlines()[-1] == "5 messages judged: 5 deliver; 1 could not be read as one."


def test_no_message_and_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(bytes(range(256)) * 50)
    status, found, told = scan(tmp_path, *GOOD, str(tmp_path / "picture"))
    assert (status, found) == (1, [])
    assert "picture" in told
    assert scan(tmp_path, str(tmp_path / "not-there"))[0] in (1, 2)
    (tmp_path / "empty").mkdir()
    for nothing in (["empty"], ["picture", "not-there"]):
        status, found, told = scan(tmp_path, *GOOD, *(str(tmp_path / name) for name in nothing))
        assert (status, found) == (1, [])
        assert "0 messages judged" in told
    assert scan(tmp_path, "--client-ip", "nonsense", str(tmp_path / "picture"))[0] == 2
    assert scan(tmp_path, "--no-such-option", str(tmp_path / "picture"))[0] == 2
    (tmp_path / "bad.toml").write_text('hostnam = "x.example"\n')
    (tmp_path / "a.eml").write_bytes(mail())
    status, _, told = scan(tmp_path, "--config", str(tmp_path / "bad.toml"), str(tmp_path / "a.eml"))
    assert status == 1
    assert "hostname" in told


def test_many_files_keep_their_order_and_use_every_core(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(300):
        (tmp_path / f"many/{number:04d}.eml").write_bytes(
            signed(mail(f"number {number}", b"line\r\n" * 2000))
        )
    (tmp_path / "the.zone").write_text(ZONE)
    process = subprocess.Popen(
        [*PROGRAM, "scan", "--json", "--zone", str(tmp_path / "the.zone"), "--now", str(NOW), *GOOD, str(tmp_path / "many")],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    most = 0
    while process.poll() is None and most < 2:
        most = max(most, len(children(process.pid)))
    told = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert most >= min(2, len(os.sched_getaffinity(0)))
    found = [json.loads(line) for line in told.splitlines()]
    assert [Path(one["path"]).name for one in found] == [f"{number:04d}.eml" for number in range(300)]
    assert {one["action"] for one in found} == {"deliver"}


def test_a_mistake_in_the_configuration_is_told_for_many_files_as_for_one(tmp_path: Path) -> None:
    for number in range(70):
        (tmp_path / f"{number:02}.eml").write_bytes(b"From: a@b.example\r\n\r\nhello\r\n")
    wrong = tmp_path / "gatepost.toml"
    wrong.write_text('hostname = "mx.example"\nhostnam = 1\n')
    told = [
        subprocess.run(
            [*PROGRAM, "scan", "--config", str(wrong), "--no-dns", *map(str, paths)],
            capture_output=True, text=True, check=False,
        )
        for paths in ([tmp_path / "00.eml"], sorted(tmp_path.glob("*.eml")))
    ]  # fmt: skip
    one, many = told
    assert "hostnam" in one.stderr
    assert (many.returncode, many.stderr) == (one.returncode, one.stderr)


def test_words_for_people(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(mail())
    (tmp_path / "the.zone").write_text(ZONE)
    done = subprocess.run(
        [*PROGRAM, "scan", "--zone", str(tmp_path / "the.zone"), *FORGER, "--mail-from", "ann@good.example", str(tmp_path / "a.eml")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 4
    assert "refused" in done.stdout
    assert "good.example" in done.stdout
