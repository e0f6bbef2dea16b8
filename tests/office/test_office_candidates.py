"""A policy edited as a candidate: proved, tried on recorded mail, saved with a reason, and taken back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.access.rights import Right
from gatepost.app.policyfile import PolicyFile
from gatepost.config.overlay import NAME
from gatepost.config.schema import Loaded, load
from gatepost.mail.address import Address
from gatepost.mail.client import Client, Envelope, Recipient
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import Action
from gatepost.office.candidates import Candidates, Unsound, read_planned
from gatepost.office.office import Impossible, NotAllowed, Office, ProveAgain
from gatepost.policy import decide
from gatepost.store.records import HistoryEntry, Judged
from office_samples import EVERYBODY, NOW, OWNER, POSTMASTER, Clock, telling

MAIN = """
hostname = "mx.example.net"
state = "."
[[domains]]
name = "example.net"
deliver = "maildir:m"
[policy.weights]
"spf.fail" = 5.0
[policy.modes]
"rdns.missing" = "observe"
"""

OBSERVING = """
hostname = "mx.example.net"
state = "."
mode = "observe"
[[domains]]
name = "example.net"
deliver = "maildir:m"
[[domains]]
name = "example.com"
deliver = "maildir:m"
[policy.weights]
"spf.fail" = 5.0
[[policy.overrides]]
recipients = ["boss@example.net"]
junk_at = 5.0
"""


class Gate:
    """Reads its configuration again when told to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.loaded = load(path)

    def reload(self) -> None:
        self.loaded = load(self.path)


def entry(ref: str, loaded: Loaded, *names: str) -> HistoryEntry:
    to = Recipient(address=Address("ana", "example.net"))
    verdict = decide([Finding(name, f"{name} was seen") for name in names], loaded.policies.default)
    return HistoryEntry(
        ref=ref, at=NOW - 3600, kind="message", client=Client(ip=None),
        envelope=Envelope(sender=Address("sam", "example.org"), recipients=(to,)),
        judged=(Judged(recipient=to, verdict=verdict),), subject=f"about {ref}",
    )  # fmt: skip


Story = Callable[[Office, Candidates, Gate], Awaitable[None]]


def tell(
    folder: Path,
    story: Story,
    clock: Clock | None = None,
    *,
    main: str = MAIN,
    told: Callable[[str], frozenset[str]] = lambda _: frozenset(),
) -> None:
    path = folder / "gatepost.toml"
    path.write_text(main)
    gate = Gate(path)

    async def run(office: Office) -> None:
        for index in range(10):
            await office.store.record(entry(f"FAIL{index}", gate.loaded, "spf.fail", "rdns.missing"))
            await office.store.record(entry(f"FINE{index}", gate.loaded))
        keeper = PolicyFile(lambda: gate.loaded, gate.reload)
        candidates = Candidates(office=office, keeper=keeper, told=lambda _: told)
        await story(office, candidates, gate)

    telling(folder, run, clock)


def test_from_candidate_to_plan_to_saved_to_the_way_back(tmp_path: Path) -> None:
    async def story(office: Office, candidates: Candidates, gate: Gate) -> None:
        await candidates.set(POSTMASTER, "policy.junk_at", 6.0)
        assert gate.loaded.config.policy.junk_at == 4.0, "a candidate changes nothing"
        with pytest.raises(Impossible, match="recorded mail"):
            await candidates.save(POSTMASTER, "too strict")
        made = await candidates.plan(POSTMASTER)
        assert (made.looked_at, made.same, made.changed, made.whole) == (20, 10, 10, True)
        number = await candidates.save(POSTMASTER, "too strict")
        assert gate.loaded.config.policy.junk_at == 6.0
        assert (tmp_path / NAME).stat().st_mode & 0o077 == 0
        (saved,) = candidates.history(POSTMASTER)
        assert (saved.number, saved.who, saved.why) == (number, POSTMASTER.login, "too strict")
        kept = read_planned(saved.evidence)
        assert kept is not None
        assert kept.changed == 10

        back = await candidates.go_back(OWNER, 0, "ana misses mail")
        assert gate.loaded.config.policy.junk_at == 4.0
        again = await candidates.go_back(OWNER, number)
        assert gate.loaded.config.policy.junk_at == 6.0
        assert [one.number for one in candidates.history(OWNER)] == [again, back, number]
        assert [one.what for one in reversed(office.store.journal())] == [
            f"policy save {number}", f"policy back {back} to 0", f"policy back {again} to {number}",
        ]  # fmt: skip

    tell(tmp_path, story)


