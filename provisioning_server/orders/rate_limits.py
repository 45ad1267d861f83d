"""Which requests are refused because a station asks too often, before the ledger or a signer sees them.

Each station has its own buckets, and all together those of the server. How much a station asks decides how much of the
server's it must leave to others: one that has just begun may take the last token, one that asks as often as it may, or
more often, only what is above the half. So stations that ask much are refused first.

Computers that are not identified count as stations by their address. Clients on the server's own computer share one
bucket as large as the server's: a tunnel that ends there may carry a whole hall.
"""

from __future__ import annotations

import enum
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from atcaprov.log import Log
from atcaprov.program.console_text import counted
from atcaprov.wire.messages import (
    RETRY_AFTER_MAX,
    AnyRequest,
    CertificatesRequest,
    EnrolRequest,
    ErrorReply,
    ReportRequest,
    SignerRequest,
)
from provisioning_server import rejections
from provisioning_server.orders.askers import OWN_COMPUTER, is_station
from provisioning_server.orders.rates import Rate, TokenBucket

ASKERS_MAX: Final = 4096
"""Of how many the buckets are kept; further computers, which are not identified, share one set of buckets."""
_OTHERS: Final = "all further computers"
_LEFT_TO_OTHERS: Final = 0.5
"""The part of the server's buckets that a station at its own limit leaves alone."""
WARN_SECONDS: Final = 60.0
"""Between two lines of the log about one station."""
_WARNINGS: Final = Rate(20, 60)
"""Lines of the log about all of them: the log of a flood is no flood."""

DEFAULT_RATE: Final = Rate(60, 60)
DEFAULT_SERVER_RATE: Final = Rate(1200, 60)


@dataclass(frozen=True, slots=True)
class RequestRates:
    """How many certificates a station, and all together, may ask for; None: no limit.

    Four times as many offers, and as many reports, as other requests come more than once for a board.
    """

    of_station: Rate | None = DEFAULT_RATE
    of_server: Rate | None = DEFAULT_SERVER_RATE


class RequestKind(enum.Enum):
    """What is counted apart, so that a flood of one kind does not hold up the others."""

    CERTIFICATE = "certificates"
    OFFER = "offers"
    REPORT = "reports"
    ENROLMENT = "station certificates"


_TIMES: Final = {RequestKind.CERTIFICATE: 1, RequestKind.OFFER: 4, RequestKind.REPORT: 4, RequestKind.ENROLMENT: 1}
_KINDS: Final = {
    CertificatesRequest: RequestKind.CERTIFICATE,
    SignerRequest: RequestKind.OFFER,
    ReportRequest: RequestKind.REPORT,
    EnrolRequest: RequestKind.ENROLMENT,
}
_Buckets = dict[RequestKind, TokenBucket]


@dataclass(slots=True)
class _Asker:
    """The buckets of a station, and what was refused to it since the log said so last.

    From `asked` each request takes a token, also one that is refused.
    """

    buckets: _Buckets
    asked: _Buckets
    refused: int = 0
    warned_at: float = -math.inf


class RateLimits:
    """Counts requests. Used by one thread; `now` returns seconds on a monotonic clock."""

    def __init__(self, rates: RequestRates, now: Callable[[], float], log: Log) -> None:
        self._rates = rates
        self._now = now
        self._log = log
        self._server = _buckets(rates.of_server, now())
        self._warnings = TokenBucket(_WARNINGS, now())
        self._askers: OrderedDict[str, _Asker] = OrderedDict()
        self.refused: dict[RequestKind, int] = dict.fromkeys(RequestKind, 0)
        """How many requests were refused since the start."""
        self._last: tuple[str, float] | None = None

    def refusal(self, request: AnyRequest, asker: str) -> ErrorReply | None:
        """Count a request of a station or computer; return the rejection if it has asked too often."""
        now, kind = self._now(), _KINDS[type(request)]
        station = self._asker(asker, now)
        wait = self._wait(kind, station, now)
        if wait > 0.0:
            self.refused[kind] += 1
            self._last = (asker, now)
            self._warn(station, asker, kind, now)
            return replace(rejections.TOO_OFTEN, retry_after=min(math.ceil(wait * 1000), RETRY_AFTER_MAX))
        for buckets in (station.buckets, self._server):
            if kind in buckets:
                buckets[kind].take()
        return None

    @property
    def sentence(self) -> str:
        """Who asks too often, for people; empty if no one did in the last minute. May be asked by any thread."""
        last, number = self._last, sum(self.refused.values())
        if last is None or not 0.0 <= self._now() - last[1] < WARN_SECONDS:
            return ""
        refused = f"{counted(number, 'request')} refused since the start, the last one a request of {last[0]}"
        return f"More is asked for than the rates of the server allow: {refused}."

    def _wait(self, kind: RequestKind, station: _Asker, now: float) -> float:
        """Count that it was asked, and return in how many seconds such a request is taken; 0.0: now."""
        own, all_together = station.buckets.get(kind), self._server.get(kind)
        wait, used = 0.0, 0.0
        if own is not None:
            own.fill(now)
            asked = station.asked[kind]
            asked.fill(now)
            wait, used = own.wait(1.0), 1.0 - asked.share
            asked.take()
        if all_together is not None:
            all_together.fill(now)
            wait = max(wait, all_together.wait(1.0 + used * _LEFT_TO_OTHERS * (all_together.most - 1.0)))
        return wait

    def _asker(self, name: str, now: float) -> _Asker:
        """Return the buckets of a station. Full ones are forgotten first: new ones are the same."""
        if name not in self._askers and len(self._askers) > ASKERS_MAX:
            self._forget_oldest(now)
        if name not in self._askers and len(self._askers) > ASKERS_MAX and not is_station(name):
            name = _OTHERS
        if name not in self._askers:
            rate = self._rates.of_server if name == OWN_COMPUTER else self._rates.of_station
            self._askers[name] = _Asker(_buckets(rate, now), _buckets(rate, now))
        self._askers.move_to_end(name)
        return self._askers[name]

    def _forget_oldest(self, now: float) -> None:
        oldest = next(iter(self._askers.values()))
        buckets = [*oldest.buckets.values(), *oldest.asked.values()]
        for bucket in buckets:
            bucket.fill(now)
        if all(bucket.full for bucket in buckets):
            self._askers.popitem(last=False)

    def _warn(self, station: _Asker, name: str, kind: RequestKind, now: float) -> None:
        """Say so once in a while."""
        station.refused += 1
        self._warnings.fill(now)
        if 0.0 <= now - station.warned_at < WARN_SECONDS or self._warnings.wait(1.0):
            return
        self._warnings.take()
        number = f"{station.refused} requests were" if station.refused > 1 else "a request was"
        self._log.warning(f"Too many {kind.value} asked for by {name}: {number} refused. See --rate and --server-rate.")
        station.refused, station.warned_at = 0, now


def _buckets(rate: Rate | None, now: float) -> _Buckets:
    return {} if rate is None else {kind: TokenBucket(rate.times(times), now) for kind, times in _TIMES.items()}
