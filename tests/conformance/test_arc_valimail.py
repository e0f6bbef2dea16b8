"""The ARC test suite: what each chain's status must be."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from conftest import outside_data
from drive import drive
from gatepost.dns.zone import Zone
from gatepost.mail.message import Message, to_crlf
from gatepost.mailauth.arc import validate_chain

SUITE = outside_data("arc-valimail")


def scenarios(file: str) -> list[Any]:
    return [each for each in yaml.safe_load_all((SUITE / file).read_text()) if each]


def zone_of(scenario: dict[str, Any]) -> Zone:
    zone = Zone()
    for name, text in scenario["txt-records"].items():
        zone.add(name, "TXT", re.sub(r"\n\s*", "", text))
    return zone


VALIDATION = [
    pytest.param(scenario, test, id=name)
    for scenario in scenarios("arc-validation-half.yml")
    for name, test in scenario["tests"].items()
]


@pytest.mark.parametrize(("scenario", "test"), VALIDATION)
def test_validation(scenario: dict[str, Any], test: dict[str, Any]) -> None:
    message = Message.parse(to_crlf(test["message"].encode()))
    found = drive(validate_chain(message, zone_of(scenario), now=1_500_000_000))
    assert found.result == (test["cv"] or "fail").lower(), found.reason
