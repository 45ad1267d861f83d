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
KEY_PREFIX: Final = slice(8)
"""The bytes of a public key that `certificates_key` has: a smaller index makes cheaper steps."""
MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (_FIRST,)
"""What makes version n + 1 from version n; the first one makes version 1 from an empty database."""


def statements(version: int, types: Mapping[str, str]) -> list[str]:
    """Return the statements that make version `version + 1` from `version`, in the words of a database."""
    return [statement.format_map(types) for statement in MIGRATIONS[version]]
