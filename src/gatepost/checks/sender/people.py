"""Who we are: our domains, the people whose names are worth stealing, our partners. Implements `tools.People`.

People come from the configuration and from a CSV file (RFC 4180): ``name,role,addresses,also``, addresses and further
names apart by blanks or semicolons. Partners are named, and learnt from whom our people write to.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatepost.checks.sender.identity import SHARED_DOMAINS
from gatepost.mail.address import normal_domain, parse_address
from gatepost.mail.known.providers import FREE_MAIL
from gatepost.tools import Person

MOST_PEOPLE = 20_000
MOST_PARTNERS = 5_000
LEARN_AGAIN_S = 300.0
IMPORTED = "people-directory.csv"
"""The file in the state folder that people of a directory are written to, in the form of `people_file`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSettings:
    """Somebody whose name is worth stealing."""

    name: str
    """As in a mail program."""
    role: str = ""
    """Said in findings: `managing director`."""
    addresses: tuple[str, ...] = ()
    """Addresses outside our domains that are theirs too, such as a private one."""
    also: tuple[str, ...] = ()
    """The name in other writings: `山田太郎`, `Taro Yamada`, a maiden name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleSettings:
    """Whose names and domains are worth stealing."""

    protected: tuple[PersonSettings, ...] = ()
    """People, one table each."""
    people_file: str = ""
    """A CSV file with more of them, its first line `name,role,addresses,also`."""
    partners: tuple[str, ...] = ()
    """Domains of partners, whose look-alikes are found."""
    learn_partners: bool = True
    """Count as partners also those whom our people wrote to."""


class Staff:
    """Our people at this moment. Raises ValueError when the file cannot be read: one sentence."""

    def __init__(
        self,
        settings: PeopleSettings,
        *,
        own_domains: Sequence[str],
        folder: Path,
        imported: Path | None = None,
    ) -> None:
        """`imported`: a file like `people_file` that something else writes anew, read again every few minutes; it may be absent."""
        own = (normal_domain(one.lstrip(".")) or one.lstrip(".").lower() for one in own_domains)
        self.own_domains: Sequence[str] = tuple(dict.fromkeys(own))
        self._configured = tuple(protected_people(settings, folder))
        self._imported = imported
        self._seen: tuple[int, int] | None = None
        self._looked_at = float("-inf")
        self._protected: Sequence[Person] = self._configured
        self._named = tuple(normal_domain(one) or one.lower() for one in settings.partners)
        self._learns = settings.learn_partners
        self._learnt: Callable[[int], Sequence[str]] | None = None
        self._clock: Callable[[], float] = lambda: 0.0
        self._asked_at = float("-inf")
        self._partners: Sequence[str] = self._named

    def learn_from(self, learnt: Callable[[int], Sequence[str]], clock: Callable[[], float]) -> None:
        """`learnt` gives at most so many domains and addresses that we wrote to, the latest first; asked every few minutes."""
        self._clock = clock
        if self._learns:
            self._learnt = learnt

    @property
    def protected(self) -> Sequence[Person]:
        """Configured and imported; the same object until there is another answer."""
        if self._imported is not None and self._clock() - self._looked_at >= LEARN_AGAIN_S:
            self._looked_at = self._clock()
            try:
                status = self._imported.stat()
                seen = status.st_ino, status.st_mtime_ns
                if seen != self._seen:
                    more = people_of(read_people_file(self._imported))
                    self._protected, self._seen = (*self._configured, *more), seen
            except FileNotFoundError:
                if self._seen is not None:
                    self._protected, self._seen = self._configured, None
            except (OSError, ValueError):
                pass  # what was known stays, until it can be read again
        return self._protected

    @property
    def partners(self) -> Sequence[str]:
        """Named and learnt; the same object until there is another answer."""
        if self._learnt is not None and self._clock() - self._asked_at >= LEARN_AGAIN_S:
            self._asked_at = self._clock()
            found = dict.fromkeys((*self._named, *map(_domain, self._learnt(MOST_PARTNERS))))
            partners = tuple(
                one for one in found if one and one not in FREE_MAIL and one not in SHARED_DOMAINS
            )
            if partners != self._partners:
                self._partners = partners
        return self._partners


def _domain(identity: str) -> str:
    return identity.rpartition("@")[2]


def protected_people(settings: PeopleSettings, folder: Path) -> Iterator[Person]:
    """One Person for each writing of a name. Raises ValueError."""
    every = list(settings.protected)
    if settings.people_file:
        every += read_people_file(folder / settings.people_file)
    yield from people_of(every)


def people_of(every: Sequence[PersonSettings]) -> Iterator[Person]:
    """One Person for each writing of a name. Raises ValueError."""
    for one in every[:MOST_PEOPLE]:
        addresses = tuple(
            address.key for text in one.addresses if (address := parse_address(text, smtputf8=True))
        )
        if len(addresses) != len(one.addresses):
            raise ValueError(f"an address of {one.name} is none")
        for name in (one.name, *one.also):
            yield Person(name=name, role=one.role, addresses=addresses)


def read_people_file(path: Path) -> list[PersonSettings]:
    """The people of a CSV file. Raises ValueError: one sentence with the line."""
    found = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, strict=True)
            if "name" not in (reader.fieldnames or ()):
                raise ValueError(
                    f"{path.name} must begin with a line that names its columns: name,role,addresses,also"
                )
            for row in reader:
                name = (row.get("name") or "").strip()
                if not name:
                    raise ValueError(f"{path.name}, line {reader.line_num}: there is no name")
                found.append(
                    PersonSettings(
                        name=name,
                        role=(row.get("role") or "").strip(),
                        addresses=tuple((row.get("addresses") or "").replace(";", " ").split()),
                        also=tuple(one.strip() for one in (row.get("also") or "").split(";") if one.strip()),
                    )
                )
                if len(found) > MOST_PEOPLE:
                    raise ValueError(f"{path.name} names more than {MOST_PEOPLE} people")
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        why = fault.strerror if isinstance(fault, OSError) else str(fault)
        raise ValueError(f"{path.name} cannot be read: {why}") from None
    return found
