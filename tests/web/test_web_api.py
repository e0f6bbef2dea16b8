"""The API: every call by its schema, by who may make it, and by what it must refuse."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from threading import Thread
from typing import Any

import desk_samples
import httpx
import pytest
import schemathesis
from desk_samples import Console, opened
from hypothesis import HealthCheck, settings
from starlette.applications import Starlette
from starlette.routing import Mount
from visiting import NOW, ORIGIN, RUNNER

from gatepost.access.rights import Right, Role, on_this_machine, rights_of
from gatepost.access.standing import Strength
from gatepost.office import apitokens, people, privacy, sessions
from gatepost.web.api.document import document
from gatepost.web.api.pace import Pace
from gatepost.web.api.serving import Api
from gatepost.web.api.table import OPERATIONS
from gatepost.web.listening import listening
from gatepost.web.server import serve

SCHEMA = schemathesis.openapi.from_dict(document())


class Program:
    """A program that calls the API."""

    def __init__(self, api: Api, token: str = "", address: str = "192.0.2.50") -> None:
        transport = httpx.ASGITransport(app=api, client=(address, 4711), root_path="")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers)

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        return RUNNER.run(self._client.request(method, path, **more))

    def send(self, request: httpx.Request) -> httpx.Response:
        return RUNNER.run(self._client.send(request))


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    console = opened(tmp_path_factory.mktemp("api"))
    yield console
    RUNNER.run(console.office.store.close())


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def api(desk: Console, clock: Clock) -> Api:
    return Api(desk.premises, monotonic=clock)


def token_of(desk: Console, who: str, *scopes: Right, runner: asyncio.Runner = RUNNER) -> str:
    actor = desk.actor(who)
    wanted = scopes or tuple(actor.rights)
    made = runner.run(
        apitokens.make(
            desk.office, actor, name="test", scopes=[one for one in wanted if one in actor.rights and one not in apitokens.NEVER],
            expires_at=NOW + 86_400,
        )
    )  # fmt: skip
    return made.token


async def everything(desk: Console) -> None:
    """Somebody who has every role, and a request of a data subject to act on."""
    machine = on_this_machine("root")
    account = await people.add(desk.office, machine, "everything@example.net", roles=tuple(Role))
    desk.tokens["everything"] = await sessions.start(
        desk.office, account, strength=Strength.PASSKEY, ip=None, agent="test"
    )
    await privacy.register(desk.office, machine, kind="access", person="Ana", addresses="ana@example.net")


@pytest.fixture(scope="module")
def owner(desk: Console, api: Api) -> Program:
    return Program(api, token_of(desk, "owner"))


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A console of its own behind a socket, for calls that nobody has thought of: where it is, and a token."""
    runner, ticks = asyncio.Runner(), itertools.count(step=1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desk_samples, "RUNNER", runner)  # a loop of its own, for a thread
        console = opened(tmp_path_factory.mktemp("tried"))
        runner.run(everything(console))
        token = token_of(console, "everything", runner=runner)
    api = Api(console.premises, monotonic=lambda: float(next(ticks)))  # nobody is too fast
    on, stopping = listening("127.0.0.1", 0), asyncio.Event()
    serving = Thread(target=lambda: runner.run(serve(Starlette(routes=[Mount("/api", api)]), on, stopping)))
    serving.start()
    yield f"http://127.0.0.1:{on.getsockname()[1]}", token
    runner.get_loop().call_soon_threadsafe(stopping.set)
    serving.join(30)
    runner.run(console.office.store.close())
    runner.close()


