"""What DNS lists say, and what only looks as if they said it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from gatepost.checks.connection.dnsbl import DNSBL, DnsblSettings
from gatepost.checks.dnslists.health import HEALTH_KEY
from gatepost.checks.dnslists.lists import Identity, Kind, ListSettings, forget_keys
from gatepost.checks.registry import configure
from gatepost.mail.client import Attempt
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import Action
from gatepost.policy import PolicySettings, assemble, decide, decide_at_door
from judging import World, attempt, names

ZONE = """
7.100.51.198.bl.example. A 127.0.0.2
7.100.51.198.bl.example. A 127.0.0.10
7.100.51.198.quota.example. A 127.255.255.254
7.100.51.198.parked.example. A 203.0.113.80
7.100.51.198.query.example. A 127.0.0.1
7.100.51.198.wl.example. A 127.0.5.2
7.100.51.198.wlquota.example. A 127.0.0.255
$FAIL 7.100.51.198.dead.example A
7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example. A 127.0.0.2
mail.example.org.names.example. A 127.0.1.2
example.org.names.example. A 127.0.1.3
host.example.org.names.example. A 127.0.1.4
7.100.51.198.in-addr.arpa. PTR host.example.org.
7.100.51.198.s3cret.keyed.example. A 127.0.0.2
"""


def seen(*lists: ListSettings, one: Attempt | None = None, world: World | None = None) -> Sequence[Finding]:
    settings = DnsblSettings(lists=lists)
    found = asyncio.run(DNSBL.run(one or attempt(), world or World(ZONE), settings))  # type: ignore[arg-type]
    return [finding for finding in found if finding.name != "dnsbl.asked"]


def block(zone: str, **more: object) -> ListSettings:
    return ListSettings(zone=zone, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("zone", "kind", "expected"),
    [
        ("bl.example", Kind.BLOCK, ["dnsbl.listed:bl.example"]),
        ("wl.example", Kind.WELCOME, ["dnsbl.welcome:wl.example"]),
        ("quota.example", Kind.BLOCK, ["dnsbl.error:quota.example"]),
        ("parked.example", Kind.BLOCK, ["dnsbl.error:parked.example"]),
        ("query.example", Kind.BLOCK, ["dnsbl.error:query.example"]),
        ("wlquota.example", Kind.WELCOME, ["dnsbl.error:wlquota.example"]),
        ("dead.example", Kind.BLOCK, ["dnsbl.silent:dead.example"]),
        ("empty.example", Kind.BLOCK, []),
    ],
)
def test_only_real_listings_are_listings(zone: str, kind: Kind, expected: list[str]) -> None:
    assert names(seen(block(zone, kind=kind))) == expected


def test_codes_say_what_counts_and_what_it_means() -> None:
    dial_up = block("bl.example", codes={"127.0.0.10": "a dial-up address"})
    (found,) = seen(dial_up)
    assert found.text == "198.51.100.7 is listed by bl.example (a dial-up address)"
    assert found.evidence["codes"] == ["127.0.0.10"]
    assert seen(block("bl.example", codes={"127.0.0.99": "else"})) == []


def test_several_lists_in_order_and_ipv6() -> None:
    found = seen(block("dead.example"), block("bl.example"), block("empty.example"))
    assert names(found) == ["dnsbl.silent:dead.example", "dnsbl.listed:bl.example"]
    assert names(seen(block("bl.example"), one=attempt("2001:db8::7"))) == ["dnsbl.listed:bl.example"]


@pytest.mark.parametrize(
    ("identity", "code"),
    [(Identity.HELLO, "127.0.1.2"), (Identity.SENDER_DOMAIN, "127.0.1.3"), (Identity.RDNS, "127.0.1.4")],
)
def test_names_are_asked_about_too(identity: Identity, code: str) -> None:
    (found,) = seen(block("names.example", identity=identity))
    assert found.evidence["codes"] == [code]


def test_there_may_be_no_name_to_ask_about() -> None:
    of_sender = block("names.example", identity=Identity.SENDER_DOMAIN)
    of_hello = block("names.example", identity=Identity.HELLO)
    assert seen(of_sender, one=attempt(sender=None)) == []
    assert seen(of_hello, one=attempt(hello="[198.51.100.7]")) == []


@pytest.mark.parametrize(
    "who", [attempt(user="ana"), attempt("10.0.0.1"), attempt("127.0.0.1"), attempt(None)]
)
def test_nobody_asks_about_users_and_private_clients(who: Attempt) -> None:
    found = asyncio.run(DNSBL.run(who, World(ZONE), DnsblSettings(lists=(block("bl.example"),))))  # type: ignore[arg-type]
    assert list(found) == []


def test_what_was_asked_is_recorded_for_the_figures() -> None:
    lists = (block("bl.example"), block("off.example", mode=Mode.OFF), block("bl.example", name="again"))
    found = asyncio.run(DNSBL.run(attempt(), World(ZONE), DnsblSettings(lists=lists)))  # type: ignore[arg-type]
    assert found[-1].evidence == {"lists": ["bl.example", "again"]}
    assert names(found)[:2] == ["dnsbl.listed:bl.example", "dnsbl.listed:again"]


def test_a_list_out_of_service_is_not_asked_and_says_why() -> None:
    world = World(ZONE)
    world.facts[HEALTH_KEY] = ('{"bl.example": {"in_service": false, "reason": "it lists the world"}}', 9e9)
    (found,) = seen(block("bl.example"), world=world)
    assert found.name == "dnsbl.out_of_service"
    assert "it lists the world" in found.text
    assert names(seen(block("bl.example"), one=attempt("2001:db8::7"), world=world)) == [
        "dnsbl.listed:bl.example"
    ]


def test_the_key_is_asked_with_and_never_shown(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("s3cret\n")
    forget_keys()
    (found,) = seen(block("keyed.example", key_file=str(key)))
    assert found.key == "dnsbl.listed:keyed.example"
    assert "s3cret" not in repr(found)
    (found,) = seen(block("keyed.example", key_file=str(tmp_path / "none")))
    assert found.name == "dnsbl.error"


def judged(*lists: ListSettings, found: Sequence[Finding]) -> tuple[Action, float]:
    policy = assemble(PolicySettings(), configure({"dnsbl": DnsblSettings(lists=lists)})).default
    assert decide_at_door(found, policy).action in (Action.DELIVER, Action.REFUSE)
    verdict = decide(found, policy)
    return verdict.action, verdict.score


def test_lists_add_up_under_a_ceiling_and_observed_ones_count_nothing() -> None:
    lists = [block(f"{n}.example", mode=Mode.ENFORCE, weight=3.0) for n in "abc"]
    found = [Finding("dnsbl.listed", "listed", {}, one.source) for one in lists]
    assert judged(*lists, found=found) == (Action.JUNK, 6.0)
    assert judged(lists[0], block("b.example", weight=3.0), found=found[:2]) == (Action.DELIVER, 3.0)


def test_one_trusted_list_may_refuse_at_the_door_and_a_welcome_stops_it() -> None:
    lists = (
        block("z.example", mode=Mode.ENFORCE, weight=10.0),
        block("w.example", mode=Mode.ENFORCE, kind=Kind.WELCOME),
    )
    policy = assemble(PolicySettings(), configure({"dnsbl": DnsblSettings(lists=lists)})).default
    hit = Finding("dnsbl.listed", "listed by z.example", {}, "z.example")
    verdict = decide_at_door([hit], policy)
    assert (verdict.action, verdict.rule) == (Action.REFUSE, "score.refuse")
    assert "listed by z.example" in verdict.reason
    welcome = Finding("dnsbl.welcome", "welcome", {}, "w.example")
    assert decide_at_door([hit, welcome], policy).action is Action.DELIVER


def test_the_most_specific_mode_wins() -> None:
    one = block("z.example", mode=Mode.OBSERVE, weight=10.0)
    found = [Finding("dnsbl.listed", "listed", {}, "z.example")]
    for modes, action in (
        ({}, Action.DELIVER),
        ({"dnsbl": Mode.ENFORCE}, Action.DELIVER),
        ({"dnsbl.listed:z.example": Mode.ENFORCE}, Action.REFUSE),
    ):
        policy = assemble(
            PolicySettings(modes=modes), configure({"dnsbl": DnsblSettings(lists=(one,))})
        ).default
        assert decide_at_door(found, policy).action is action


def test_settings_that_cannot_work_are_told() -> None:
    assert DNSBL.problems is not None
    said = DNSBL.problems(DnsblSettings(lists=(block("a.example"), block("a.example"), block("b..example"))))
    assert said == [
        "two lists are called a.example; give one a name",
        "'b..example' is no zone that could be asked",
    ]
