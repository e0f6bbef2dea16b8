"""Every fuzzing target for a moment: seeds, what once felled it, and octets mutated by hypothesis."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from targets import SEEDS, TARGETS

CORPUS = Path(__file__).parent / "corpus"


def test_every_target_has_something_to_start_from() -> None:
    assert SEEDS.keys() == TARGETS.keys()


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_past_crashers(name: str) -> None:
    for seed in SEEDS[name]:
        TARGETS[name](seed)
    for file in sorted((CORPUS / name).glob("*")):
        TARGETS[name](file.read_bytes())


def mutated(seeds: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """A seed with a few cuts, doublings and strange octets."""
    change = st.tuples(
        st.integers(0, 400), st.integers(0, 12), st.one_of(st.binary(max_size=4), st.sampled_from(seeds))
    )

    def apply(seed: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
        for at, removed, put in changes:
            at = min(at, len(seed))
            seed = seed[:at] + put + seed[at + removed :]
        return seed

    return st.builds(apply, st.sampled_from(seeds), st.lists(change, max_size=4))


@pytest.mark.parametrize("name", TARGETS)
def test_mutations(name: str) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.one_of(st.binary(max_size=200), mutated(SEEDS[name])))
    def survives(octets: bytes) -> None:
        TARGETS[name](octets)

    survives()
