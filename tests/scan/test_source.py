"""Messages are found in files, mailboxes, Maildirs and folders, and what is none is named."""

from __future__ import annotations

from gatepost.scan.source import messages_in, paths_below

ONE = b"From: a@a.example\nSubject: one\n\nbody\n"
CRLF = ONE.replace(b"\n", b"\r\n")


def octets_in(path) -> list[bytes]:
    return [one.octets for one in messages_in(str(path))]


def test_a_file_gets_the_line_ends_of_transit(tmp_path) -> None:
    (tmp_path / "a.eml").write_bytes(ONE)
    assert octets_in(tmp_path / "a.eml") == [CRLF]


def test_a_mailbox_of_several(tmp_path) -> None:
    (tmp_path / "m").write_bytes(b"From x Mon\n" + ONE + b">From here\n\nFrom y Tue\n" + ONE)
    assert octets_in(tmp_path / "m") == [CRLF + b"From here\r\n", CRLF]


def test_a_from_line_inside_a_body_does_not_split_without_an_empty_line(tmp_path) -> None:
    (tmp_path / "m").write_bytes(b"From x Mon\n" + ONE + b"From here on\n")
    assert len(octets_in(tmp_path / "m")) == 1


def test_a_single_message_with_a_mailbox_line_keeps_its_quotes(tmp_path) -> None:
    (tmp_path / "m").write_bytes(b"From x Mon\n" + ONE + b">From quoted\n")
    assert octets_in(tmp_path / "m") == [CRLF + b">From quoted\r\n"]


def test_maildir_and_folder_in_order(tmp_path) -> None:
    for name in ("cur", "new", "tmp"):
        (tmp_path / "box" / name).mkdir(parents=True)
    (tmp_path / "box/cur/2:2,S").write_bytes(ONE)
    (tmp_path / "box/new/1").write_bytes(ONE)
    (tmp_path / "box/tmp/x").write_bytes(ONE)
    (tmp_path / "a").write_bytes(ONE)
    assert [path.name for path in paths_below(str(tmp_path))] == ["a", "2:2,S", "1"]


def test_what_is_no_message_says_so(tmp_path) -> None:
    (tmp_path / "picture").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (tmp_path / "empty").write_bytes(b"")
    problems = [
        one.problem for name in ("picture", "empty", "absent") for one in messages_in(str(tmp_path / name))
    ]
    assert "no header field" in problems[0]
    assert problems[1] == "is empty"
    assert "cannot be read" in problems[2]
