"""Every command says what it does, with an example that the command takes as it stands there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from gatepost.cli.root import gatepost

TOP = click.Context(gatepost)
OPERATORS = re.compile(r"\s(?:\|\||>>?|\|)\s.*")
"""What a shell does with the command's output."""


def commands(path: tuple[str, ...] = (), command: click.Command = gatepost) -> Iterator[tuple[str, ...]]:
    """Every command with the words that lead to it."""
    if not isinstance(command, click.Group):
        yield path
        return
    for name in command.list_commands(TOP):
        inner = command.get_command(TOP, name)
        assert inner is not None
        yield from commands((*path, name), inner)


def found(path: tuple[str, ...]) -> click.Command:
    command: click.Command = gatepost
    for name in path:
        assert isinstance(command, click.Group)
        inner = command.get_command(TOP, name)
        assert inner is not None
        command = inner
    return command


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_a_command_has_an_example_that_works_when_pasted(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(click.Path, "convert", lambda _self, value, _param, _ctx: Path(value))  # theirs exist
    monkeypatch.delenv("GATEPOST_CONFIG", raising=False)
    help_text = found(path).help or ""
    _, told, example = " ".join(help_text.split()).partition("Example: ")
    assert told, f"{path} has no example"
    words = shlex.split(OPERATORS.sub("", example))
    assert words[: 1 + len(path)] == ["gatepost", *path]
    found(path).make_context(" ".join(path), words[1 + len(path) :]).close()


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_option_of_a_command_is_explained(path: tuple[str, ...]) -> None:
    options = [one for one in found(path).params if isinstance(one, click.Option)]
    assert [one.name for one in options if not one.help] == []
