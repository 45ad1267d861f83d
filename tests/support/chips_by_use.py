"""Chips of every use, made as their makers make them: provisioned, half provisioned, modules, other tools' chips."""

from __future__ import annotations

from atcaprov import Device, Profile, Provisioner, SoftwareChip
from atcaprov.chip.memory_map import LOCK_CONFIG, LOCK_VALUE
from atcaprov.emulator.images import load_image
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.random_source import SystemRandom
from atcaprov.hal.emulated import EmulatedHal
from tests.support.config_zones import published
from tests.support.in_memory_server import InMemory, MemoryCa


def image(name: str = "atecc608a") -> Memory:
    return load_image(name).make(SystemRandom())


def hal_of(memory: Memory) -> EmulatedHal:
    """Return a new way to a chip with a memory, which the chip changes."""
    return EmulatedHal(SoftwareChip(memory), "emulator:")


def provisioned(authority: MemoryCa | None = None) -> Memory:
    """Return the memory of a chip that went through the ten stages with the default profile."""
    memory, functions = image(), InMemory(authority or MemoryCa())
    with Device(hal_of(memory)) as device:
        Provisioner(Profile(), functions.authority.cert_info, functions).provision(device)
    return memory


def with_zone(zone: bytes, *, config_locked: bool = True, data_locked: bool = True, name: str = "atecc608a") -> Memory:
    """Return a chip with the bytes of a zone from 16 on, and with these locks."""
    memory = image(name)
    memory.config[16:] = zone[16:]
    memory.config[LOCK_CONFIG] = 0x00 if config_locked else 0x55
    memory.config[LOCK_VALUE] = 0x00 if data_locked else 0x55
    return memory


def of_another_tool(table: str = "kmwebnet-608") -> Memory:
    """Return a chip with a table of tests/vectors/config-zones.json, locked."""
    return with_zone(published(table))