@SCHEMA.parametrize()
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_schemathesis_finds_nothing(case: schemathesis.Case, tried: tuple[str, str]) -> None:
    """With every check there is: also the same call without a token and with a bad one."""
    where, token = tried
    case.call_and_validate(base_url=where, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("role", list(Role), ids=lambda one: one.value)
def test_every_operation_takes_one_of_its_scopes(desk: Console, api: Api, clock: Clock, role: Role) -> None:
    """Each single scope a role may have, at each operation; and each method that there is not."""
    rights = rights_of(frozenset({role})) - apitokens.NEVER
    for right in sorted(rights):
        program = Program(api, token_of(desk, role.value, right))
        for one in OPERATIONS:
            clock.at += 1000
            path = one.path.replace("{ref}", "BENSPAM").replace("{number}", "1")
            body = {} if one.method in ("GET", "DELETE") else {"json": {}}
            answer = program.call(one.method, path, **body)
            if right in one.rights:
                assert answer.status_code in (200, 400, 404), (one.name, right, answer.text)
            else:
                assert answer.status_code == 403, (one.name, right)
                assert answer.json()["title"] == "The token does not have the scope"
    for kept in apitokens.listed(desk.office, desk.actor(role.value)):
        RUNNER.run(apitokens.revoke(desk.office, desk.actor(role.value), kept.id))


HOSTILE = "\x1b[2J'; DROP TABLE accounts;-- <script>{{7*7}}%00"


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        *((method, path, {}, 405) for method in ("HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "X")
          for path in ("/v1/status", "/v1/senders", "/v1/messages/ANASPAM")),
        *(("GET", f"/v1/{path}?{query}", {}, 400) for path in ("status", "senders", "messages", "queue", "journal", "quarantine")
          for query in ("typo=1", "limit=50&limit=60", "__proto__=x", "limit=1e9", "after=null", "limit=-1", "=")
          if not (path in ("status", "senders") and query == "=x")),
        *(("GET", f"/v1/messages?after={key}", {}, 400) for key in
          ("x", "1", "-1", "1-", "1--2", "1.5.5-2", "9" * 19 + "-1", "1-" + "9" * 19, "1-1%00", "1-1%0a", "' OR 1=1", "٣-1")),
        *(("GET", f"/v1/{path}={number}", {}, 400) for path in ("queue?after", "journal?before", "quarantine?before")
          for number in ("-1", "x", "9" * 30, "0x10", "1.5", "9007199254740992", "NaN", "")),
        *(("GET", f"/v1/messages/{ref}", {}, 404) for ref in
          ("", "..", "%2e%2e%2f", "A" * 41, "ANA%00SPAM", "ANASPAM/", "ANASPAM%2f..", "anaspam'--", "٣")),
        ("GET", "/v1/messages?sender=" + "a" * 321, {}, 400),
        ("GET", "/v1/messages?sender=%00", {}, 400),
        *(("POST", "/v1/quarantine", {"content": b"{}", "headers": {"content-type": kind}}, 415) for kind in
          ("text/plain", "", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json",
           "application/json/x", "application/jsonp")),
        *(("POST", "/v1/senders", {"content": body, "headers": {"content-type": "application/json"}}, 400) for body in
          (b"", b"null", b"[]", b'"x"', b"{", b"\xff\xfe{}", b'{"kind":"allow"}', b'{"kind":"allow","sender":""}',
           b'{"kind":"allow","sender":"a@b.example","sender":"","x":1}', b"[" * 50_000, b'{"kind":"ALLOW","sender":"a@b.example"}',
           b'{"kind":"allow","sender":"a@b.example","expires_at":-1}', b'{"kind":"allow","sender":"a@b.example","expires_at":1e400}')),
        ("POST", "/v1/senders", {"json": {"kind": "block", "sender": HOSTILE}}, 409),
        ("POST", "/v1/quarantine", {"json": {"act": "release", "copies": list(range(501))}}, 400),
        ("POST", "/v1/quarantine", {"json": {"act": "release", "copies": [1], "wait": 21}}, 400),
        ("POST", "/v1/queue", {"content": b"x" * 262_145, "headers": {"content-type": "application/json"}}, 413),
    ],
)  # fmt: skip
def test_hostile_calls_are_refused_as_problems(
    owner: Program, clock: Clock, method: str, path: str, more: dict[str, Any], status: int
) -> None:
    clock.at += 1000
    answer = owner.call(method, path, **more)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert method == "HEAD" or answer.json()["status"] == status
    assert "Traceback" not in answer.text
    assert "\x1b" not in answer.text
    if status == 405:
        assert answer.headers["allow"]


def test_a_key_that_was_made_up_shows_nothing_that_is_not_ones_own(
    desk: Console, api: Api, clock: Clock
) -> None:
    clock.at += 10_000
    ana = Program(api, token_of(desk, "ana"))
    for before in ("0", "1", "9007199254740991"):
        found = ana.call("GET", f"/v1/quarantine?before={before}").json()["copies"]
        assert {one["to"] for one in found} <= {"ana@example.net"}
    for path in ("/v1/messages?after=1-1", "/v1/journal?before=5", "/v1/queue?after=0"):
        assert ana.call("GET", path).status_code == 403


