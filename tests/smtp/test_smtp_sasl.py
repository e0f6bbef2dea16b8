"""SASL exchanges, with the worked example of RFC 7677 §3."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.smtp.sasl import MECHANISMS, Exchange, External, KeysFor, Password, Proof, ScramKeys, Token


def b64(text: str) -> str:
    return b64encode(text.encode()).decode()


def scram(final: str, *, password: str = "pencil") -> tuple[Exchange, object]:
    exchange = Exchange("SCRAM-SHA-256")
    assert exchange.start(b64("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")) == KeysFor("user")
    keys = ScramKeys.of_password(
        password,
        salt=b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="),
        iterations=4096,
        nonce="%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    )
    first = exchange.keys(keys)
    assert first == b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    return exchange, exchange.respond(b64(final))


FINAL = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="


def test_scram_example_of_the_rfc():
    exchange, last = scram(FINAL)
    assert last == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    assert exchange.respond("") == Proof("user", proven=True)


def test_scram_with_another_password_is_not_proven():
    _, last = scram(FINAL, password="pen")
    assert last == Proof("user", proven=False)


@pytest.mark.parametrize(
    "final",
    [
        FINAL.replace("c=biws", "c=eSws"),
        FINAL.replace("r=rOpr", "r=xOpr"),
        FINAL.replace("p=dHzb", "p=dHza"),
        FINAL[:-12],
        FINAL.split("p=", maxsplit=1)[0] + "p=AAAA",
    ],
)
def test_scram_tampered_with_is_not_proven(final):
    _, last = scram(final)
    assert last is None or last == Proof("user", proven=False)


@pytest.mark.parametrize(
    ("mechanism", "line", "credentials"),
    [
        ("PLAIN", "\0ana\0se cret", Password("ana", "se cret")),
        ("PLAIN", "ben\0ana\0pw", Password("ana", "pw", "ben")),
        ("PLAIN", "\0jörg\0pass\u00fcord", Password("jörg", "pass\u00fcord")),
        ("PLAIN", "ana\0pw", None),
        ("PLAIN", "\0ana\0pw\0more", None),
        ("PLAIN", "\0\0pw", None),
        ("PLAIN", "", None),
        (
            "OAUTHBEARER",
            "n,a=ana@example.net,\x01auth=Bearer a.b-c=\x01\x01",
            Token("ana@example.net", "a.b-c="),
        ),
        ("OAUTHBEARER", "n,,\x01host=x\x01auth=bearer tok\x01\x01", Token("", "tok")),
        ("OAUTHBEARER", "n,,\x01auth=Basic tok\x01\x01", None),
        ("OAUTHBEARER", "n,,\x01auth=Bearer t k\x01\x01", None),
        ("OAUTHBEARER", "y,,auth", None),
        ("XOAUTH2", "user=ana@example.net\x01auth=Bearer a.b-c=\x01\x01", Token("ana@example.net", "a.b-c=")),
        ("XOAUTH2", "user=\x01auth=bearer tok\x01\x01", Token("", "tok")),
        ("XOAUTH2", "user=ana\x01auth=Basic tok\x01\x01", None),
        ("XOAUTH2", "user=ana\x01auth=Bearer t k\x01\x01", None),
        ("XOAUTH2", "user=ana\x01auth=Bearer tok\x01", None),
        ("XOAUTH2", "auth=Bearer tok\x01user=ana\x01\x01", None),
        ("XOAUTH2", "user=a\0na\x01auth=Bearer tok\x01\x01", None),
        ("EXTERNAL", "", External()),
        ("EXTERNAL", "scanner@example.net", External("scanner@example.net")),
        ("EXTERNAL", "a\0b", None),
        ("SCRAM-SHA-256", "p=tls-unique,,n=ana,r=x", None),
        ("SCRAM-SHA-256", "n,,m=ext,n=ana,r=x", None),
        ("SCRAM-SHA-256", "n,,n=a=2Cb=3D,r=x", KeysFor("a,b=")),
        ("SCRAM-SHA-256", "n,,n=a=b,r=x", None),
    ],
)
def test_first_responses(mechanism, line, credentials):
    assert Exchange(mechanism).start(b64(line)) == credentials


def test_login_asks_twice():
    exchange = Exchange("LOGIN")
    assert exchange.start(None) == b"Username:"
    assert exchange.respond(b64("ana")) == b"Password:"
    assert exchange.respond(b64("pw")) == Password("ana", "pw")


def test_no_repr_has_a_secret():
    keys = ScramKeys.of_password("pw", salt=b"saltysalt", iterations=1000)
    shown = repr([Password("ana", "hunter2"), Token("ana", "bearertoken"), keys])
    assert "hunter2" not in shown
    assert "bearertoken" not in shown
    assert "saltysalt" not in shown
    assert repr(keys.stored_key) not in shown


@given(
    st.sampled_from(MECHANISMS),
    st.lists(st.text(max_size=40) | st.binary(max_size=60).map(lambda b: b64encode(b).decode()), max_size=4),
)
def test_any_lines_end_in_something_and_never_raise(mechanism, lines):
    exchange = Exchange(mechanism)
    step = exchange.start(lines.pop() if lines else None)
    for line in lines:
        if isinstance(step, KeysFor):
            step = exchange.keys(ScramKeys(b"salt", 1000, b"s" * 32, b"k" * 32, "nonce"))
        elif isinstance(step, bytes):
            step = exchange.respond(line)
