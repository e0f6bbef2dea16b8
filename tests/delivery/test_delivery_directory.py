"""Who the recipients are, and where each one's mail ends up."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from delivery_bench import parsed
from drive import drive
from gatepost.delivery.directory import Directory
from gatepost.delivery.routes import Routes
from gatepost.delivery.settings import DomainSettings
from gatepost.mail.address import Address
from gatepost.smtp.sending import Hop
from gatepost.tools import RecipientAnswer, Standing


class Asked:
    """A callout that knows one mailbox."""

    def __init__(self) -> None:
        self.questions: list[str] = []

    async def ask(self, hop: Hop, address: Address) -> RecipientAnswer:
        self.questions.append(f"{hop} {address}")
        known = address.local == "ana"
        return RecipientAnswer(Standing.KNOWN if known else Standing.UNKNOWN, "it said so")


def directory(
    folder: Path = Path("/x"), *, callout: Asked | None = None, postmaster: str = "", **domain: Any
) -> Directory:
    settings = DomainSettings(**{"name": "example.net", "deliver": "maildir:mail"} | domain)
    return Directory(
        Routes([settings], folder=folder),
        clock=lambda: clock[0],
        callout=callout,
        postmaster=parsed(postmaster) if postmaster else None,
    )


clock = [0.0]
LISTED = ("Ana@example.net", "ben")


def standing(it: Directory, text: str) -> Standing:
    address = Address("postmaster", "") if text == "postmaster" else parsed(text)
    return drive(it.find(address)).standing


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("ana@example.net", Standing.KNOWN),
        ("ANA@example.net", Standing.KNOWN),
        ("ben+news@example.net", Standing.KNOWN),
        ("carl@example.net", Standing.UNKNOWN),
        ("carl+x@example.net", Standing.UNKNOWN),
        ("+x@example.net", Standing.UNKNOWN),
        ("sales@example.net", Standing.KNOWN),
        ("postmaster@example.net", Standing.KNOWN),
        ("PostMaster@example.net", Standing.KNOWN),
        ("postmaster", Standing.KNOWN),
        ("abuse@example.net", Standing.KNOWN),
        ("ana@example.org", Standing.NOT_OURS),
        ("ana@sub.example.net", Standing.NOT_OURS),
    ],
)
def test_who_is_a_recipient(address: str, expected: Standing) -> None:
    it = directory(recipients=LISTED, aliases={"sales": ("ana", "ben")})
    assert standing(it, address) is expected


@pytest.mark.parametrize(
    ("address", "finals"),
    [
        ("ana@example.net", ("Ana@example.net",)),
        ("ana+x@example.net", ("Ana@example.net",)),
        ("sales@example.net", ("Ana@example.net", "zoe@elsewhere.example")),
        ("sales+2026@example.net", ("Ana@example.net", "zoe@elsewhere.example")),
        (
            "all@example.net",
            (
                "Ana@example.net",
                "zoe@elsewhere.example",
                "all@example.net",
                "ben@example.net",
                "copy@elsewhere.example",
            ),
        ),
        ("ben@example.net", ("ben@example.net", "copy@elsewhere.example")),
        ("postmaster@example.net", ("Ana@example.net",)),
        ("abuse@example.net", ("Ana@example.net",)),
        ("who@elsewhere.example", ("who@elsewhere.example",)),
    ],
)
def test_where_it_ends_up(address: str, finals: tuple[str, ...]) -> None:
    aliases = {
        "sales": ("ana", "zoe@elsewhere.example"),
        "all": ("sales", "ana@example.net", "all@example.net", "ben"),
        "ben": ("ben", "copy@elsewhere.example"),
    }
    it = directory(recipients=LISTED, aliases=aliases)
    assert sorted(it.expand(parsed(address))) == sorted(finals)


def test_circles_are_cut_and_pure_circles_are_an_error() -> None:
    it = directory(recipients=LISTED, aliases={"a": ("b", "ana"), "b": ("a", "ben")})
    assert it.expand(parsed("a@example.net")) == ("ben@example.net", "Ana@example.net")
    with pytest.raises(ValueError, match="leads only back to itself"):
        directory(recipients=LISTED, aliases={"a": "b", "b": "a"})


def test_a_catch_all_takes_only_who_is_unknown() -> None:
    it = directory(recipients=LISTED, aliases={"*": "ana"})
    assert standing(it, "anyone@example.net") is Standing.KNOWN
    assert it.expand(parsed("anyone@example.net")) == ("Ana@example.net",)
    assert it.expand(parsed("ben@example.net")) == ("ben@example.net",)


def test_who_reads_postmaster() -> None:
    assert directory(recipients="*").expand(parsed("postmaster@example.net")) == ("postmaster@example.net",)
    chosen = directory(recipients=LISTED, postmaster="boss@elsewhere.example")
    assert chosen.expand(Address("postmaster", "")) == ("boss@elsewhere.example",)
    own = directory(recipients=LISTED, postmaster="boss@elsewhere.example", aliases={"postmaster": "ben"})
    assert own.expand(parsed("postmaster@example.net")) == ("ben@example.net",)
    assert standing(directory(recipients=LISTED, abuse=False), "abuse@example.net") is Standing.UNKNOWN


def test_the_detail_of_a_plus_address_goes_along_only_over_lmtp() -> None:
    for deliver, final in [
        ("maildir:mail", "ana@example.net"),
        ("smtp:hop.example", "ana@example.net"),
        ("lmtp:/run/lmtp.sock", "ana+x@example.net"),
    ]:
        it = directory(deliver=deliver, recipients=("ana",))
        assert it.expand(parsed("ana+x@example.net")) == (final,)
    plain = directory(recipients="*", plus_addresses="")
    assert plain.expand(parsed("ana+x@example.net")) == ("ana+x@example.net",)


def test_a_list_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "who.txt"
    it = directory(tmp_path, recipients={"file": "who.txt"})
    clock[0] = 0.0
    assert standing(it, "ana@example.net") is Standing.UNSURE, "unreadable is not empty"
    path.write_text("# people\nana@example.net\nben  # Ben\nnot an address\n\n")
    assert standing(it, "ana@example.net") is Standing.UNSURE, "looked at seconds ago"
    clock[0] = 10.0
    assert standing(it, "ana@example.net") is Standing.KNOWN
    assert standing(it, "ben@example.net") is Standing.KNOWN
    assert standing(it, "carl@example.net") is Standing.UNKNOWN
    path.write_text("carl\n")
    os.utime(path, (1, 1))
    clock[0] = 20.0
    assert standing(it, "carl@example.net") is Standing.KNOWN
    assert standing(it, "ana@example.net") is Standing.UNKNOWN
    path.unlink()
    clock[0] = 30.0
    assert standing(it, "carl@example.net") is Standing.KNOWN, "what was known stays"


def test_the_next_hop_is_asked() -> None:
    asked = Asked()
    it = directory(recipients={"callout": "smtp:10.0.0.5:25"}, deliver="smtp:10.0.0.5:25", callout=asked)
    assert standing(it, "ana+x@example.net") is Standing.KNOWN
    assert standing(it, "carl@example.net") is Standing.UNKNOWN
    assert standing(it, "postmaster@example.net") is Standing.KNOWN
    assert asked.questions == ["10.0.0.5:25 ana@example.net", "10.0.0.5:25 carl@example.net"]
    assert standing(directory(recipients={"callout": "smtp:h:25"}), "x@example.net") is Standing.UNSURE
