"""A file that is made while it leaves: slice by slice, so that no process holds all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class Export(StreamingResponse):
    """Whoever asked for it has a turn at exporting, which ends with the file, however that ends."""

    def __init__(self, lines: AsyncIterator[bytes], name: str, kind: str, turn: ExitStack) -> None:
        super().__init__(
            lines, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'}
        )
        self._turn = turn

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        with self._turn:
            await super().__call__(scope, receive, send)
