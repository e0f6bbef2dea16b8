"""Locked RAR 5 archives, written here as the format says, since the program that makes them is not free."""

from __future__ import annotations

import contextlib
import hashlib
import zlib

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from gatepost.files.inspect import FileLimits, inspect_file
from gatepost.files.rar import MAGIC, MAX_POWER, Broken, WrongPassword, locked_members, unlocked
from gatepost.mail.filereport import FileReport

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
SALT, VECTOR, POWER = bytes(range(16)), bytes(range(16, 32)), 4


def number(value: int) -> bytes:
    octets = bytearray()
    while value > 127:
        octets.append(value & 127 | 128)
        value >>= 7
    return bytes((*octets, value))


def header(body: bytes) -> bytes:
    sized = number(len(body)) + body
    return zlib.crc32(sized).to_bytes(4, "little") + sized


def encrypted(octets: bytes, password: str) -> bytes:
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, 1 << POWER)
    padded = octets.ljust(-(-len(octets) // 16) * 16, b"\0")
    return Cipher(algorithms.AES(key), modes.CBC(VECTOR)).encryptor().update(padded)


def check(password: str) -> bytes:
    long = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, (1 << POWER) + 32)
    folded = bytes(long[n] ^ long[n + 8] ^ long[n + 16] ^ long[n + 24] for n in range(8))
    return folded + hashlib.sha256(folded).digest()[:4]


def archive(
    name: bytes, octets: bytes, password: str, *, list_too: bool = False, said_power: int = POWER
) -> bytes:
    """One stored member, its octets locked; with `list_too` the headers as well. `said_power`: what it says of its key."""
    data = encrypted(octets, password)
    record = number(1) + number(0) + number(1) + bytes((said_power,)) + SALT + VECTOR + check(password)
    extra = number(len(record)) + record
    fields = number(4) + number(len(octets)) + number(0o100644) + zlib.crc32(octets).to_bytes(4, "little")
    fields += number(0) + number(1) + number(len(name)) + name
    parts = [
        header(number(1) + number(0) + number(0)),
        header(number(2) + number(3) + number(len(extra)) + number(len(data)) + fields + extra),
        header(number(5) + number(0) + number(0)),
    ]
    bodies = [b"", data, b""]
    if not list_too:
        return MAGIC + b"".join(one + body for one, body in zip(parts, bodies, strict=True))
    lock = header(number(4) + number(0) + number(0) + number(1) + bytes((POWER,)) + SALT + check(password))
    return (
        MAGIC
        + lock
        + b"".join(VECTOR + encrypted(one, password) + body for one, body in zip(parts, bodies, strict=True))
    )


def look(octets: bytes, *passwords: str) -> list[FileReport]:
    return inspect_file("a.rar", "", octets, 0, passwords=passwords, limits=FileLimits(), scratch=None)


def facts(report: FileReport) -> set[str]:
    return {fact.name for fact in report.facts}


@pytest.mark.parametrize("list_too", [False, True])
def test_a_password_from_the_mail_opens_it(list_too: bool) -> None:
    reports = look(archive(b"eicar.com", EICAR, "secret99", list_too=list_too), "wrong", "secret99")
    assert facts(reports[0]) == {"encrypted", "password-found"}
    assert [(one.name, one.octets) for one in reports[1:]] == [("eicar.com", EICAR)]


@pytest.mark.parametrize("list_too", [False, True])
def test_without_the_password_it_is_told_as_locked(list_too: bool) -> None:
    locked = archive(b"eicar.com", EICAR, "secret99", list_too=list_too)
    for reports in (look(locked, "wrong"), look(locked)):
        assert facts(reports[0]) == {"encrypted"}
        assert [(one.name, facts(one)) for one in reports[1:]] == (
            [] if list_too else [("eicar.com", {"encrypted"})]
        )
        assert "password-found" not in facts(reports[0])
        assert EICAR not in [one.octets for one in reports]


def test_an_archive_whose_key_would_take_minutes_is_left_alone() -> None:
    assert EICAR in unlocked(archive(b"x", EICAR, "s"), "s")
    with pytest.raises(Broken):
        unlocked(archive(b"x", EICAR, "s", said_power=MAX_POWER + 1), "s")


@given(st.binary(max_size=200), st.integers(0, 250), st.binary(max_size=4))
def test_whatever_it_is_given_it_says_so(octets: bytes, at: int, put: bytes) -> None:
    whole = archive(b"x.txt", EICAR, "s")
    for one in (MAGIC + octets, whole[:at] + put + whole[at + len(put) :], whole[:at]):
        with contextlib.suppress(Broken, WrongPassword):
            unlocked(one, "s")
        locked_members(one)
