"""A key's life, step by step: nothing signs before it is seen in the DNS, and mail under way stays provable."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gatepost.mailauth.keylife import (
    ALGORITHMS,
    MOVES,
    Create,
    KeyFacts,
    KeyPace,
    KeyState,
    Move,
    delegated_selectors,
    due,
    next_selector,
)

PACE = KeyPace(rotate_s=100, settle_s=10, keep_s=20)
KEY = KeyFacts(
    id=1, domain="example.net", selector="gate-202611r", algorithm="rsa-sha256", state=KeyState.CREATED,
    since=0, created_at=0, record="",
)  # fmt: skip
ONE = ("rsa-sha256",)


def steps(
    *keys: KeyFacts, now: float = 0, rotates: bool = True, **seen: str | None
) -> list[tuple[object, str]]:
    found = due(
        keys,
        {int(name[1:]): what for name, what in seen.items()},
        now=now,
        pace=PACE,
        algorithms=ONE,
        rotates=rotates,
    )
    return [(one.key.id, one.to.value) if isinstance(one, Move) else ("new", one.algorithm) for one in found]


def test_a_key_waits_until_its_record_is_seen() -> None:
    assert steps(KEY) == []
    assert steps(KEY, k1=None) == [], "a silent DNS proves nothing"
    assert steps(KEY, k1="there is no such record") == []
    assert steps(KEY, k1="") == [(1, "published"), (1, "signing")], "the first key signs at once"


def test_a_key_whose_record_went_signs_no_more() -> None:
    signing = replace(KEY, state=KeyState.SIGNING)
    assert steps(signing, k1="there is no such record") == [(1, "created")]
    assert steps(signing, k1=None) == []


def test_the_next_key_is_made_in_time_settles_and_takes_over() -> None:
    signing = replace(KEY, state=KeyState.SIGNING)
    assert steps(signing, now=99) == []
    assert steps(signing, now=100) == [("new", "rsa-sha256")]
    assert steps(signing, now=100, rotates=False) == []
    following = replace(KEY, id=2, created_at=100, since=100)
    assert steps(signing, following, now=101, k1="") == [], "it is not made twice"
    assert steps(signing, following, now=101, k2="") == [(2, "published")]
    published = replace(following, state=KeyState.PUBLISHED, since=101)
    assert steps(signing, published, now=110, k2="") == []
    assert steps(signing, published, now=111, k2="") == [(2, "signing"), (1, "retired")]
    retired = replace(signing, state=KeyState.RETIRED, since=111)
    active = replace(published, state=KeyState.SIGNING, since=111)
    assert steps(retired, active, now=130) == []
    assert steps(retired, active, now=131) == [(1, "removed")]


def test_a_next_key_helps_out_at_once_when_the_old_record_is_gone() -> None:
    signing = replace(KEY, state=KeyState.SIGNING)
    published = replace(KEY, id=2, created_at=100, since=101, state=KeyState.PUBLISHED)
    assert steps(signing, published, now=102, k1="there is no such record", k2="") == [
        (1, "created"),
        (2, "signing"),
    ]


def test_both_algorithms_go_their_own_way() -> None:
    found = due([replace(KEY, state=KeyState.SIGNING)], {}, now=1, pace=PACE, algorithms=ALGORITHMS)
    assert found == [Create("example.net", "ed25519-sha256", "no ed25519-sha256 key")]
    assert due([], {}, now=1, pace=PACE) == [], "a domain's first key is made by a person"


def test_selectors_are_never_used_twice_and_delegated_ones_take_turns() -> None:
    def name(*keys: KeyFacts, delegated: bool = False, algorithm: str = "rsa-sha256") -> str | None:
        return next_selector(keys, algorithm, now=1_795_000_000, prefix="gate", delegated=delegated)

    assert name() == "gate-202611r"
    assert name(replace(KEY, state=KeyState.REMOVED)) == "gate-202611r2"
    assert name(algorithm="ed25519-sha256") == "gate-202611e"
    assert name(delegated=True) == "gate-r1"
    first = replace(KEY, selector="gate-r1")
    assert name(first, delegated=True) == "gate-r2"
    assert name(first, replace(KEY, selector="gate-r2"), delegated=True) is None
    gone = replace(first, state=KeyState.REMOVED, created_at=5)
    assert name(gone, delegated=True) == "gate-r2", "the one that rested longer"
    assert delegated_selectors("gate") == ["gate-r1", "gate-r2", "gate-e1", "gate-e2"]


@given(
    st.lists(
        st.tuples(st.sampled_from(list(KeyState)), st.integers(0, 200), st.integers(0, 200)), max_size=6
    ),
    st.lists(st.sampled_from(["", "gone", None]), min_size=6, max_size=6),
    st.integers(0, 400),
)
def test_every_step_is_one_that_the_table_allows(
    keys: list[tuple[KeyState, int, int]], looks: list[str | None], now: int
) -> None:
    known = {
        number: replace(KEY, id=number, selector=f"s{number}", state=state, since=since, created_at=made)
        for number, (state, since, made) in enumerate(keys)
    }
    seen = dict(enumerate(looks))
    for step in due(list(known.values()), seen, now=now, pace=PACE, algorithms=ONE):
        if isinstance(step, Move):
            now_there = known[step.key.id]
            assert step.to in MOVES[now_there.state]
            known[step.key.id] = replace(now_there, state=step.to)
            if step.to is KeyState.SIGNING:
                assert looks[step.key.id] != "gone"
