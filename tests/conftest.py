"""Shared pieces of the tests: where outside test data is, and which real programs are here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No example fails because the machine is busy.
settings.register_profile("gatepost", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gatepost")

os.environ["PATH"] += os.pathsep + "/usr/sbin" + os.pathsep + "/sbin"
ROOT = Path(__file__).resolve().parent.parent
TESTDATA = Path(os.environ.get("GATEPOST_TESTDATA", ROOT / "../shared/testdata"))
if not TESTDATA.is_absolute():
    TESTDATA = (ROOT / TESTDATA).resolve()


def outside_data(name: str) -> Path:
    """The folder of other people's test data called `name`; skips the test where it is absent."""
    folder = TESTDATA / name
    if not folder.is_dir():
        pytest.skip(f"no outside test data {name!r} (set GATEPOST_TESTDATA)", allow_module_level=True)
    return folder


def seven_zip() -> str:
    """The path of 7-Zip, which Debian 12 calls 7zz and Debian 13 7z; skips as `real_program` does."""
    return real_program("7zz" if shutil.which("7zz") or not shutil.which("7z") else "7z", "7zip")


def real_program(name: str, package: str | None = None) -> str:
    """The path of a real program; skips where it is missing, and fails under ./check --all."""
    path = shutil.which(name)
    if path is None:
        message = f"{name} is not here (apt-get install {package or name})"
        if os.environ.get("GATEPOST_NO_SKIP"):
            pytest.fail(message)
        pytest.skip(message)
    return path


REAL_PROGRAMS = ("system", "web", "crash", "adversary", "office", "net", "delivery")
"""Folders whose files take longest: they start the gate, browsers and other people's servers."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, so that no processor waits at the end for one that was begun late."""
    items.sort(key=lambda item: item.path.parent.name not in REAL_PROGRAMS)
