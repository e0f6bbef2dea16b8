"""From verdicts to what is done: the copies to be queued or held, and the one reply for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gatepost.mail.verdict import Action, Verdict
from gatepost.policy.marking import STRIP
from gatepost.smtp.reply import Reply
from gatepost.store.records import Judged, NewDelivery

TURNED_DOWN = (Action.REFUSE, Action.DEFER)


def together(actions: Sequence[Action]) -> list[Action]:
    """SMTP has one reply for all: if any must wait, all wait; it refuses only if all are refused, and
    otherwise quarantines the refused ones, so that there is no backscatter."""
    if Action.DEFER in actions:
        return [Action.DEFER] * len(actions)
    if all(action is Action.REFUSE for action in actions):
        return list(actions)
    return [Action.QUARANTINE if action is Action.REFUSE else action for action in actions]


def copies(
    judged: Judged, action: Action, category_of: Callable[[Judged], str] = lambda _: ""
) -> list[NewDelivery]:
    """One recipient's copies, queued or held; of a copy that loses a part the original is held beside it."""
    verdict, held = judged.verdict, action is Action.QUARANTINE
    changes = tuple(change for change in verdict.changes if change.kind != "kept") if verdict.changes else ()
    held_as = category_of(judged) if held or changes else ""
    found = []
    for to in judged.deliver_to or (str(judged.recipient.address),):
        found.append(
            NewDelivery(
                recipient=judged.recipient,
                to=to,
                junk=action is Action.JUNK,
                held=held,
                reason=verdict.reason,
                rule=verdict.rule,
                category=held_as,
                changes=changes,
            )
        )
        found += [original(judged, to, held_as) for change in changes if change.kind == "strip"]
    return found


def original(judged: Judged, to: str, held_as: str) -> NewDelivery:
    """What a copy without its attachment was made from."""
    reason = next(one.finding.text for one in judged.verdict.weighed if one.finding.name == STRIP)
    held_as = held_as if held_as == "malware" else "attachment"
    return NewDelivery(
        recipient=judged.recipient,
        to=to,
        held=True,
        original=True,
        reason=reason,
        rule=STRIP,
        category=held_as,
    )


def refusal(verdict: Verdict, codes: tuple[int, str], ref: str) -> Reply:
    """The reply that says why, with the reference that `gatepost explain` takes."""
    return Reply(codes[0], codes[1], f"{verdict.reason} [ref {ref}]")


def strictest(replies: Sequence[Reply]) -> Reply:
    """The one reply for all when nobody gets the mail: a wish to wait comes before a refusal."""
    return next((reply for reply in replies if reply.code < 500), replies[0])
