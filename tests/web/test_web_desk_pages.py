"""The desk's pages as people use them: in both languages, without JavaScript, hostile text as text."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from desk_samples import Console, opened
from visiting import NOW, RUNNER, Browser, csrf

from gatepost.office import apitokens
from gatepost.office.digests import Digests
from gatepost.office.seen import Installed
from gatepost.store.records import DeliveryAttempt, Done
from store_samples import acceptance


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Console]:
    console = opened(tmp_path)
    yield console
    RUNNER.run(console.office.store.close())


def number_of(desk: Console, ref: str) -> str:
    return next(str(one.id) for one in desk.office.store.held(decided=True) if one.ref == ref)


def token(browser: Browser) -> str:
    return csrf(browser.get("/me").text)


def state_of(desk: Console, ref: str) -> str:
    return next(one.state for one in desk.office.store.held(decided=True) if one.ref == ref)


PATHS = (
    "/quarantine", "/queue", "/senders", "/policy", "/policy/history", "/policy/watched", "/rules", "/rules/gift-cards?test=1",
    "/people", "/people/ana@example.net", "/glass", "/tools?address=ana@example.net", "/domains", "/domains/example.net",
    "/system", "/me", "/me/quarantine", "/me/senders", "/me/security", "/me/looks", "/me/data", "/privacy/journal",
    "/privacy/access", "/privacy/retention", "/system?table=checks", "/policy?part=dmarc",
)  # fmt: skip


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_page_is_drawn_in_both_languages_and_hostile_text_stays_text(
    desk: Console, language: str
) -> None:
    browser = desk.browser("owner")
    browser.cookies.set("gatepost-language", language)
    for path in PATHS:
        answer = browser.get(path)
        assert answer.status_code == 200, (path, answer.text[-500:])
        assert f'<html lang="{language}">' in answer.text
        assert answer.text.count("<h1") == 1, path
        assert "<script>x" not in answer.text
        assert "<b>Cheap" not in answer.text
        assert "<i>" not in answer.text, path
        assert not re.search(r'\son\w+="|\sstyle="|javascript:', answer.text), path
        for label in re.findall(r'<label[^>]*for="([^"]+)"', answer.text):
            assert f'id="{label}"' in answer.text, (path, label)
        ids = re.findall(r'\sid="([^"]+)"', answer.text)
        assert len(ids) == len(set(ids)), (path, sorted(ids))


def test_a_person_releases_and_asks_and_is_told_what_came_of_it(desk: Console) -> None:
    browser = desk.browser("ana")
    page = browser.get("/me/quarantine").text
    assert "Cheap" in page
    assert "BENSPAM" not in page
    copies = [number_of(desk, ref) for ref in ("ANASPAM", "ANAPHISH", "ANAEVIL", "BENSPAM")]
    told = browser.post("/me/quarantine/act", data={"csrf": csrf(page), "copy": copies, "do": "release"}).text
    assert [state_of(desk, ref) for ref in ("ANASPAM", "ANAPHISH", "ANAEVIL", "BENSPAM")] == [
        "released", "requested", "held", "held",
    ]  # fmt: skip
    assert "held as malware" in told
    assert "BENSPAM" not in told
    assert "it is on its way" in told


def test_what_the_next_hop_said_is_on_the_page(desk: Console) -> None:
    async def deliver() -> None:
        import asyncio

        for _ in range(200):
            for item in await desk.office.store.claim(NOW, 10, 60, "w"):
                said = DeliveryAttempt(
                    at=NOW, to=item.to, host="mail.example.net", address="192.0.2.25", status="delivered",
                    reply="250 2.0.0 taken <em>",
                )  # fmt: skip
                await desk.office.store.settle(item, said, Done())
                if item.ref == "ANASPAM":
                    return
            await asyncio.sleep(0.01)

    import asyncio

    browser = desk.browser("postmaster")
    form = {"csrf": token(browser), "copy": [number_of(desk, "ANASPAM")], "do": "release", "reason": "asked"}

    async def both() -> str:
        answer, _ = await asyncio.gather(browser._client.post("/quarantine/act", data=form), deliver())
        return str(answer.text)

    told = RUNNER.run(both())
    assert "250 2.0.0 taken &lt;em&gt;" in told
    assert "mail.example.net" in told


def test_the_queue_is_acted_on(desk: Console) -> None:
    browser = desk.browser("postmaster")
    page = browser.get("/queue").text
    assert "x@example.org" in page
    (waiting,) = desk.office.store.queued()
    form = {"csrf": csrf(page), "copy": [str(waiting.id)], "reason": "asked by ana"}
    assert browser.post("/queue/act", data=form | {"do": "hold"}).status_code == 200
    assert desk.office.store.queued()[0].held_because == "asked by ana"
    assert browser.post("/queue/act", data=form | {"do": "drop"}).status_code == 200
    assert desk.office.store.queued() == []
    assert [one.what for one in desk.office.store.journal(subject="WAITING")] == [
        "queue drop <x@example.org>", "queue hold <x@example.org>",
    ]  # fmt: skip


def test_from_the_candidate_by_its_plan_to_the_policy_and_back(desk: Console) -> None:
    browser = desk.browser("owner")
    form = {"csrf": token(browser)}
    unsound = browser.post("/policy/edit", data=form | {"do": "text", "text": "[policy]\njunk_at = 99.0"})
    assert unsound.status_code == 400
    assert "thresholds must rise" in unsound.text
    assert "junk_at = 99.0" in unsound.text, "what was typed is not lost"
    edit = form | {"do": "thresholds", "junk_at": "3,5", "quarantine_at": "7", "refuse_at": "10"}
    assert browser.post("/policy/edit", data=edit).status_code == 303
    promoted = form | {"do": "promote", "key": "rdns.missing"}
    assert browser.post("/policy/edit", data=promoted).status_code == 303
    assert "See this before" in browser.get("/policy").text
    assert browser.post("/policy/save", data=form | {"reason": "x"}).status_code == 400
    assert browser.post("/policy/plan", data=form | {"days": "7"}).status_code == 303
    saved = browser.post("/policy/save", data=form | {"reason": "less junk"})
    assert saved.headers["location"] == "/policy/history?saved=1"
    assert desk.premises.policies is not None
    assert desk.premises.policies().settings.junk_at == 3.5
    assert "less junk" in browser.get("/policy/history").text
    assert browser.post("/policy/back", data=form | {"number": "0"}).status_code == 303
    assert desk.premises.policies().settings.junk_at == 4.0


def test_a_gate_that_observes_says_so_and_is_let_decide_a_domain_at_a_time(desk: Console) -> None:
    browser = desk.browser("postmaster")
    form = {"csrf": token(browser), "reason": "a first week"}
    note = "The gate only observes"
    assert note not in browser.get("/overview").text

    def saved(**edit: str) -> None:
        for path, more in (("edit", edit), ("plan", {}), ("save", {})):
            assert browser.post(f"/policy/{path}", data=form | more).status_code == 303

    saved(do="mode", mode="observe")
    assert note in browser.get("/overview").text
    page = browser.get("/policy/watched").text.replace("<wbr>", "")
    assert note in page
    assert "everything that is on decides" not in page
    assert re.search(r"<code>example\.net</code>.*?only observes.*?Let the gate decide", page, re.DOTALL)
    saved(do="stage", domain="example.net", mode="enforce")
    page = browser.get("/policy/watched").text.replace("<wbr>", "")
    assert re.search(r"<code>example\.net</code>.*?enforces.*?Only observe again", page, re.DOTALL)
    wrong = browser.post(
        "/policy/edit", data=form | {"do": "stage", "domain": "far.example", "mode": "enforce"}
    )
    assert wrong.status_code == 400
    assert "far.example" in wrong.text


def test_secrets_of_the_configuration_are_not_shown(desk: Console) -> None:
    page = desk.browser("owner").get("/system").text
    assert "hunter2" not in page
    assert "relay.example.org" in page
    assert "mx.example.net" in page


def test_the_configuration_and_the_policy_are_shown_a_part_at_a_time(desk: Console) -> None:
    browser = desk.browser("owner")

    def rows(path: str) -> list[str]:
        return re.findall(r"<tr><td><code>([^<]+)</code>", browser.get(path).text.rpartition("<nav")[2])

    given = ["hostname", "access.provider.client_secret", "outbound.via"]
    assert rows("/system") == given, "what is as it comes is in its part"
    assert rows("/system?table=delivery") == ["delivery.lifetime"]
    assert rows("/system?table=gatepost") == ["hostname"]
    assert rows("/system?name=JUNK_AT") == ["policy.junk_at"]
    assert rows("/system?table=nonsense") == given
    assert "rdns.missing" in rows("/policy"), "it only observes"
    assert {one.partition(".")[0] for one in rows("/policy?part=dmarc")} == {"dmarc"}
    assert 'href="/policy?part=dmarc#facts" aria-current="page"' in browser.get("/policy?part=dmarc").text


def test_the_journal_is_verified_filtered_and_taken_out(desk: Console) -> None:
    browser = desk.browser("data-protection-officer")
    form = {"csrf": token(browser)}
    assert "is unaltered" in browser.post("/privacy/journal/verify", data=form).text
    lines = browser.post("/privacy/journal/export", data=form).text.splitlines()
    assert json.loads(lines[0])["what"] == "journal export"
    assert browser.get("/privacy/journal?kind=journal+export").text.count("<tr>") == 2
    RUNNER.run(
        desk.office.store.database.commit(
            lambda c: c.execute("UPDATE journal SET at = at + 1 WHERE number = 2").rowcount
        )
    )
    assert "was altered" in browser.post("/privacy/journal/verify", data=form).text


def test_ones_own_data_holds_ones_own_and_nobody_elses(desk: Console) -> None:
    browser = desk.browser("ana")
    answer = browser.post("/me/data/export", data={"csrf": token(browser)})
    assert answer.headers["content-type"] == "application/zip"
    folder = zipfile.ZipFile(io.BytesIO(answer.content))
    assert sorted(folder.namelist()) == [
        "data.json",
        "held/ANAPHISH.eml",
        "held/ANASPAM.eml",
    ]
    told = folder.read("data.json").decode()
    assert "ANAEVIL" in told, "malware is named, and stays here"
    account = json.loads(told)["data"]["ana@example.net"]["account"][0]["account"]
    assert account["login"] == "ana@example.net"
    assert "Secret of ben" not in told
    assert "seed" not in account


def test_an_app_password_is_shown_once_and_revoked(desk: Console) -> None:
    browser = desk.browser("ana")
    form = {"csrf": token(browser)}
    made = browser.post("/me/security/app-password", data=form | {"name": "telephone", "scope": ["smtp"]})
    assert made.status_code == 200, made.text[-300:]
    (password,) = re.findall(r'class="done"><code>([^<]+)</code>', made.text)
    assert password not in browser.get("/me/security").text
    (selector,) = re.findall(r'name="selector" value="([^"]+)"', made.text)
    assert (
        browser.post("/me/security/act", data=form | {"do": "revoke", "selector": selector}).status_code
        == 303
    )
    assert "revoked" in browser.get("/me/security").text


def test_a_message_is_decided_about_on_its_own_page(desk: Console) -> None:
    browser = desk.browser("ana")
    page = browser.get("/messages/ANAPHISH").text
    assert 'value="request"' in page
    assert 'value="release"' not in page, "this category is asked for"
    assert 'value="deny"' not in page
    form = {"csrf": csrf(page), "copy": [number_of(desk, "ANAPHISH")], "do": "request"}
    assert browser.post("/me/quarantine/act", data=form).status_code == 200
    manager = desk.browser("quarantine-manager")
    page = manager.get("/messages/ANAPHISH").text
    assert 'value="deny"' in page
    assert (
        manager.post("/messages/ANAPHISH/teach", data={"csrf": csrf(page), "spam": "yes"}).status_code == 303
    )
    assert (
        browser.post("/messages/BENSPAM/teach", data={"csrf": token(browser), "spam": "yes"}).status_code
        == 404
    )
    taught = desk.office.store.database.read(
        lambda c: c.execute("SELECT ref, spam, owner FROM lessons").fetchall()
    )
    assert taught == [("ANAPHISH", 1, "")]


def test_a_token_is_made_with_what_is_ticked_and_revoked(desk: Console) -> None:
    browser = desk.browser("postmaster")
    form = {"csrf": token(browser), "name": "monitoring", "scope": ["overview", "roles", "break-glass"]}
    assert browser.post("/me/security/token", data=form).status_code == 400, "no token may break the glass"
    made = browser.post("/me/security/token", data=form | {"scope": ["overview"]})
    (text,) = re.findall(r"gatepost_[0-9a-f]{16}_[a-z2-7]{52}", made.text)
    assert text not in browser.get("/me/security").text
    (kept,) = apitokens.listed(desk.office, desk.actor("postmaster"))
    assert kept.scopes == ("overview",)
    revoke = {"csrf": token(browser), "do": "revoke-token", "number": str(kept.id)}
    assert browser.post("/me/security/act", data=revoke).status_code == 303
    assert RUNNER.run(apitokens.actor_of(desk.office, text, ip=None)) is None


def test_glass_is_broken_by_two_and_seen_by_the_owner(desk: Console) -> None:
    asking, agreeing, ana = (
        desk.browser("postmaster"),
        desk.browser("data-protection-officer"),
        desk.browser("ana"),
    )
    assert asking.get("/messages/ANASPAM/preview").status_code == 404
    form = {
        "csrf": token(asking),
        "whose": "ana@example.net",
        "reason": "Ana is ill and a customer waits",
        "hours": "1",
    }
    assert asking.post("/glass/ask", data=form).status_code == 303
    (number,) = re.findall(r'name="number" value="(\d+)"', agreeing.get("/glass").text)
    assert 'name="number"' not in asking.get("/glass").text, "nobody agrees with themselves"
    done = agreeing.post("/glass/decide", data={"csrf": token(agreeing), "number": number, "do": "agree"})
    assert done.status_code == 303
    assert asking.get("/messages/ANASPAM/preview").status_code == 200
    page = ana.get("/me/looks").text
    assert "Ana is ill and a customer waits" in page
    assert "postmaster@example.net" in page


def test_a_digests_link_asks_first_and_works_once(desk: Console) -> None:
    digests: Digests = desk.premises.more[Digests]
    object.__setattr__(
        digests,
        "settings",
        lambda: __import__("gatepost.office.settings", fromlist=["x"]).DigestSettings(hour=0),
    )
    RUNNER.run(digests.send())
    letter = next(
        one for one in desk.office.store.queued() if one.ref.startswith("DIGEST") and one.to.startswith("ana")
    )
    text = desk.office.store.octets_of(letter.ref).decode()
    tokens = re.findall(r"/link/([\w.-]+)", text.replace("=\r\n", "").replace("=3D", "="))
    browser = desk.browser(None)
    released = [one for one in dict.fromkeys(tokens) if digests.open(one).link.purpose == "release"]
    page = browser.get(f"/link/{released[0]}")
    assert page.status_code == 200
    assert state_of(desk, "ANASPAM") == "held"
    assert browser.post(f"/link/{released[0]}/use").status_code == 403, "not without the page's form"
    assert browser.post(f"/link/{released[0]}/use", data={"csrf": csrf(page.text)}).status_code == 200
    assert state_of(desk, "ANASPAM") == "released"
    assert browser.post(f"/link/{released[0]}/use", data={"csrf": csrf(page.text)}).status_code == 410
    assert browser.get("/link/forged.token").status_code == 410


def test_a_pasted_message_is_judged_and_a_wrong_address_is_told(desk: Console) -> None:
    browser = desk.browser("postmaster")
    form = {"csrf": token(browser), "message": "From: a@b.example\nSubject: x\n\nbody"}
    assert "What the gate would say" in browser.post("/tools/scan", data=form).text
    assert browser.post("/tools/scan", data=form | {"client": "999"}).status_code == 400
    assert browser.post("/tools/scan", data=form | {"message": " "}).status_code == 400
    assert "one whole address" in browser.get("/tools?address=nobody").text


def test_where_links_go_and_what_is_attached_is_on_the_messages_page_for_who_may_read(desk: Console) -> None:
    octets = (
        b"Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n"
        b"<a href='http://evil.example/x'>www.bank.example</a>\r\n--b\r\nContent-Type: application/pdf\r\n"
        b"Content-Disposition: attachment; filename=bill.pdf\r\n\r\nMZ..\r\n--b--\r\n"
    )
    RUNNER.run(desk.office.store.carry_out(acceptance("INSIDE7", at=NOW, octets=octets, held=True)))
    reader = desk.browser("quarantine-manager")
    assert "Show where its links go" in reader.get("/messages/INSIDE7").text
    page = reader.get("/messages/INSIDE7?inside=1").text
    for wanted in (
        "evil.<wbr>example",
        "www.bank.example",
        "shows another address",
        "bill.<wbr>pdf",
        "application/pdf",
    ):
        assert wanted in page
    assert desk.browser("ana").get("/me/looks").text.count("INSIDE7") == 2, "link and text of one look"
    for role in ("postmaster", "help-desk"):
        other = desk.browser(role).get("/messages/INSIDE7?inside=1").text
        assert "evil.<wbr>example" not in other
        assert "Not yours to see" in other


def test_the_officers_pages_from_a_request_to_its_erasure(desk: Console) -> None:
    officer = desk.browser("data-protection-officer")
    form = {"csrf": token(officer), "kind": "erasure", "person": "<b>Ana</b>", "addresses": "ana@example.net"}
    there = officer.post("/privacy/requests/add", data=form)
    assert there.headers["location"] == "/privacy/requests/1"
    page = officer.get("/privacy/requests/1").text
    assert "&lt;b&gt;Ana&lt;/b&gt;" in page
    assert "Would be erased" in page
    hold = {"csrf": token(officer), "whom": "@example.net", "reason": "a <i>suit</i>", "case": "7"}
    assert officer.post("/privacy/holds/add", data=hold).status_code == 303
    assert "a &lt;i&gt;suit&lt;/i&gt;" in officer.get("/privacy/requests/1").text
    number = number_of(desk, "ANASPAM")
    owner = desk.browser("owner")
    assert "legal hold" in owner.get("/quarantine").text
    assert "Legal hold" in owner.get("/messages/ANASPAM").text
    done = owner.post("/quarantine/act", data={"csrf": token(owner), "copy": number, "do": "delete"}).text
    assert "A legal hold is in force over it" in done
    assert state_of(desk, "ANASPAM") == "held"
    released = officer.post(
        "/privacy/holds/release", data={"csrf": token(officer), "hold": "1", "reason": "settled"}
    )
    assert released.headers["location"] == "/privacy/holds"
    archive = officer.post("/privacy/requests/1/export", data={"csrf": token(officer)})
    assert "index.md" in zipfile.ZipFile(io.BytesIO(archive.content)).namelist()
    assert officer.post("/privacy/requests/1/erase", data={"csrf": token(officer)}).status_code == 303
    assert "Proof of what was done" in officer.get("/privacy/requests/1").text
    assert desk.office.store.held(ref="ANASPAM", decided=True) == []
    acts = officer.get("/privacy/journal?subject=%3Chelp-desk@example.net%3E").text
    assert "account add" in acts
    assert "hold release" not in acts
    record = officer.get("/privacy/record/file?as=json")
    assert json.loads(record.text)["hostname"] == "mx.example.net"
    assert officer.get("/privacy/record/file").text.startswith("# Record of processing activities")


def test_a_person_sends_a_request_and_sees_what_becomes_of_it(desk: Console) -> None:
    ana = desk.browser("ana")
    form = {"csrf": token(ana), "kind": "access", "notes": "<script>all</script>"}
    assert ana.post("/me/data/request", data=form).headers["location"] == "/me/data"
    assert "Access (Article 15): Open" in ana.get("/me/data").text
    officer = desk.browser("data-protection-officer")
    assert "&lt;script&gt;all&lt;/script&gt;" in officer.get("/privacy/requests/1").text
    answer = {"csrf": token(officer), "do": "done", "outcome": "handed <b>over</b>"}
    assert officer.post("/privacy/requests/1/close", data=answer).status_code == 303
    assert "handed &lt;b&gt;over&lt;/b&gt;" in ana.get("/me/data").text
    hold = {"csrf": token(officer), "whom": "ana@example.net", "reason": "suit"}
    officer.post("/privacy/holds/add", data=hold)
    assert (
        "A legal hold is in force over ana@example.net"
        in desk.browser("owner").get("/people/ana@example.net").text
    )


def test_domains_are_listed_with_how_their_records_stand_and_given_as_a_zone_file(desk: Console) -> None:
    browser = desk.browser("postmaster")
    page = browser.get("/domains").text
    assert "0 / 1" in page
    assert "MX: missing" in page
    zone = browser.get("/domains/example.net/zone")
    assert zone.headers["content-disposition"].startswith("attachment")
    assert zone.text.splitlines() == [
        "; mail for the domain comes to us", "example.net. 3600 IN MX 10 mx.example.net.",
    ]  # fmt: skip
    assert browser.get("/domains/example.org/zone").status_code == 404


def test_many_domains_come_a_page_at_a_time(desk: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"d{number:02d}.example" for number in range(45)]
    installed = replace(desk.premises.more[Installed], domains=lambda: names[::-1])
    monkeypatch.setitem(desk.premises.more, Installed, installed)
    browser, seen, path = desk.browser("postmaster"), [], "/domains"
    while path:
        page = browser.get(path).text
        seen += re.findall(r'<a href="/domains/(d\d\d\.example)">', page)
        more = re.search(r'href="(/domains\?after=[^"]+)"', page)
        path = more[1] if more else ""
    assert seen == names
