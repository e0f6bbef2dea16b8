"""The API: every call by its schema, by who may make it, and by what it must refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from desk_samples import Console, opened
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS
from visiting import NOW, ORIGIN, RUNNER

from gatepost.access.rights import Right, Role, rights_of
from gatepost.office import apitokens
from gatepost.web.api.document import document
from gatepost.web.api.operations import OPERATIONS
from gatepost.web.api.pace import Pace
from gatepost.web.api.serving import Api

SCHEMA = schemathesis.openapi.from_dict(document())
LOCAL_CHECKS = [
    check
    for check in CHECKS.get_all()
    if check.__name__
    not in {"ignored_auth", "use_after_free", "ensure_resource_availability", "max_response_time"}
]
"""Those that look at one answer; the others make calls of their own."""


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


def token_of(desk: Console, who: str, *scopes: Right) -> str:
    actor = desk.actor(who)
    wanted = scopes or tuple(actor.rights)
    made = RUNNER.run(
        apitokens.make(
            desk.office, actor, name="test", scopes=[one for one in wanted if one in actor.rights and one not in apitokens.NEVER],
            expires_at=NOW + 86_400,
        )
    )  # fmt: skip
    return made.token


@pytest.fixture(scope="module")
def owner(desk: Console, api: Api) -> Program:
    return Program(api, token_of(desk, "owner"))


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[Program]:
    """A console of its own for calls that nobody has thought of."""
    console = opened(tmp_path_factory.mktemp("tried"))
    yield Program(Api(console.premises, monotonic=clock), token_of(console, "owner"))
    RUNNER.run(console.office.store.close())


@SCHEMA.parametrize()
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_schemathesis_finds_nothing(case: schemathesis.Case, tried: Program, clock: Clock) -> None:
    clock.at += 1000
    kwargs = case.as_transport_kwargs(base_url=ORIGIN)
    for name in ("allow_redirects", "timeout", "verify", "stream"):
        kwargs.pop(name, None)
    prepared = requests.Request(**kwargs).prepare()
    headers = dict(prepared.headers)
    if "Authorization" in headers or "authorization" in headers:  # else it is tried without on purpose
        headers |= {"Authorization": tried._client.headers["authorization"]}
    url = str(prepared.url).replace(f"{ORIGIN}/api", ORIGIN)
    case.validate_response(tried.send(httpx.Request(prepared.method or "GET", url, headers=headers, content=prepared.body)),
                           checks=LOCAL_CHECKS)  # fmt: skip


@pytest.mark.parametrize("role", list(Role), ids=lambda one: one.value)
def test_every_operation_takes_one_of_its_scopes(desk: Console, api: Api, clock: Clock, role: Role) -> None:
    rights = rights_of(frozenset({role})) - apitokens.NEVER
    everything = Program(api, token_of(desk, role.value))
    for one in OPERATIONS:
        clock.at += 1000
        path = one.path.replace("{ref}", "BENSPAM")
        body = {} if one.method in ("GET", "DELETE") else {"json": {}}
        answer = everything.call(one.method, path, **body)
        if rights.isdisjoint(one.rights):
            assert answer.status_code == 403, (one.name, role)
        else:
            assert answer.status_code in (200, 400, 404), (one.name, role, answer.text)
        for right in sorted(rights - set(one.rights))[:3]:
            narrow = Program(api, token_of(desk, role.value, right))
            assert narrow.call(one.method, path, **body).status_code == 403, (one.name, right)


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
