"""What status, doctor and alarms say of our own keys, certificates and policies."""

from __future__ import annotations

from dataclasses import replace

from gatepost.jobs.concerns import Level
from gatepost.jobs.owntrouble import IN_USE, OwnSideFacts, own_concerns, read_problems
from gatepost.mailauth.keylife import KeyFacts, KeyState
from gatepost.store.ownpolicies import KeyChange, OwnPolicy

NOW = 1_795_000_000.0
KEY = KeyFacts(
    id=1, domain="example.net", selector="gate-r1", algorithm="rsa-sha256", state=KeyState.SIGNING, since=NOW,
    created_at=NOW, record="",
)  # fmt: skip
CHANGE = KeyChange(
    name="mx.example.net", next_spki="3 1 1 aa", seen_since=None, ttl_s=300, checked_at=NOW, problem=""
)
POLICY = OwnPolicy(domain="example.net", mode="testing", policy_id="1", hosts=("mx.example.net",), since=NOW)


def told(now: float = NOW, **facts: object) -> list[tuple[str, Level]]:
    return [(one.key, one.level) for one in own_concerns(OwnSideFacts(**facts), now)]  # type: ignore[arg-type]


def test_all_is_well() -> None:
    assert told() == []
    assert told(keys=[KEY], changes=[CHANGE], policies={"example.net": POLICY}) == []


def test_a_domain_whose_keys_are_not_published_is_unsigned() -> None:
    created = replace(KEY, state=KeyState.CREATED)
    assert told(keys=[created]) == [("unsigned:example.net", Level.WARNING)]
    following = replace(created, id=2, selector="gate-r2")
    assert told(keys=[KEY, following]) == []
    assert told(NOW + 3 * 86_400, keys=[KEY, following]) == [
        ("unpublished:gate-r2._domainkey.example.net", Level.WARNING)
    ]


def test_dane_that_refuses_what_we_present_is_worse_than_a_key_that_waits() -> None:
    waits = replace(CHANGE, problem="no TLSA record fits the next key; publish 3 1 1 aa")
    assert told(changes=[waits]) == [("tlsa:mx.example.net", Level.WARNING)]
    refused = replace(CHANGE, problem=f"no TLSA record fits {IN_USE}; publish 3 1 1 aa")
    assert told(changes=[refused]) == [("tlsa:mx.example.net", Level.CRITICAL)]


def test_a_policy_that_binds_others_must_hold() -> None:
    problems = {"example.net": "its MX host b.example.net is not in the policy"}
    assert told(policies={"example.net": POLICY}, policy_problems=problems) == [
        ("mta-sts:example.net", Level.WARNING)
    ]
    binding = replace(POLICY, mode="enforce")
    assert told(policies={"example.net": binding}, policy_problems=problems) == [
        ("mta-sts:example.net", Level.CRITICAL)
    ]


def test_what_is_remembered_wrongly_is_nothing() -> None:
    assert read_problems({"jobs:problems:certificates": "x"}, "certificates") == {}
    assert read_problems({}, "certificates") == {}
    assert read_problems({"jobs:problems:certificates": '{"a":"b"}'}, "certificates") == {"a": "b"}
