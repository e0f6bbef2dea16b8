"""A list that is broken leaves, says why, and comes back by itself."""

from __future__ import annotations

from drive import drive
from gatepost.checks.dnslists.health import (
    HEALTH_KEY,
    ListState,
    Tally,
    after_probe,
    after_traffic,
    look_after,
    out_of_service,
    plan,
    probe,
    read_states,
)
from gatepost.checks.dnslists.lists import Identity, ListSettings
from gatepost.mail.finding import Mode
from judging import NOW, World

BL = ListSettings(zone="bl.example")


def six(last: str) -> str:
    return f"{last}.0.0.0.0.0.f.7.f.f.f.f.{'0.' * 20}"


SOUND = f"2.0.0.127.bl.example. A 127.0.0.2\n{six('2')}bl.example. A 127.0.0.2\n"


def test_the_probes_are_those_of_the_rfc() -> None:
    questions = {each.label: each.listed for probes in plan(BL).values() for each in probes}
    assert questions == {
        "2.0.0.127": True,
        "1.0.0.127": False,
        six("2").rstrip("."): True,
        six("1").rstrip("."): False,
    }
    of_names = plan(ListSettings(zone="d.example", identity=Identity.SENDER_DOMAIN))
    assert {each.label: each.listed for each in of_names["d.example"]} == {"test": True, "invalid": False}


def probed(zone: str, which: str = "bl.example") -> str:
    return drive(probe(BL, plan(BL)[which], World(zone).resolver))


def test_what_a_probe_tells() -> None:
    assert probed(SOUND) == "sound"
    assert probed(SOUND, "bl.example (IPv6)") == "sound"
    assert probed("*.bl.example. A 127.0.0.2").startswith("it lists the world: 127.0.0.1")
    assert probed("*.bl.example. A 203.0.113.9").startswith("it lists the world")
    assert probed("bl.example. NS ns.example.") == "127.0.0.2 must be listed and is not"
    refusing = "2.0.0.127.bl.example. A 127.255.255.254\n1.0.0.127.bl.example. A 127.255.255.254"
    assert probed(refusing) == "it refuses us with 127.255.255.254"
    assert probed("$TIMEOUT 2.0.0.127.bl.example\n$TIMEOUT 1.0.0.127.bl.example") == "silent"
    assert probed("$FAIL 2.0.0.127.bl.example\nbl.example. NS ns.example.") == "sound", (
        "half an answer proves nothing"
    )


def test_out_at_once_when_it_lists_the_world_and_back_after_two_sound_probes() -> None:
    state = after_probe(ListState(), "it lists the world: x", 1.0)
    assert (state.in_service, state.reason, state.since) == (False, "it lists the world: x", 1.0)
    state = after_probe(state, "sound", 2.0)
    assert not state.in_service
    assert not after_probe(state, "it lists the world: x", 3.0).in_service
    state = after_probe(state, "sound", 3.0)
    assert (state.in_service, state.since) == (True, 3.0)


def test_one_lost_probe_is_no_silence() -> None:
    state = ListState()
    for _ in range(2):
        state = after_probe(state, "silent", 1.0)
        assert state.in_service
    assert after_probe(after_probe(state, "sound", 1.0), "silent", 2.0).in_service
    state = after_probe(state, "silent", 5.0)
    assert (state.in_service, state.reason, state.since) == (False, "it does not answer", 5.0)


def test_daily_work_breaks_the_circuit() -> None:
    world = after_traffic(ListState(), Tally(asked=100, hit=97, usual_share=0.2), 10.0)
    assert "97 of 100" in world.reason
    for now in (20.0, 30.0, 40.0):
        assert not after_probe(after_probe(world, "sound", now), "sound", now).in_service, (
            "its probes look sound"
        )
    later = after_probe(after_probe(world, "sound", 4000.0), "sound", 4001.0)
    assert later.in_service
    assert "did not answer" in after_traffic(ListState(), Tally(asked=100, silent=80), 10.0).reason
    for tally in (
        Tally(asked=49, hit=49),
        Tally(asked=100, hit=97, usual_share=0.6),
        Tally(asked=100, hit=60, usual_share=0.1),
        Tally(asked=100, silent=50),
    ):
        assert after_traffic(ListState(), tally, 10.0).in_service


def test_all_workers_see_it_and_the_change_is_told_once() -> None:
    world = World("*.bl.example. A 127.0.0.2")
    lists = [BL, ListSettings(zone="off.example", mode=Mode.OFF)]
    changed = drive(look_after(lists, world.resolver, world.memory, NOW))
    assert [(one.source, one.in_service) for one in changed] == [
        ("bl.example", False),
        ("bl.example (IPv6)", False),
    ]
    assert drive(look_after(lists, world.resolver, world.memory, NOW + 60)) == []
    assert "bl.example" in out_of_service(drive(world.memory.get(HEALTH_KEY)))
    healed = World(SOUND, facts=world.facts, now=NOW + 120)
    assert drive(look_after(lists, healed.resolver, healed.memory, NOW + 120)) == []
    back = drive(look_after(lists, healed.resolver, healed.memory, NOW + 180))
    assert all(one.in_service for one in back)
    assert len(back) == 2
    assert out_of_service(drive(healed.memory.get(HEALTH_KEY))) == {}


def test_a_list_without_ipv6_entries_loses_only_that_half() -> None:
    world = World("2.0.0.127.bl.example. A 127.0.0.2")
    drive(look_after([BL], world.resolver, world.memory, NOW))
    assert list(out_of_service(drive(world.memory.get(HEALTH_KEY)))) == ["bl.example (IPv6)"]


def test_damaged_state_is_a_fresh_start() -> None:
    assert read_states("{") == {}
    assert read_states('{"a": 3}') == {}
    assert read_states(None) == {}
