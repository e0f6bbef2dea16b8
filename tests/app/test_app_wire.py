"""The wire as it is put together from a configuration: where mail would come back to us."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost.app.wire import own_addresses
from gatepost.config.schema import settle


@pytest.mark.parametrize(
    ("listener", "ours", "others"),
    [
        ("0.0.0.0:25", {"0.0.0.0", "127.0.0.1", "127.5.5.5"}, {"192.0.2.1"}),
        ("[::]:25", {"::", "127.0.0.1"}, {"192.0.2.1", "2001:db8::1"}),
        ("192.0.2.1:25", {"192.0.2.1"}, {"127.0.0.1", "0.0.0.0"}),
        ("0.0.0.0:2525", set(), {"127.0.0.1"}),
    ],
)
def test_mail_for_where_we_listen_would_come_back(listener: str, ours: set[str], others: set[str]) -> None:
    table = {
        "hostname": "mx.example.net",
        "listeners": [{"address": listener, "role": "mx"}],
        "domains": [{"name": "example.net", "recipients": ["ana@example.net"], "deliver": "maildir:mail"}],
    }
    own = own_addresses(settle(table, file="test", path=None, folder=Path("/nonexistent")))
    assert {one for one in ours | others if one in own} == ours
