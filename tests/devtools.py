"""A real headless Chromium driven over its DevTools protocol, through two pipes: no library is needed."""

import base64
import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.browser_support import CHROMIUM

PATIENCE = 60.0
"""Seconds that anything may take; what is awaited is asked for again and again, so that nothing depends on speed."""


class Tab:
    """One tab. `problems` holds what its console said beside notes, and `requested` every address it asked for."""

    def __init__(self, browser: "Browser", session: str) -> None:
        self.browser, self.session = browser, session
        self.problems: list[str] = []
        self.requested: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the tab for something, and wait for the answer."""
        return self.browser.call(method, self.session, **parameters)

    def open(self, address: str) -> None:
        """Go to an address and wait until its document is there."""
        self.call("Page.navigate", url=address)
        self.until("document.readyState === 'complete'")

    def run(self, code: str) -> Any:
        """The value of an expression in the page."""
        told = self.call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def until(self, code: str) -> Any:
        """Wait until an expression is true; its value."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(AssertionError):  # a page that is just being loaded
                if value := self.run(f"(value => typeof value === 'object' ? Boolean(value) : value)({code})"):
                    return value
            time.sleep(0.05)
        raise TimeoutError(
            f"never true: {code}; the page says: {self.run('document.body.innerText')!r} {self.problems}"
        )

    def type(self, text: str) -> None:
        """Write into what has the focus."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press and release a key."""
        names = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **names)
        self.call("Input.dispatchKeyEvent", type="keyUp", **names)

    def hover(self, selector: str) -> None:
        """Move the mouse over an element."""
        x, y = self.run(
            f"(b => [b.x + b.width / 2, b.y + b.height / 2])(document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect())"
        )
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def size(self, width: int, height: int, *, dark: bool = False) -> None:
        """Set the size of the window and whether the person likes it dark."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path) -> None:
        """Save what is seen."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


class Browser:
    """Chromium with its pipes."""

    def __init__(self, folder: Path) -> None:
        self._tabs: dict[str, Tab] = {}
        self._number, self._rest = 0, b""
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        words = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                 "--disable-background-networking", "--remote-debugging-pipe", f"--user-data-dir={folder}"]  # fmt: skip
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "chromium", *words],
            pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)

    def tab(self) -> Tab:
        """A new tab."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = self._tabs[session] = Tab(self, session)
        return tab

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Ask the browser or a tab for something, and wait for the answer."""
        self._number += 1
        asked = {"id": self._number, "method": method, "params": parameters}
        os.write(self._write, json.dumps(asked | ({"sessionId": session} if session else {})).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self._number:
                assert "error" not in message, (method, message["error"])
                return dict(message["result"])
            self._note(message)

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(10)
        os.close(self._write)
        os.close(self._read)

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._read, 2**20)
            assert part, "chromium has ended"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, message: dict[str, Any]) -> None:
        tab, given = self._tabs.get(message.get("sessionId", "")), message.get("params", {})
        if tab is None:
            return
        if message["method"] == "Network.requestWillBeSent":
            tab.requested.append(given["request"]["url"])
        if message["method"] == "Runtime.exceptionThrown":
            tab.problems.append(json.dumps(given["exceptionDetails"]))
        if message["method"] == "Log.entryAdded" and given["entry"]["level"] in ("error", "warning"):
            tab.problems.append(given["entry"]["text"])


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with a profile in this folder."""
    running = Browser(folder)
    try:
        yield running
    finally:
        running.close()
