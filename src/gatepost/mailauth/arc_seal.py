"""ARC: add one's own link to the chain of a message that is passed on (RFC 8617 §5.1)."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from gatepost.mail.authresults import ArcResult
from gatepost.mail.message import Message
from gatepost.mailauth.arc import MAX_INSTANCE, SEAL, collect, tagged
from gatepost.mailauth.canonical import Canonical
from gatepost.mailauth.dkim_sign import PrivateKey, algorithm_of, default_names, write_signature


def seal(
    message: Message,
    *,
    chain: ArcResult,
    results: str,
    domain: str,
    selector: str,
    key: PrivateKey,
    now: float,
    headers: Sequence[str] | None = None,
) -> bytes:
    """The three fields of a new ARC set, to be put in front of the message (RFC 8617 §5.1).

    `chain` is what `validate_chain` said of this message, `results` an Authentication-Results value with the
    authserv-id in front. Empty where nothing may be added: the chain is known to be broken, is full, or
    could not be validated for want of a key, which a later hop may fetch.
    """
    if chain.result == "temperror":
        return b""
    if message.count(SEAL) >= MAX_INSTANCE or _says_broken(message):
        return b""
    instance = max([0, *tagged(message, SEAL)]) + 1
    canonical = Canonical(message)
    hashed, _ = canonical.body_hash(relaxed=True, algorithm="sha256")
    names = [name.lower() for name in headers] if headers is not None else default_names(message)
    signed = canonical.signed_fields([name.encode() for name in names], relaxed=True)
    who = [("d", domain), ("i", str(instance)), ("s", selector), ("t", str(int(now)))]
    start = [("a", algorithm_of(key)), ("b", "")]
    body = [("bh", base64.b64encode(hashed).decode()), ("c", "relaxed/relaxed")]
    named = [who[0], ("h", ":".join(names)), *who[1:]]
    signature = write_signature("ARC-Message-Signature", [*start, *body, *named], signed, key, relaxed=True)
    payload = f"ARC-Authentication-Results: i={instance}; {results}\r\n".encode()
    status = {"none": "none", "pass": "pass"}.get(chain.result, "fail")
    own = Canonical(Message.parse(payload + signature + b"\r\n"))
    covered = [own.field(each, relaxed=True) for each in own.message.fields]
    if status == "pass":
        covered = _covered(canonical) + covered
    tags = [*start, ("cv", status), *who]
    return write_signature("ARC-Seal", tags, covered, key, relaxed=True) + signature + payload


def _says_broken(message: Message) -> bool:
    """Does the newest seal say cv=fail? Then there is nothing to add (RFC 8617 §5.1 step 1)."""
    seals = tagged(message, SEAL)
    return bool(seals) and seals[max(seals)][1].get("cv", "").lower() == "fail"


def _covered(canonical: Canonical) -> list[bytes]:
    """All sets of a chain that passed, in the order in which seals cover them (RFC 8617 §5.1.1)."""
    sets = collect(canonical.message, MAX_INSTANCE)
    assert not isinstance(sets, str)
    found = [field for each in sets for field in (each.results, each.signature, each.seal)]
    return [canonical.field(each, relaxed=True) for each in found]
