"""All operations of the API."""

from __future__ import annotations

from gatepost.web.api.operations import DESK_OPERATIONS, Operation
from gatepost.web.api.requests import PRIVACY_OPERATIONS

OPERATIONS: tuple[Operation, ...] = (*DESK_OPERATIONS, *PRIVACY_OPERATIONS)
"""Everything there is."""