def test_mail_of_our_own_people_is_in_the_plan(tmp_path: Path) -> None:
    async def story(office: Office, candidates: Candidates, gate: Gate) -> None:
        sent = entry("SENT", gate.loaded, "spf.fail")
        await office.store.record(
            replace(sent, client=Client(ip=None, user="ana@example.net", role="submission"))
        )
        await candidates.set(POSTMASTER, "policy.junk_at", 6.0)
        assert (await candidates.plan(POSTMASTER)).looked_at == 21

    tell(tmp_path, story)


def test_what_is_unsound_is_not_kept(tmp_path: Path) -> None:
    async def story(office: Office, candidates: Candidates, gate: Gate) -> None:
        for text, says in (
            ("[policy]\njunk_at = 99.0", "thresholds must rise"),
            ('[policy.weights]\n"spf.fial" = 1.0', "spf.fail"),
            ('[[listeners]]\naddress = "0.0.0.0:25"', "cannot be set from the console"),
            ("[policy", "not TOML"),
            ("#" * 70_000, "longer"),
        ):
            with pytest.raises(Unsound, match=says):
                await candidates.edit(POSTMASTER, text)
        assert candidates.draft(POSTMASTER).text == ""
        assert not (tmp_path / NAME).exists()

    tell(tmp_path, story)


def test_only_who_has_the_right_and_a_fresh_proof(tmp_path: Path) -> None:
    clock = Clock()

    async def story(office: Office, candidates: Candidates, gate: Gate) -> None:
        for actor in EVERYBODY:
            if actor.may(Right.POLICY):
                candidates.draft(actor)
                continue
            for act in (candidates.draft, candidates.history):
                with pytest.raises(NotAllowed):
                    act(actor)
            for doing in (
                candidates.edit(actor, ""),
                candidates.save(actor, "x"),
                candidates.go_back(actor, 0, "x"),
            ):
                with pytest.raises(NotAllowed):
                    await doing
        await candidates.set(POSTMASTER, "policy.junk_at", 6.0)
        await candidates.plan(POSTMASTER)
        with pytest.raises(ProveAgain):
            await candidates.save(replace(POSTMASTER, proved_at=NOW - 301), "why")
        with pytest.raises(Impossible, match="why"):
            await candidates.save(POSTMASTER, "  ")

    tell(tmp_path, story, clock)


def test_who_was_overtaken_begins_again(tmp_path: Path) -> None:
    async def story(office: Office, candidates: Candidates, gate: Gate) -> None:
        for actor, at in ((POSTMASTER, 5.0), (OWNER, 6.0)):
            await candidates.set(actor, "policy.junk_at", at)
            await candidates.plan(actor)
        await candidates.save(POSTMASTER, "first")
        with pytest.raises(Impossible, match="meanwhile"):
            await candidates.save(OWNER, "second")
        assert gate.loaded.config.policy.junk_at == 5.0

    tell(tmp_path, story)


def test_an_edit_after_the_plan_asks_for_another_plan(tmp_path: Path) -> None:
    async def story(office: Office, candidates: Candidates, gate: Gate) -> None:
        await candidates.set(POSTMASTER, "policy.junk_at", 6.0)
        await candidates.plan(POSTMASTER)
        await candidates.set(POSTMASTER, "policy.junk_at", 6.5)
        with pytest.raises(Impossible, match="recorded mail"):
            await candidates.save(POSTMASTER, "why")

    tell(tmp_path, story)


