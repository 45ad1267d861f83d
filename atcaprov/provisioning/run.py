"""One chip's run: what is known of the chip so far, and what each stage does.

Each stage looks at the chip before it acts and can be repeated, so that a run that was cut off continues where the chip
stands: what is done already is skipped, what was done differently is an error.
"""

from __future__ import annotations

from atcaprov.certs.cert_info import CertInfo
from atcaprov.chip.memory_map import serial_number
from atcaprov.config_zone import locks
from atcaprov.device.device import Device
from atcaprov.device.zones import config_zone
from atcaprov.device.zones.data_zone import DataZone, DataZoneWriter
from atcaprov.device.zones.key_slot import existing_public_key
from atcaprov.errors import Board, CertificateError, Code, ProvisioningError, ServerRejected
from atcaprov.provisioning import supported_parts as part
from atcaprov.provisioning.certificate_reply import ChipKey, IssuedCertificates, require_offered
from atcaprov.provisioning.finished_elsewhere import judged
from atcaprov.provisioning.profile import Profile
from atcaprov.provisioning.server_exchange import ask
from atcaprov.provisioning.signer_offer import SignerOffer
from atcaprov.provisioning.user_functions import UserFunctions
from atcaprov.provisioning.validation import validate
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest

_DISOWNED = frozenset({Code.NOT_ISSUED, Code.CHIP_HAS_OTHER_SIGNER, Code.CHIP_HAS_OTHER_KEY})
"""The server's codes for a chip that it has not certified for this station."""
_ANSWERS_FOR_A_NEW_KEY = 2
"""How often a server has to say that it does not know the key in a chip; the first answer may be a late one."""


