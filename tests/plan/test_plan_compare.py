"""Recorded mail under another policy, and what lists are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gatepost.checks.connection.dnsbl import DnsblSettings
from gatepost.checks.dnslists.lists import ListSettings
from gatepost.checks.registry import configure
from gatepost.mail.client import Envelope, Recipient
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import Action
from gatepost.plan import compare, list_figures, tallies
from gatepost.policy import PolicyBook, PolicySettings, assemble, decide
from gatepost.store.records import HistoryEntry, Judged
from judging import attempt, client, known


def book(lists: Sequence[ListSettings] = (), mode: Mode = Mode.ENFORCE, **policy: object) -> PolicyBook:
    configured = configure({"dnsbl": DnsblSettings(lists=tuple(lists))}, policy.get("modes"))  # type: ignore[arg-type]
    return assemble(PolicySettings(**policy), configured, mode=mode)  # type: ignore[arg-type]


def entry(ref: str, *findings: Finding, kind: str = "message", to: str = "ben@example.net") -> HistoryEntry:
    recipient = Recipient(address=known(to))
    return HistoryEntry(
        ref=ref,
        at=0.0,
        kind=kind,
        client=client(),
        envelope=Envelope(sender=attempt().sender, recipients=(recipient,)),
        judged=(Judged(recipient=recipient, verdict=decide(findings, book().default)),),
        findings=findings,
        author="Ana <ana@example.org>",
        subject=f"subject of {ref}",
    )


def asked(*names: str) -> Finding:
    return Finding("dnsbl.asked", "", {"lists": list(names)})


def hit(name: str) -> Finding:
    return Finding("dnsbl.listed", f"listed by {name}", {}, name)


NO_RDNS = Finding("rdns.missing", "the client has no name")
BL = ListSettings(zone="bl.example", mode=Mode.OBSERVE, weight=5.0)
BL_ENFORCED = ListSettings(zone="bl.example", mode=Mode.ENFORCE, weight=5.0)


def test_changes_are_counted_by_domain_and_action_with_what_people_did() -> None:
    entries = [
        entry("a", asked("bl.example"), hit("bl.example")),
        entry("b", asked("bl.example"), hit("bl.example")),
        entry("c", asked("bl.example")),
        entry("d", asked("bl.example"), hit("bl.example"), to="eve@example.com"),
    ]
    told = {"b": frozenset({"released"})}
    plan = compare(entries, book([BL]), book([BL_ENFORCED]), lambda ref: told.get(ref, frozenset()))
    assert (plan.looked_at, plan.same, plan.unknown, plan.changed) == (4, 1, 0, 3)
    first = plan.changes[0]
    assert (first.domain, first.before, first.after, first.count) == (
        "example.net",
        Action.DELIVER,
        Action.JUNK,
        2,
    )
    assert first.told == {"released": 1}
    assert first.rules == {"score.junk": 2}
    assert [sample.ref for sample in first.samples] == ["a", "b"]
    assert "listed by bl.example" in first.samples[0].reason


def test_the_same_policy_changes_nothing() -> None:
    entries = [entry("a", NO_RDNS, hit("bl.example"), asked("bl.example"))]
    plan = compare(entries, book([BL]), book([BL]))
    assert (plan.same, plan.changes) == (1, ())


def test_a_list_that_was_not_asked_is_unknown_only_where_it_could_matter() -> None:
    other = ListSettings(zone="new.example", mode=Mode.ENFORCE, weight=2.0)
    entries = [entry("a", asked()), entry("b", NO_RDNS, Finding("hello.ours", "it is us"), asked())]
    plan = compare(entries, book(), book([other]))
    assert (plan.same, plan.unknown) == (1, 1)
    assert plan.unknown_because == {"dnsbl.listed:new.example was not asked then": 1}


def test_a_check_that_was_off_is_unknown_where_it_could_matter() -> None:
    plan = compare([entry("a")], book(modes={"headers": Mode.OFF}), book())
    assert plan.unknown == 1
    plan = compare([entry("a", Finding("headers.no_date", ""))], book(modes={"headers": Mode.OFF}), book())
    assert (plan.unknown, plan.same) == (0, 1)


def test_mail_turned_down_at_the_door_is_unknown_once_it_would_get_in() -> None:
    strict = ListSettings(zone="bl.example", mode=Mode.ENFORCE, weight=12.0)
    entries = [entry("a", hit("bl.example"), asked("bl.example"), kind="attempt")]
    assert compare(entries, book([strict]), book([BL])).unknown_because == {
        "turned down at the door, so nothing is known of its content": 1
    }
    assert compare(entries, book([strict]), book([strict])).same == 1


def test_two_observing_gates_are_compared_by_what_they_would_do() -> None:
    entries = [entry("a", asked("bl.example"), hit("bl.example"))]
    plan = compare(entries, book([BL], Mode.OBSERVE), book([BL_ENFORCED], Mode.OBSERVE))
    assert [(one.before, one.after) for one in plan.changes] == [(Action.DELIVER, Action.JUNK)]


def test_turning_the_gate_to_enforce_shows_what_it_costs() -> None:
    entries = [entry("a", asked("bl.example"), hit("bl.example"))]
    plan = compare(entries, book([BL_ENFORCED], Mode.OBSERVE), book([BL_ENFORCED]))
    assert [(one.before, one.after) for one in plan.changes] == [(Action.DELIVER, Action.JUNK)]


def test_sessions_are_left_out() -> None:
    assert compare([entry("a", kind="session")], book(), book()).looked_at == 0


def test_figures_of_lists() -> None:
    known_sender = (Finding("dmarc.pass", ""), Finding("correspondents.known", ""))
    entries = [
        entry("a", asked("bl.example", "w.example"), hit("bl.example")),
        entry("b", asked("bl.example"), hit("bl.example"), *known_sender),
        entry("c", asked("bl.example"), hit("bl.example"), Finding("dmarc.reject", "")),
        entry("d", asked("bl.example"), Finding("dnsbl.silent", "", {}, "bl.example")),
        entry("e", asked("bl.example"), hit("bl.example")),
    ]
    told = {"e": frozenset({"released"})}
    figures = list_figures(entries, book([BL]), lambda ref: told.get(ref, frozenset()))
    one = figures["bl.example"]
    assert (one.asked, one.hit, one.silent, one.contradicted) == (5, 4, 1, 2)
    assert one.decided == 2, "the known sender's mail stays below, the failed reject is refused anyway"
    assert figures["w.example"].asked == 1
    assert tallies(figures, figures)["bl.example"].usual_share == 0.8


def test_mail_of_our_own_people_is_decided_by_the_books_for_what_goes_out() -> None:
    from gatepost.policy.outgoing import assemble_outgoing
    from gatepost.submitting.settings import OutgoingPolicySettings

    own = entry("out", Finding("fanout.flood", "a flood"), to="bo@example.org")
    own = replace(own, client=replace(own.client, user="ana@example.net"))
    configured = configure({})
    now = assemble_outgoing(OutgoingPolicySettings(), configured)
    stricter = assemble_outgoing(OutgoingPolicySettings(hold_at=4.0), configured)
    assert compare([own], book(), book()).looked_at == 0
    plan = compare([own], book(), book(), outgoing=(now, stricter))
    (change,) = plan.changes
    assert (change.before, change.after) == (Action.DELIVER, Action.QUARANTINE)
