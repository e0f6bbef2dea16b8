"""Whether those who know our people elsewhere answer: the identity provider and the directory. For `gatepost doctor`."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from gatepost.config.schema import Loaded
from gatepost.dns.answer import Resolver
from gatepost.jobs.concerns import Concern, Level
from gatepost.net.directoryservice import DirectoryService
from gatepost.office.provider import provider_of
from gatepost.tools import Unavailable

ONLY_THE_GATE = "CREDENTIALS_DIRECTORY"
"""A secret that systemd hands to the gate alone cannot be looked at here."""


async def elsewhere(loaded: Loaded, resolver: Resolver) -> AsyncIterator[Concern]:
    """Asks both, as they are configured."""
    problem = await provider_problem(loaded, resolver)
    if problem and ONLY_THE_GATE not in problem:
        yield Concern(
            "identity-provider",
            Level.WARNING,
            f"Nobody can sign in by the identity provider: {problem}.",
            "See [identity_provider]; passkeys and app passwords are not concerned.",
        )
    problem = await directory_problem(loaded)
    if problem and ONLY_THE_GATE not in problem:
        yield Concern(
            "people-source",
            Level.WARNING,
            f"Accounts do not follow the directory: {problem}.",
            "See [people_source]; gatepost user sync --dry-run tries it once more. Accounts stay as they are.",
        )


async def provider_problem(loaded: Loaded, resolver: Resolver) -> str:
    """Why it is of no use, in a sentence; empty when it is, or there is none."""
    try:
        provider = provider_of(
            loaded.config.identity_provider, folder=loaded.folder, resolver=resolver, clock=time.time
        )
        if provider is None:
            return ""
        about = await provider.metadata()
        await provider.keys()
    except (ValueError, Unavailable) as why:
        return str(why)
    settings = loaded.config.identity_provider
    if settings.mail_audience and settings.mail_introspect and not about.introspection_endpoint:
        return "mail_introspect is on, and it offers no introspection of tokens (RFC 7662)"
    return ""


async def directory_problem(loaded: Loaded) -> str:
    """The same of the directory."""
    settings = loaded.config.people_source
    if not settings.servers:
        return ""
    try:
        found = await DirectoryService(settings, loaded.folder).people()
    except Unavailable as why:
        return str(why)
    if not found:
        return f"it shows nobody below {settings.base} with {settings.filter}"
    return ""
