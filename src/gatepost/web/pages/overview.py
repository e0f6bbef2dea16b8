"""The first page: does mail flow, is anything on fire, what next?"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import Any

from starlette.responses import Response

from gatepost.access.rights import Right
from gatepost.mail.finding import Mode
from gatepost.office import counting
from gatepost.office.counting import Hours
from gatepost.store.numbers import HOUR_S, SCORE_ENDS, SCORE_STEP
from gatepost.web import charts
from gatepost.web.charts import Chart, Series
from gatepost.web.looks import N_
from gatepost.web.page import page
from gatepost.web.visit import Visit

NAMES = {
    "deliver": N_("Delivered"),
    "junk": N_("To Junk"),
    "quarantine": N_("Held"),
    "refuse": N_("Refused"),
    "defer": N_("Told to come back"),
    "turned": N_("Turned away at the door"),
}
"""What became of mail, in the order of the charts."""
LIGHTS = {
    "delivery": N_("Delivery"),
    "dns": N_("DNS"),
    "antivirus": N_("Virus scanner"),
    "lists": N_("Block lists"),
    "queue": N_("Queue"),
    "certificate": N_("Certificate"),
    "disk": N_("Disk"),
    "classifier": N_("Classifier"),
    "quarantine": N_("Quarantine"),
    "gate": N_("Gate"),
}


async def overview(visit: Visit) -> Response:
    """Everything at a glance; each number leads to what it counts."""
    now = visit.office.clock()
    read = visit.office.store.database.read
    glance = read(lambda connection: counting.glance(connection, visit.me, now))
    book = visit.premises.policies() if visit.premises.policies else None
    policy = book.default if book else None
    return visit.page(
        "overview.html",
        names=NAMES,
        lights=LIGHTS,
        seen=await visit.premises.health(),
        observing=book is not None and book.mode is Mode.OBSERVE,
        figures=visit.office.store.figures(now),
        day=glance.day,
        by_verdict=by_verdict(visit, glance.day),
        scores=score_chart(visit, glance.scores, policy),
        opinions=opinion_chart(visit, glance.opinions, policy),
        latency=latency_chart(visit, glance.day.hours, glance.latency),
        refused=rule_rows(visit, glance.refused_for),
        kept=rule_rows(visit, glance.kept_for),
        dns_lists=glance.lists,
        hits=rates([(one.name, one.hit, one.asked) for one in glance.lists]),
        contradictions=rates([(one.name, one.contradicted, one.hit) for one in glance.lists]),
    )


def rule_rows(visit: Visit, rules: Sequence[tuple[str, int]]) -> list[tuple[str, int, str]]:
    """Rules with how often, each leading to its messages for who may see them."""
    link = "/messages?rule=" if visit.may(Right.MESSAGES) else ""
    return [(rule, number, f"{link}{rule}" if link else "") for rule, number in rules]


def rates(lists: Sequence[tuple[str, int, int]]) -> list[tuple[str, float, str, str]]:
    """Shares in per cent as bars, of those lists that have any."""
    shares = [(name, 100 * part / whole) for name, part, whole in lists if whole and part]
    return [(name, share, "", f"{share:.1f} %") for name, share in shares]


MOST_BARS = 48


def by_verdict(visit: Visit, hours: Hours) -> Chart:
    """Messages by what became of them: a bar an hour, or a bar for several where there are many."""
    step = next(one for one in (1, 6, 24, 24 * 7) if len(hours.hours) <= one * MOST_BARS or one == 24 * 7)
    starts = hours.hours[::step]
    labels = hour_labels(visit, starts, days=len(hours.hours) > 26)
    series = []
    for key, name in NAMES.items():
        values = hours.by_action[key]
        if any(values) or key in ("deliver", "refuse"):
            together = [sum(values[place : place + step]) for place in range(0, len(values), step)]
            series.append(Series(name=visit._(name), colour=key, values=together))
    about = visit._("%(number)s in all; the figures are in the table below.", number=hours.counted)
    if not hours.whole:
        about = visit._("Only the newest %(number)s are counted.", number=f"{hours.counted:,}")
    title = (
        visit._("Messages by hour") if step == 1 else visit._("Messages, %(hours)s hours a bar", hours=step)
    )
    return charts.stacked(title, about, labels, series, note="" if hours.whole else about)


def hour_labels(visit: Visit, hours: Sequence[int], *, days: bool = False) -> list[str]:
    """Short words for hours: the time of the day, with the date where there are several days."""
    from datetime import datetime

    zone = visit.premises.looks.zone
    moments = [datetime.fromtimestamp(hour * HOUR_S, zone) for hour in hours]
    if not days:
        return [one.strftime("%H:%M") for one in moments]
    pattern = "%-m/%-d %H:%M" if visit.language == "ja" else "%-d %b %H:%M"
    return [one.strftime(pattern) for one in moments]


def score_chart(visit: Visit, scores: dict[str, int], policy: Any) -> Chart:
    """How many messages had which score, with the thresholds in force."""
    steps = int(2 * SCORE_ENDS / SCORE_STEP)
    lower = [-SCORE_ENDS + place * SCORE_STEP for place in range(steps)]
    values = [scores.get(f"{one:g}", 0) for one in lower]
    marks = []
    if policy is not None:
        for name, at in (
            (N_("Junk from %(score)s"), policy.junk_at),
            (N_("held from %(score)s"), policy.quarantine_at),
            (N_("refused from %(score)s"), policy.refuse_at),
        ):
            marks.append(((at + SCORE_ENDS) / SCORE_STEP, visit._(name, score=f"{at:g}")))
    return charts.histogram(
        visit._("Scores of the last seven days"),
        visit._("Messages by score: below nought speaks for the mail, above against it."),
        [f"{one:g}" for one in lower],
        [Series(name=visit._("Messages"), colour="accent", values=values)],
        marks,
    )


def opinion_chart(visit: Visit, opinions: dict[str, int], policy: Any) -> Chart:
    """How likely unwanted the classifier alone took messages to be, and where that alone would reach the thresholds."""
    places = range(int((SURE - -SURE) / SCORE_STEP))
    lower = [-SURE + place * SCORE_STEP for place in places]
    known = {float(step): number for step, number in opinions.items()}
    values = [
        sum(number for step, number in known.items() if (step == one or (place == 0 and step < one)
            or (place == len(lower) - 1 and step > one)))
        for place, one in enumerate(lower)
    ]  # fmt: skip
    marks = []
    if policy is not None:
        for name, at in (
            (N_("alone to Junk from %(share)s"), policy.junk_at),
            (N_("alone held from %(share)s"), policy.quarantine_at),
        ):
            marks.append(((at + SURE) / SCORE_STEP, visit._(name, share=probability(at))))
    return charts.histogram(
        visit._("What the classifier alone thought, seven days"),
        visit._("Messages by how likely unwanted the classifier took them to be, the surest at the ends."),
        [probability(one) for one in lower],
        [Series(name=visit._("Messages"), colour="accent", values=values)],
        marks,
    )


SURE = 8.0
"""Log-odds that the chart ends at: 0.03 and 99.97 per cent. What is surer counts at the ends."""


def probability(log_odds: float) -> str:
    """Log-odds as a probability in per cent, with as many digits as it takes near the ends."""
    share = 100 / (1 + exp(-log_odds))
    rest = min(share, 100 - share)
    return f"{share:.{0 if rest >= 10 else 1 if rest >= 1 else 2}f} %"


def latency_chart(visit: Visit, hours: Sequence[int], latency: dict[int, tuple[float, ...]]) -> Chart:
    """From the end of the data to our decision."""
    rows = [latency.get(hour, (0.0, 0.0, 0.0)) for hour in hours]
    names = ((N_("Half of them"), "deliver"), (N_("95 of 100"), "junk"), (N_("99 of 100"), "refuse"))
    return charts.lines(
        visit._("How long a decision takes"),
        visit._("Milliseconds within which half, 95 and 99 of 100 messages were decided, by hour."),
        hour_labels(visit, hours),
        [
            Series(name=visit._(name), colour=colour, values=[row[place] for row in rows])
            for place, (name, colour) in enumerate(names)
        ],
        unit=" ms",
    )


ROUTES = (page("/overview", overview, Right.OVERVIEW, menu=N_("Overview"), order=1),)
