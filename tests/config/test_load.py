"""The operator's file is read strictly, and a typo gets the nearest right name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pytest

from gatepost.config.explain import describe, toml_text
from gatepost.config.load import ConfigError, parse_toml, read_table


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    name: str
    """What the door is called."""
    colour: Colour = Colour.RED
    """Its paint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    patience_s: float = 5.0
    """How long we wait."""
    limit_octets: int = 1024
    """How much fits."""
    doors: tuple[Door, ...] = ()
    """The doors."""
    people: str | tuple[str, ...] = "*"
    """Who lives here."""
    weights: dict[str, float] | None = None
    """What things weigh."""
    front: Door = Door(name="front")
    """The front door."""


def read(table: dict[str, object]) -> House:
    return read_table(table, House, file="h.toml")


def test_units_are_read_in_words() -> None:
    house = read({"patience": "4h", "limit": "2KiB"})
    assert (house.patience_s, house.limit_octets) == (14400.0, 2048)


def test_a_plain_number_is_octets_of_a_size_and_nothing_of_a_time() -> None:
    house = read({"limit": 3, "patience": 0})
    assert (house.limit_octets, house.patience_s) == (3, 0.0)


def test_nested_tables_lists_and_unions() -> None:
    house = read({"doors": [{"name": "a", "colour": "green"}], "people": ["x"], "weights": {"a.b": 2}})
    assert house.doors == (Door(name="a", colour=Colour.GREEN),)
    assert house.people == ("x",)
    assert house.weights == {"a.b": 2.0}


@pytest.mark.parametrize(
    ("table", "key", "words"),
    [
        ({"patiense": 3}, "patiense", "Did you mean patience?"),
        ({"doors": [{"nam": "a"}]}, "doors[0].nam", "Did you mean name?"),
        ({"doors": [{}]}, "doors[0].name", "missing"),
        ({"doors": [{"name": "a", "colour": "gren"}]}, "doors[0].colour", "Did you mean green?"),
        ({"patience": "soon"}, "patience", "a time such as"),
        ({"limit": "much"}, "limit", "a size such as"),
        ({"patience": 30}, "patience", 'write "30s", "30m", "30h" or "30d"'),
        ({"patience": -5}, "patience", "less than nothing"),
        ({"patience": float("inf")}, "patience", "a number is wanted"),
        ({"limit": -1}, "limit", "less than nothing"),
        ({"limit": float("inf")}, "limit", "a whole number"),
        ({"limit": float("nan")}, "limit", "a whole number"),
        ({"weights": {"a": float("nan")}}, "weights.a", "a number is wanted"),
        ({"limit": 1.5}, "limit", "a whole number"),
        ({"limit": True}, "limit", "a whole number"),
        ({"doors": {}}, "doors", "a list"),
        ({"front": "x"}, "front", "a table"),
        ({"people": 4}, "people", "none of the forms"),
        ({"weights": {"a": "b"}}, "weights.a", "a number without quotes"),
    ],
)
def test_mistakes_say_what_where_and_the_way_out(table: dict[str, object], key: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(table)
    assert caught.value.key == key
    assert "h.toml" in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["a = = 1", "a = " + "[" * 50_000, "a = " + "1" * 5_000])
def test_a_file_that_is_not_toml_is_named(tmp_path, text: str) -> None:
    (tmp_path / "g.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"g.toml: is n(ot TOML|ested too deeply)"):
        parse_toml(tmp_path / "g.toml")


def test_every_setting_is_explained_with_its_origin() -> None:
    table = {"patience": "4h", "doors": [{"name": "a"}]}
    settings = {one.key: one for one in describe(House, instance=read(table), given=table)}
    assert settings["patience"].given
    assert settings["patience"].about == "How long we wait."
    assert not settings["limit"].given
    assert settings["doors[0].name"].given
    assert settings["front.colour"].value == '"red"'


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.5, 1.0, 90.0, 300.0, 86400.0, 7_776_000.0, 31_104_000.0])
def test_a_time_is_written_as_it_would_be_read(seconds: float) -> None:
    text = toml_text(seconds, "patience_s")
    assert read({"patience": text.strip('"')}).patience_s == seconds


def test_times_and_sizes_are_written_for_people() -> None:
    assert toml_text(7_776_000.0, "history_s") == '"90d"'
    assert toml_text(300.0, "wait_s") == '"5m"'
    assert toml_text(65536, "inline_octets") == '"64KiB"'
    assert toml_text(1000, "inline_octets") == "1000"
    assert toml_text('say "no"', "text") == '"say \\"no\\""'
