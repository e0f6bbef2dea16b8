"""The office of one installation: who acts, with its store, clock and settings."""

from __future__ import annotations

import os
import time

from gatepost.config.schema import Loaded
from gatepost.office.office import Office
from gatepost.store.store import Store


def office_of(loaded: Loaded, store: Store) -> Office:
    """Cheap: made anew after each reload."""
    return Office(
        store=store,
        clock=time.time,
        random=os.urandom,
        hostname=loaded.config.hostname,
        access=loaded.config.access,
    )


def console_url(loaded: Loaded) -> str:
    """Where people reach the console, as configured; empty: nowhere yet."""
    return str(getattr(getattr(loaded.config, "console", None), "url", "") or "")
