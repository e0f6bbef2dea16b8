"""Who may send, and as whom: the two checks by themselves. The whole way is in test_submission.py."""

from __future__ import annotations

from dataclasses import replace

from drive import drive
from gatepost.checks.outgoing.account import ACCOUNT, AUTHOR, AccountSettings, AuthorSettings
from gatepost.mail.client import Attempt
from judging import World, attempt, mail, names


def asked(subject: Attempt) -> list[str]:
    return names(drive(ACCOUNT.run(subject, World(), AccountSettings())))  # type: ignore[arg-type]


def test_who_did_not_sign_in_may_not_send() -> None:
    assert asked(attempt()) == ["account.nobody"]


def test_a_login_that_is_an_address_may_be_used() -> None:
    assert asked(attempt(user="ana@example.org", sender="ana@example.org")) == []
    assert asked(attempt(user="ana@example.org", sender="ben@example.org")) == ["account.sender"]


def test_a_login_that_is_no_address_lends_none() -> None:
    assert asked(attempt(user="ana", sender="ana@example.org")) == ["account.sender"]
    assert asked(attempt(user="ana", sender=None)) == []


def test_a_domain_with_all_names_below_it() -> None:
    subject = attempt(user="ana", sender="x@a.b.example.org")
    wide = replace(subject, client=replace(subject.client, sends_as=("@.example.org",)))
    assert asked(wide) == []
    assert asked(replace(wide, sender=attempt(sender="x@notexample.org").sender)) == ["account.sender"]


def test_the_author_is_looked_at_for_strangers_too() -> None:
    assert names(drive(AUTHOR.run(mail(), World(), AuthorSettings()))) == ["author.not_own"]  # type: ignore[arg-type]
