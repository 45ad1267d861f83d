"""axe-core in a browser: it looks for barriers in the page that is shown. Its script is read from a package."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from selenium.webdriver import Chrome

_RUN = """
const done = arguments[arguments.length - 1];
const failed = (error) => done({violations: [{id: String(error)}]});
axe.run(document, {resultTypes: ["violations"], ...arguments[0]}).then(done, failed);
"""


def barriers(driver: Chrome, *rules: str) -> list[str]:
    """Return each finding with the elements that it is about; of some rules, or of all."""
    driver.execute_script((files("axe_playwright_python") / "axe.min.js").read_text("utf-8"))
    found: dict[str, Any] = driver.execute_async_script(_RUN, {"runOnly": rules} if rules else {})
    return [
        f"{each['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for each in found["violations"]
        for node in each.get("nodes", [{"html": ""}])
    ]
