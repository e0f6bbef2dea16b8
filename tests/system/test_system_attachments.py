"""What becomes of an attached file, from the session to the mailbox, in the whole program."""

from __future__ import annotations

import base64
import re
from email import message_from_bytes
from pathlib import Path

from whole import mail, running, without_trace

STRIP = """
[checks.attachments]
types = { program = "strip" }
"""
PROGRAM = b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\0\0" + bytes(200)


def with_program() -> bytes:
    body = base64.encodebytes(PROGRAM).replace(b"\n", b"\r\n")
    octets = mail("tools", b"").replace(
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
        b'Content-Type: multipart/mixed; boundary="b"\r\n',
    )
    return (
        octets + b"--b\r\nContent-Type: text/plain\r\n\r\nHere it is.\r\n--b\r\n"
        b'Content-Type: application/octet-stream; name="setup.exe"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        + body + b"--b--\r\n"
    )  # fmt: skip


def test_a_program_is_taken_out_and_the_original_is_kept(tmp_path: Path) -> None:
    sent = with_program()
    with running(tmp_path, more=STRIP) as gate:
        code, said = gate.send(sent)
        assert code == 250, said
        [delivered] = gate.wait_for("ana@example.net", junk=True)  # that there was a program still counts
        reference = re.search(r"\[ref (\w+)\]", said)
        assert reference is not None
        parts = [
            one.get_payload(decode=True)
            for one in message_from_bytes(delivered).walk()
            if not one.is_multipart()
        ]
        assert b"Here it is." in parts[0]
        assert PROGRAM not in parts
        assert b"setup.exe" in parts[1]
        assert reference[1].encode() in parts[1]
        assert base64.encodebytes(PROGRAM)[:60] not in delivered
        [held] = gate.rows("quarantine", "list")
        assert (held["ref"], held["original"]) == (reference[1], True)
        gate.run("quarantine", "release", reference[1])
        [whole] = gate.wait_for("ana@example.net")
        assert without_trace(whole) == without_trace(sent)
