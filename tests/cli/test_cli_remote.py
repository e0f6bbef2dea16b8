"""`gatepost --remote`: the same commands on a gate elsewhere, over a real connection, with a token from a file."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from click.testing import CliRunner, Result

sys.path.append(str(Path(__file__).resolve().parent.parent / "web"))

from desk_samples import Console, opened
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Route
from visiting import NOW, RUNNER

from gatepost.access.rights import Right
from gatepost.cli.root import gatepost
from gatepost.office import apitokens
from gatepost.web.api.serving import Api
from gatepost.web.site import site
from office_samples import held

Invoke = Callable[..., Awaitable[Result]]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    console = opened(tmp_path_factory.mktemp("remote"))
    RUNNER.run(console.office.store.carry_out(held("2N515RPF08P1Z", subject="Cheap\x1b[2Jwatches")))
    yield console
    RUNNER.run(console.office.store.close())


@pytest.fixture
def token_file(desk: Console, tmp_path: Path) -> Path:
    actor = desk.actor("owner")
    made = RUNNER.run(
        apitokens.make(
            desk.office, actor, name="cli", expires_at=NOW + 86_400,
            scopes=[Right.OVERVIEW, Right.MESSAGES, Right.SUBJECTS, Right.RELEASE, Right.QUEUE],
        )
    )  # fmt: skip
    path = tmp_path / "token"
    path.write_text(made.token + "\n")
    path.chmod(0o600)
    return path


def served(app: Starlette, story: Callable[[str, Invoke], Awaitable[None]]) -> None:
    """Run a story beside a server on a free port."""

    async def run() -> None:
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none", lifespan="off"))
        serving = asyncio.create_task(server.serve())
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]

        async def invoke(*words: str) -> Result:
            return await asyncio.to_thread(CliRunner().invoke, gatepost, list(words))

        try:
            await story(f"http://127.0.0.1:{port}", invoke)
        finally:
            server.should_exit = True
            await serving

    RUNNER.run(run())


def test_look_and_act_from_afar(desk: Console, token_file: Path) -> None:
    app = site(
        desk.office,
        desk.premises.sessions,
        origin=desk.premises.origin,
        premises=desk.premises,
        api=Api(desk.premises),
    )

    async def story(url: str, invoke: Invoke) -> None:
        there = ("--remote", url, "--token-file", str(token_file))
        status = await invoke(*there, "status")
        assert status.exit_code == 0, status.output
        assert "mx.example.net: well" in status.output
        found = await invoke("history", "--to", "ana@example.net", "--json", *there)
        rows = [json.loads(line) for line in found.output.splitlines()]
        assert {one["ref"] for one in rows} == {"ANASPAM", "ANAPHISH", "ANAEVIL", "2N515RPF08P1Z"}
        told = await invoke("explain", "2n515rpf08p1z", *there)
        assert "Cheap" in told.output
        assert "\x1b" not in told.output
        listed = await invoke(*there, "quarantine", "list")
        assert "2N515RPF08P1Z" in listed.output
        release = await invoke(*there, "quarantine", "deny", "2N515RPF08P1Z")
        assert release.exit_code == 1
        deleted = await invoke(*there, "quarantine", "delete", "2N515RPF08P1Z", "--why", "spam it is")
        assert deleted.exit_code == 0, deleted.output
        (row,) = desk.office.store.held(ref="2N515RPF08P1Z", decided=True)
        assert (row.state, row.changed_by, row.changed_why) == ("deleted", "owner@example.net", "spam it is")
        waiting = await invoke(*there, "queue", "list")
        assert "x@example.org" in waiting.output
        here = await invoke(*there, "scan", "x.eml")
        assert here.exit_code == 2
        assert "on the machine of the gate only" in here.output

    served(app, story)


def test_a_token_goes_nowhere_else(token_file: Path) -> None:
    asked: list[str] = []

    async def away(request: object) -> RedirectResponse:
        asked.append(request.url.path)  # type: ignore[attr-defined]
        return RedirectResponse("/elsewhere", 307)

    app = Starlette(routes=[Route("/{path:path}", away)])

    async def story(url: str, invoke: Invoke) -> None:
        told = await invoke("--remote", url, "--token-file", str(token_file), "status")
        assert told.exit_code == 1
        assert asked == ["/api/v1/status"], "no redirect is followed"

    served(app, story)


def test_what_is_wrong_with_url_or_token_is_told(token_file: Path, tmp_path: Path) -> None:
    run = CliRunner()
    plain = run.invoke(
        gatepost, ["--remote", "http://console.example.net", "--token-file", str(token_file), "status"]
    )
    assert "https only" in plain.output
    assert (
        "no URL"
        in run.invoke(gatepost, ["--remote", "console", "--token-file", str(token_file), "status"]).output
    )
    assert "--token-file" in run.invoke(gatepost, ["--remote", "https://c.example", "status"]).output
    token_file.chmod(0o640)
    assert (
        "chmod 600"
        in run.invoke(
            gatepost, ["--remote", "https://c.example", "--token-file", str(token_file), "status"]
        ).output
    )
    empty = tmp_path / "empty"
    empty.touch(0o600)
    assert (
        "no token"
        in run.invoke(
            gatepost, ["--remote", "https://c.example", "--token-file", str(empty), "status"]
        ).output
    )
    nobody = run.invoke(gatepost, ["--remote", "http://127.0.0.1:1", "--token-file", str(empty), "status"])
    assert nobody.exit_code == 1


def test_requests_of_data_subjects_are_kept_from_afar(desk: Console, tmp_path: Path) -> None:
    made = RUNNER.run(
        apitokens.make(
            desk.office, desk.actor("data-protection-officer"), name="cli", expires_at=NOW + 86_400, scopes=[Right.PRIVACY]
        )
    )  # fmt: skip
    file = tmp_path / "officer"
    file.write_text(made.token)
    file.chmod(0o600)
    app = site(desk.office, desk.premises.sessions, origin=desk.premises.origin, premises=desk.premises, api=Api(desk.premises))  # fmt: skip

    async def story(url: str, invoke: Invoke) -> None:
        there = ("--remote", url, "--token-file", str(file), "privacy")
        opened_ = await invoke(
            *there,
            "register",
            "erasure",
            "ana@example.net",
            "--person",
            "Ana Gil",
            "--received",
            "2026-11-01",
            "--json",
        )
        assert opened_.exit_code == 0, opened_.output
        number = str(json.loads(opened_.output)["number"])
        assert "Ana Gil" in (await invoke(*there, "requests", "--status", "open")).output
        assert (await invoke(*there, "extend", number, "--why", "holidays")).exit_code == 0
        closed = await invoke(*there, "close", number, "--outcome", "done by hand")
        assert "done: done by hand" in closed.output, closed.output
        assert "erasure" in (await invoke(*there, "show", number)).output
        gone = await invoke(*there, "show", "999")
        assert gone.exit_code == 1
        assert "There is no such thing" in gone.output

    served(app, story)
