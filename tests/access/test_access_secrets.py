"""Codes by the RFC's vectors, passwords, tokens, networks, and what a proof is good for."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.access import codes, networks, passwords, tokens
from gatepost.access.rights import ADMINISTRATORS, GRANTS, Right, Role, on_this_machine, rights_of
from gatepost.access.settings import AccessSettings, PasswordCost
from gatepost.access.standing import Admission, Life, Strength, admission, is_over, life

CHEAP = PasswordCost(memory_kib=64, passes=1)
SEED = b"12345678901234567890"


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
    ],
)
def test_codes_are_those_of_rfc_6238_appendix_b(now: int, code: str) -> None:
    assert codes.fitting_step(SEED, code, now=now, after=0) == now // 30
    assert codes.fitting_step(SEED, f" {code[:3]} {code[3:]} ", now=now + 30, after=0) == now // 30, (
        "a slow clock"
    )
    assert codes.fitting_step(SEED, code, now=now + 90, after=0) is None, "too old"
    assert codes.fitting_step(SEED, code, now=now, after=now // 30) is None, "used"


@given(st.text(max_size=12))
def test_no_text_is_a_code_by_accident(text: str) -> None:
    right = {codes.pyotp.TOTP("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").generate_otp(step) for step in (0, 1, 2)}
    assert ("".join(text.split()) in right) == (codes.fitting_step(SEED, text, now=30, after=-1) is not None)


def test_a_password_is_kept_as_argon2id_and_found_again_however_it_is_composed() -> None:
    kept = passwords.hashed("wunderba\u0308re Kuh am Hang", salt=bytes(16), cost=CHEAP)
    assert kept.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert passwords.matches(kept, "wunderb\u00e4re Kuh am Hang")
    assert not passwords.matches(kept, "wunderbare Kuh am Hang")


@pytest.mark.parametrize(
    "kept", ["", "plain", "$argon2id$v=19$m=64,t=1,p=1$AAAA", "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAA"]
)
def test_a_damaged_hash_matches_nothing(kept: str) -> None:
    assert not passwords.matches(kept, "correct horse battery staple")


@given(st.text(max_size=300))
def test_nothing_is_nobodys_password(text: str) -> None:
    assert not passwords.matches(passwords.nobodys(CHEAP), text)


@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("short", "at least 12"), ("x" * 257, "at most"), ("abababababab", "repeats"), ("ana.kovac2026!", "made of"),
        ("Password123456!", "made of"), ("gatepost-welcome", "made of"), ("correct horse battery staple", ""),
    ],
)  # fmt: skip
def test_easy_passwords_are_refused_in_words(password: str, word: str) -> None:
    said = passwords.weakness(password, "ana.kovac@example.net", "Ana Kovac", "mx.example.net")
    assert word in said if word else said == ""


@given(st.binary(min_size=19, max_size=19))
def test_an_app_password_is_read_as_it_is_shown_and_as_people_type_it(random: bytes) -> None:
    made = tokens.app_password(random)
    shown = str(made)
    assert shown.count("-") == 6
    for typed in (shown, shown.upper(), shown.replace("-", ""), f" {shown.replace('-', ' ')} "):
        assert tokens.read_app_password(typed) == made
    assert made.secret not in repr(made)


@given(st.text(max_size=60))
def test_other_text_is_no_app_password(text: str) -> None:
    found = tokens.read_app_password(text)
    assert found is None or len(found.selector) == 8


def test_recovery_codes_belong_to_their_account_and_nonsense_matches_none() -> None:
    code = tokens.recovery_code(bytes(range(10)))
    assert tokens.recovery_digest(1, code) == tokens.recovery_digest(1, code.upper().replace("-", " "))
    assert tokens.recovery_digest(1, code) != tokens.recovery_digest(2, code)
    assert tokens.recovery_digest(1, "") != tokens.recovery_digest(1, code)


@pytest.mark.parametrize(
    ("ip", "prefix"),
    [
        ("192.0.2.77", "192.0.2.0/24"), ("2001:db8:1:2::3", "2001:db8:1::/48"), ("::ffff:192.0.2.77", "192.0.2.0/24"),
    ],
)  # fmt: skip
def test_a_network_is_kept_not_an_address(ip: str, prefix: str) -> None:
    assert networks.prefix(ip_address(ip)) == prefix
    assert networks.within(ip_address(ip), [prefix])
    assert not networks.within(ip_address(ip), ["203.0.113.0/24", "2001:db8:ffff::/48"])
    assert networks.prefix(None) == ""
    assert not networks.within(None, [prefix])
    assert networks.within(None, [])


EVERY = [*Right]
WHO_MAY = {
    # right: roles that grant it
    Right.OWN: set(Role),
    Right.OVERVIEW: set(Role) - {Role.PERSON},
    Right.MESSAGES: {Role.OWNER, Role.POSTMASTER, Role.QUARANTINE_MANAGER, Role.HELP_DESK},
    Right.SUBJECTS: {Role.OWNER, Role.POSTMASTER, Role.QUARANTINE_MANAGER},
    Right.CONTENT: {Role.QUARANTINE_MANAGER},
    Right.RELEASE: {Role.OWNER, Role.POSTMASTER, Role.QUARANTINE_MANAGER},
    Right.RELEASE_MALWARE: {Role.OWNER, Role.QUARANTINE_MANAGER},
    Right.TEACH: {Role.OWNER, Role.POSTMASTER, Role.QUARANTINE_MANAGER},
    Right.ENTRIES: {Role.OWNER, Role.POSTMASTER, Role.QUARANTINE_MANAGER},
    Right.QUEUE: {Role.OWNER, Role.POSTMASTER},
    Right.POLICY: {Role.OWNER, Role.POSTMASTER},
    Right.TOOLS: {Role.OWNER, Role.POSTMASTER},
    Right.SYSTEM: {Role.OWNER, Role.POSTMASTER},
    Right.PEOPLE: {Role.OWNER, Role.POSTMASTER},
    Right.ROLES: {Role.OWNER},
    Right.JOURNAL: {Role.OWNER, Role.DATA_PROTECTION_OFFICER, Role.AUDITOR},
    Right.EXPORT: {Role.OWNER, Role.DATA_PROTECTION_OFFICER},
    Right.BREAK_GLASS: {Role.OWNER, Role.POSTMASTER},
    Right.APPROVE: {Role.OWNER, Role.DATA_PROTECTION_OFFICER},
    Right.PRIVACY: {Role.DATA_PROTECTION_OFFICER},
}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("right", EVERY)
def test_every_role_has_its_rights_and_no_others(role: Role, right: Right) -> None:
    assert (right in rights_of(frozenset({role}))) == (role in WHO_MAY[right])


def test_roles_add_up_and_nothing_is_granted_to_nobody() -> None:
    assert set(GRANTS) == set(Role)
    assert set(WHO_MAY) == set(Right)
    assert rights_of(frozenset()) == {Right.OWN}
    assert (
        rights_of(frozenset({Role.AUDITOR, Role.HELP_DESK})) == GRANTS[Role.AUDITOR] | GRANTS[Role.HELP_DESK]
    )
    assert Right.SUBJECTS in rights_of(frozenset({Role.HELP_DESK}), help_desk_sees_subjects=True)
    assert Right.SUBJECTS not in rights_of(frozenset({Role.AUDITOR}), help_desk_sees_subjects=True)
    assert on_this_machine("root").rights == set(Right)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("strength", list(Strength))
@pytest.mark.parametrize("has_passkey", [False, True])
def test_what_each_proof_is_good_for(role: Role, strength: Strength, has_passkey: bool) -> None:
    said = admission(strength, frozenset({role}), has_passkey=has_passkey)
    if strength in (Strength.LINK, Strength.RECOVERY):
        assert said is Admission.ENROL
    elif role in ADMINISTRATORS and strength not in (Strength.PASSKEY, Strength.DEMO):
        first = strength is Strength.TWO_FACTORS and not has_passkey
        assert said is (Admission.ENROL if first else Admission.REFUSE)
    else:
        assert said is Admission.ENTER


def test_sessions_of_administrators_are_short() -> None:
    settings = AccessSettings()
    assert life(Admission.ENTER, frozenset({Role.PERSON, Role.AUDITOR}), settings).idle_s == 1800
    assert life(Admission.ENTER, frozenset({Role.PERSON}), settings).idle_s == 12 * 3600
    assert life(Admission.ENROL, frozenset({Role.PERSON}), settings).whole_s == 1800


@pytest.mark.parametrize(
    ("started", "seen", "now", "over"),
    [
        (0, 0, 9, False),
        (0, 0, 10, True),
        (0, 95, 99, False),
        (0, 95, 100, True),
        (70, 70, 11, False),
        (70, 70, 9, True),
    ],
)
def test_sessions_end_when_idle_and_in_any_case(started: float, seen: float, now: float, over: bool) -> None:
    assert is_over(Life(10, 100), started_at=started, seen_at=seen, now=now) is over