def test_nobody_without_a_good_token_and_guessing_is_slowed_down(
    desk: Console, api: Api, clock: Clock
) -> None:
    clock.at += 10_000
    good = token_of(desk, "owner")
    for token in ("", "x", good[:-1], good[:-1] + ("a" if good[-1] != "a" else "b"), desk.tokens["owner"]):
        answer = Program(api, token).call("GET", "/v1/status")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
    cookie = Program(api).call(
        "GET", "/v1/status", headers={"cookie": f"__Host-gatepost={desk.tokens['owner']}"}
    )
    assert cookie.status_code == 401, "a browser's session opens nothing here"
    seen = [Program(api, "x").call("GET", "/v1/status").status_code for _ in range(40)]
    assert seen[-1] == 429
    assert Program(api, "x", address="192.0.2.51").call("GET", "/v1/status").status_code == 401
    assert Program(api, good).call("GET", "/v1/status").status_code == 200, (
        "who has a token is not kept out by others"
    )


def test_a_revoked_token_is_good_for_nothing(desk: Console, api: Api, clock: Clock) -> None:
    clock.at += 10_000
    token = token_of(desk, "auditor")
    program = Program(api, token)
    assert program.call("GET", "/v1/journal").status_code == 200
    actor = desk.actor("auditor")
    for kept in apitokens.listed(desk.office, actor):
        RUNNER.run(apitokens.revoke(desk.office, actor, kept.id))
    assert program.call("GET", "/v1/journal").status_code == 401


def test_calls_are_counted_and_told_when_to_come_back(desk: Console, api: Api, clock: Clock) -> None:
    clock.at += 10_000
    program = Program(api, token_of(desk, "auditor"))
    answers = [program.call("GET", "/v1/status") for _ in range(125)]
    assert [one.status_code for one in answers[:120]] == [200] * 120
    assert answers[-1].status_code == 429
    clock.at += int(answers[-1].headers["retry-after"])
    assert program.call("GET", "/v1/status").status_code == 200


def test_a_person_by_token_sees_and_releases_their_own(desk: Console, api: Api, clock: Clock) -> None:
    clock.at += 10_000
    ana = Program(api, token_of(desk, "ana"))
    held = ana.call("GET", "/v1/quarantine").json()["copies"]
    assert {one["ref"] for one in held} == {"ANASPAM", "ANAPHISH", "ANAEVIL"}
    assert ana.call("GET", "/v1/messages/BENSPAM").status_code == 404
    assert ana.call("GET", "/v1/messages/NOSUCH").status_code == 404
    assert ana.call("GET", "/v1/messages/ANASPAM").json()["subject"] == "<b>Cheap</b> watches"
    bens = next(one.id for one in desk.office.store.held(decided=True) if one.ref == "BENSPAM")
    assert ana.call("POST", "/v1/quarantine", json={"act": "release", "copies": [bens]}).status_code == 404
    numbers = [one["number"] for one in held]
    done = ana.call(
        "POST", "/v1/quarantine", json={"act": "release", "copies": numbers, "reason": "mine"}
    ).json()
    assert [one["ref"] for one in done["done"]] == ["ANASPAM"]
    assert [one["ref"] for one in done["requested"]] == ["ANAPHISH"]
    assert len(done["left"]) == 1
    (entry,) = desk.office.store.journal(subject="ANASPAM")[:1]
    assert (entry.who, entry.why) == ("ana@example.net", "mine")


def test_subjects_are_null_for_who_may_not_see_them(desk: Console, api: Api, clock: Clock) -> None:
    clock.at += 10_000
    helping = Program(api, token_of(desk, "help-desk", Right.MESSAGES))
    rows = helping.call("GET", "/v1/messages").json()["messages"]
    assert rows
    assert {one["subject"] for one in rows} == {None}
    assert helping.call("GET", "/v1/messages/BENSPAM").json()["subject"] is None
    assert "Secret of ben" not in helping.call("GET", "/v1/messages/BENSPAM").text
    held = helping.call("GET", "/v1/quarantine").json()["copies"]
    assert {one["reason"] for one in held} == {""}, "a reason may quote the message"


