"""What groups of the console's pages may ask of this installation, by its type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gatepost.app.deskparts import desk_parts
from gatepost.app.parts import Parts
from gatepost.config.schema import Loaded
from gatepost.office.office import Office


def parts_of(
    loaded: Callable[[], Loaded],
    parts: Parts,
    office: Office,
    reload: Callable[[], None],
    origin: Callable[[], str],  # noqa: ARG001
) -> Mapping[type, Any]:
    """Made once for each console; what may change with a reload is asked for anew."""
    return desk_parts(loaded, parts, office, reload)
