"""Signing in: who gets in with what, and who does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from gatepost.access.rights import ADMINISTRATORS, Right, Role
from gatepost.access.settings import PasswordCost
from gatepost.access.standing import Admission, Strength
from gatepost.office import enrolment, hashing, people, sessions, signin, wayin
from gatepost.office.office import Impossible, ProveAgain
from gatepost.office.sessions import SignInRefused, Visitor, actor_of, end, visit_of
from gatepost.store import accounts
from gatepost.store.upkeep import key_problem, reseal
from people_samples import GOOD_PASSWORD, HERE, ORIGIN, PARTY, ROOT, THERE, Place, office_at
from soft_passkey import SoftPasskey

WRONG = "do not fit together"


def in_office(folder: Path, story: Callable[[Place], Awaitable[None]], **settings: object) -> None:
    """Run a story in a new office."""

    async def told() -> None:
        with office_at(folder, **{"second_person": False} | settings) as place:
            await story(place)

    asyncio.run(told())


def test_a_link_leads_to_a_passkey_and_that_signs_in(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        passkey, admitted = await place.with_passkey("ana@example.net", Role.OWNER)
        actor = await actor_of(place.office, admitted.token)
        assert actor is not None
        assert actor.login == "ana@example.net"
        assert actor.may(Right.ROLES)
        assert actor.addresses == ("ana@example.net",)
        await end(place.office, admitted.token)
        assert await actor_of(place.office, admitted.token) is None
        again = await place.sign_in_by_passkey(passkey)
        assert await visit_of(place.office, again.token) is not None
        assert place.journal()[-2:] == [
            "ana@example.net: sign-out",
            "ana@example.net: sign-in passkey (from 192.0.2.0/24)",
        ]

    in_office(tmp_path, story)


def test_a_password_with_a_code_signs_a_person_in_and_neither_does_alone(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        codes, _, recovery = await place.with_password()
        assert len(set(recovery)) == 10
        place.clock.forward(60)
        assert (await place.sign_in_by_password(codes)).admission is Admission.ENTER
        place.clock.forward(60)
        right = codes.at(int(place.clock.now))
        for password, code in ((GOOD_PASSWORD, ""), (GOOD_PASSWORD, "000000"), ("wrong", right), ("", right)):
            with pytest.raises(SignInRefused, match=WRONG):
                await signin.by_password(place.office, "ana@example.net", password, code, visitor=HERE)

    in_office(tmp_path, story)


def test_a_code_is_taken_once_even_by_two_at_the_same_moment(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        codes, _, _ = await place.with_password()
        with pytest.raises(SignInRefused, match=WRONG):
            await place.sign_in_by_password(codes)  # the code that proved the seed
        place.clock.forward(60)
        both = await asyncio.gather(
            place.sign_in_by_password(codes), place.sign_in_by_password(codes), return_exceptions=True
        )
        assert sorted(isinstance(one, SignInRefused) for one in both) == [False, True]
        place.clock.forward(-30)
        with pytest.raises(SignInRefused, match=WRONG):
            await place.sign_in_by_password(codes)  # nor an older one

    in_office(tmp_path, story)


def test_who_is_not_there_costs_and_hears_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(place: Place) -> None:
        await place.with_password()
        await place.with_passkey("ben@example.net")
        place.clock.forward(60)
        hashed: list[str] = []
        really = hashing.passwords.matches
        monkeypatch.setattr(
            hashing.passwords, "matches", lambda kept, typed: hashed.append(kept) or really(kept, typed)
        )
        heard = set()
        for login in ("ana@example.net", "ben@example.net", "nobody@example.net", "no address", "\udcff"):
            hashed.clear()
            before = place.office.store.database.read(
                lambda c: c.execute("SELECT count(*) FROM journal").fetchone()
            )
            with pytest.raises(SignInRefused) as refused:
                await signin.by_password(
                    place.office, login, "a password that is wrong", "123456", visitor=THERE
                )
            heard.add((str(refused.value), refused.value.wait_s))
            costs = [kept.rsplit("$", 2)[0] for kept in hashed]
            assert costs == ["$argon2id$v=19$m=64,t=1,p=1"], "one check of one cost, whoever it is"
            after = place.office.store.database.read(
                lambda c: c.execute("SELECT count(*) FROM journal").fetchone()
            )
            assert after[0] - before[0] == 1, "one entry in the journal"
        assert len(heard) == 1
        assert "no address" not in " ".join(place.journal()), "it may be a password typed in the wrong place"

    in_office(tmp_path, story)


def test_administrators_enter_with_a_passkey_only(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        codes, _, _ = await place.with_password()
        await people.set_roles(place.office, ROOT, "ana@example.net", [Role.PERSON, Role.POSTMASTER])
        place.clock.forward(60)
        admitted = await place.sign_in_by_password(codes)
        assert admitted.admission is Admission.ENROL, (
            "password and code lead to a first passkey, and no further"
        )
        assert await actor_of(place.office, admitted.token) is None
        visit = await place.visit(admitted.token)
        assert visit.actor.rights == frozenset()
        with pytest.raises(Impossible, match="passkey"):
            await enrolment.finish(place.office, admitted.token, visitor=HERE)
        passkey = await place.add_passkey(admitted.token)
        finished = await enrolment.finish(place.office, admitted.token, visitor=HERE)
        actor = await actor_of(place.office, finished.admitted.token)
        assert actor is not None
        assert actor.may(Right.POLICY)
        place.clock.forward(60)
        with pytest.raises(SignInRefused, match="with a passkey"):
            await place.sign_in_by_password(codes)
        assert (await place.sign_in_by_passkey(passkey)).admission is Admission.ENTER
        for strength in (Strength.PROVIDER, Strength.TWO_FACTORS):
            with pytest.raises(SignInRefused, match="passkey"):
                await sessions.start(place.office, visit.account, strength=strength, ip=HERE.ip)

    in_office(tmp_path, story)


def test_every_administrative_role_is_held_to_that(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        for number, role in enumerate(sorted(ADMINISTRATORS)):
            login = f"a{number}@example.net"
            codes, admitted, _ = await place.with_password(login)
            await people.set_roles(place.office, ROOT, login, [role])
            assert await actor_of(place.office, admitted.token) is None, "other roles end every session"
            place.clock.forward(60)
            entered = await place.sign_in_by_password(codes, login=login)
            assert entered.admission is Admission.ENROL

    in_office(tmp_path, story)


@pytest.mark.parametrize(
    ("how", "changed"),
    [
        ({"verifies": False}, {}),
        ({}, {"origin": "https://evil.example"}),
        ({}, {"crossOrigin": True}),
        ({}, {"topOrigin": "https://evil.example"}),
        ({}, {"type": "webauthn.create"}),
        ({}, {"challenge": "AAAA"}),
    ],
)
def test_a_passkey_must_be_unlocked_here_and_now(
    tmp_path: Path, how: dict[str, bool], changed: dict[str, object]
) -> None:
    async def story(place: Place) -> None:
        passkey, _ = await place.with_passkey()
        passkey.verifies = how.get("verifies", True)
        asked = await signin.passkey_options(place.office, PARTY, visitor=HERE)
        with pytest.raises(SignInRefused, match="does not sign in here"):
            await signin.by_passkey(
                place.office, PARTY, asked.flow, passkey.prove(asked.options, **changed), visitor=HERE
            )
        assert "passkey not proved" in place.journal()[-1]

    in_office(tmp_path, story)


def test_a_proof_is_good_once_and_for_what_it_was_asked(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        passkey, admitted = await place.with_passkey()
        asked = await signin.passkey_options(place.office, PARTY, visitor=HERE)
        answer = passkey.prove(asked.options)
        assert await signin.by_passkey(place.office, PARTY, asked.flow, answer, visitor=HERE)
        for flow in (asked.flow, "nothing", ""):
            with pytest.raises(SignInRefused):
                await signin.by_passkey(place.office, PARTY, flow, answer, visitor=HERE)
        late = await signin.passkey_options(place.office, PARTY, visitor=HERE)
        place.clock.forward(place.office.access.challenge_s)
        with pytest.raises(SignInRefused):
            await signin.by_passkey(place.office, PARTY, late.flow, passkey.prove(late.options), visitor=HERE)
        visit = await place.visit(admitted.token)
        for_proof = await signin.prove_options(place.office, PARTY, visit)
        with pytest.raises(SignInRefused):
            await signin.by_passkey(
                place.office, PARTY, for_proof.flow, passkey.prove(for_proof.options), visitor=HERE
            )

    in_office(tmp_path, story)


def test_a_copied_authenticator_is_found_out_by_its_count(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        passkey, _ = await place.with_passkey()
        await place.sign_in_by_passkey(passkey)
        await place.sign_in_by_passkey(passkey)
        passkey.uses = 0
        with pytest.raises(SignInRefused):
            await place.sign_in_by_passkey(passkey)

    in_office(tmp_path, story)


@pytest.mark.parametrize(
    "answer",
    ["", "{}", "[]", "null", "x" * 40_000, '{"rawId": 1}', '{"rawId": "AAAA", "response": {"clientDataJSON": "e30"}}',
     '{"rawId":"AAAA","id":"AAAA","type":"public-key","response":{"clientDataJSON":"W10"}}', "[" * 5000],
)  # fmt: skip
def test_no_answer_of_a_browser_does_harm(tmp_path: Path, answer: str) -> None:
    async def story(place: Place) -> None:
        _, admitted = await place.with_passkey()
        asked = await signin.passkey_options(place.office, PARTY, visitor=HERE)
        with pytest.raises(SignInRefused):
            await signin.by_passkey(place.office, PARTY, asked.flow, answer, visitor=HERE)
        visit = await place.visit(admitted.token)
        asked = await enrolment.passkey_options(place.office, PARTY, visit)
        with pytest.raises(Impossible):
            await enrolment.register_passkey(place.office, PARTY, visit, asked.flow, answer)

    in_office(tmp_path, story)


def test_guessing_is_slowed_and_shuts_nobody_else_out(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        codes, admitted, _ = await place.with_password()
        place.clock.forward(60)
        known = await place.sign_in_by_password(codes)
        evaluated = 0
        for _ in range(30):
            with pytest.raises(SignInRefused) as refused:
                await signin.by_password(place.office, "ana@example.net", "guess", "123456", visitor=THERE)
            evaluated += refused.value.wait_s == 0
        assert evaluated == 5
        assert "Try again in 2 seconds" in str(refused.value)
        place.clock.forward(60)
        with pytest.raises(SignInRefused):
            await signin.by_password(place.office, "ana@example.net", "guess", "123456", visitor=THERE)
        assert "25 more were turned away before" in place.journal()[-1]
        place.clock.forward(1)
        # From the same network a stranger waits, also with the right password; a browser that is known does not.
        with pytest.raises(SignInRefused, match="passkey"):
            await place.sign_in_by_password(codes, visitor=THERE)
        assert await place.sign_in_by_password(codes, visitor=replace(THERE, device=admitted.device))
        # From elsewhere nobody waits.
        place.clock.forward(60)
        elsewhere = Visitor(ip_address("203.0.113.9"))
        assert await place.sign_in_by_password(codes, visitor=elsewhere)
        assert known.device != "", "every new browser gets a token of its own"

    in_office(tmp_path, story)


def test_many_guesses_at_once_are_all_counted(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        await place.with_password()
        tried = await asyncio.gather(
            *(
                signin.by_password(place.office, "ana@example.net", "guess", f"{n:06}", visitor=THERE)
                for n in range(40)
            ),
            return_exceptions=True,
        )
        assert sum(1 for one in tried if isinstance(one, SignInRefused) and one.wait_s == 0) == 5

    in_office(tmp_path, story)


def test_a_passkey_never_waits(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        passkey, _ = await place.with_passkey()
        for _ in range(20):
            with pytest.raises(SignInRefused):
                await signin.by_password(place.office, "ana@example.net", "guess", "123456", visitor=THERE)
        assert await place.sign_in_by_passkey(passkey, visitor=THERE)

    in_office(tmp_path, story)


def test_recovery_leads_to_enrolment_only_and_each_code_is_good_once(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        _, _, recovery = await place.with_password()
        place.clock.forward(60)
        for password, code in (
            ("wrong", recovery[0]),
            (GOOD_PASSWORD, ""),
            (GOOD_PASSWORD, "aaaa-bbbb-cccc-dddd"),
        ):
            with pytest.raises(SignInRefused, match=WRONG):
                await signin.by_recovery(place.office, "ana@example.net", password, code, visitor=HERE)
        admitted = await signin.by_recovery(
            place.office, "ANA@example.net", GOOD_PASSWORD, recovery[0].upper(), visitor=HERE
        )
        assert admitted.admission is Admission.ENROL
        assert await actor_of(place.office, admitted.token) is None
        with pytest.raises(SignInRefused, match=WRONG):
            await signin.by_recovery(
                place.office, "ana@example.net", GOOD_PASSWORD, recovery[0], visitor=HERE
            )
        with pytest.raises(Impossible, match="Add a passkey"):
            await enrolment.finish(place.office, admitted.token, visitor=HERE)
        await place.add_passkey(admitted.token)
        finished = await enrolment.finish(place.office, admitted.token, visitor=HERE)
        assert finished.recovery_codes == (), "nine are left"
        assert await actor_of(place.office, finished.admitted.token) is not None
        assert await visit_of(place.office, admitted.token) is None, "the token changed"

    in_office(tmp_path, story)


def test_who_has_passkeys_only_recovers_with_a_code_alone_and_that_leads_to_a_new_passkey(
    tmp_path: Path,
) -> None:
    async def story(place: Place) -> None:
        await place.person("ana@example.net", Role.OWNER)
        enrolling = await place.enrolling()
        await place.add_passkey(enrolling.token)
        finished = await enrolment.finish(place.office, enrolling.token, visitor=HERE)
        admitted = await signin.by_recovery(
            place.office, "ana@example.net", "", finished.recovery_codes[3], visitor=THERE
        )
        assert admitted.admission is Admission.ENROL
        with pytest.raises(Impossible):  # the passkey from before does not count
            await enrolment.finish(place.office, admitted.token, visitor=THERE)

    in_office(tmp_path, story)


def test_links_are_good_once_for_a_while_and_the_newest_only(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        await place.person()
        old = await wayin.invite(place.office, ROOT, "ana@example.net")
        link = await wayin.invite(place.office, ROOT, "ana@example.net")
        assert signin.whom_link_is_for(place.office, old) is None
        assert signin.whom_link_is_for(place.office, link) is not None
        assert signin.whom_link_is_for(place.office, link) is not None, "looking uses nothing up"
        for wrong in (old, "", link[:-1], link + "x"):
            with pytest.raises(SignInRefused, match="ask for another"):
                await signin.by_link(place.office, wrong, visitor=HERE)
        assert (await signin.by_link(place.office, link, visitor=HERE)).admission is Admission.ENROL
        with pytest.raises(SignInRefused, match="ask for another"):
            await signin.by_link(place.office, link, visitor=HERE)
        late = await wayin.invite(place.office, ROOT, "ana@example.net")
        place.clock.forward(place.office.access.link_s)
        with pytest.raises(SignInRefused, match="ask for another"):
            await signin.by_link(place.office, late, visitor=HERE)
        assert link not in " ".join(place.journal())

    in_office(tmp_path, story)


def test_proving_again_changes_the_token_and_opens_what_asks_for_it(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        passkey, admitted = await place.with_passkey("ana@example.net", Role.OWNER)
        other, _ = await place.with_passkey("ben@example.net")
        place.clock.forward(600)
        actor = await actor_of(place.office, admitted.token)
        assert actor is not None
        with pytest.raises(ProveAgain):
            await people.set_roles(place.office, actor, "ben@example.net", [Role.AUDITOR])
        visit = await place.visit(admitted.token)
        asked = await signin.prove_options(place.office, PARTY, visit)
        with pytest.raises(SignInRefused):
            await signin.prove_by_passkey(
                place.office, PARTY, admitted.token, asked.flow, other.prove(asked.options), visitor=HERE
            )
        asked = await signin.prove_options(place.office, PARTY, visit)
        renewed = await signin.prove_by_passkey(
            place.office, PARTY, admitted.token, asked.flow, passkey.prove(asked.options), visitor=HERE
        )
        assert renewed != admitted.token
        assert await actor_of(place.office, admitted.token) is None
        actor = await actor_of(place.office, renewed)
        assert actor is not None
        assert (
            Role.AUDITOR
            in (await people.set_roles(place.office, actor, "ben@example.net", [Role.AUDITOR])).roles
        )

    in_office(tmp_path, story)


def test_a_person_proves_again_with_a_fresh_code(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        codes, admitted, _ = await place.with_password()
        code = codes.at(int(place.clock.now))
        with pytest.raises(SignInRefused, match="wait for the next"):  # the one it was set up with
            await signin.prove_by_code(place.office, admitted.token, code, visitor=HERE)
        place.clock.forward(600)
        renewed = await signin.prove_by_code(
            place.office, admitted.token, codes.at(int(place.clock.now)), visitor=HERE
        )
        actor = await actor_of(place.office, renewed)
        assert actor is not None
        assert actor.proved_at == place.clock.now

    in_office(tmp_path, story)


def test_somebody_disabled_is_out_at_once_and_told_only_when_proved(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        codes, admitted, _ = await place.with_password()
        passkey, other = await place.with_passkey("ben@example.net")
        for login in ("ana@example.net", "ben@example.net"):
            await people.disable(place.office, ROOT, login, reason="left")
        assert await actor_of(place.office, admitted.token) is None
        assert await actor_of(place.office, other.token) is None
        place.clock.forward(60)
        with pytest.raises(SignInRefused, match=WRONG):
            await signin.by_password(place.office, "ana@example.net", "wrong", "123456", visitor=HERE)
        with pytest.raises(SignInRefused, match="disabled"):
            await place.sign_in_by_password(codes)
        with pytest.raises(SignInRefused, match="disabled"):
            await place.sign_in_by_passkey(passkey)
        await people.enable(place.office, ROOT, "ben@example.net")
        assert await place.sign_in_by_passkey(passkey)

    in_office(tmp_path, story)


def test_signing_out_everywhere_ends_every_session_and_forgets_the_browsers(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        passkey, first = await place.with_passkey()
        second = await place.sign_in_by_passkey(passkey, visitor=replace(THERE, device=first.device))
        assert second.device == "", "this browser is known"
        actor = await actor_of(place.office, first.token)
        assert actor is not None
        listed = sessions.open_sessions(place.office, actor)
        assert [one.network for one in listed] == ["198.51.100.0/24", "192.0.2.0/24"]
        assert await sessions.end_one(place.office, actor, listed[0].number)
        assert await actor_of(place.office, second.token) is None
        assert await sessions.end_all(place.office, actor) == 1
        assert await actor_of(place.office, first.token) is None
        again = await place.sign_in_by_passkey(passkey, visitor=replace(THERE, device=first.device))
        assert again.device != ""

    in_office(tmp_path, story)


def test_sessions_end_by_the_clock(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        passkey, admin = await place.with_passkey("ana@example.net", Role.AUDITOR)
        _, person = await place.with_passkey("ben@example.net")
        for _ in range(23):
            place.clock.forward(1790)
            assert await actor_of(place.office, admin.token) is not None
        place.clock.forward(1790)
        assert await actor_of(place.office, admin.token) is not None
        place.clock.forward(300)  # twelve hours in all
        assert await actor_of(place.office, admin.token) is None
        admin = await place.sign_in_by_passkey(passkey)
        place.clock.forward(1800)
        assert await actor_of(place.office, admin.token) is None
        place.clock.forward(12 * 3600)
        assert await actor_of(place.office, person.token) is None

    in_office(tmp_path, story)


def test_the_list_of_sign_ins_shows_failures_and_places_never_addresses(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        codes, _, _ = await place.with_password()
        place.clock.forward(60)
        with pytest.raises(SignInRefused):
            await signin.by_password(place.office, "ana@example.net", "wrong", "123456", visitor=THERE)
        hostile = Visitor(THERE.ip, "<script>\x1b[2J\r\nX" + "y" * 5000)
        admitted = await place.sign_in_by_password(codes, visitor=hostile)
        assert admitted.new_place
        actor = await actor_of(place.office, admitted.token)
        assert actor is not None
        found = sessions.sign_ins(place.office, actor)
        assert [(one.how, one.succeeded) for one in found[:2]] == [
            ("password-and-code", True),
            ("wrong password or code", False),
        ]
        assert len(found[0].agent) == 200
        assert "\x1b" not in found[0].agent
        assert "198.51.100.4" not in repr(found)
        with pytest.raises(sessions.NotAllowed):
            sessions.sign_ins(place.office, actor, actor.account + 1)

    in_office(tmp_path, story)


def test_no_secret_is_in_the_database_as_it_was_shown(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        codes, admitted, recovery = await place.with_password()
        link = await wayin.invite(place.office, ROOT, "ana@example.net")
        dump = "\n".join(
            place.office.store.database.read(
                lambda c: [repr(row) for t in TABLES for row in c.execute(f"SELECT * FROM {t}")]
            )
        )
        for secret in (codes.secret, admitted.token, admitted.device, link, GOOD_PASSWORD, *recovery):
            assert secret not in dump
        seed = codes.byte_secret()
        assert repr(seed)[2:-1] not in dump

    in_office(tmp_path, story)


TABLES = (
    "accounts", "account_addresses", "passkeys", "recovery_codes", "enrolment_links", "challenges", "sessions",
    "sign_ins", "known_devices", "strikes", "app_passwords", "journal",
)  # fmt: skip


def test_a_browser_that_asks_and_never_answers_does_not_fill_the_store(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        passkey, _ = await place.with_passkey()
        mine = await signin.passkey_options(place.office, PARTY, visitor=HERE)
        for _ in range(150):
            await signin.passkey_options(place.office, PARTY, visitor=THERE)
        count = place.office.store.database.read(
            lambda c: c.execute("SELECT count(*) FROM challenges").fetchone()
        )
        assert count[0] == 101
        answer = passkey.prove(mine.options)
        assert await signin.by_passkey(place.office, PARTY, mine.flow, answer, visitor=HERE)

    in_office(tmp_path, story)


def test_codes_are_offered_only_with_a_password_worth_the_name(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        await place.person()
        admitted = await place.enrolling()
        visit = await place.visit(admitted.token)
        with pytest.raises(Impossible, match="password as well"):
            await enrolment.begin_codes(place.office, visit)
        with pytest.raises(Impossible, match="at least 12"):
            await enrolment.begin_codes(place.office, visit, "short")
        offer = await enrolment.begin_codes(place.office, visit, GOOD_PASSWORD)
        assert offer.uri.startswith("otpauth://totp/")
        with pytest.raises(Impossible, match="wrong"):
            await enrolment.confirm_codes(place.office, visit, offer.flow, "000000")
        with pytest.raises(Impossible, match="begin again"):
            await enrolment.confirm_codes(place.office, visit, offer.flow, "000000")
        kept = place.office.store.database.read(lambda c: accounts.find(c, login="ana@example.net"))
        assert kept is not None
        assert kept.password is None, "never a password without codes"

    in_office(tmp_path, story)


def test_the_last_way_in_cannot_be_thrown_away(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        _, admitted = await place.with_passkey("ana@example.net", Role.OWNER)
        actor = await actor_of(place.office, admitted.token)
        assert actor is not None
        (only,) = enrolment.own_passkeys(place.office, actor)
        with pytest.raises(Impossible, match="only way"):
            await enrolment.remove_passkey(place.office, actor, only.id)
        await place.add_passkey(admitted.token)
        assert await enrolment.rename_passkey(place.office, actor, only.id, "old\x1b[2J phone")
        assert await enrolment.remove_passkey(place.office, actor, only.id)
        assert not await enrolment.remove_passkey(place.office, actor, only.id)
        assert "\x1b" not in " ".join(place.journal())
        place.clock.forward(301)
        (left,) = enrolment.own_passkeys(place.office, actor)
        with pytest.raises(ProveAgain):
            await enrolment.remove_passkey(place.office, actor, left.id)
        visit = await place.visit(admitted.token)
        with pytest.raises(ProveAgain):
            await enrolment.passkey_options(place.office, PARTY, visit)
        with pytest.raises(ProveAgain):
            await enrolment.new_recovery_codes(place.office, visit)

    in_office(tmp_path, story)


def test_one_passkey_is_registered_once(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        passkey, _ = await place.with_passkey()
        await place.person("ben@example.net")
        admitted = await place.enrolling("ben@example.net")
        visit = await place.visit(admitted.token)
        asked = await enrolment.passkey_options(place.office, PARTY, visit)
        copy = SoftPasskey(ORIGIN, credential=passkey.credential)
        with pytest.raises(Impossible, match="registered already"):
            await enrolment.register_passkey(
                place.office, PARTY, visit, asked.flow, copy.register(asked.options)
            )

    in_office(tmp_path, story)


def test_the_seeds_of_codes_move_to_a_new_master_key(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        codes, _, _ = await place.with_password()
        store = place.office.store
        old = store.keys.ids()
        store.keys.add_key()
        assert await reseal(store) == 1
        store.keys.forget(old)
        assert key_problem(store) == ""
        place.clock.forward(60)
        assert await place.sign_in_by_password(codes)

    in_office(tmp_path, story)


def test_a_password_is_hashed_anew_when_its_cost_has_changed(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        codes, _, _ = await place.with_password()
        place.office = replace(
            place.office,
            access=replace(place.office.access, password_cost=PasswordCost(memory_kib=128, passes=1)),
        )
        for _ in range(2):
            place.clock.forward(60)
            await place.sign_in_by_password(codes)
            kept = place.office.store.database.read(lambda c: accounts.find(c, login="ana@example.net"))
            assert kept is not None
            assert str(kept.password).startswith("$argon2id$v=19$m=128,")

    in_office(tmp_path, story)


def test_who_has_a_passkey_may_do_without_the_password(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        codes, admitted, _ = await place.with_password()
        with pytest.raises(Impossible, match="only way"):
            await enrolment.forget_codes(place.office, await place.visit(admitted.token))
        passkey = await place.add_passkey(admitted.token)
        await enrolment.forget_codes(place.office, await place.visit(admitted.token))
        place.clock.forward(60)
        with pytest.raises(SignInRefused, match=WRONG):
            await place.sign_in_by_password(codes)
        assert await place.sign_in_by_passkey(passkey)

    in_office(tmp_path, story)


def test_an_account_has_so_many_sessions_and_no_more(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        passkey, first = await place.with_passkey()
        for _ in range(50):
            place.clock.forward(1)
            last = await place.sign_in_by_passkey(passkey)
        actor = await actor_of(place.office, last.token)
        assert actor is not None
        assert len(sessions.open_sessions(place.office, actor)) == 50
        assert await actor_of(place.office, first.token) is None, "the one not seen for longest went"

    in_office(tmp_path, story)


def test_other_roles_take_effect_at_once_and_end_sessions_by_passkey_too(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        _, admitted = await place.with_passkey("ana@example.net", Role.OWNER)
        _, other = await place.with_passkey("ben@example.net", Role.OWNER)
        await people.set_roles(place.office, ROOT, "ana@example.net", [Role.PERSON])
        assert await actor_of(place.office, admitted.token) is None
        assert await actor_of(place.office, other.token) is not None

    in_office(tmp_path, story)


def test_a_session_of_somebody_disabled_is_none_even_while_its_row_is_there(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        _, admitted = await place.with_passkey()
        number = admitted.account.id
        await place.office.store.database.commit(lambda c: accounts.set_disabled(c, number, place.clock.now))
        assert await actor_of(place.office, admitted.token) is None

    in_office(tmp_path, story)


def test_a_passkey_that_names_another_account_is_refused(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        passkey, _ = await place.with_passkey()
        other, _ = await place.with_passkey("ben@example.net")
        passkey.handle = other.handle
        with pytest.raises(SignInRefused):
            await place.sign_in_by_passkey(passkey)

    in_office(tmp_path, story)


def test_of_two_copies_of_an_authenticator_at_the_same_moment_one_enters(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        passkey, _ = await place.with_passkey()
        answers = []
        for _ in range(2):
            asked = await signin.passkey_options(place.office, PARTY, visitor=HERE)
            passkey.uses = 6
            answers.append((asked.flow, passkey.prove(asked.options)))
        both = await asyncio.gather(
            *(signin.by_passkey(place.office, PARTY, flow, answer, visitor=HERE) for flow, answer in answers),
            return_exceptions=True,
        )
        assert sorted(isinstance(one, SignInRefused) for one in both) == [False, True]

    in_office(tmp_path, story)


def test_an_authenticator_that_does_not_count_is_taken(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        passkey, _ = await place.with_passkey()
        passkey.counts = False
        for _ in range(3):
            assert await place.sign_in_by_passkey(passkey)

    in_office(tmp_path, story)
