"""Which copies are marked, and what a held copy is held as."""

from __future__ import annotations

from gatepost.mail.address import Address
from gatepost.mail.authresults import ArcResult, AuthResults, DkimResult, DmarcResult
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import Action, Verdict, Weighed
from gatepost.policy import Marking, MarkingSettings, category, marks, strip
from gatepost.policy.judge import FactRule, Policy
from gatepost.policy.settings import Language, Mark, MarkOverride

JUNK = MarkingSettings(junk=Mark(tag="[Junk?]", banner=True), deliver=Mark(banner=True))
SIGNED = AuthResults(
    dkim=(DkimResult(result="pass", domain="example.org"),), dmarc=DmarcResult(author_domain="example.org")
)


def verdict(
    action: Action, *, score: float = 0.0, rule: str = "score.junk", names: tuple[str, ...] = ()
) -> Verdict:
    weighed = tuple(
        Weighed(Finding(name, "seen", {"parts": ["2"], "files": ["a.exe"]}), 1.0, Mode.ENFORCE)
        for name in names
    )
    return Verdict(action=action, would_action=action, rule=rule, reason="", score=score, weighed=weighed)


def kinds(one: Verdict, settings: MarkingSettings = JUNK, auth: AuthResults | None = None) -> list[str]:
    return [change.kind for change in marks(one, settings, auth or AuthResults())]


def test_junk_is_marked_and_delivered_mail_only_from_the_score_or_by_a_fact() -> None:
    assert kinds(verdict(Action.JUNK)) == ["tag", "banner"]
    assert kinds(verdict(Action.DELIVER, score=1.9)) == []
    assert kinds(verdict(Action.DELIVER, score=2.0)) == ["banner"]
    assert kinds(verdict(Action.QUARANTINE, score=9)) == []
    by_fact = MarkingSettings(deliver=Mark(banner=True), deliver_facts=("lookalike.domain",))
    assert kinds(verdict(Action.DELIVER, names=("lookalike.domain",)), by_fact) == ["banner"]
    assert not Marking.of(MarkingSettings()).active, "nothing is marked unless somebody asks for it"


def test_a_signature_somebody_may_rely_on_is_not_broken_unless_the_settings_say_so() -> None:
    assert kinds(verdict(Action.JUNK), auth=SIGNED) == ["kept"]
    sealed = AuthResults(arc=ArcResult(result="pass", sealers=("list.example",)))
    assert "seal of list.example" in marks(verdict(Action.JUNK), JUNK, sealed)[0].text
    stranger = AuthResults(
        dkim=(DkimResult(result="pass", domain="esp.example"),),
        dmarc=DmarcResult(author_domain="example.org"),
    )
    assert kinds(verdict(Action.JUNK), auth=stranger) == ["tag", "banner"]
    bold = MarkingSettings(junk=Mark(tag="x", despite_signatures=True))
    assert kinds(verdict(Action.JUNK), bold, SIGNED) == ["tag"]


def test_an_address_has_its_own_marks_and_language_before_its_domain() -> None:
    marking = Marking.of(
        MarkingSettings(
            overrides=(
                MarkOverride(recipients=("example.net",), junk=Mark(tag="[A]")),
                MarkOverride(recipients=("Chie@example.net",), language=Language.JA, junk=Mark(banner=True)),
            )
        )
    )
    assert marking.active
    assert marking.for_recipient(Address("ana", "example.net")).junk.tag == "[A]"
    chie = marking.for_recipient(Address("chie", "example.net"))
    assert marks(verdict(Action.JUNK), chie, AuthResults())[0].text.startswith("注意")
    assert marking.for_recipient(Address("ana", "other.example")) is marking.settings


def test_parts_are_taken_out_of_what_goes_on_and_the_note_says_how_to_get_them() -> None:
    change = strip(verdict(Action.DELIVER, names=("attachments.strip",)), MarkingSettings(), "2N5REF")
    assert change is not None
    assert change.parts == (2,)
    assert "a.exe" in change.text
    assert "2N5REF" in change.text
    assert strip(verdict(Action.QUARANTINE, names=("attachments.strip",)), MarkingSettings(), "R") is None
    assert strip(verdict(Action.DELIVER), MarkingSettings(), "R") is None


def test_malware_is_held_as_malware_whatever_decided() -> None:
    policy = Policy(
        rules={
            "antivirus.found": FactRule(group="malware", action=Action.QUARANTINE),
            "links.x": FactRule(group="links", weight=3),
            "dmarc.reject": FactRule(action=Action.QUARANTINE),
        }
    )
    held = verdict(Action.QUARANTINE, rule="dmarc.reject", names=("dmarc.reject", "antivirus.found"))
    assert category(held, policy) == "malware"
    assert (
        category(verdict(Action.QUARANTINE, rule="dmarc.reject", names=("dmarc.reject",)), policy)
        == "authentication"
    )
    assert (
        category(verdict(Action.QUARANTINE, rule="score.quarantine", names=("links.x",)), policy)
        == "phishing"
    )
    assert category(verdict(Action.QUARANTINE, rule="score.quarantine"), policy) == "spam"
