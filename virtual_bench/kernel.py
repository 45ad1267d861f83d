"""Debian's stock kernel for the guest: fetched as a package, unpacked into a cache, never installed."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from virtual_bench.programs import BenchUnavailable, program, run

METAPACKAGE: Final = "linux-image-amd64"
MODULES: Final = (
    *("virtio_pci", "9pnet_virtio", "9p", "overlay"),
    *("virtio_blk", "ext4", "virtio_console"),
    *("usbcore", "usbhid", "hid-generic", "vhci-hcd", "cdc-acm", "i2c-dev", "i2c-tiny-usb"),
)
_INIT: Final = Path(__file__).with_name("init.sh")
_EMPTY_FOLDERS: Final = ("proc", "sys", "dev", "root", "lower", "rw")
_XZ_MAGIC: Final = b"\xfd7zXZ\x00"
_SETUP_SECTORS: Final = 0x1F1
_PAYLOAD: Final = slice(0x248, 0x250)


@dataclass(frozen=True)
class Kernel:
    """What QEMU boots: an ELF kernel and a gzipped initramfs with the modules and `init.sh`."""

    image: Path
    initramfs: Path


def prepare_kernel(cache: Path) -> Kernel:
    """Return the kernel from the cache; fetch and unpack the package if this version is not there.

    Raises:
        BenchUnavailable: another architecture than x86-64, a program is missing, or apt cannot get the package.
    """
    if platform.machine() != "x86_64":
        raise BenchUnavailable(f"the bench runs on x86-64 machines only, not on {platform.machine()}")
    package = _package_name()
    folder = cache / _cache_key(package)
    kernel = Kernel(folder / "vmlinux", folder / "initramfs.gz")
    if not kernel.initramfs.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            _build(package, Path(scratch), folder)
    return kernel


def _package_name() -> str:
    lines = run(program("apt-cache"), "depends", "--important", METAPACKAGE).splitlines()
    names = [line.split()[-1] for line in lines if "Depends: linux-image-" in line]
    if not names:
        raise BenchUnavailable(f"apt knows no {METAPACKAGE}: run 'apt-get update'")
    return names[0]


def _cache_key(package: str) -> str:
    version = run(program("apt-cache"), "show", "--no-all-versions", package)
    found = re.search(r"^Version: (\S+)$", version, re.MULTILINE)
    parts = (package, found.group(1) if found else "", *MODULES, _INIT.read_text(), program("busybox"))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _build(package: str, scratch: Path, folder: Path) -> None:
    run(program("apt-get"), "download", "-q", package, cwd=scratch)
    tree = scratch / "tree"
    run(program("dpkg"), "-x", str(next(scratch.glob("*.deb"))), str(tree))
    version = next((tree / "lib/modules").iterdir()).name
    result = scratch / "result"
    result.mkdir()
    (result / "vmlinux").write_bytes(unpack_kernel((tree / f"boot/vmlinuz-{version}").read_bytes()))
    run(program("depmod"), "-b", str(tree), version)
    (result / "initramfs.gz").write_bytes(_initramfs(scratch / "initramfs", _load_order(tree, version)))
    shutil.rmtree(folder, ignore_errors=True)
    result.rename(folder)


def unpack_kernel(image: bytes) -> bytes:
    """Return the ELF file inside a bzImage, which boots some seconds faster as it is; else the image as it came.

    Source of the offsets: Documentation/x86/boot.rst of the kernel (setup_sects, payload_offset, payload_length).
    """
    sectors = image[_SETUP_SECTORS] or 4
    fields = image[_PAYLOAD]
    start = (sectors + 1) * 512 + int.from_bytes(fields[:4], "little")
    payload = image[start : start + int.from_bytes(fields[4:], "little")]
    if not payload.startswith(_XZ_MAGIC):
        return image
    return lzma.LZMADecompressor().decompress(payload)


def _load_order(tree: Path, version: str) -> list[Path]:
    order: dict[Path, None] = {}
    for name in MODULES:
        lines = run(program("modprobe"), "-d", str(tree), "-S", version, "--show-depends", name)
        for line in lines.splitlines():
            if line.startswith("insmod "):
                order.setdefault(Path(line.split()[1]))
    return list(order)


def _initramfs(root: Path, modules: Iterable[Path]) -> bytes:
    for name in (*_EMPTY_FOLDERS, "bin", "mods"):
        (root / name).mkdir(parents=True)
    shutil.copy(program("busybox"), root / "bin/busybox")
    shutil.copy(_INIT, root / "init")
    (root / "init").chmod(0o755)
    names = [Path(shutil.copy(module, root / "mods")).name for module in modules]
    (root / "mods/order").write_text("\n".join(names) + "\n")
    listing = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    command = (program("cpio"), "-o", "-H", "newc", "--quiet")
    archive = subprocess.run(command, cwd=root, input=listing.encode(), stdout=subprocess.PIPE, check=True)
    return gzip.compress(archive.stdout, 1)
