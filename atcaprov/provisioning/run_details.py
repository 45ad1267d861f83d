"""What the server is told of a board's run besides the chip, in each of its messages."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Self, TypeVar

from atcaprov.wire.messages import REQUEST_ID_SIZE, CertificatesRequest, SignerRequest

_Request = TypeVar("_Request", CertificatesRequest, SignerRequest)


@dataclass(frozen=True)
class RunDetails:
    """The id of a run (16 bytes), its work order, the product, and the unit's own name and label; empty if unknown."""

    request_id: bytes = b""
    order: str = ""
    product: str = ""
    unit: str = ""
    label: str = ""

    @classmethod
    def of_new_run(cls, order: str, product: str) -> Self:
        """Return the details of a run that begins, with an id of its own."""
        return cls(secrets.token_bytes(REQUEST_ID_SIZE), order, product)

    @property
    def names_unit(self) -> bool:
        """Whether they name the unit or its label."""
        return bool(self.unit or self.label)

    def told_in(self, request: _Request) -> _Request:
        """Return a request with these details; raises UsageError if one is too long or cannot be printed."""
        return replace(
            request,
            request_id=self.request_id,
            order=self.order,
            product=self.product,
            unit=self.unit,
            label=self.label,
        )
