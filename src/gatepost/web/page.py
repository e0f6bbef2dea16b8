"""What a page is: a path, who may see it, and the function that answers.

A page group is a module in `web/pages/` with `ROUTES`, a tuple of `Page`. Its functions take a `Visit` and return a
Response, mostly `visit.page("template.html", name=value)`. The shell has checked session, right and CSRF token before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.responses import Response

from gatepost.access.rights import Right
from gatepost.web.visit import Visit

Answer = Callable[[Visit], Awaitable[Response]]
FORM_OCTETS = 256 * 1024
"""No form is longer, but where its page says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One row of the table of pages."""

    path: str
    """As Starlette reads it: ``/messages/{ref}``."""
    answer: Answer
    rights: frozenset[Right] = frozenset()
    """One of these is enough."""
    open: bool = False
    """Also for who is not signed in."""
    methods: tuple[str, ...] = ("GET",)
    menu: str = ""
    """Its words in the navigation (marked with `N_`); empty: not there."""
    group: str = "admin"
    """admin, me or privacy: the navigation's headings."""
    order: int = 100
    """Its place in the navigation."""
    form_octets: int = FORM_OCTETS
    """The longest form it takes."""
    quiet: bool = False
    """Asked for by a script again and again: no sign that somebody is there."""


def page(
    path: str,
    answer: Answer,
    *rights: Right,
    methods: tuple[str, ...] = ("GET",),
    menu: str = "",
    group: str = "admin",
    order: int = 100,
    form_octets: int = FORM_OCTETS,
    quiet: bool = False,
) -> Page:
    """A page for those who are signed in and have one of these rights. Without a right it would be for nobody."""
    if not rights:
        raise ValueError(f"{path} names no right")
    return Page(
        path=path, answer=answer, rights=frozenset(rights), methods=methods, menu=menu, group=group, order=order,
        form_octets=form_octets, quiet=quiet,
    )  # fmt: skip


def open_page(path: str, answer: Answer, *, methods: tuple[str, ...] = ("GET",)) -> Page:
    """A page for everybody, signed in or not."""
    return Page(path=path, answer=answer, open=True, methods=methods)