class Run:
    """The state of one run; the methods named as stages are called in order by `provision`."""

    def __init__(
        self, device: Device, profile: Profile, cert_info: CertInfo, functions: UserFunctions, offer: SignerOffer
    ) -> None:
        self.device = device
        self.profile = profile
        self.cert_info = cert_info
        self.functions = functions
        self.offer = offer
        self.revision = device.info()
        """The answer of Info, 4 bytes."""
        part.require_608(self.revision)
        self.config = device.read_config()
        """The configuration zone as last read, 128 bytes."""
        self.has_acted = False
        """Whether a stage has begun that changes the chip."""
        self.next_url: str | None = None
        """Where the chip is once it has slept, if it moves in this run."""
        self.chip: ChipKey | None = None
        self.issued: IssuedCertificates | None = None
        self.config_was_locked = locks.is_config_locked(self.config)
        self.data_was_locked = locks.is_data_locked(self.config)
        self._data_zone = DataZone(device, profile.config_zone, locks.locked_slots(self.config))

    @property
    def serial_number(self) -> bytes:
        """Serial number of the chip, 9 bytes."""
        return serial_number(self.config)

    def find_progress(self) -> None:
        """Find out, before stage 1, what is done on this chip already, and refuse one that cannot be finished."""
        if self.config_was_locked:
            config_zone.require_same_config(self.config, self.profile.config_zone)
            self._resume()
        else:
            config_zone.require_possible_extras(self.config, self.profile.config_zone)
        if self.config_was_locked and not self.data_was_locked:
            self._data_zone.require_open(self._slots_to_write())

    def _resume(self) -> None:
        """Find out how far an earlier run came: has the server certified the key that the chip holds?

        A key that it has not certified is of unknown origin (it may have been written before the chip came here), so
        it is never certified now; the chip makes a new one.
        """
        chip = self._existing_key()
        if chip is not None and self._was_certified(chip):
            self.chip = chip
        elif self.data_was_locked:
            raise judged(self.device, chip, self.offer, self.cert_info)

    def _was_certified(self, chip: ChipKey) -> bool:
        """Ask the server for what it has issued. A new key destroys the old one, so one answer alone is not trusted."""
        disowned = _DISOWNED if self.data_was_locked else frozenset({Code.NOT_ISSUED})
        for _ in range(1 if self.data_was_locked else _ANSWERS_FOR_A_NEW_KEY):
            try:
                self.issued = self._request(chip, existing_only=True)
                return True
            except ServerRejected as error:
                if error.code not in disowned:
                    raise
        return False

    def _slots_to_write(self) -> list[int]:
        slots = {*self.offer.device_definition.write_slots, *self.offer.signer_definition.write_slots}
        return sorted(slots if self.issued is not None else {self.profile.device_key_slot, *slots})

    def _existing_key(self) -> ChipKey | None:
        """Return the chip's key; a computation error alone does not mean that there is none."""
        slot = self.profile.device_key_slot
        public_key = existing_public_key(lambda: self.device.get_pubkey(slot), lambda: self._holds_key(slot))
        return None if public_key is None else ChipKey.of(self.config, public_key)

    def _holds_key(self, slot: int) -> bool:
        return self.data_was_locked or self.device.has_valid_key(slot)

    def _request(self, chip: ChipKey, *, existing_only: bool) -> IssuedCertificates:
        request = CertificatesRequest(
            self.config,
            chip.public_key,
            self.cert_info.signer_public_key,
            existing_only=existing_only,
            any_of_group=self.profile.any_of_group,
            revision=int.from_bytes(self.revision, "big"),
        )
        self.device.rest()  # a server takes longer than the chip's watchdog
        reply = ask(self.functions, request, CertificatesReply)
        require_offered(reply, self.offer, self.profile)
        try:
            return IssuedCertificates.checked(reply, chip, self.offer, self.cert_info, self.profile)
        except (CertificateError, ProvisioningError) as error:
            if error.code != Code.CLOCK_WRONG:
                error.board = Board.SET_ASIDE  # a server gives the same again
            raise

    def follow_address(self) -> None:
        """Before stage 1: report the chip's new address, and use it after the chip has slept."""
        address = config_zone.i2c_address(self.profile.config_zone)
        if self.has_to_write_config() and address != config_zone.i2c_address(self.config):
            url = self.device.follow(address)
            self.functions.address_changes(address, url)
            self.next_url = url if url != self.device.url else None

    def has_to_write_config(self) -> bool:
        """Tell whether stage 1 has something to do; bytes 84 and 85 may be open in a locked zone."""
        return not self.config_was_locked or bool(config_zone.open_extras(self.config, self.profile.config_zone))

    def write_config(self) -> None:
        """Stage 1."""
        self.config = config_zone.write_config(self.device, self.config, self.profile.config_zone)

    def lock_config(self) -> None:
        """Stage 2."""
        config_zone.lock_config(self.device, self.config)

    def read_config(self) -> None:
        """Stage 3; proves the lock and that the chip is still the one of the start."""
        before, self.config = self.config, self.device.read_config()
        if serial_number(before) != serial_number(self.config):
            raise ProvisioningError(
                "Another chip answers: the board was exchanged during the run.",
                advice="Put the first board back and start again.",
            )
        if not locks.is_config_locked(self.config):
            raise ProvisioningError("The configuration zone is not locked although the chip accepted the lock.")
        config_zone.require_same_config(self.config, self.profile.config_zone, locked_now=not self.config_was_locked)

    def generate_key(self) -> None:
        """Stage 4."""
        public_key = self.device.gen_key(self.profile.device_key_slot)
        self.chip = ChipKey.of(self.config, public_key)

    def request_certificates(self) -> None:
        """Stage 5."""
        assert self.chip is not None
        self.issued = self._request(self.chip, existing_only=False)

    def write_certificates(self) -> None:
        """Stage 6."""
        assert self.issued is not None
        for write in self.issued.writes:
            self._data_zone.write(write.slot, write.offset, write.data)

    def write_data(self) -> None:
        """Stage 7: the integrator's own data."""
        assert self.chip is not None
        writer = DataZoneWriter(self._data_zone, self.profile.certificate_slots, self.chip.serial_number)
        if self.functions.writes_data_zone:
            self.device.rest()  # it may take any time before it writes
        self.functions.write_data_zone(writer)

    def lock_data(self) -> None:
        """Stage 8: with the CRC of all that was written.

        No data can be written before the configuration lock. If this run made that lock, what it did not write is
        factory content and may be filled; otherwise it may be a secret of the product.
        """
        self._data_zone.lock(may_fill=not self.config_was_locked or self.profile.fill_unwritten)

    def slots_still_open(self) -> list[int]:
        """Return the slots of the profile's list that are not locked yet."""
        return [slot for slot in self.profile.slots_to_lock if not locks.is_slot_locked(self.config, slot)]

    def lock_slots(self) -> None:
        """Stage 9."""
        for slot in self.slots_still_open():
            self.device.lock_slot(slot)

    def validate(self) -> None:
        """Stage 10."""
        assert self.chip is not None
        assert self.issued is not None
        validate(self.device, self.chip, self.issued, self.offer, self.cert_info)
