"""No single message makes us ask more than so many questions."""

from __future__ import annotations

from drive import drive
from gatepost.dns.answer import Security, Status
from gatepost.dns.budget import Budget
from gatepost.dns.zone import Zone

ZONE = Zone.parse("$SECURE a.example\na.example A 192.0.2.1\nb.example A 192.0.2.2\nc.example A 192.0.2.3")


def test_after_the_last_question_every_answer_is_a_failure() -> None:
    budget = Budget(ZONE, lookups=2)
    assert budget.weakest is Security.SECURE
    assert drive(budget.lookup("a.example", "A")).records == ("192.0.2.1",)
    assert drive(budget.lookup("b.example", "A")).records == ("192.0.2.2",)
    refused = drive(budget.lookup("c.example", "A"))
    assert (refused.status, refused.problem) == (Status.FAILED, "budget")
    assert set(budget.asked) == {("a.example", "A"), ("b.example", "A")}
    assert budget.weakest is Security.INSECURE


def test_the_same_question_costs_once() -> None:
    budget = Budget(ZONE, lookups=1)
    for _ in range(5):
        assert drive(budget.lookup("a.example", "A")).status is Status.FOUND
    assert budget.left == 0
