"""Who a message pretends to be from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from drive import drive
from gatepost.checks.sender.impersonation import IMPERSONATION, ImpersonationSettings
from gatepost.checks.sender.people import PeopleSettings, PersonSettings, Staff
from gatepost.mail.authresults import AuthResults, DmarcResult
from gatepost.mail.finding import Finding
from gatepost.scan.nothing import Nothing
from gatepost.tools import Acquaintance, Person
from judging import NOW, World, mail, names


@dataclass
class Us(Nothing):
    own_domains: tuple[str, ...] = ("example.net",)
    protected: tuple[Person, ...] = field(
        default=(
            Person(name="Ana María Silva", role="managing director", addresses=("ana.silva@gmail.com",)),
            Person(name="山田 太郎"),
        )
    )
    partners: tuple[str, ...] = ()


US = Us()


def passed(domain: str) -> AuthResults:
    return AuthResults(dmarc=DmarcResult(result="pass", author_domain=domain))


def seen(
    *header: str, auth: AuthResults | None = None, friends: dict[tuple[str, str], Acquaintance] | None = None,
    settings: ImpersonationSettings | None = None, user: str | None = None, ip: str = "198.51.100.7",
) -> list[Finding]:  # fmt: skip
    world = World(friends=friends or {})
    world.people = US  # type: ignore[attr-defined]
    one = mail(*header, auth=auth, user=user, ip=ip)
    return list(drive(IMPERSONATION.run(one, world, settings or ImpersonationSettings())))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        "Ana Maria Silva",
        "Silva, Ana",
        "ANA SILVA (CEO)",
        "Аna Silva",
        "Ana.Silva",
        "=?utf-8?q?Ana_Mar=C3=ADa_Silva?=",
    ],
)
def test_the_name_is_the_managing_directors_and_the_address_is_not(name: str) -> None:
    (found,) = seen(
        f'From: "{name}" <ceo.office@mail-box.example>' if "=?" not in name else f"From: {name} <x@y.example>"
    )
    assert found.key == "impersonation.protected_name"
    assert found.text.startswith("The name is your managing director's, the address is not: ")


def test_initials_weigh_less_and_own_addresses_nothing() -> None:
    assert names(seen("From: A. Silva <x@y.example>")) == ["impersonation.protected_name:initials"]
    assert seen("From: Ana Silva <ana.silva@gmail.com>") == []
    assert seen("From: Ana Silva <ana@example.net>", auth=passed("example.net")) == []
    assert seen("From: Ana Silva via Somewhere <x@y.example>") == []
    assert seen("From: Ana Silva <x@y.example>", user="ana") == []


@pytest.mark.parametrize("name", ["山田太郎", "山田 太郎 様", "太郎 山田"])
def test_japanese_names(name: str) -> None:
    assert names(seen(f"From: {name} <x@y.example>")) == ["impersonation.protected_name"]


def test_our_domain_in_a_name_and_as_an_unproved_author() -> None:
    assert names(seen('From: "it@example.net" <x@y.example>')) == ["impersonation.own_domain_in_name"]
    assert seen('From: "notexample.net" <x@y.example>') == []
    assert names(seen("From: IT <it@example.net>")) == ["impersonation.own_domain"]
    assert seen("From: IT <it@example.net>", auth=passed("example.net")) == []


def test_brands_by_name_and_by_unproved_address() -> None:
    assert names(seen("From: PayPal Service <x@y.example>")) == ["impersonation.brand_name"]
    assert names(seen("From: PayPal <service@paypal.com>")) == ["impersonation.brand_unproved"]
    assert seen("From: PayPal <service@paypal.com>", auth=passed("paypal.com")) == []
    for honest in ("Apple Lee", "Ana via LinkedIn", "Chase Miller", "Bob", "Ana Orange"):
        assert seen(f"From: {honest} <x@y.example>") == [], honest


def test_where_an_answer_would_go() -> None:
    author = "From: Ben <ben@corp.example>"
    assert names(seen(author, "Reply-To: ben@gmail.com")) == ["impersonation.reply_to_free_mail"]
    assert names(seen(author, "Reply-To: ben@other.example")) == ["impersonation.reply_elsewhere"]
    assert seen(author, "Reply-To: ben@mail.corp.example") == []
    assert seen(author, "Reply-To: <list@lists.example>", "List-Id: <list.lists.example>") == []


def test_an_answer_to_nothing() -> None:
    assert names(seen("From: <x@y.example>", "Subject: Re: invoice")) == ["impersonation.forged_thread"]
    assert seen("From: <x@y.example>", "Subject: Re: invoice", "In-Reply-To: <1@example.net>") == []
    assert seen("From: <x@y.example>", "Subject: Report: invoice") == []


def friend(messages: int = 9, *, unproved: int = 0, **places: int) -> dict[tuple[str, str], Acquaintance]:
    one = Acquaintance(NOW - 9e6, NOW - 9, messages, replied=False, unproved=unproved, places=places)
    return {("y.example", "example.net"): one}


def test_a_correspondent_whose_mail_always_came_proved() -> None:
    header = "From: <x@y.example>"
    (found,) = seen(header, friends=friend())
    assert found.name == "impersonation.changed_proof"
    assert "9 times before" in found.text
    assert seen(header, friends=friend(unproved=3)) == [], "it never was a habit"
    assert seen(header, friends=friend(2)) == []
    unsure = AuthResults(dmarc=DmarcResult(result="temperror", author_domain="y.example"))
    assert seen(header, friends=friend(), auth=unsure) == []
    assert seen(header, friends=friend(), auth=passed("y.example")) == []


def test_people_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(
        "name,role,addresses,also\nTaro Yamada,president,t@gmail.com; t@y.example,山田太郎;Yamada T\n"
    )
    staff = Staff(PeopleSettings(people_file="people.csv"), own_domains=["Example.NET"], folder=tmp_path)
    assert [one.name for one in staff.protected] == ["Taro Yamada", "山田太郎", "Yamada T"]
    assert staff.protected[0].addresses == ("t@gmail.com", "t@y.example")
    assert staff.own_domains == ("example.net",)
    for text, problem in (
        ("who\nAna\n", "must begin"),
        ('name\n""\n', "no name"),
        ("name,addresses\nAna,nobody\n", "is none"),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=problem):
            Staff(PeopleSettings(people_file="people.csv"), own_domains=[], folder=tmp_path)


def test_partners_are_learnt_from_whom_we_wrote_to() -> None:
    clock = [0.0]
    wrote: list[str] = ["a.example", "bob@gmail.com", "carol@b.example"]
    settings = PeopleSettings(partners=("named.example",), protected=(PersonSettings(name="Ana"),))
    staff = Staff(settings, own_domains=[], folder=Path())
    staff.learn_from(lambda most: wrote[:most], lambda: clock[0])
    assert staff.partners == ("named.example", "a.example", "b.example")
    kept = staff.partners
    wrote.append("c.example")
    assert staff.partners is kept
    clock[0] = 301.0
    assert staff.partners[-1] == "c.example"
