"""What comes and goes with people goes in time, and nothing else does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gatepost.office import apppasswords, signin, wayin
from gatepost.office.sessions import SignInRefused, actor_of
from gatepost.store.retention import DAY_S, Retention, expire
from people_samples import HERE, ROOT, THERE, office_at


def test_sign_ins_failures_and_ended_app_passwords_expire(tmp_path: Path) -> None:
    async def story() -> None:
        with office_at(tmp_path) as place:
            office = place.office

            def count(table: str) -> int:
                return int(
                    office.store.database.read(
                        lambda c: c.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                    )
                )

            passkey, _ = await place.with_passkey()
            gone = await apppasswords.make(office, ROOT, "ana@example.net", name="old")
            kept = await apppasswords.make(office, ROOT, "ana@example.net", name="kept")
            await apppasswords.revoke(office, ROOT, gone.kept.selector)
            await wayin.invite(office, ROOT, "ana@example.net")
            with pytest.raises(SignInRefused):
                await signin.by_password(office, "ana@example.net", "x", "y", visitor=THERE)
            before = count("sign_ins")
            assert before == 3
            assert count("strikes") == 2
            place.clock.forward(89 * DAY_S)
            recent = await place.sign_in_by_passkey(passkey, visitor=HERE)
            place.clock.forward(2 * DAY_S)
            told = await expire(office.store, place.clock.now, Retention())
            assert told["app passwords"] == 1
            assert told["sign-ins"] >= 3
            assert count("sign_ins") == 1
            assert count("strikes") == 0
            assert count("enrolment_links") == 0
            assert count("challenges") == 0
            assert count("sessions") == 1
            assert [one.selector for one in apppasswords.listed(office, ROOT, "ana@example.net")] == [
                kept.kept.selector
            ]
            place.clock.forward(-DAY_S - DAY_S)
            assert await actor_of(office, recent.token) is not None
            assert count("accounts") == count("passkeys") == 1

    asyncio.run(story())
