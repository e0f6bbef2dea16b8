"""Final delivery: nothing is half there, nothing is there twice, whatever fails in between."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery_bench import mailbox_files
from gatepost.delivery.maildir import Filed, copy_name, file_copy, mailbox, safe_name
from gatepost.mail.address import Address

ANA = Address("ana", "example.net")
COPY = b"Subject: x\r\n\r\nline\r\n"
NAME = copy_name(created_at=1_750_000_000.7, ref="ABC", item=7, hostname="mx.example.net")


def file_it(base: Path, *, junk: bool = False, octets: bytes = COPY) -> Filed:
    return file_copy(base=base, to=ANA, octets=octets, name=NAME, junk=junk)


def test_a_copy_lies_in_new_with_line_feeds_and_for_its_owner_only(tmp_path: Path) -> None:
    base = tmp_path / "mail"
    filed = file_it(base)
    filed.forget()
    assert NAME == "1750000000.GabcI7.mx.example.net"
    assert filed.path == base / "example.net/ana/new" / NAME
    assert filed.path.read_bytes() == b"Subject: x\n\nline\n"
    assert filed.path.stat().st_mode & 0o777 == 0o600
    for folder in (base, base / "example.net", base / "example.net/ana", filed.path.parent):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list((base / "example.net/ana/tmp").iterdir()) == []


def test_junk_lies_in_a_folder_that_readers_know(tmp_path: Path) -> None:
    filed = file_it(tmp_path, junk=True)
    assert filed.path.parent == tmp_path / "example.net/ana/.Junk/new"
    assert (tmp_path / "example.net/ana/.Junk/maildirfolder").exists()
    file_it(tmp_path)
    assert len(mailbox_files(tmp_path / "example.net/ana")) == 1


def test_the_second_try_after_a_crash_files_nothing(tmp_path: Path) -> None:
    first = file_it(tmp_path)  # and then the process dies
    assert file_it(tmp_path).again
    moved = tmp_path / "example.net/ana/cur" / (NAME + ":2,S")
    first.path.rename(moved)
    assert file_it(tmp_path).again, "the reader has seen it meanwhile"
    assert mailbox_files(tmp_path / "example.net/ana") == []


@pytest.mark.parametrize(
    ("local", "name"),
    [
        ("ana", "ana"),
        ("Ana.B+c", "ana.b+c"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
        ("a/b", "a%2Fb"),
        ("100%", "100%25"),
        ("a b\x00", "a%20b%00"),
        ("jürgen", "j%C3%BCrgen"),
        ("", "%"),
    ],
)
def test_folder_names_are_safe(local: str, name: str) -> None:
    assert safe_name(local) == name


@given(st.text(max_size=400))
def test_no_local_part_leaves_its_domain(local: str) -> None:
    path = mailbox(Path("/mail"), Address(local, "example.net"))
    assert path.parent == Path("/mail/example.net")
    assert path.name not in ("", ".", "..")
    assert not path.name.startswith(".")
    assert len(path.name) < 250


def test_a_link_in_place_of_the_copy_is_not_followed(tmp_path: Path) -> None:
    file_it(tmp_path).path.unlink()
    mark = tmp_path / "example.net/ana/tmp" / NAME
    mark.unlink()
    target = tmp_path / "precious"
    target.write_text("keep")
    mark.symlink_to(target)
    with pytest.raises(OSError, match="symbolic"):
        file_it(tmp_path)
    assert target.read_text() == "keep"


def _failing_at(number: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Every operation on the disk counts; the one with this number, and all later ones, fail (the machine died)."""
    count = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count >= number:
                raise OSError(5, "dead")
            return real(*arguments, **named)

        return call

    for name in ("open", "write", "fsync", "link", "mkdir", "unlink"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    return lambda: count


def test_whatever_step_dies_the_next_try_leaves_exactly_one_whole_copy(tmp_path: Path) -> None:
    steps, number = 0, 1
    while True:
        base = tmp_path / str(number)
        with pytest.MonkeyPatch.context() as patch:
            seen = _failing_at(number, patch)
            try:
                file_it(base).forget()
            except OSError:
                died = True
            else:
                died = seen() >= number  # in forget, which says nothing
        if not died:
            break
        for copy in mailbox_files(base / "example.net/ana"):
            assert copy.read_bytes() == b"Subject: x\n\nline\n", "a reader never sees half a copy"
        file_it(base).forget()
        (copy,) = mailbox_files(base / "example.net/ana")
        assert copy.read_bytes() == b"Subject: x\n\nline\n"
        steps, number = steps + 1, number + 1
    assert steps > 15
