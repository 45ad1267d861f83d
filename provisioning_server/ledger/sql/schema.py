"""The tables of a ledger, and the steps from each version of them to the next.

Names of types in braces differ between databases: `{index}` takes 63 bits, `{bytes}` any bytes. Times are seconds since
1970 (UTC). Only `entries`, `tiles`, `documents`, `intents` and `challenges` hold what stands nowhere else:
the others are made from the entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_FIRST: Final = (
    """CREATE TABLE ledger (
        single {index} PRIMARY KEY CHECK (single = 1),
        schema_version {index} NOT NULL,
        ledger_id {bytes} NOT NULL,
        epoch {index} NOT NULL,
        created {index} NOT NULL,
        running {index} NOT NULL,
        log_key {bytes}
    ){strict}""",
    """CREATE TABLE tree (
        single {index} PRIMARY KEY CHECK (single = 1),
        size {index} NOT NULL,
        root {bytes} NOT NULL,
        newest {index}
    ){strict}""",
    "CREATE TABLE entries (idx {index} PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL){strict}",
    "CREATE INDEX entries_lost ON entries (idx) WHERE kind = 'lost'",
    """CREATE TABLE tiles (
        level {index} NOT NULL, number {index} NOT NULL, hashes {bytes} NOT NULL, PRIMARY KEY (level, number)
    ){strict}""",
    """CREATE TABLE certificates (
        idx {index} PRIMARY KEY,
        chip_serial {bytes} NOT NULL,
        public_key {bytes} NOT NULL,
        signer_serial {bytes} NOT NULL,
        certificate_serial {bytes} NOT NULL,
        time {index} NOT NULL,
        client TEXT NOT NULL,
        challenged {index} NOT NULL,
        proven {index},
        fate TEXT NOT NULL
    ){strict}""",
    "CREATE INDEX certificates_chip ON certificates (chip_serial)",
    "CREATE INDEX certificates_key ON certificates (substr(public_key, 1, 8))",
    "CREATE INDEX certificates_time ON certificates (time, idx)",
    "CREATE INDEX certificates_unproven ON certificates (idx) WHERE proven IS NULL AND challenged = 1",
    "CREATE TABLE reports (certificate {index} NOT NULL, idx {index} NOT NULL, PRIMARY KEY (certificate, idx)){strict}",
    """CREATE TABLE intents (
        chip_serial {bytes} PRIMARY KEY,
        public_key {bytes} NOT NULL UNIQUE,
        number {index} NOT NULL,
        signer_serial {bytes} NOT NULL,
        signer_key {bytes} NOT NULL,
        documents TEXT NOT NULL,
        time {index} NOT NULL,
        unsigned_certificate {bytes} NOT NULL,
        server TEXT NOT NULL,
        client TEXT NOT NULL,
        last_index {index} NOT NULL
    ){strict}""",
    """CREATE TABLE challenges (
        challenge {bytes} PRIMARY KEY, idx {index} NOT NULL, time {index} NOT NULL
    ){strict}""",
    "CREATE TABLE documents (number {index} PRIMARY KEY, id TEXT NOT NULL UNIQUE, content {bytes} NOT NULL){strict}",
    """CREATE TABLE signers (
        signer_serial {bytes} PRIMARY KEY,
        issued {index} NOT NULL,
        crls {index} NOT NULL,
        lost {index} NOT NULL,
        accepted {index} NOT NULL,
        chip_serial {bytes} NOT NULL,
        time {index},
        first {index},
        unsure {index} NOT NULL
    ){strict}""",
)
_SECOND: Final = (
    "ALTER TABLE ledger ADD COLUMN administered {index} NOT NULL DEFAULT -1",
    "ALTER TABLE certificates ADD COLUMN station TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE certificates ADD COLUMN work_order TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE certificates ADD COLUMN product TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE certificates ADD COLUMN unit TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE certificates ADD COLUMN label TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE certificates ADD COLUMN revoked {index}",
    "CREATE INDEX certificates_order ON certificates (work_order, idx) WHERE work_order <> ''",
    "CREATE INDEX certificates_unit ON certificates (unit, product) WHERE unit <> ''",
    "CREATE INDEX certificates_label ON certificates (label) WHERE label <> ''",
    "CREATE INDEX certificates_serial ON certificates (substr(certificate_serial, 1, 8))",
    "CREATE INDEX certificates_revoked ON certificates (idx) WHERE revoked IS NOT NULL",
    "ALTER TABLE intents ADD COLUMN station TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE intents ADD COLUMN work_order TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE intents ADD COLUMN product TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE intents ADD COLUMN unit TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE intents ADD COLUMN label TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE intents ADD COLUMN request_id {bytes}",
    "ALTER TABLE intents ADD COLUMN crl_number {index} NOT NULL DEFAULT 0",
    "CREATE UNIQUE INDEX intents_unit ON intents (unit, product) WHERE unit <> ''",
    """CREATE TABLE stations (
        fingerprint {bytes} PRIMARY KEY, name TEXT NOT NULL, idx {index} NOT NULL, removed {index}
    ){strict}""",
    """CREATE TABLE invitations (
        token_hash {bytes} PRIMARY KEY, station TEXT NOT NULL, idx {index} NOT NULL, closed {index}
    ){strict}""",
    """CREATE TABLE work_orders (
        name TEXT PRIMARY KEY, idx {index} NOT NULL, most {index} NOT NULL, issued {index} NOT NULL, closed {index}
    ){strict}""",
    """CREATE TABLE revocations (
        certificate {index} PRIMARY KEY, signer_serial {bytes} NOT NULL, idx {index} NOT NULL
    ){strict}""",
    "CREATE INDEX revocations_signer ON revocations (signer_serial, idx)",
    """CREATE TABLE crls (
        signer_serial {bytes} NOT NULL, number {index} NOT NULL, idx {index} NOT NULL,
        PRIMARY KEY (signer_serial, number)
    ){strict}""",
)
KEY_PREFIX: Final = slice(8)
"""The bytes of a public key that `certificates_key` has, and of a serial number: smaller indexes make cheaper steps."""
MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (_FIRST, _SECOND)
"""What makes version n + 1 from version n; the first one makes version 1 from an empty database."""


def statements(version: int, types: Mapping[str, str]) -> list[str]:
    """Return the statements that make version `version + 1` from `version`, in the words of a database."""
    return [statement.format_map(types) for statement in MIGRATIONS[version]]
