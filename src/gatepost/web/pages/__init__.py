"""One module for each group of pages; each exports `ROUTES`. Whatever is to be seen in the console stands in `ALL_PAGES`."""

from __future__ import annotations

from gatepost.web import demodoor
from gatepost.web.page import Page
from gatepost.web.pages import (
    breach,
    live,
    me,
    message,
    messages,
    overview,
    people,
    policy,
    privacy,
    provider,
    quarantine,
    queue,
    requests,
    shell,
    signin,
    system,
    tools,
)

ALL_PAGES: tuple[Page, ...] = (
    *shell.ROUTES,
    *overview.ROUTES,
    *messages.ROUTES,
    *message.ROUTES,
    *live.ROUTES,
    *signin.ROUTES,
    *provider.ROUTES,
    *demodoor.ROUTES,
    *quarantine.ROUTES,
    *queue.ROUTES,
    *policy.ROUTES,
    *tools.ROUTES,
    *people.ROUTES,
    *system.ROUTES,
    *me.ROUTES,
    *privacy.ROUTES,
    *requests.ROUTES,
    *breach.ROUTES,
)  # fmt: skip
"""Every page with its methods and the right it takes: one table, so that every role can be tried against every page."""
