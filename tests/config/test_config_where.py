"""A fault in the configuration is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.config.load import ConfigError
from gatepost.config.schema import load
from gatepost.config.where import line_of

TEXT = """\
hostname = "mx.example.net"
note = '''
[policy]
hostname = "not this one"
'''
[policy.weights]
"spf.fail" = 2
  "rdns.missing"=1   # indented

[[checks.dnsbl.lists]]
zone = "a.example"

[[checks.dnsbl.lists]]
zone = "b.example"
weight = 3
[checks.dnsbl.lists.more]
deep.er = 1

[[domains]]
name = "example.net"
recipients = { file = "x" }
aliases = [
  "a",
]
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("hostname", 1),
        ("policy.weights.spf.fail", 7),
        ("policy.weights.rdns.missing", 8),
        ("checks.dnsbl.lists[0].zone", 11),
        ("checks.dnsbl.lists[1].weight", 15),
        ("checks.dnsbl.lists[0].weight", 10),  # missing there
        ("checks.dnsbl.lists[1].more.deep.er", 17),
        ("domains", 19),  # there is only one
        ("domains[0].recipients.file", 21),
        ("domains[0].aliases[0]", 22),
        ("checks.dnsbl.lists", None),  # one of two
        ("policy", None),
        ("console.address", None),
        ("", None),
    ],
)
def test_a_setting_is_found_where_it_stands(key: str, line: int | None) -> None:
    assert line_of(TEXT, key) == line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('hostname = "mx.example.net"\nworkres = 2\n', "gatepost.toml:2: workres: is not a setting I know."),
        ('hostname = "mx.example.net"\n\n[retention]\nheld = 30\n', "gatepost.toml:4: retention.held: "),
        ("workers = 2\n", "gatepost.toml: hostname: is missing"),
        ('hostname = "mx.example.net"\n[log]\nformat = "jsn"\n', "gatepost.toml:3: log.format: "),
    ],
)
def test_the_sentence_names_the_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "gatepost.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "gatepost.toml")
    assert said in str(caught.value)


@given(st.text(max_size=300), st.text(max_size=40))
def test_no_text_and_no_key_breaks_it(text: str, key: str) -> None:
    assert line_of(text, key) in (None, *range(1, len(text.splitlines()) + 1))
