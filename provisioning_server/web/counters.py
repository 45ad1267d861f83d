"""The counters by which open pages know that they have something new to show."""

from __future__ import annotations

from provisioning_server.web.alarms import AlarmBoard
from provisioning_server.web.figures.hour_counts import hour_of
from provisioning_server.web.figures.page_figures import PageFigures
from provisioning_server.web.live_updates import Counters


def page_counters(alarms: AlarmBoard, figures: PageFigures) -> Counters:
    """Return them: entries of the ledger, alarms, and the hour, which moves the plots."""
    return {"entries": figures.counted.size, "alarms": alarms.count(), "hour": hour_of(figures.now())}
