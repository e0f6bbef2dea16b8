"""Who sees what of a message's story, what is found, and what would have changed the verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatepost.checks.registry import configure
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import Action, Weighed
from gatepost.office import counting, looking
from gatepost.office.office import NotAllowed, Office
from gatepost.office.whatif import instead
from gatepost.policy import PolicySettings, assemble, decide
from gatepost.store.history import Search
from gatepost.store.postmaster import Postmaster
from gatepost.store.records import Acceptance, Judged
from gatepost.store.searching import find
from office_samples import ANA, AUDITOR, BEN, HELP_DESK, MANAGER, OFFICER, OWNER, POSTMASTER, held, telling
from store_samples import acceptance

NOW = 1_750_000_000.0
SECRET = "The secret plan"
BOOK = assemble(PolicySettings(), configure({}))
FACTS = (
    Finding("spf.fail", "the client may not send for other.example"),
    Finding("rdns.missing", "192.0.2.7 has no name"),
    Finding("headers.several_from", f"two authors in {SECRET}"),
)


def letter(
    ref: str,
    *findings: Finding,
    at: float = NOW,
    to: tuple[str, ...] = ("ana@example.net", "ben@example.net"),
) -> Acceptance:
    base = acceptance(ref, at=at, recipients=to)
    verdict = decide(findings or FACTS, BOOK.default)
    judged = tuple(Judged(recipient=one, verdict=verdict) for one in base.entry.envelope.recipients)
    return replace(
        base,
        entry=replace(base.entry, judged=judged, subject=SECRET, author="Sam <sam@example.org>"),
        deliveries=(),
    )


def test_each_sees_what_their_rights_show(tmp_path):
    async def story(office: Office) -> None:
        await office.store.carry_out(letter("0000000000001"))
        whole = looking.story(office, OWNER, "0000000000001")
        assert whole.entry.subject == SECRET
        assert len(whole.decisions[0].recipients) == 2
        assert all(one.text for one in whole.evidence)
        metadata = looking.story(office, HELP_DESK, "0000000000001")
        assert (
            SECRET
            not in repr(metadata.decisions)
            + repr([one.text for one in metadata.evidence])
            + metadata.entry.subject
        )
        assert any(one.name == "spf.fail" and one.text for one in metadata.evidence)
        whole_changes = looking.story(office, OWNER, "0000000000001", BOOK).changes
        seen_changes = looking.story(office, HELP_DESK, "0000000000001", BOOK).changes
        assert {(one.how, one.what, one.action) for one in seen_changes} <= {
            (one.how, one.what, one.action) for one in whole_changes
        }
        assert SECRET not in repr(seen_changes)
        own = looking.story(office, ANA, "0000000000001")
        assert own.entry.subject == SECRET
        assert own.decisions[0].recipients == ("ana@example.net",)
        assert "ben@example.net" not in repr(own.entry.envelope) + repr(own.entry.judged)
        for stranger in (AUDITOR, OFFICER, replace(BEN, addresses=("eve@example.net",))):
            with pytest.raises(NotAllowed) as refused:
                looking.story(office, stranger, "0000000000001")
            with pytest.raises(NotAllowed) as absent:
                looking.story(office, stranger, "0000000000009")
            assert str(refused.value) == str(absent.value)

    telling(tmp_path, story)


def test_what_waits_for_approval_is_no_story_for_its_recipient(tmp_path):
    async def story(office: Office) -> None:
        out = held("OUT", category="approval", sender="ben@example.net", subject=SECRET)
        client = replace(out.entry.client, user="ben@example.net", role="submission")
        await office.store.carry_out(replace(out, entry=replace(out.entry, client=client)))
        with pytest.raises(NotAllowed):
            looking.story(office, ANA, "OUT")
        assert looking.story(office, OWNER, "OUT").entry.subject == SECRET
        await Postmaster(office.store).release("OUT", office.why(OWNER, "fine"))
        assert looking.story(office, ANA, "OUT").entry.subject == SECRET

    telling(tmp_path, story)


def test_lists_are_for_who_may_see_everybodys_mail(tmp_path):
    async def story(office: Office) -> None:
        await office.store.carry_out(letter("0000000000001"))
        read = office.store.database.read
        for somebody, subject in (
            (OWNER, SECRET),
            (POSTMASTER, SECRET),
            (MANAGER, SECRET),
            (HELP_DESK, None),
        ):
            (row,) = read(lambda c, who=somebody: looking.messages(c, who, Search())).rows
            assert row.subject == subject
        for somebody in (ANA, OFFICER, AUDITOR):
            with pytest.raises(NotAllowed):
                read(lambda c, who=somebody: looking.messages(c, who, Search()))
            with pytest.raises(NotAllowed):
                read(lambda c, who=somebody: looking.anywhere(c, who, "0000000000001"))
        with pytest.raises(NotAllowed):
            read(lambda c: looking.messages(c, HELP_DESK, Search(subject="secret")))

    telling(tmp_path, story)


@pytest.mark.parametrize(
    "typed",
    ["0000000000001", "[ref 0000000000001]", "sam@example.org", "ana@example.net", "example.org", "@example.net", "192.0.2.7", "<1@example.org>",
     "1@example.org"],
)  # fmt: skip
def test_the_one_field_understands(tmp_path, typed):
    async def story(office: Office) -> None:
        await office.store.carry_out(letter("0000000000001"))
        found = office.store.database.read(lambda c: looking.anywhere(c, OWNER, typed))
        assert [one.ref for one in found.rows] == ["0000000000001"]
        assert not office.store.database.read(lambda c: looking.anywhere(c, OWNER, typed + "x")).rows

    telling(tmp_path, story)


def test_subjects_and_rules_are_found_a_stretch_at_a_time(tmp_path):
    async def story(office: Office) -> None:
        for number in range(30):
            await office.store.carry_out(letter(f"{number:013d}", at=NOW + number))

        def look(connection, after=None, **wanted):
            return find(connection, Search(**wanted), after=after, at_once=10, limit=50)

        read = office.store.database.read
        refs, after = [], None
        for _ in range(5):
            looked = read(lambda c, a=after: look(c, a, subject="SECRET plan"))
            refs += [one.ref for one in looked.entries]
            after = looked.next
            if after is None:
                break
        assert refs == [f"{number:013d}" for number in reversed(range(30))]
        assert looked.until is None
        nothing = read(lambda c: look(c, subject="100%_"))
        assert nothing.entries == ()
        assert nothing.until == NOW + 20
        rule = decide(FACTS, BOOK.default).rule
        assert len(read(lambda c: look(c, rule=rule)).entries) == 10
        assert read(lambda c: look(c, rule="%")).entries == ()

    telling(tmp_path, story)


def test_charts_of_a_search_count_what_the_list_lists(tmp_path):
    async def story(office: Office) -> None:
        for number in range(12):
            to = ("ana@example.net",) if number % 3 else ("ben@example.net",)
            await office.store.carry_out(letter(f"{number:013d}", at=NOW + number * 1800, to=to))
        window = {"since": NOW, "until": NOW + 12 * 1800}
        wanted = Search(recipient="ana@example.net")
        read = office.store.database.read
        hours = read(lambda c: counting.hours(c, OWNER, **window, wanted=wanted))
        assert hours.counted == len(read(lambda c: looking.messages(c, OWNER, wanted)).rows) == 8
        assert read(lambda c: counting.hours(c, OWNER, **window)).counted == 12

    telling(tmp_path, story)


def judged_by(*findings: Finding) -> tuple[Acceptance, Judged]:
    one = letter("0000000000001", *findings)
    return one, one.entry.judged[0]


def test_what_would_change_it_is_what_the_policy_does_then():
    listed = Finding("dmarc.reject", "DMARC of other.example says reject")
    kept, judged = judged_by(listed, *FACTS)
    found = instead(kept.entry, judged, BOOK)
    assert found
    assert len({(one.how, one.what, one.then) for one in found}) == len(found)
    base = judged.verdict.would_action
    for one in found:
        assert one.action is not base, one
        policy = BOOK.default
        findings = [weighed.finding for weighed in judged.verdict.weighed]
        if one.how == "threshold":
            policy = replace(policy, **{one.what: one.then})
        elif one.how == "allow":
            findings.append(Finding("senders.allowed", ""))
        elif one.how == "block":
            findings.append(Finding("senders.blocked", ""))
        elif one.how in ("without", "enforced", "weight"):
            rule = policy.rules[one.what]
            mode = Mode.OBSERVE if one.how == "without" else Mode.ENFORCE
            weight = one.then if one.how == "weight" else rule.weight
            policy = replace(
                policy, rules={**policy.rules, one.what: replace(rule, mode=mode, weight=weight)}
            )
        assert decide(findings, policy).would_action is one.action, one


def test_a_policy_that_has_changed_since_is_named_first():
    kept, judged = judged_by(*FACTS)
    stale = replace(judged, verdict=replace(judged.verdict, action=Action.REFUSE, would_action=Action.REFUSE))
    assert instead(kept.entry, stale, BOOK)[0].how == "today"


def test_what_was_seen_of_nobody_changes_nothing():
    kept, judged = judged_by(Finding("spf.pass", "fine"))
    empty = replace(judged, verdict=replace(judged.verdict, weighed=()))
    assert instead(kept.entry, empty, BOOK) == []
    assert isinstance(judged.verdict.weighed[0], Weighed)
