"""Other parsers on the same mail: each difference in leaves has a reason, or it is a fault.

The standard library's `email` and fast-mail-parser read broken and real mail; every leaf that one of them sees must be
among ours, decoded alike. Where it is not, one of `REASONS` must say why; an unexplained difference fails.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterable, Iterator
from email.message import Message as PeerMessage
from pathlib import Path

import fast_mail_parser
import pytest

from conftest import TESTDATA, outside_data
from gatepost.mail.message import Message, to_crlf
from gatepost.mail.mime import Part, Tree, tree_of


def files() -> list[Path]:
    found = [each for each in (TESTDATA / "mime-torture").rglob("*") if each.is_file()]
    found = [
        each for each in found if each.suffix not in (".json", ".md", ".jsn") and "COPYING" not in each.name
    ]
    found = [each for each in found if "LICENSE" not in each.name and each.stem != "MIT"]
    return sorted(found) + sorted((TESTDATA / "phishing-pot" / "eml").glob("*.eml"))


FILES = files()
ids = [each.name for each in FILES]


def squeezed(octets: bytes) -> bytes:
    """Without what line ends and blanks at ends of lines make of it."""
    return b"".join(octets.split())


def peer_leaves(message: PeerMessage) -> Iterator[tuple[str, bytes]]:
    for part in message.walk():
        if part.is_multipart():
            continue
        payload = part.get_payload(decode=True)
        yield part.get_content_type(), payload if isinstance(payload, bytes) else b""


# Peer, file, and content type of a leaf that only the peer has, decoded like this.
REASONS: dict[tuple[str, str, str], str] = {
    ("fast", "026.eml", "text/plain"): "the peer leaves uuencode encoded",
    ("fast", "048.eml", "image/png"): "the peer leaves uuencode encoded",
    (
        "std",
        "008.eml",
        "text/plain",
    ): "the peer leaves an encoded message/rfc822 encoded, which RFC 2046 §5.2.1 forbids",
    (
        "std",
        "002.eml",
        "text/plain",
    ): "the peer leaves base64 with more behind its padding encoded (Python 3.13)",
    (
        "std",
        "rfc2046.0.eml",
        "audio/basic",
    ): "the peer reads a fragment (message/partial) as if it were whole",
    (
        "std",
        "multipart_report_multiple_status.eml",
        "text/plain",
    ): "the peer takes each block of a delivery report for a part",
    (
        "std",
        "example13.eml",
        "text/plain",
    ): "a blank before a colon ends the header for the peer (RFC 5322 §4.5 allows it)",
}
# What fast-mail-parser reads nothing of.
REFUSED = {
    "000.eml": "base64 with strange octets", "002.eml": "base64 of a wrong length", "rfc2046.eml": "base64 that is none",
}  # fmt: skip


def compare(peer: str, path: Path, theirs: Iterable[tuple[str, bytes]], ours: Tree) -> None:
    """Every leaf of the peer is among ours, or has its reason."""
    mine = {squeezed(part.octets) for part in ours.parts}
    for kind, octets in theirs:
        if squeezed(octets) not in mine and squeezed(octets):
            assert (peer, path.name, kind) in REASONS, f"{kind} of {len(octets)} octets: {octets[:80]!r}"


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_the_standard_library_sees_nothing_that_is_not_seen_here(path: Path) -> None:
    raw = to_crlf(path.read_bytes())
    peer = email.message_from_bytes(raw, policy=email.policy.compat32)
    compare("std", path, peer_leaves(peer), tree_of(Message.parse(raw)))


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_fast_mail_parser_sees_nothing_that_is_not_seen_here(path: Path) -> None:
    raw = to_crlf(path.read_bytes())
    try:
        peer = fast_mail_parser.parse_email(raw)
    except fast_mail_parser.ParseError:
        assert path.name in REFUSED
        return
    theirs = [(one.mimetype, bytes(one.content)) for one in peer.attachments]
    compare("fast", path, theirs, tree_of(Message.parse(raw)))


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_every_message_is_read_within_bounds(path: Path) -> None:
    raw = to_crlf(path.read_bytes())
    ours = tree_of(Message.parse(raw))
    assert not ours.truncated
    assert sum(part.end - part.start for part in leaves(ours)) <= 4 * len(raw)


def leaves(found: Tree) -> list[Part]:
    return [part for part in found.parts if not part.is_multipart and not part.reading]


def test_there_is_other_peoples_mail() -> None:
    outside_data("mime-torture")
    assert len(FILES) > 400
