"""What an operator cannot mean is refused in words."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.config.load import ConfigError
from gatepost.config.schema import settle


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ({"password_cost": {"memory_kib": 1024}}, "cheap to guess"),
        ({"password_cost": {"passes": 0}}, "cheap to guess"),
        ({"password_cost": {"memory_kib": 19_456, "passes": 1}}, "cheap to guess"),
        ({"password_cost": {"memory_kib": 10_000_000}}, "nobody would wait"),
        ({"lockout": {"free": 0}}, "1 to 1000"),
        ({"lockout": {"first": 0}}, "first wait"),
        ({"lockout": {"longest": "2h", "forgotten": "1h"}}, "shorter than the longest"),
        ({"administrator_idle": 0}, "longer than nothing"),
        ({"help_desk_sees_subject": True}, "help_desk_sees_subjects"),
    ],
)
def test_settings_are_proved(table: dict[str, Any], word: str, tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match=word) as refused:
        settle({"hostname": "mx.example.net", "access": table}, file="g.toml", path=None, folder=tmp_path)
    assert "access" in str(refused.value)
