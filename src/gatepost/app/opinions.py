"""The classifier as the checks ask it: the newest snapshot, with the recipient's own layer where there is one recipient."""

from __future__ import annotations

import logging

from gatepost.mail.client import Mail
from gatepost.office.teaching import features_of
from gatepost.store.snapshots import Snapshots
from gatepost.tools import Opinion, Unavailable

log = logging.getLogger("gatepost")


class LearntModel:
    """Implements `tools.Model` over the snapshots of a state folder."""

    def __init__(self, snapshots: Snapshots) -> None:
        self.snapshots = snapshots
        self._told = ""

    def opinion(self, mail: Mail) -> Opinion | None:
        """None when nothing was learnt; Unavailable when what was learnt cannot be read."""
        snapshot = self.snapshots.current()
        self._tell(self.snapshots.problem)
        if snapshot is None:
            if self.snapshots.problem:
                raise Unavailable(self.snapshots.problem)
            return None
        features = mail.message.once(features_of)
        people = mail.envelope.recipients
        layer = self.snapshots.layer(people[0].address.key.lower()) if len(people) == 1 else None
        return snapshot.model.opinion(features, layer)

    def _tell(self, problem: str) -> None:
        """In the log, once."""
        if problem != self._told:
            self._told = problem
            if problem:
                log.error("the classifier's snapshot: %s", problem)
