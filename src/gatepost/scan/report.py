"""A verdict as JSON, in the form scripts rely on (`docs/reference/interfaces.md`)."""

from __future__ import annotations

from typing import Any

from gatepost.checks.references import reference_of
from gatepost.mail.authresults import AuthResults
from gatepost.mail.verdict import SEVERITY, Action, Verdict
from gatepost.store.records import DeliveryAttempt, HistoryEntry

RANK = {**SEVERITY, Action.DEFER: 4}


def verdict_json(entry: HistoryEntry) -> dict[str, Any]:
    """The decision of one message: the strictest verdict where recipients differ."""
    verdict = strictest(entry)
    return {
        "ref": entry.ref,
        "action": verdict.action.value,
        "would_action": verdict.would_action.value,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "reference": reference_of(verdict.rule),
        "score": round(verdict.score, 2),
        "probability": probability(entry),
        "findings": findings_json(entry, verdict),
        "authentication": authentication_json(entry.auth),
        "milliseconds": dict(entry.milliseconds),
    }


def story_json(entry: HistoryEntry, attempts: list[DeliveryAttempt]) -> dict[str, Any]:
    """The same with envelope, timeline and deliveries, for `gatepost explain --json`."""
    envelope, client = entry.envelope, entry.client
    return verdict_json(entry) | {
        "kind": entry.kind,
        "at": entry.at,
        "mode": entry.mode,
        "reply": entry.reply,
        "signed_by": list(entry.signed_by),
        "client": {
            "ip": str(client.ip) if client.ip else None,
            "hello": client.hello,
            "tls": {"version": client.tls.version, "cipher": client.tls.cipher} if client.tls else None,
            "user": client.user,
            "device": client.device,
        },
        "way": "out" if client.account else "in",
        "account": client.account or None,
        "envelope": {
            "from": str(envelope.sender) if envelope.sender else "",
            "to": [str(one.address) for one in envelope.recipients],
        },
        "author": entry.author,
        "subject": entry.subject,
        "message_id": entry.message_id,
        "size": entry.size,
        "recipients": [
            {"to": str(one.recipient.address), "action": one.verdict.action.value,
             "would_action": one.verdict.would_action.value, "rule": one.verdict.rule,
             "reason": one.verdict.reason, "reference": reference_of(one.verdict.rule),
             "score": round(one.verdict.score, 2)}
            for one in entry.judged
        ],
        "timeline": [{"at": entry.at, "what": "decided", "text": entry.reply}]
        + [{"at": one.at, "what": one.status, "text": one.reply or one.reason} for one in attempts],
        "deliveries": [delivery_json(one) for one in attempts],
    }  # fmt: skip


def delivery_json(attempt: DeliveryAttempt) -> dict[str, Any]:
    """One attempt at delivery."""
    return {
        "at": attempt.at,
        "to": attempt.to,
        "host": attempt.host,
        "address": attempt.address,
        "status": attempt.status,
        "reply": attempt.reply,
        "tls": {
            "version": attempt.tls_version,
            "policy": attempt.tls_policy,
            "verified": attempt.tls_verified,
        },
        "reason": attempt.reason,
    }


def probability(entry: HistoryEntry) -> float | None:
    """The classifier's own opinion, None where it has none that counts."""
    for finding in entry.findings:
        if finding.name == "spam.opinion":
            found = finding.evidence.get("probability")
            return found if isinstance(found, float) else None
    return None


def strictest(entry: HistoryEntry) -> Verdict:
    """The verdict that stands for the message."""
    if not entry.judged:
        return Verdict(
            action=Action.REFUSE, would_action=Action.REFUSE, rule=entry.findings[0].name if entry.findings else "session",
            reason=entry.reply, score=0.0,
        )  # fmt: skip
    return max((one.verdict for one in entry.judged), key=lambda one: (RANK[one.action], one.score))


def findings_json(entry: HistoryEntry, verdict: Verdict) -> list[dict[str, Any]]:
    """What was seen, with what the policy made of it."""
    if not verdict.weighed:
        return [
            {
                "name": one.name,
                "text": one.text,
                "weight": 0.0,
                "mode": "observe",
                "evidence": dict(one.evidence),
                "reference": reference_of(one.key),
            }
            for one in entry.findings
        ]
    rows = []
    for weighed in verdict.weighed:
        finding = weighed.finding
        row: dict[str, Any] = {
            "name": finding.name,
            "text": finding.text,
            "weight": weighed.weight,
            "mode": weighed.mode.value,
            "evidence": dict(finding.evidence),
            "reference": reference_of(finding.key),
        }
        if finding.source:
            row["source"] = finding.source
        if weighed.excused_by:
            row["excused_by"] = weighed.excused_by
        rows.append(row)
    return rows


def authentication_json(auth: AuthResults) -> dict[str, Any]:
    """SPF, DKIM, ARC and DMARC in the RFCs' words."""
    return {
        "spf": {
            "hello": {"result": auth.spf_hello.result, "domain": auth.spf_hello.domain},
            "mail_from": {
                "result": auth.spf_mail_from.result,
                "domain": auth.spf_mail_from.domain,
                "mechanism": auth.spf_mail_from.mechanism,
                "problem": auth.spf_mail_from.problem,
            },
        },
        "dkim": [
            {"result": one.result, "domain": one.domain, "selector": one.selector, "algorithm": one.algorithm,
             "reason": one.reason}
            for one in auth.dkim
        ],
        "arc": {"result": auth.arc.result, "sealers": list(auth.arc.sealers)},
        "dmarc": {
            "result": auth.dmarc.result,
            "author_domain": auth.dmarc.author_domain,
            "policy_domain": auth.dmarc.policy_domain,
            "policy": auth.dmarc.policy,
            "aligned_by": list(auth.dmarc.aligned_by),
            "dnssec": auth.dmarc.security.name.lower(),
        },
    }  # fmt: skip
