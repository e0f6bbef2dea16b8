"""What must hold: no combination raises, and none that a policy forbids comes out lax."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.dns.answer import Answer, Security, Status
from gatepost.tlspolicy.mta_sts import StsKnown, StsMode, StsPolicy
from gatepost.tlspolicy.requirement import Proof, Situation, Wish, requirement, waives_tls

TLSA = f"3 1 1 {'ab' * 32}"
ANSWERS = [
    None,
    Answer(Status.FOUND, (TLSA,), Security.SECURE),
    Answer(Status.FOUND, (TLSA,), Security.INSECURE),
    Answer(Status.FOUND, ("1 1 1 abcd",), Security.SECURE),
    Answer(Status.NODATA, (), Security.SECURE),
    Answer(Status.FAILED, (), Security.BOGUS, 0, "bogus"),
    Answer(Status.FAILED, (), Security.INDETERMINATE, 0, "timeout"),
]


def sts(mode: StsMode, *mx: str) -> StsKnown:
    return StsKnown(policy=StsPolicy(mode=mode, max_age_s=100, mx=mx), policy_id="1")


POLICIES = [
    StsKnown(),
    StsKnown(bogus=True),
    StsKnown(trouble="sts-policy-fetch-error", words="it is down"),
    *(sts(mode, mx) for mode in StsMode for mx in ("mx.example.org", "mx.other.test")),
]


@given(
    st.sampled_from(list(Security)),
    st.sampled_from(list(Security)),
    st.sampled_from(ANSWERS),
    st.sampled_from(POLICIES),
    st.sampled_from(list(Wish)),
    st.booleans(),
    st.booleans(),
)
def test_nothing_that_is_forbidden_comes_out_lax(
    mx: Security,
    address: Security,
    tlsa: Answer | None,
    known: StsKnown,
    wish: Wish,
    require: bool,
    waived: bool,
) -> None:
    at = Situation(
        domain="example.org", host="mx.example.org", mx=mx, address=address, tlsa=tlsa, sts=known, wish=wish,
        require_tls=require, waived=waived,
    )  # fmt: skip
    need = requirement(at)
    assert need.reason
    assert need.policy in ("dane", "mta-sts", "required", "opportunistic", "none")
    assert (need.proof is Proof.NONE) or need.encrypted, "what must be proved must be encrypted"
    assert need.proof is not Proof.DANE or need.tlsa
    set_aside = (waived and wish is Wish.AUTO) or wish in (Wish.NONE, Wish.OPPORTUNISTIC)
    if require:
        assert need.obstacle is not None or need.proof is not Proof.NONE
        assert need.permanent or need.obstacle is not None
    elif not set_aside:
        secure_tlsa = mx is Security.SECURE and tlsa is not None and tlsa.security is Security.SECURE
        if mx is Security.SECURE and tlsa is not None and tlsa.status is Status.FAILED:
            assert need.obstacle is not None, "a lookup that failed is never taken for none"
        if secure_tlsa and tlsa is not None and TLSA in tlsa.records and address is not Security.BOGUS:
            assert need.proof is Proof.DANE
        enforced = known.policy is not None and known.policy.mode is StsMode.ENFORCE
        if enforced and wish in (Wish.AUTO, Wish.REQUIRED) and need.proof is not Proof.DANE:
            assert need.encrypted
            strange = known.policy is not None and "mx.example.org" not in known.policy.mx
            assert not strange or need.obstacle is not None, "a policy's hosts are asked for, and no others"
    if wish is Wish.REQUIRED and not require:
        assert need.obstacle is not None or need.proof is not Proof.NONE


@pytest.mark.parametrize(
    ("octets", "waives"),
    [
        (b"TLS-Required: No\r\n\r\nx", True),
        (b"From: a@b\r\ntls-required:no\r\nTo: c@d\r\n\r\n", True),
        (b"TLS-REQUIRED:\r\n No\r\n\r\n", True),
        (b"TLS-Required: yes\r\n\r\n", False),
        (b"TLS-Required: Nothing\r\n\r\n", False),
        (b"X-TLS-Required: No\r\n\r\n", False),
        (b"From: a@b\r\n\r\nTLS-Required: No\r\n", False),
        (b"", False),
    ],
)
def test_the_waiver(octets: bytes, *, waives: bool) -> None:
    assert waives_tls(octets) is waives
