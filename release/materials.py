"""The bill of materials (CycloneDX) of an install, and the list of its licences."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from release.locks import ROOT
from release.run import run, tool
from release.wheel import commit_time

_SPEC_VERSION: Final = "1.6"
_TOOLS_OF_PIP: Final = frozenset({"pip", "setuptools"})
"""They make the environment and are in every one; a release does not bring them."""


def write_materials(python: Path, output: Path) -> None:
    """Write the bill of materials of an environment that was installed from a lock, validated by its own schema."""
    env = {**os.environ, "SOURCE_DATE_EPOCH": commit_time()}
    command = [tool("cyclonedx-py"), "environment", "--output-reproducible", "--spec-version", _SPEC_VERSION]
    output = output.resolve()
    run([*command, "--pyproject", "pyproject.toml", "--output-file", str(output), str(python)], cwd=ROOT, env=env)
    found = json.loads(output.read_text(encoding="utf-8"))
    left_out = {each["bom-ref"] for each in found["components"] if each["name"] in _TOOLS_OF_PIP}
    found["components"] = [each for each in found["components"] if each["bom-ref"] not in left_out]
    found["dependencies"] = [each for each in found["dependencies"] if each["ref"] not in left_out]
    _forget_places(found)
    output.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _forget_places(found: dict[str, Any]) -> None:
    """Remove where packages lay on the machine that built this: it is no one's business, and differs each time."""
    for component in (found["metadata"]["component"], *found["components"]):
        references = [each for each in component.get("externalReferences", []) if not each["url"].startswith("file:")]
        component["externalReferences"] = references


def licences(materials: Path) -> Iterator[str]:
    """Yield a line for each package of a bill of materials: name, version, licence."""
    found = json.loads(materials.read_text(encoding="utf-8"))
    components = sorted(found["components"], key=lambda each: str(each["name"]).lower())
    for each in components:
        yield f"{each['name']} {each['version']}: {_licence(each)}"


def _licence(component: Mapping[str, Any]) -> str:
    """Return the licence in the words of the package: an SPDX expression where it gives one."""
    found = [
        each.get("expression") or each["license"].get("id") or each["license"].get("name", "")
        for each in component.get("licenses", [])
    ]
    words = [text.removeprefix("License :: ").removeprefix("OSI Approved :: ").strip() for text in found]
    return "; ".join(dict.fromkeys(word.splitlines()[0] for word in words if word)) or "unknown"
