"""How a client introduces itself."""

from __future__ import annotations

import pytest

from drive import drive
from gatepost.checks.connection.hello import HELLO, HelloSettings
from judging import World, attempt, names

ZONE = """
mail.example.org. A 198.51.100.7
six.example.org. AAAA 2001:db8::7
txt.example.org. TXT "no address"
$FAIL broken.example.org
"""
SETTINGS = HelloSettings(our_names=("example.net",))


@pytest.mark.parametrize(
    ("hello", "name"),
    [
        ("mail.example.org", None),
        ("MAIL.example.org.", None),
        ("six.example.org", None),
        ("broken.example.org", None),
        ("[198.51.100.7]", "hello.literal"),
        ("[198.51.100.8]", "hello.wrong_literal"),
        ("[IPv6:2001:db8::1]", "hello.wrong_literal"),
        ("[nonsense]", "hello.wrong_literal"),
        ("198.51.100.7", "hello.bare_address"),
        ("2001:db8::7", "hello.bare_address"),
        ("mx.example.net", "hello.ours"),
        ("example.net", "hello.ours"),
        ("notexample.net", "hello.unknown"),
        ("localhost", "hello.not_qualified"),
        ("localhost.localdomain.", "hello.unknown"),
        ("a_b.-x.example", "hello.not_qualified"),
        ("exa mple.org", "hello.not_qualified"),
        ("x" * 300 + ".example", "hello.not_qualified"),
        ("none.example.org", "hello.unknown"),
        ("txt.example.org", "hello.unknown"),
    ],
)
def test_names(hello: str, name: str | None) -> None:
    found = drive(HELLO.run(attempt(hello=hello), World(ZONE), SETTINGS))
    assert names(found) == ([] if name is None else [name])


def test_users_the_own_machine_and_silence_are_not_judged() -> None:
    for one in (
        attempt(hello="localhost", user="ana"),
        attempt("127.0.0.1", hello="mx.example.net"),
        attempt(None, hello="localhost"),
        attempt(hello=""),
    ):
        found = names(drive(HELLO.run(one, World(ZONE + "mx.example.net. A 127.0.0.1\n"), SETTINGS)))
        assert found == []


def test_the_client_cannot_write_into_our_log() -> None:
    found = drive(HELLO.run(attempt(hello="a\r\nX: y\x1b[31m"), World(ZONE), SETTINGS))
    assert found[0].text.isprintable()
