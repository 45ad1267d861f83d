"""Every advice in the packages that names a command, option, URL, file or page, found in the source.

An advice is a text anywhere in the code that names one of these, except: docstrings; help texts, names of options and
defaults of click; the first argument of an error, which says what happened; and `STATEMENTS`, which state a fact.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("atcaprov", "provisioning_client", "provisioning_server", "signer_module")
FINDINGS: Final = ROOT / "atcaprov" / "diagnosis" / "finding.py"
"""Its texts are provoked and followed by tests/diagnosis, which has a case for each."""
NAMED: Final = re.compile(
    r"'(?:atcaprov|provisioning-client|provisioning-server|signer-module) [^']*'"
    r"|(?<![\w-])--[a-z][a-z0-9-]*"
    r"|\b(?:docs|configs)/[\w./-]+\w"
    r"|\w[\w-]*://\S+|emulator:\S*"
    r"|\b(?:sudo|udevadm|modprobe|chmod|pip install|openssl|keytool|ssh-keygen)\b"
    r"|INSTALL_COMMAND|install_command|extra_command|_RIGHTS|\bTO_PKCS8\b"
)
_CLICK: Final = re.compile(r"click\.|^(?:.*_)?option$")
_ERRORS: Final = re.compile(r"(?:Error|Rejected|Exception)$")
_HELP: Final = frozenset({"help", "short_help", "metavar", "envvar", "prog_name"})
STATEMENTS: Final = frozenset(
    {
        "        --device '{chip.url}'",
        "AtmelCSO/cryptoauth-openssl-engine, cryptoauthlib/lib/tls/atcatls_cfg.c",
        "--password-file or --password-fd",
        "a folder with --signer",
        "a module with --device",
        "a new folder with --out",
        "an HSM with --pkcs11-library, --pkcs11-token and --pkcs11-key",
        "atcaprov udev-rule --install",
        "emulator:{self.folder / f'chip{number}.json'}",
        "emulator:{rest}",
        "no cert info file was given: --certinfo FILE",
        "no server was named (give --server HOST, or --certinfo FILE)",
    }
)
"""Parts of sentences, which name what was given or can be given, and URLs that are made."""


def template(node: ast.expr) -> str:
    """Return the text of an expression; what is only known at run time stands in braces, as in the source."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_part(part) for part in node.values)
    return f"{{{ast.unparse(node)}}}"


def _part(part: ast.expr) -> str:
    if isinstance(part, ast.FormattedValue):
        return f"{{{ast.unparse(part.value)}}}"
    return str(part.value) if isinstance(part, ast.Constant) else ""


def advice_templates() -> dict[str, str]:
    """Return the place of each advice that names something to type or to read, by its template."""
    found: dict[str, str] = {}
    for path in sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        if path != FINDINGS:
            for line, text in _texts(ast.parse(path.read_text(encoding="utf-8"))):
                if NAMED.search(text) and " " in text.strip() and text not in STATEMENTS:
                    found[text] = f"{path.relative_to(ROOT)}:{line}"
    return found


def _texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    skipped = set(_left_out(tree))
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
        if is_text and id(node) not in skipped:
            yield node.lineno, template(node)  # type: ignore[arg-type, attr-defined]


def _left_out(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield id(node.value)
        elif isinstance(node, ast.JoinedStr):
            yield from (id(part) for part in ast.walk(node) if part is not node)
        elif isinstance(node, ast.Call):
            yield from _left_out_of(node)


def _left_out_of(call: ast.Call) -> Iterator[int]:
    name = ast.unparse(call.func)
    parts = [keyword.value for keyword in call.keywords if keyword.arg in _HELP]
    if _CLICK.search(name):
        parts += [*call.args, *(keyword.value for keyword in call.keywords)]
    if _ERRORS.search(name):
        parts += call.args[:1]
    for part in parts:
        yield from map(id, ast.walk(part))
