"""Signing in by an identity provider, and mail programs' tokens: a provider of our own, asked over real HTTPS."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk, jwt

from gatepost.access.oidc import ProviderSettings, provider_problems
from gatepost.access.rights import Role
from gatepost.access.standing import Admission, Strength
from gatepost.dns.zone import Zone
from gatepost.mail.client import Client, SignedIn
from gatepost.office import oidc
from gatepost.office.mailsignin import MailSignIn
from gatepost.office.mailtokens import ProviderTokens
from gatepost.office.office import Impossible, NotAllowed
from gatepost.office.oidc import CodeWanted
from gatepost.office.provider import Provider, provider_of
from gatepost.office.sessions import Admitted, SignInRefused, Visitor, actor_of, visit_of
from gatepost.office.signin import prove_by_code
from gatepost.smtp.reply import Reply
from gatepost.smtp.sasl import Token
from gatepost.tools import Unavailable
from people_samples import HERE, ROOT, Place, office_at
from provider_samples import CLIENT, TestProvider

BACK = "https://mail.example.net/sign-in/provider"
PROVED = {"amr": ["pwd", "mfa"]}
Story = Callable[[Place, TestProvider, Provider], Awaitable[None]]


def telling(tmp_path: Path, story: Story, **settings: Any) -> None:
    async def run() -> None:
        with office_at(tmp_path / "state") as place:
            async with TestProvider(tmp_path, place.clock).up() as other:
                await story(place, other, provider(tmp_path, place, other, **settings))

    asyncio.run(run())


def provider(folder: Path, place: Place, other: TestProvider, **settings: Any) -> Provider:
    told = ProviderSettings(
        issuer=other.issuer,
        client_id=CLIENT,
        client_secret_file="secret",
        trust_anchors="ca.pem",
        private_network=True,
    )
    made = provider_of(replace(told, **settings), folder=folder, resolver=Zone.parse(""), clock=place.clock)
    assert made is not None
    return made


async def through(
    place: Place, other: TestProvider, ours: Provider, visitor: Visitor = HERE
) -> Admitted | CodeWanted:
    begun = await oidc.begin(place.office, ours, visitor=visitor, redirect_uri=BACK, hint="ana@example.net")
    query = other.authorize(begun.url)
    return await oidc.finish(place.office, ours, begun.flow, query, visitor=visitor, redirect_uri=BACK)


def test_a_person_signs_in_by_the_provider_and_stays_the_same_when_their_address_changes(
    tmp_path: Path,
) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        number = await place.person()
        other.claims = PROVED
        admitted = await through(place, other, ours)
        assert isinstance(admitted, Admitted)
        assert admitted.admission is Admission.ENTER
        visit = await visit_of(place.office, admitted.token)
        assert visit is not None
        assert visit.session.strength is Strength.PROVIDER
        other.claims = PROVED | {"email": "ana.new@example.net"}
        again = await through(place, other, ours)
        assert isinstance(again, Admitted)
        assert again.account.id == number
        other.claims = PROVED | {"sub": "u-18"}
        with pytest.raises(SignInRefused, match="does not belong"):
            await through(place, other, ours)  # the address is another's identity already
        assert place.journal()[1:4] == [
            f"ana@example.net: account identity (u-17 at {other.issuer})",
            "ana@example.net: sign-in identity-provider (from 192.0.2.0/24)",
            "ana@example.net: sign-in identity-provider (from 192.0.2.0/24)",
        ]
        assert other.asked.count("/keys") == other.asked.count("/.well-known/openid-configuration") == 1

    telling(tmp_path, story)


def test_a_password_alone_takes_a_code_of_ours_besides(tmp_path: Path) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        codes, _, _ = await place.with_password()
        place.clock.forward(60)
        wanted = await through(place, other, ours)
        assert isinstance(wanted, CodeWanted)
        assert await actor_of(place.office, wanted.pending) is None
        again = await oidc.finish_with_code(place.office, wanted.pending, "000000", visitor=HERE)
        assert isinstance(again, CodeWanted)
        with pytest.raises(SignInRefused):
            await oidc.finish_with_code(
                place.office, wanted.pending, codes.at(int(place.clock.now)), visitor=HERE
            )
        admitted = await oidc.finish_with_code(
            place.office, again.pending, codes.at(int(place.clock.now)), visitor=HERE
        )
        assert isinstance(admitted, Admitted)
        place.clock.forward(86_401)
        wanted = await through(place, other, ours)
        for _ in range(4):
            assert isinstance(wanted, CodeWanted)
            wanted = await oidc.finish_with_code(place.office, wanted.pending, "000000", visitor=HERE)
        assert isinstance(wanted, CodeWanted)
        with pytest.raises(SignInRefused, match="begin again"):
            await oidc.finish_with_code(place.office, wanted.pending, "000000", visitor=HERE)

    telling(tmp_path, story)


def test_a_password_alone_is_refused_where_there_are_no_codes(tmp_path: Path) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        await place.person()
        with pytest.raises(SignInRefused, match="password alone"):
            await through(place, other, ours)
        vouched = provider(tmp_path, place, other, always_two_factors=True)
        assert isinstance(await through(place, other, vouched), Admitted)

    telling(tmp_path, story)


def test_administrators_and_strangers_are_not_let_in(tmp_path: Path) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        other.claims = PROVED
        with pytest.raises(SignInRefused, match="does not belong"):
            await through(place, other, ours)
        await place.person("ana@example.net", Role.OWNER)
        with pytest.raises(SignInRefused, match="does not belong"):
            await through(place, other, ours)
        await place.person("ben@example.net")
        other.claims = PROVED | {"email": "ben@example.net", "email_verified": False}
        with pytest.raises(SignInRefused, match="does not belong"):
            await through(place, other, ours)
        other.userinfo = {"sub": "somebody else", "email": "ben@example.net", "email_verified": True}
        with pytest.raises(SignInRefused, match="does not belong"):
            await through(place, other, ours)
        other.userinfo["sub"] = "u-17"
        assert isinstance(await through(place, other, ours), Admitted)

    telling(tmp_path, story)


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"aud": "another"}, "for somebody else"),
        ({"aud": [CLIENT, "another"]}, "given to somebody else"),
        ({"azp": "another"}, "given to somebody else"),
        ({"iss": "https://evil.example"}, "another provider"),
        ({"nonce": "another"}, "another sign-in"),
        ({"exp": 1}, "has ended"),
        ({"exp": "soon"}, "a time that is none"),
        ({"exp": True}, "a time that is none"),
        ({"exp": None}, "when it ends"),
        ({"iat": 4_000_000_000}, "not good yet"),
        ({"iat": None}, "when it was made"),
        ({"sub": ""}, "who it is about"),
        ({"sub": ["u-17"]}, "who it is about"),
    ],
)
def test_an_id_token_for_something_else_proves_nothing(
    claims: dict[str, Any], said: str, tmp_path: Path
) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        await place.person()
        other.claims = PROVED | claims
        with pytest.raises(SignInRefused, match="proves nothing"):
            await through(place, other, ours)
        assert said in place.journal()[-1]

    telling(tmp_path, story)


def test_an_answer_is_good_once_for_one_browser_and_for_a_while(tmp_path: Path) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        await place.person()
        other.claims = PROVED
        office = place.office

        async def finish(flow: str, query: dict[str, str], back: str = BACK) -> Admitted | CodeWanted:
            return await oidc.finish(office, ours, flow, query, visitor=HERE, redirect_uri=back)

        for changed in (
            {"state": "x"},
            {"iss": "https://evil.example"},
            {"error": "access_denied"},
            {"code": ""},
        ):
            begun = await oidc.begin(office, ours, visitor=HERE, redirect_uri=BACK)
            query = other.authorize(begun.url)
            with pytest.raises(SignInRefused, match="proves nothing"):
                await finish(begun.flow, query | changed)
            with pytest.raises(SignInRefused, match="finished before"):
                await finish(begun.flow, query)
        begun, another = [await oidc.begin(office, ours, visitor=HERE, redirect_uri=BACK) for _ in range(2)]
        query = other.authorize(begun.url)
        with pytest.raises(SignInRefused, match="finished before"):
            await finish("guessed", query)
        with pytest.raises(SignInRefused, match="proves nothing"):
            await finish(another.flow, query)  # somebody else's browser
        assert isinstance(await finish(begun.flow, query), Admitted)
        place.clock.forward(86_401)
        begun = await oidc.begin(office, ours, visitor=HERE, redirect_uri=BACK)
        with pytest.raises(SignInRefused, match="invalid_grant"):
            await finish(begun.flow, other.authorize(begun.url) | {"code": "stolen"})
        begun = await oidc.begin(office, ours, visitor=HERE, redirect_uri=BACK)
        query = other.authorize(begun.url)
        place.clock.forward(301)
        with pytest.raises(SignInRefused, match="too long"):
            await finish(begun.flow, query)

    telling(tmp_path, story)


def test_a_provider_that_names_itself_in_every_answer_must_do_so(tmp_path: Path) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        await place.person()
        other.claims = PROVED
        other.metadata = {"authorization_response_iss_parameter_supported": True}
        for told, good in (({}, True), ({"iss": ""}, False), (None, False)):
            begun = await oidc.begin(place.office, ours, visitor=HERE, redirect_uri=BACK)
            query = other.authorize(begun.url)
            query = (
                {name: value for name, value in query.items() if name != "iss"}
                if told is None
                else query | told
            )
            finishing = oidc.finish(place.office, ours, begun.flow, query, visitor=HERE, redirect_uri=BACK)
            if good:
                assert isinstance(await finishing, Admitted)
            else:
                with pytest.raises(SignInRefused, match="proves nothing"):
                    await finishing
                assert "comes from another provider" in place.journal()[-1]

    telling(tmp_path, story)


def test_a_token_of_another_kind_does_not_pass_for_one(tmp_path: Path) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        await place.person()
        kinds = {
            "": True,
            "JWT": True,
            "application/jwt": True,
            "at+jwt": False,
            "logout+jwt": False,
            "secevent+jwt": False,
        }
        for kind, good in kinds.items():
            other.claims, other.header = PROVED, {"typ": kind} if kind else {}
            if good:
                assert isinstance(await through(place, other, ours), Admitted)
            else:
                with pytest.raises(SignInRefused, match="proves nothing"):
                    await through(place, other, ours)
                assert f"for something else ({kind})" in place.journal()[-1]
        tokens = ProviderTokens(place.office, ours)
        for kind in ("at+jwt", "logout+jwt"):
            claims = other.usual(aud="mail", email="ana@example.net", email_verified=True, jti=kind)
            found = await tokens.verify(other.signed(claims, typ=kind))
            assert found == (("ana@example.net",) if kind == "at+jwt" else None)

    telling(tmp_path, story, mail_audience="mail")


def test_keys_may_change_and_others_do_not_count(tmp_path: Path) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        await place.person()
        other.claims = PROVED
        assert isinstance(await through(place, other, ours), Admitted)
        other.key = jwk.ECKey.generate_key("P-256", {"kid": "two"})
        with pytest.raises(SignInRefused):
            await through(place, other, ours)  # it is not published, and keys were fetched a moment ago
        other.published = [other.key]
        place.clock.forward(31)
        assert isinstance(await through(place, other, ours), Admitted)
        other.key = jwk.ECKey.generate_key("P-256", {"kid": "two"})
        with pytest.raises(SignInRefused, match="proves nothing"):
            await through(place, other, ours)  # the same name, another key

    telling(tmp_path, story)


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        ("/.well-known/openid-configuration", (500, b""), "answered 500"),
        ("/.well-known/openid-configuration", (200, b"<html>"), "no JSON"),
        ("/.well-known/openid-configuration", (200, b"[]"), "something else"),
        (
            "/.well-known/openid-configuration",
            (200, b'{"issuer": "https://other.example"}'),
            "write that as issuer",
        ),
        ("/.well-known/openid-configuration", (200, b"[" * 100_000), "no JSON"),
        ("/keys", (200, b'{"keys": []}'), "no key that can be used"),
        ("/keys", (200, b'{"keys": "none"}'), "no key that can be used"),
        ("/token", (200, b"{}"), "proves nothing"),
        ("/token", (200, b'{"id_token": 7}'), "proves nothing"),
        ("/token", (200, b'{"id_token": "a.b.c"}'), "proves nothing"),
        ("/token", (302, b""), "sends on"),
    ],
)
def test_a_provider_that_is_not_well_lets_nobody_in(
    path: str, answer: tuple[int, bytes], said: str, tmp_path: Path
) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        other.answers[path] = answer
        with pytest.raises(SignInRefused, match=said):
            await through(place, other, ours)

    telling(tmp_path, story)


def test_a_provider_that_is_down_for_a_while_is_believed_as_before_and_not_hammered(tmp_path: Path) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        tokens = ProviderTokens(place.office, ours)

        def token(number: int) -> str:
            return other.signed(
                other.usual(aud="mail", email="ana@example.net", email_verified=True, jti=str(number))
            )

        assert await tokens.verify(token(1)) == ("ana@example.net",)
        for path in ("/keys", "/.well-known/openid-configuration"):
            other.answers[path] = (503, b"")
        place.clock.forward(4000)
        before = len(other.asked)
        for number in range(5):
            assert await tokens.verify(token(number)) == ("ana@example.net",)
        assert len(other.asked) == before + 1
        place.clock.forward(90_000)
        with pytest.raises(Unavailable, match="answered 503"):
            await tokens.verify(token(6))
        other.answers.clear()
        place.clock.forward(6)
        assert await tokens.verify(token(7)) == ("ana@example.net",)

    telling(tmp_path, story, mail_audience="mail")


def test_whoever_fails_again_and_again_waits_and_does_not_fill_the_journal(tmp_path: Path) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        said = []
        for _ in range(20):
            begun = await oidc.begin(place.office, ours, visitor=HERE, redirect_uri=BACK)
            query = other.authorize(begun.url) | {"code": "guessed"}
            with pytest.raises(SignInRefused) as caught:
                await oidc.finish(place.office, ours, begun.flow, query, visitor=HERE, redirect_uri=BACK)
            said.append(str(caught.value))
        assert "Too many attempts failed" in said[-1]
        assert len([one for one in place.journal() if "sign-in failed" in one]) < 10

    telling(tmp_path, story)


def test_unsigned_and_symmetric_tokens_do_not_count(tmp_path: Path) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        tokens = ProviderTokens(place.office, ours)
        claims = other.usual(aud="mail", email="ana@example.net", email_verified=True)
        parts = [
            urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=")
            for one in ({"alg": "none"}, claims)
        ]
        none = f"{parts[0]}.{parts[1]}."
        public = other.key.as_pem(private=False)
        shared = jwt.encode(
            {"alg": "HS256", "kid": "one"},
            claims,
            jwk.OctKey.import_key(public.replace(b"-", b"_")),
            algorithms=["HS256"],
        )
        for token in (
            none,
            shared,
            "opaque",
            "",
            "a" * 20_000,
            "x\x00y",
            "é.é.é",
            other.signed(claims)[:-4] + "AAAA",
        ):
            assert await tokens.verify(token) is None
        assert await tokens.verify(other.signed(claims)) == ("ana@example.net",)

    telling(tmp_path, story, mail_audience="mail")


@pytest.mark.parametrize(
    ("claims", "names"),
    [
        ({}, ("ana@example.net",)),
        ({"aud": ["other", "mail"], "scope": "openid smtp"}, ("ana@example.net",)),
        ({"scope": None, "scp": ["smtp"]}, ("ana@example.net",)),
        ({"scope": "openid"}, None),
        ({"scope": "smtpx"}, None),
        ({"aud": CLIENT}, None),
        ({"nonce": "n"}, None),
        ({"exp": None}, None),
        ({"exp": 1}, None),
        ({"iss": "https://evil.example"}, None),
        ({"email_verified": False}, None),
        ({"email_verified": None}, None),
        ({"email": "ana@example.net\r\nX: y"}, None),
    ],
)
def test_what_a_token_for_mail_must_say(
    claims: dict[str, Any], names: tuple[str, ...] | None, tmp_path: Path
) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        usual = other.usual(aud="mail", scope="smtp", email="ana@example.net", email_verified=True)
        token = other.signed({name: value for name, value in (usual | claims).items() if value is not None})
        assert await ProviderTokens(place.office, ours).verify(token) == names
        asked = provider(
            tmp_path, place, other, mail_audience="mail", mail_scope="smtp", mail_introspect=True
        )
        if claims.get("exp") is not None or "exp" not in claims:
            other.active["opaque"] = usual | claims | {"active": True}
            assert await ProviderTokens(place.office, asked).verify("opaque") == names

    telling(tmp_path, story, mail_audience="mail", mail_scope="smtp")


def test_a_mail_program_signs_in_with_a_token_until_it_ends_or_is_revoked(tmp_path: Path) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        await place.person()
        await place.person("ben@example.net")
        office = place.office
        tokens = ProviderTokens(office, ours)
        door = MailSignIn(office, verifier=tokens)
        other.active["opaque"] = other.usual(active=True, aud="mail", upn="ana@example.net")
        client = Client(ip=HERE.ip)

        async def sign_in(token: str, user: str = "ana@example.net") -> SignedIn | Reply:
            return await door.sign_in(client, "OAUTHBEARER", Token(user, token))

        found = await sign_in("opaque")
        assert isinstance(found, SignedIn)
        assert (found.user, found.sends_as) == ("ana@example.net", ("ana@example.net",))
        assert isinstance(await sign_in("opaque", "ben@example.net"), Reply)
        assert other.asked.count("/introspect") == 1, "the answer is kept for a moment"
        other.active["opaque"]["active"] = False
        place.clock.forward(61)
        refusal = await sign_in("opaque")
        assert isinstance(refusal, Reply)
        assert refusal.code == 535
        other.active["short"] = other.usual(active=True, aud="mail", upn="ana@example.net") | {
            "exp": place.clock.now + 5
        }
        assert await tokens.verify("short") == ("ana@example.net",)
        place.clock.forward(70)
        assert await tokens.verify("short") is None
        other.answers["/introspect"] = (500, b"")
        with pytest.raises(Unavailable, match="answered 500"):
            await tokens.verify("new")
        unsure = await sign_in("new")
        assert isinstance(unsure, Reply)
        assert (unsure.code, unsure.enhanced) == (454, "4.7.0")

    telling(tmp_path, story, mail_audience="mail", mail_introspect=True, mail_claims=("upn",))


def test_a_token_without_an_address_finds_who_signed_in_before(tmp_path: Path) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        await place.person()
        tokens = ProviderTokens(place.office, ours)
        bare = other.usual(aud="mail")
        assert await tokens.verify(other.signed(bare)) is None
        other.claims = PROVED
        await through(place, other, ours)
        assert await tokens.verify(other.signed(bare | {"jti": "2"})) == ("ana@example.net",)

    telling(tmp_path, story, mail_audience="mail")


def test_a_sensitive_act_takes_a_proof_made_just_now(tmp_path: Path) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        await place.person()
        office = place.office

        async def proved_s(**claims: Any) -> float | None:
            """How long ago, in the session that comes of it; None when it never was."""
            other.claims = PROVED | claims
            came = await through(place, other, ours)
            assert isinstance(came, Admitted)
            actor = await actor_of(office, came.token)
            assert actor is not None
            return place.clock.now - actor.proved_at if actor.proved_at else None

        now = int(place.clock.now)
        assert await proved_s() is None, "the provider does not say when it asked"
        assert await proved_s(auth_time=now - 4000) == 4000
        assert await proved_s(auth_time=now + 30) == 0
        assert await proved_s(auth_time=now + 9999) is None
        assert await proved_s(auth_time="now") is None

        async def anew(**claims: Any) -> Admitted | CodeWanted:
            other.claims = PROVED | claims
            begun = await oidc.begin(office, ours, visitor=HERE, redirect_uri=BACK, anew=True)
            assert "prompt=login&max_age=0" in begun.url
            query = other.authorize(begun.url)
            return await oidc.finish(office, ours, begun.flow, query, visitor=HERE, redirect_uri=BACK)

        for claims in ({}, {"auth_time": now - 4000}):
            with pytest.raises(SignInRefused, match="proves nothing"):
                await anew(**claims)
        assert isinstance(await anew(auth_time=now - 10), Admitted)

    telling(tmp_path, story)


def test_who_gave_a_code_after_the_provider_proves_it_again_with_one(tmp_path: Path) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        codes, _, _ = await place.with_password()
        place.clock.forward(60)
        wanted = await through(place, other, ours)
        assert isinstance(wanted, CodeWanted)
        came = await oidc.finish_with_code(
            place.office, wanted.pending, codes.at(int(place.clock.now)), visitor=HERE
        )
        assert isinstance(came, Admitted)
        place.clock.forward(3600)
        token = await prove_by_code(place.office, came.token, codes.at(int(place.clock.now)), visitor=HERE)
        actor = await actor_of(place.office, token)
        assert actor is not None
        assert actor.proved_at == place.clock.now

    telling(tmp_path, story)


def test_who_somebody_is_there_may_be_said_by_hand(tmp_path: Path) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        office = place.office
        await place.person()
        await place.person("ben@example.net")
        other.claims = PROVED
        with pytest.raises(SignInRefused, match="does not belong"):
            await through(place, other, ours)
        assert "nobody here is u-17" in place.journal()[-1]
        await oidc.link(office, ROOT, "ana@example.net", other.issuer, "u-17")
        came = await through(place, other, ours)
        assert isinstance(came, Admitted)
        assert came.account.login == "ana@example.net"
        with pytest.raises(Impossible, match="'s already"):
            await oidc.link(office, ROOT, "ben@example.net", other.issuer, "u-17")
        ana = await actor_of(office, came.token)
        assert ana is not None
        with pytest.raises(NotAllowed):
            await oidc.link(office, ana, "ben@example.net", other.issuer, "u-18")
        with pytest.raises(NotAllowed):
            await oidc.unlink(office, ana, "ben@example.net")
        assert await oidc.unlink(office, ROOT, "ana@example.net")
        assert not await oidc.unlink(office, ROOT, "ana@example.net")
        with pytest.raises(SignInRefused, match="does not belong"):
            await through(place, other, ours)
        by_name = provider(tmp_path, place, other, link_claims=("upn",))
        other.claims = PROVED | {"upn": "ben@example.net"}
        came = await through(place, other, by_name)
        assert isinstance(came, Admitted)
        assert came.account.login == "ben@example.net"

    telling(tmp_path, story, link_claims=())


def test_the_client_proves_itself_as_the_provider_wants_it(tmp_path: Path) -> None:
    async def story(place: Place, other: TestProvider, ours: Provider) -> None:
        await place.person()
        other.claims = PROVED
        other.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        assert isinstance(await through(place, other, ours), Admitted)

    telling(tmp_path, story)


def test_settings_that_cannot_work_are_named(tmp_path: Path) -> None:
    wrong = ProviderSettings(issuer="http://x", scopes=("email",), mail_claims=())
    assert [one.partition(":")[0] for one in provider_problems(wrong)] == [
        "issuer",
        "client_id",
        "scopes",
        "mail_claims",
    ]
    assert provider_problems(ProviderSettings()) == []
    for content, said in ((None, "cannot be read"), ("two\nlines", "one line"), ("", "one line")):
        if content is not None:
            (tmp_path / "secret").write_text(content)
        with pytest.raises(ValueError, match=said):
            provider_of(
                ProviderSettings(issuer="https://x.example", client_id="x", client_secret_file="secret"),
                folder=tmp_path, resolver=Zone.parse(""), clock=lambda: 0.0,
            )  # fmt: skip
