"""CPU per message of parsing and of verifying one relaxed/relaxed RSA-2048 signature, with the key at hand.

    python benchmarks/dkim.py [body octets, default 5000]

Prints microseconds of CPU per call: the best of several rounds, so that neighbours on the machine count less.
"""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gatepost.dns.zone import Zone
from gatepost.mail.message import Message
from gatepost.mailauth.arc import validate_chain
from gatepost.mailauth.arc_seal import seal
from gatepost.mailauth.canonical import Canonical
from gatepost.mailauth.dkim import verify_signatures
from gatepost.mailauth.dkim_sign import sign

NOW = 1_700_000_000.0
HEADER = b"".join(
    b"Received: from relay%d.example.org (relay%d.example.org [192.0.2.%d])\r\n"
    b"\tby mx.example.net (Postfix) with ESMTPS id 4Xy%d; Mon, 1 Jan 2024 00:00:0%d +0000\r\n" % ((n,) * 5)
    for n in range(4)
) + (
    b"From: Ana Example <ana@example.org>\r\nTo: ben@example.net\r\nSubject: The minutes of Monday's meeting\r\n"
    b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nX-Mailer: none\r\n\r\n"
)
LINE = b"It was decided to meet again next Monday,  with cake, and to talk then.\r\n"


def measure(what: str, call: Callable[[], Any], rounds: int = 9, calls: int = 400) -> None:
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(calls):
            call()
        best = min(best, (time.process_time() - start) / calls)
    print(f"{best * 1e6:8.1f} us  {what}")


def run(coroutine: Any) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("suspended")


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    octets = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    zone = Zone()
    zone.add("s._domainkey.example.org", "TXT", "v=DKIM1; k=rsa; p=" + base64.b64encode(octets).decode())
    unsigned = HEADER + LINE * (size // len(LINE))
    signed = sign(Message.parse(unsigned), domain="example.org", selector="s", key=key, now=NOW) + unsigned
    message = Message.parse(signed)
    results, _ = run(verify_signatures(message, zone, NOW))
    assert [each.result for each in results] == ["pass"], results
    calls = max(1, min(400, 20_000_000 // len(signed)))
    print(f"{len(signed)} octets, {len(message.fields)} fields")
    measure("Message.parse", lambda: Message.parse(signed), calls=calls)
    measure("verify one signature", lambda: run(verify_signatures(message, zone, NOW)), calls=calls)
    for relaxed in (True, False):
        name = "relaxed" if relaxed else "simple"
        measure(
            f"of this, the {name} body hash",
            lambda relaxed=relaxed: Canonical(message).body_hash(relaxed=relaxed, algorithm="sha256"),
            calls=calls,
        )
    chain = seal(
        message,
        chain=run(validate_chain(message, zone, NOW)),
        results="mx.example.org; dkim=pass",
        domain="example.org",
        selector="s",
        key=key,
        now=NOW,
    )
    sealed = Message.parse(chain + signed)
    assert run(validate_chain(sealed, zone, NOW)).result == "pass"
    measure("validate an ARC chain of one set", lambda: run(validate_chain(sealed, zone, NOW)), calls=calls)


if __name__ == "__main__":
    main()
