"""DKIM and what ARC shares with it: write signatures (RFC 6376 §5, RFC 8301, RFC 8463, RFC 8616).

One message may be signed with several keys: body and header fields are put into their canonical form and hashed
once for all of them. Fields that a reader sees are named once more than they are there, so that none can be
added (RFC 6376 §8.15). No l= of its own accord: what is behind it could be written by anybody.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from gatepost.mail.message import Message
from gatepost.mailauth.canonical import Canonical
from gatepost.mailauth.signature import CANONICAL

PrivateKey = RSAPrivateKey | Ed25519PrivateKey
SIGNED = (
    b"from reply-to subject date to cc message-id in-reply-to references mime-version content-type"
    b" content-transfer-encoding list-id list-help list-unsubscribe list-unsubscribe-post list-subscribe"
    b" list-post list-owner list-archive sender resent-date resent-from resent-to resent-cc resent-message-id"
    b" tls-report-domain tls-report-submitter"
).decode()
"""RFC 6376 §5.4.1, with what RFC 8058 §4 and RFC 8460 §5.3 add."""
OVERSIGNED = frozenset(
    {"from", "reply-to", "subject", "date", "to", "cc", "message-id", "mime-version", "content-type"}
)
"""Named once more than they are there, so that none can be added (RFC 6376 §8.15)."""

_PKCS1 = padding.PKCS1v15()
_SHA256 = utils.Prehashed(hashes.SHA256())


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Who signs, and with what."""

    domain: str
    """d=, A-labels in lower case."""
    selector: str
    private: PrivateKey = field(repr=False)


def sign_with_all(
    message: Message, keys: Sequence[SigningKey], *, now: float, expires_s: float | None = None
) -> bytes:
    """A DKIM-Signature field for each key, relaxed/relaxed over the default fields, to be put in front of the message."""
    canonical = Canonical(message)
    hashed, _ = canonical.body_hash(relaxed=True, algorithm="sha256")
    names = default_names(message)
    covered = b"".join(canonical.signed_fields([name.encode() for name in names], relaxed=True))
    when = [("t", str(int(now)))]
    if expires_s is not None:
        when.append(("x", str(int(now + expires_s))))
    what = [*when, ("h", ":".join(names)), ("bh", base64.b64encode(hashed).decode()), ("b", "")]
    return b"".join(
        write_signature(
            "DKIM-Signature",
            [
                ("v", "1"),
                ("a", algorithm_of(key.private)),
                ("c", "relaxed/relaxed"),
                ("d", key.domain),
                ("s", key.selector),
                *what,
            ],
            [covered],
            key.private,
            relaxed=True,
        )
        for key in keys
    )


def sign(
    message: Message,
    *,
    domain: str,
    selector: str,
    key: PrivateKey,
    now: float,
    headers: Sequence[str] | None = None,
    expires_s: float | None = None,
    body_length: int | None = None,
    canonicalization: str = "relaxed/relaxed",
) -> bytes:
    """A DKIM-Signature field with its last CRLF, to be put in front of the message.

    `headers` names the fields to sign, each as often as it shall be named; the default is all instances
    of those in `SIGNED`, and one more of each in `OVERSIGNED`. `expires_s` is counted from `now`.
    """
    header_mode, body_mode = canonicalization.split("/")
    canonical = Canonical(message)
    hashed, _ = canonical.body_hash(relaxed=CANONICAL[body_mode], algorithm="sha256", length=body_length)
    names = [name.lower() for name in headers] if headers is not None else default_names(message)
    tags = [
        ("v", "1"),
        ("a", algorithm_of(key)),
        ("c", canonicalization),
        ("d", domain),
        ("s", selector),
        ("t", str(int(now))),
    ]
    if expires_s is not None:
        tags.append(("x", str(int(now + expires_s))))
    if body_length is not None:
        tags.append(("l", str(body_length)))
    tags += [("h", ":".join(names)), ("bh", base64.b64encode(hashed).decode())]
    relaxed = CANONICAL[header_mode]
    signed = canonical.signed_fields([name.encode() for name in names], relaxed=relaxed)
    return write_signature("DKIM-Signature", [*tags, ("b", "")], signed, key, relaxed=relaxed)


def write_signature(
    name: str,
    tags: Sequence[tuple[str, str]],
    signed: Sequence[bytes],
    key: PrivateKey,
    *,
    relaxed: bool,
) -> bytes:
    """A field of `tags` with its last CRLF, whose empty b= is filled with the signature over `signed` and itself."""
    unsigned = Message.parse(_fold(name, tags) + b"\r\n\r\n")
    own = unsigned.fields[0]
    octets = b"".join(signed) + Canonical(unsigned).unsigned_field(own, relaxed=relaxed)
    digest = hashlib.sha256(octets).digest()
    # RFC 8463 §3: with Ed25519 the hash is what is signed.
    signature = key.sign(digest, _PKCS1, _SHA256) if isinstance(key, RSAPrivateKey) else key.sign(digest)
    encoded = b"b=" + base64.b64encode(signature)
    lines = b"\r\n\t".join(encoded[at : at + 72] for at in range(0, len(encoded), 72))
    before, _, after = unsigned.raw(own).partition(b"\tb=")
    return before + b"\t" + lines + after


def default_names(message: Message) -> list[str]:
    """The fields that are there and worth signing, the most important once more."""
    names = []
    for name in SIGNED.split():
        names += [name] * (message.count(name.encode()) + (name in OVERSIGNED))
    return names


def algorithm_of(key: PrivateKey) -> str:
    """a= for a key."""
    return "rsa-sha256" if isinstance(key, RSAPrivateKey) else "ed25519-sha256"


def _fold(name: str, tags: Sequence[tuple[str, str]]) -> bytes:
    """The tags in lines of at most 78 octets where the values allow it, b= on its own; without the last CRLF."""
    lines = [f"{name}:"]
    for number, (tag, value) in enumerate(tags):
        end = ";" if number < len(tags) - 1 else ""
        # h= is folded behind its colons, where blanks mean nothing (RFC 6376 §3.5).
        first, *more = [f"{part}:" for part in value.split(":")] if tag == "h" else [value]
        words = [f" {tag}={first}", *more]
        words[-1] = words[-1].removesuffix(":") + end
        for word in words:
            new_line = number > 0 and word is words[0] and "b" in (tag, tags[number - 1][0])
            if new_line or len(lines[-1]) + len(word) > 78:
                lines.append("\t" + word.lstrip(" "))
            else:
                lines[-1] += word
    return "\r\n".join(lines).encode()
