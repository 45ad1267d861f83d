"""Permissions of the files that the server reads and writes, and core dumps of programs with secrets."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from atcaprov import Code
from signer_module.on_files.signer_folder import SignerFolder
from tests.provisioning_server.web.test_program import certificate_files
from tests.support.secret_files import secret_file
from tests.support.server import server_environment, server_program
from tests.support.signer_folders import make_signer_folder

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes and no core dumps"),
    pytest.mark.slow,
]
PASSWORD = b"correct horse battery"


@pytest.fixture
def locked_signer(tmp_path: Path) -> SignerFolder:
    return make_signer_folder(tmp_path, password=PASSWORD)


def test_only_the_owner_may_write_in_the_data_folder_with_any_umask(tmp_path: Path) -> None:
    signer = make_signer_folder(tmp_path)
    data = tmp_path / "above" / "data"
    before = os.umask(0)
    try:
        with server_program("--signer", signer.path, "--data", data, "--web", "0") as server:
            server.address()
            assert server.stop() == 0
    finally:
        os.umask(before)
    made = [data.parent, data, *data.rglob("*")]
    assert {path.name for path in made} > {"logs", "certs", "ledger.sqlite3", "server-id", "lock"}
    assert not [path for path in made if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)]


def test_world_writable_folders_are_reported_with_a_command_that_fixes_them(tmp_path: Path) -> None:
    signer = make_signer_folder(tmp_path)
    data = tmp_path / "the data"
    (data / "logs").mkdir(parents=True)
    for folder in (data, data / "logs"):
        folder.chmod(0o777)
    told = []
    for _ in range(2):
        with server_program("--signer", signer.path, "--data", data) as server:
            server.address()
            assert server.stop() == 0
        told.append([found[1] for line in server.lines if (found := re.search(r"Run: (chmod .+)", line))])
        for command in told[-1]:
            subprocess.run(command, shell=True, check=True)
    assert [len(commands) for commands in told] == [2, 0]


def test_readable_private_keys_are_reported_with_a_command_that_fixes_them(tmp_path: Path) -> None:
    signer = make_signer_folder(tmp_path)
    certificate, page_key = certificate_files(tmp_path, [x509.DNSName("line.example")])
    keys = [signer.path / "key.pem", page_key]
    for key in keys:
        key.chmod(0o644)
    options = ("--signer", signer.path, "--data", tmp_path / "data", "--web", "0")
    told = []
    for _ in range(2):
        with server_program(*options, "--web-cert", certificate, "--web-key", page_key) as server:
            server.address()
            assert server.stop() == 0
        told.append(
            [found[1] for line in server.lines if (found := re.search(r"private key .* Run: (chmod .+)", line))]
        )
        for command in told[-1]:
            subprocess.run(command, shell=True, check=True)
    assert [len(commands) for commands in told] == [2, 0]


@pytest.mark.parametrize("mode", [0o666, 0o644, 0o602, 0o660, 0o604])
def test_a_password_file_of_others_is_refused_and_the_advice_helps(
    locked_signer: SignerFolder, tmp_path: Path, mode: int
) -> None:
    passwords = secret_file(tmp_path / "my passwords", PASSWORD)
    passwords.chmod(mode)
    options = ("--signer", locked_signer.path, "--data", tmp_path / "data", "--password-file", passwords)
    with server_program(*options) as server:
        assert server.finish() == 2
    assert f"[{Code.PASSWORD_EXPOSED}]" in server.errors
    assert f"mode {mode:04o}" in server.errors
    assert PASSWORD.decode() not in server.errors
    command = re.search(r"chmod 600 .+", server.errors)
    assert command is not None
    subprocess.run(command[0], shell=True, check=True)
    with server_program(*options) as server:
        server.wait_for("password accepted, ready.")
        assert server.stop() == 0


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_a_password_file_for_one_user_and_a_service_group_is_taken(
    locked_signer: SignerFolder, tmp_path: Path, mode: int
) -> None:
    passwords = secret_file(tmp_path / "passwords", PASSWORD)
    passwords.chmod(mode)
    options = ("--signer", locked_signer.path, "--data", tmp_path / "data", "--password-file", passwords)
    with server_program(*options) as server:
        server.wait_for("password accepted, ready.")


def _by_name(command: list[str], file: Path) -> subprocess.CompletedProcess[str]:
    return _run([*command, "--password-file", str(file)])


def _by_descriptor(command: list[str], file: Path) -> subprocess.CompletedProcess[str]:
    with file.open("rb") as opened:
        return _run([*command, "--password-fd", str(opened.fileno())], pass_fds=(opened.fileno(),))


def _run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        command, env=server_environment(), capture_output=True, text=True, check=False, **options
    )


@pytest.mark.parametrize("give", [_by_name, _by_descriptor])
def test_signer_module_refuses_a_password_file_of_others(
    tmp_path: Path, give: Callable[[list[str], Path], subprocess.CompletedProcess[str]]
) -> None:
    passwords = secret_file(tmp_path / "password", PASSWORD)
    passwords.chmod(0o644)
    command = [sys.executable, "-m", "signer_module", "root", "create", "--out", str(tmp_path / "root")]
    refused = give(command, passwords)
    assert refused.returncode == 2
    assert f"[{Code.PASSWORD_EXPOSED}]" in refused.stderr
    assert not (tmp_path / "root").exists()
    passwords.chmod(0o600)
    assert give(command, passwords).returncode == 0


CRASHING = """
import os, resource, sys
from {package} import cli
def crash(*_, **__):
    print(*resource.getrlimit(resource.RLIMIT_CORE), flush=True)
    os.abort()
{patch}
sys.argv = ["program", {arguments}]
cli.main()
"""


@pytest.mark.parametrize(
    ("package", "patch", "arguments"),
    [
        ("provisioning_server", "cli.serve = crash", "'--signer', '.'"),
        (
            "signer_module",
            "from signer_module.commands import description; description.default_text = crash",
            "'description', 'root'",
        ),
        ("provisioning_client", "cli.run_program = crash", "'--version'"),
    ],
)
def test_a_program_with_passwords_leaves_no_core_dump(tmp_path: Path, package: str, patch: str, arguments: str) -> None:
    """With any limit at its start; and where dumps go to a program, the kernel does not make one either."""
    import resource

    program = CRASHING.format(package=package, patch=patch, arguments=arguments)
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    done = _run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),
    )
    assert done.returncode == -6, done.stderr
    assert done.stdout.split() == ["0", "0"]
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this")
def test_other_programs_can_not_look_into_its_memory() -> None:
    dumpable = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE, prctl(2)
    careful = "from atcaprov.program.process_hardening import harden_process; harden_process()"
    assert [_run([sys.executable, "-c", f"{do}; {dumpable}"]).stdout for do in ("pass", careful)] == ["1\n", "0\n"]


LOCKING = """
import resource
from atcaprov.program.process_hardening import lock_memory, memory_is_locked
limit = {limit}
if limit:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
if {user}:
    import os
    os.setuid(65534)
promised = lock_memory()
secret = bytearray(1 << 20)
with open("/proc/self/smaps") as maps:
    locked = sum(int(line.split()[1]) for line in maps if line.startswith("Locked:"))
print(promised, memory_is_locked(), locked > 1024)
more = [bytearray(1 << 20) for _ in range(40)]
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this")
def test_memory_is_locked_as_promised() -> None:
    done = _run([sys.executable, "-c", LOCKING.format(limit=None, user=False)])
    assert (done.returncode, done.stderr) == (0, "")
    assert len(set(done.stdout.split())) == 1, "promised, told, and what the kernel says"


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may become another user")
def test_under_a_limit_memory_is_not_locked_and_can_be_had() -> None:
    done = _run([sys.executable, "-c", LOCKING.format(limit="8 << 20", user=True)])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["False"] * 3