def test_promotion_rests_on_what_was_observed(tmp_path: Path) -> None:
    async def story(office: Office, candidates: Candidates, gate: Gate) -> None:
        (evidence,) = await candidates.evidence(POSTMASTER, ["rdns.missing"])
        assert (evidence.mode, evidence.seen, evidence.released, evidence.enough) == (
            Mode.OBSERVE,
            10,
            0,
            False,
        )
        draft = await candidates.promote(POSTMASTER, "rdns.missing", Mode.ENFORCE)
        assert "modes" in draft.text
        await candidates.plan(POSTMASTER)
        await candidates.save(POSTMASTER, "seen for a week")
        rule = gate.loaded.policies.default.rules["rdns.missing"]
        assert rule.mode is Mode.ENFORCE
        with pytest.raises(Unsound):
            await candidates.promote(POSTMASTER, "no.such", Mode.ENFORCE)

    tell(tmp_path, story)


def test_a_gate_that_observes_is_let_decide_domain_by_domain_on_what_was_seen(tmp_path: Path) -> None:
    async def story(office: Office, candidates: Candidates, gate: Gate) -> None:
        ours, theirs = Address("ana", "example.net"), Address("chie", "example.com")
        for index in range(3):
            sent = entry(f"COM{index}", gate.loaded, "spf.fail")
            to = Recipient(address=theirs)
            await office.store.record(replace(sent, judged=(replace(sent.judged[0], recipient=to),)))
        (com, net) = await candidates.stages(POSTMASTER)
        assert (com.domain, com.mode, com.seen, com.would, com.enough) == (
            "example.com", Mode.OBSERVE, 3, {Action.JUNK: 3}, False,
        )  # fmt: skip
        assert (net.domain, net.seen, net.would, net.told) == (
            "example.net",
            20,
            {Action.JUNK: 10},
            {"released": 10},
        )

        await candidates.stage(POSTMASTER, "example.net", Mode.ENFORCE)
        made = await candidates.plan(POSTMASTER)
        assert (made.changed, made.same) == (10, 13), "of example.net alone"
        await candidates.save(POSTMASTER, "seen for a week")
        book = gate.loaded.policies
        assert (book.for_recipient(ours).mode, book.for_recipient(theirs).mode) == (
            Mode.ENFORCE,
            Mode.OBSERVE,
        )
        assert book.for_recipient(Address("boss", "example.net")).junk_at == 5.0, (
            "the file's overrides still hold"
        )
        (com, net) = await candidates.stages(POSTMASTER)
        assert (net.mode, net.seen, net.would) == (Mode.ENFORCE, 20, {})

        await candidates.stage(POSTMASTER, "example.com", Mode.ENFORCE)
        draft = await candidates.stage(POSTMASTER, "example.net", Mode.OBSERVE)
        assert draft.text.count('"example.net"') == 1
        await candidates.plan(POSTMASTER)
        await candidates.save(POSTMASTER, "the other way round")
        book = gate.loaded.policies
        assert (book.for_recipient(ours).mode, book.for_recipient(theirs).mode) == (
            Mode.OBSERVE,
            Mode.ENFORCE,
        )
        await candidates.go_back(POSTMASTER, 0)
        assert gate.loaded.policies.for_recipient(theirs).mode is Mode.OBSERVE
        with pytest.raises(Unsound, match=r"no\.example"):
            await candidates.stage(POSTMASTER, "no.example", Mode.ENFORCE)

    def released(ref: str) -> frozenset[str]:
        return frozenset({"released"}) if ref.startswith("FAIL") else frozenset()

    tell(tmp_path, story, main=OBSERVING, told=released)


def test_a_disk_that_takes_no_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(office: Office, candidates: Candidates, gate: Gate) -> None:
        await candidates.set(POSTMASTER, "policy.junk_at", 6.0)
        await candidates.plan(POSTMASTER)

        def full(self: PolicyFile, text: str) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(PolicyFile, "put", full)
        with pytest.raises(Impossible, match="No space left"):
            await candidates.save(POSTMASTER, "why")

    tell(tmp_path, story)