def test_what_cannot_be_read_is_told(owner: Program, clock: Clock) -> None:
    clock.at += 10_000
    for body, kind, status in (
        (b"{", "application/json", 400),
        (b'{"act": "release", "copies": [1], "typo": 1}', "application/json", 400),
        (b'{"act": "explode", "copies": [1]}', "application/json", 400),
        (b'{"act": "release", "copies": []}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"act=release", "application/x-www-form-urlencoded", 415),
        (b" " * 300_000, "application/json", 413),
    ):
        answer = owner.call("POST", "/v1/quarantine", content=body, headers={"content-type": kind})
        assert answer.status_code == status, (body[:40], answer.text)
        assert answer.json()["status"] == status
    assert owner.call("GET", "/v1/messages?limit=50&limit=60").status_code == 400
    assert owner.call("GET", "/v1/messages?limit=5000").status_code == 400
    assert owner.call("PATCH", "/v1/queue").headers["allow"] == "GET, POST"
    assert owner.call("GET", "/v1/nothing").status_code == 404
    assert owner.call("GET", "/v1/messages/..%2f..%2fetc").status_code == 404


def test_the_document_is_for_everybody_and_names_every_operation(api: Api) -> None:
    told = Program(api).call("GET", "/v1/openapi.json").json()
    assert told["openapi"] == "3.1.0"
    assert {(path, method) for path, methods in told["paths"].items() for method in methods} == {
        (f"/api{one.path}", one.method.lower()) for one in OPERATIONS
    }
    assert json.loads(json.dumps(told)) == told


def test_pages_go_on_where_the_last_ended(owner: Program, clock: Clock) -> None:
    clock.at += 10_000
    seen: list[str] = []
    after = ""
    for _ in range(10):
        page = owner.call("GET", "/v1/messages", params={"limit": 2, "after": after}).json()
        seen += [one["ref"] for one in page["messages"]]
        after = page["next"]
        if not after:
            break
    assert len(seen) == len(set(seen)) == 5


def test_pace_fills_again_and_forgets_the_longest_silent() -> None:
    clock = Clock()
    pace = Pace(burst=2, each_s=10.0, monotonic=clock)
    assert [pace.wait_s("a"), pace.wait_s("a"), pace.wait_s("a")] == [0.0, 0.0, 10.0]
    assert pace.wait_s("b") == 0.0
    clock.at = 10.0
    assert pace.wait_s("a") == 0.0
    assert pace.wait_s("a") > 0
    for number in range(20_000):
        pace.wait_s(str(number))
    assert len(pace._empty_at) <= 10_000


def test_requests_of_data_subjects_from_afar(desk: Console, api: Api, clock: Clock) -> None:
    clock.at += 10_000
    officer = Program(api, token_of(desk, "data-protection-officer", Right.PRIVACY))
    made = officer.call(
        "POST", "/v1/requests", json={"kind": "access", "addresses": ["Ana@Example.net"], "person": "Ana Gil"}
    )
    assert made.status_code == 200, made.text
    one = made.json()
    assert (one["status"], one["addresses"], one["proof"]) == ("open", ["ana@example.net"], {})
    assert one["due_at"] > NOW + 27 * 86_400
    path = f"/v1/requests/{one['number']}"
    assert [
        each["number"]
        for each in officer.call("GET", "/v1/requests?status=open&address=ana@example.net").json()["requests"]
    ] == [one["number"]]
    longer = officer.call("POST", path, json={"act": "extend", "text": "many mailboxes"}).json()
    assert (longer["extended_because"], longer["due_at"] > one["due_at"]) == ("many mailboxes", True)
    again = officer.call("POST", path, json={"act": "extend", "text": "more"})
    assert (again.status_code, "once" in again.json()["detail"]) == (409, True)
    RUNNER.run(privacy.access_file(desk.office, desk.actor("data-protection-officer"), one["number"]))
    assert officer.call("GET", path).json()["proof"]["messages handed out"] > 0, (
        "the state of the export is told"
    )
    closed = officer.call("POST", path, json={"act": "close", "text": "handed over"}).json()
    assert (closed["status"], closed["outcome"], closed["closed_by"]) == (
        "done", "handed over", "data-protection-officer@example.net"
    )  # fmt: skip
    assert officer.call("POST", path, json={"act": "note", "text": "late"}).status_code == 409
    assert officer.call("GET", "/v1/requests?status=open").json()["requests"] == []
    for missing in ("999", "0", "x", "1e3"):
        assert officer.call("GET", f"/v1/requests/{missing}").status_code == 404
    for body in (
        {"kind": "access", "addresses": []},
        {"kind": "other", "addresses": ["a@b.example"]},
        {"kind": "access", "addresses": ["a@b.example"] * 21},
    ):
        assert officer.call("POST", "/v1/requests", json=body).status_code == 400
    assert (
        officer.call("POST", "/v1/requests", json={"kind": "access", "addresses": ["nobody"]}).status_code
        == 409
    )
    for who in ("owner", "postmaster", "auditor", "ana"):
        clock.at += 1000
        assert Program(api, token_of(desk, who)).call("GET", path).status_code == 403
    whats = {entry.what for entry in desk.office.store.journal(who="data-protection-officer@example.net")}
    assert {f"request extend {one['number']}", f"request close {one['number']}"} <= whats
