"""What the console lays over the configuration: it may change the policy and nothing else, and is told by its source."""

from __future__ import annotations

import contextlib
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gatepost.cli.root import gatepost
from gatepost.config.load import ConfigError
from gatepost.config.overlay import NAME, dumped, parsed, pruned, with_modes, with_setting
from gatepost.config.schema import load
from gatepost.mail.finding import Mode

MAIN = """
hostname = "mx.example.net"
state = "var"
[[domains]]
name = "example.net"
deliver = "maildir:m"
[policy]
junk_at = 3.0
[policy.weights]
"rdns.missing" = 0.5
"spf.fail" = 1.0
"""


def installed(folder: Path, overlay: str) -> Path:
    (folder / "var").mkdir(exist_ok=True)
    (folder / "var" / NAME).write_text(overlay)
    path = folder / "gatepost.toml"
    path.write_text(MAIN)
    return path


def test_it_wins_key_by_key_over_the_file(tmp_path: Path) -> None:
    path = installed(
        tmp_path, 'mode = "observe"\n[policy]\nquarantine_at = 6.0\n[policy.weights]\n"spf.fail" = 2.0\n'
    )
    loaded = load(path)
    policy = loaded.config.policy
    assert (loaded.config.mode, policy.junk_at, policy.quarantine_at) == (Mode.OBSERVE, 3.0, 6.0)
    assert policy.weights == {"rdns.missing": 0.5, "spf.fail": 2.0}


@pytest.mark.parametrize(
    ("overlay", "says"),
    [
        ('hostname = "evil.example"', "cannot be set from the console"),
        (
            '[[domains]]\nname = "example.net"\ndeliver = "smtp:192.0.2.9:25"',
            "cannot be set from the console",
        ),
        ('user = "root"', "cannot be set from the console"),
        ("[policy]\njunk_at = 9.0", "thresholds must rise"),
        ('[policy.weights]\n"spf.fial" = 1.0', "did you mean spf.fail"),
        ("[policy]\njunk_att = 1.0", "Did you mean junk_at?"),
        ("policy = 3", "is no table"),
        ("[policy", "is not TOML"),
        ("mode = " + "[" * 50_000, "is nested too deeply"),
        ("mode = " + "1" * 5_000, "is not TOML"),
    ],
)
def test_it_may_say_no_more_than_policy_and_every_fault_names_the_file(
    tmp_path: Path, overlay: str, says: str
) -> None:
    path = installed(tmp_path, overlay)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert says in str(caught.value)
    assert NAME in str(caught.value)


def test_a_fault_of_the_file_itself_is_not_put_on_the_console(tmp_path: Path) -> None:
    path = installed(tmp_path, "[policy]\njunk_at = 2.0\n")
    path.write_text(MAIN.replace("junk_at", "junk_att"))
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert NAME not in str(caught.value)


def test_check_config_tells_the_source(tmp_path: Path) -> None:
    path = installed(tmp_path, "[policy]\nquarantine_at = 6.0\n")
    told = CliRunner().invoke(gatepost, ["check-config", "--explain", str(path)]).output.splitlines()
    (quarantine,) = [line for line in told if line.startswith("policy.quarantine_at ")]
    (junk,) = [line for line in told if line.startswith("policy.junk_at ")]
    (refuse,) = [line for line in told if line.startswith("policy.refuse_at ")]
    assert f"= 6   # from {NAME}." in quarantine
    assert "= 3   # from the file." in junk
    assert "# default." in refuse


def test_one_setting_is_set_and_taken_out_again() -> None:
    text = with_setting("", 'policy.weights."dnsbl.listed:bl.example.org"', 4.0)
    text = with_setting(text, "policy.junk_at", 3.5)
    text = with_setting(text, "mode", "observe")
    assert tomllib.loads(text) == {
        "mode": "observe",
        "policy": {"junk_at": 3.5, "weights": {"dnsbl.listed:bl.example.org": 4.0}},
    }
    text = with_setting(text, 'policy.weights."dnsbl.listed:bl.example.org"', None)
    assert tomllib.loads(with_setting(with_setting(text, "mode", None), "policy.junk_at", None)) == {}
    for key in ("state", "policy..x", 'policy."x', 'policy."\\q"', "", "policy.junk_at.deep"):
        with pytest.raises(ConfigError):
            with_setting(text, key, 1.0)


def test_a_domain_has_one_mode_of_its_own_and_other_overrides_stay() -> None:
    others = {"recipients": ["boss@example.net", "@example.net"], "junk_at": 5.0}
    table = {"policy": {"overrides": [others, {"recipients": ["@Example.net"], "mode": "observe"}]}}
    text = with_modes("", table, ["example.net"], "enforce")
    enforced = {"recipients": ["example.net"], "mode": "enforce"}
    assert tomllib.loads(text) == {"policy": {"overrides": [others, enforced]}}
    text = with_modes(text, {}, ["example.com"], "enforce")
    assert tomllib.loads(text)["policy"]["overrides"][-1]["recipients"] == ["example.net", "example.com"]
    text = with_modes(text, {}, ["example.net"], "observe")
    observed = {"recipients": ["example.net"], "mode": "observe"}
    assert tomllib.loads(text)["policy"]["overrides"] == [
        others,
        {**enforced, "recipients": ["example.com"]},
        observed,
    ]


VALUES = st.one_of(
    st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=20), st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=3),
)  # fmt: skip
KEYS = st.text(st.characters(codec="utf-8"), max_size=10)
TABLES = st.dictionaries(KEYS, st.one_of(VALUES, st.dictionaries(KEYS, VALUES, max_size=3)), max_size=3)


@given(
    st.fixed_dictionaries(
        {}, optional={"policy": st.dictionaries(KEYS, st.one_of(VALUES, TABLES), max_size=4)}
    )
)
def test_what_is_written_is_read_again(table: dict[str, object]) -> None:
    assert tomllib.loads("".join(dumped(table))) == pruned(table)


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(ConfigError):
        parsed(text)
