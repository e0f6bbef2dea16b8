"""What the whole configuration works out: every check may object, and our own names are ours without being told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gatepost.config.load import ConfigError
from gatepost.config.schema import settle


def settled(**table: Any) -> Any:
    return settle({"hostname": "mx.example.net", **table}, file="gatepost.toml", path=None, folder=Path())


@pytest.mark.parametrize(
    ("check", "table", "said"),
    [
        (
            "dnsbl",
            {"lists": [{"zone": "bl.example"}, {"zone": "bl.example"}]},
            "two lists are called bl.example",
        ),
        ("forwarder", {"known": ["300.1.1.1"]}, "300.1.1.1"),
        ("senders", {"allow": [{"sender": "ana@example.org", "owner": "it"}]}, "lacks reason"),
    ],
)
def test_every_check_may_object_to_its_settings(check: str, table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settled(checks={check: table})
    assert caught.value.key == f"checks.{check}"
    assert said in str(caught.value)


def test_host_name_and_domains_are_our_names() -> None:
    domains = [
        {"name": "example.net", "deliver": "maildir:m"},
        {"name": ".example.org", "deliver": "maildir:m"},
    ]
    loaded = settled(domains=domains, checks={"hello": {"our_names": ["Extra.example"]}})
    (hello,) = [one.settings for one in loaded.checks if one.name == "hello"]
    assert hello.our_names == ("extra.example", "mx.example.net", "example.net", "example.org")


def test_a_name_without_a_dot_is_everybodys() -> None:
    loaded = settle({"hostname": "localhost"}, file="", path=None, folder=Path())
    (hello,) = [one.settings for one in loaded.checks if one.name == "hello"]
    assert hello.our_names == ()


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"alerts": {"to": ["postmaster"]}}, "alerts.to"),
        ({"metrics": {"address": "9100"}}, "metrics.address"),
        ({"metrics": {"address": "127.0.0.1:http"}}, "metrics.address"),
        ({"metrics": {"address": "127.0.0.1:99999"}}, "metrics.address"),
    ],
)
def test_who_is_told_and_where_figures_are(table: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settled(**table)
    assert caught.value.key == key


def test_metrics_and_alerts_as_they_should_be() -> None:
    loaded = settled(alerts={"to": ["ana@example.net"]}, metrics={"address": "[::1]:9100"})
    assert loaded.config.metrics.address == "[::1]:9100"


@pytest.mark.parametrize("kept", [0, "0d", "30s"])
def test_nothing_is_kept_so_shortly_that_nobody_sees_it(kept: object) -> None:
    with pytest.raises(ConfigError) as caught:
        settled(retention={"held": kept})
    assert caught.value.key == "retention.held"
    assert 'write "30d"' in str(caught.value)
