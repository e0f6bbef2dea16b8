"""What we write is for us alone, whatever the account's own umask says."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gatepost.delivery.maildir import mailbox, safe_name
from gatepost.mail.address import Address
from gatepost.net import worker
from gatepost.net.limits import ConnectionLimits
from gatepost.store.store import Store


def test_files_of_a_running_gate_are_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def write_something(plan: worker.Plan) -> None:
        (tmp_path / "file").touch()
        await Store.open(tmp_path / "state").close()

    async def unused(*_: object) -> None:
        raise AssertionError("not called here")

    monkeypatch.setattr(worker, "_run_alone", write_something)
    before = os.umask(0)
    try:
        worker.run(worker.Plan(listening=(), limits=ConnectionLimits(), serve=unused))
    finally:
        os.umask(before)
    written = [tmp_path / "file", *(tmp_path / "state").rglob("*"), tmp_path / "state"]
    assert len(written) > 2
    assert [one for one in written if stat.S_IMODE(one.stat().st_mode) & 0o077] == []


@pytest.mark.parametrize(
    "local",
    [
        "../../etc/passwd",
        "..",
        ".",
        "/etc",
        "a/b",
        "a\0b",
        ".hidden",
        "%2e%2e",
        "~root",
        "x" * 300,
        "\udcff",
        "a\nb",
        "",
    ],
)
def test_no_local_part_leaves_its_mailboxes_folder(tmp_path: Path, local: str) -> None:
    for domain in ("example.net", "..", "[192.0.2.1]", "a/../../b"):
        folder = mailbox(tmp_path, Address(local, domain))
        assert folder.resolve().relative_to(tmp_path.resolve()).parts[0] == safe_name(domain)
        assert len(folder.relative_to(tmp_path).parts) == 2
        assert folder.resolve() == (tmp_path.resolve() / safe_name(domain) / safe_name(local))
        assert all(
            len(part.encode()) < 255 and not part.startswith(".")
            for part in folder.relative_to(tmp_path).parts
        )
