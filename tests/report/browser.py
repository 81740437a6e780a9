"""A real browser for tests: a page from a file, with the network cut, at any width.

It speaks the DevTools protocol over the pipe that Chromium opens for it, so no driver has to be installed.
"""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = "needs Chromium; on Debian: apt-get install chromium"
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-sync",
    # Even what slips past the emulated cut finds no host.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-pipe",
    "--hide-scrollbars",  # a bar would take 15 of the pixels that were asked for
)  # fmt: skip


class Loaded(NamedTuple):
    """What a browser made of a page.

    Attributes:
        requests: Addresses that it asked for, besides the page itself and what stands in it as data.
        console: Whatever the console was told: warnings, errors, refusals of the content security policy.
        scroll_width: CSS pixels that the page is wide; more than the window means that it scrolls sideways.
        value: What ``script`` came to.
        screenshot: PNG of the whole page, or of its first ``height`` pixels.
    """

    requests: list[str]
    console: list[str]
    scroll_width: int
    value: Any
    screenshot: bytes


def find_chromium() -> str | None:
    """Where a Chromium is; None where none is installed."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def open_page(
    path: Path, width: int, height: int | None = None, script: str = "null", media: str = "", scale: float = 1.0
) -> Loaded:
    """Load a file with the network cut.

    Args:
        path: An HTML file.
        width: Of the window, CSS pixels.
        height: Of the screenshot; None for the whole page.
        script: An expression to evaluate once the page stands.
        media: ``print`` to see the page as a printer does.
        scale: Device pixels to a CSS pixel.
    """
    with _browser() as devtools:
        target = devtools.call("Target.createTarget", url="about:blank")["targetId"]
        devtools.session = devtools.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Network", "Page", "Runtime", "Log"):
            devtools.call(f"{domain}.enable")
        cut = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        devtools.call("Network.emulateNetworkConditions", **cut)
        window = {"width": width, "height": 900, "deviceScaleFactor": scale, "mobile": False}
        devtools.call("Emulation.setDeviceMetricsOverride", **window)
        devtools.call("Emulation.setEmulatedMedia", media=media)
        devtools.call("Page.navigate", url=path.resolve().as_uri())
        devtools.wait_for("Page.loadEventFired")
        wide, tall = devtools.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        value = devtools.evaluate(script)
        clip = {"x": 0, "y": 0, "width": width, "height": min(height or tall, 16000), "scale": 1}
        shot = devtools.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        said = _console(devtools.events)
        return Loaded(_requests(devtools.events, path), said, wide, value, base64.b64decode(shot["data"]))


def visit(addresses: Sequence[tuple[str, str]], seconds: float = 120) -> list[tuple[str, int]]:
    """Open addresses of this machine in turn, as somebody would in one tab.

    Args:
        addresses: Each with an expression that becomes true once its page is complete.
        seconds: How long to wait for that.

    Returns:
        Every address that the pages asked for and the status of the answer.
    """
    with _browser() as devtools:
        target = devtools.call("Target.createTarget", url="about:blank")["targetId"]
        devtools.session = devtools.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Network", "Page", "Runtime"):
            devtools.call(f"{domain}.enable")
        for address, complete in addresses:
            devtools.call("Page.navigate", url=address)
            deadline = time.monotonic() + seconds
            while not devtools.evaluate(f"Boolean(document.body && ({complete}))"):
                if time.monotonic() > deadline:
                    text = devtools.evaluate("document.body.innerText")
                    raise TimeoutError(f"{address}: {complete} stays false in: {text}")
                time.sleep(0.2)
        answers = [e["params"]["response"] for e in devtools.events if e.get("method") == "Network.responseReceived"]
        return [(answer["url"], answer["status"]) for answer in answers]


class DevTools:
    """Calls and events of one browser, in the order in which they come; each message ends with a zero byte."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading, self.writing = reading, writing
        self.events: list[dict[str, Any]] = []
        self.session = ""
        self._last = 0
        self._rest = b""

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writing, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._last:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def evaluate(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']['text']}")
        return answer["result"].get("value")

    def wait_for(self, method: str) -> None:
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self.reading, 1 << 20)
            if not part:
                raise RuntimeError("the browser went away")
            self._rest += part
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)


@contextmanager
def _browser() -> Iterator[DevTools]:
    program = find_chromium()
    assert program is not None, MISSING
    # The browser reads at 3 and writes at 4: a process in between moves our ends there, where nothing else is open.
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for pair in (os.pipe(), os.pipe()) for end in _closing(pair)]
    their_reading, our_writing, our_reading, their_writing = ends

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        move = f"import os, sys; os.dup2({their_reading}, 3); os.dup2({their_writing}, 4); "
        words = [sys.executable, "-c", move + "os.execv(sys.argv[1], sys.argv[1:])", program, *FLAGS]
        process = subprocess.Popen(
            [*words, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(their_reading, their_writing), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=os.environ | {"HOME": profile},
        )  # fmt: skip
        os.close(their_reading)
        os.close(their_writing)
        try:
            yield DevTools(our_reading, our_writing)
        finally:
            os.close(our_writing)  # it ends when nobody speaks to it
            os.close(our_reading)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _closing(pair: tuple[int, int]) -> Iterator[int]:
    for end in pair:
        yield end
        os.close(end)


def _requests(events: list[dict[str, Any]], path: Path) -> list[str]:
    asked = [e["params"]["request"]["url"] for e in events if e.get("method") == "Network.requestWillBeSent"]
    return [url for url in asked if url != path.resolve().as_uri() and not url.startswith("data:")]


def _console(events: list[dict[str, Any]]) -> list[str]:
    said = []
    for event in events:
        params = event.get("params", {})
        if event.get("method") == "Runtime.consoleAPICalled":
            said.append(" ".join(str(word.get("value", word.get("description"))) for word in params["args"]))
        elif event.get("method") == "Runtime.exceptionThrown":
            said.append(params["exceptionDetails"]["text"])
        elif event.get("method") == "Log.entryAdded":
            said.append(params["entry"]["text"])
    return said
