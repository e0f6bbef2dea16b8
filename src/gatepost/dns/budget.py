"""A resolver with a limit: no single message makes us ask more than so many questions."""

from __future__ import annotations

from gatepost.dns.answer import Answer, Resolver, Security, Status

_SPENT = Answer(Status.FAILED, problem="budget")


class Budget:
    """Passes at most `lookups` questions on to `resolver`; each one more is FAILED, problem ``budget``.

    One object a message. The same question asked twice costs once. Implements `Resolver`.
    """

    __slots__ = ("_answers", "_resolver", "left")

    def __init__(self, resolver: Resolver, *, lookups: int = 200) -> None:
        self._resolver = resolver
        self._answers: dict[tuple[str, str], Answer] = {}
        self.left = lookups
        """Questions that may still be asked."""

    async def lookup(self, name: str, kind: str) -> Answer:
        """See `Resolver.lookup`."""
        known = self._answers.get((name, kind))
        if known is not None:
            return known
        if self.left <= 0:
            return _SPENT
        self.left -= 1
        answer = self._answers[name, kind] = await self._resolver.lookup(name, kind)
        return answer

    @property
    def asked(self) -> dict[tuple[str, str], Answer]:
        """What was answered, by (name, type): the evidence of a verdict, and the input of a replay."""
        return dict(self._answers)

    @property
    def weakest(self) -> Security:
        """The weakest link of everything answered so far; SECURE when nothing was asked."""
        return min((answer.security for answer in self._answers.values()), default=Security.SECURE)
