"""A page in headless Chromium, driven over its debugging protocol: open, evaluate, press a key, take a picture."""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request

import websocket  # comes with Jupyter

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
KEYS = {"ArrowRight": 39, "ArrowLeft": 37, "Home": 36, "End": 35, "Tab": 9}


class Page:
    """``with Page() as page: page.open(url)``"""

    def __enter__(self):
        self.folder, self.count, self.events = tempfile.mkdtemp(), 0, []
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--remote-allow-origins=*"]
        self.process = subprocess.Popen(
            [PROGRAM, *options, f"--user-data-dir={self.folder}", "--window-size=1100,1000", "about:blank"],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        for line in self.process.stderr:
            if found := re.search(r"ws://([^/]+)/", line):
                break
        with urllib.request.urlopen(f"http://{found[1]}/json") as answer:
            pages = json.load(answer)
        address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        self.socket = websocket.create_connection(address, timeout=60)
        return self

    def __exit__(self, *error):
        self.socket.close()
        self.process.terminate()
        self.process.wait(timeout=20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, method, **params):
        """One command of the protocol. -> its result"""
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while True:
            answer = json.loads(self.socket.recv())
            self.events += [answer] if "method" in answer else []
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, address):
        """Go to an address and wait until it is loaded."""
        self.call("Page.navigate", url=str(address))
        self.until("document.readyState == 'complete' && location.href != 'about:blank'")

    def watch(self):
        """Keep from now on in ``events`` what the page asks for and complains of."""
        for domain in ("Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def requests_and_errors(self):
        """(addresses asked for, errors and exceptions) since the last time."""
        found, self.events = self.events, []
        asked = [e["params"]["request"]["url"] for e in found if e["method"] == "Network.requestWillBeSent"]
        errors = [
            e["params"]["entry"]["text"]
            for e in found
            if e["method"] == "Log.entryAdded" and e["params"]["entry"]["level"] == "error"
        ]
        errors += [str(e["params"]["exceptionDetails"]) for e in found if e["method"] == "Runtime.exceptionThrown"]
        errors += [
            str(e["params"]["args"])
            for e in found
            if e["method"] == "Runtime.consoleAPICalled" and e["params"]["type"] == "error"
        ]
        return asked, errors

    def width(self, pixels, height=800):
        """Show the page as wide as this."""
        self.call("Emulation.setDeviceMetricsOverride", width=pixels, height=height, deviceScaleFactor=1, mobile=pixels < 600)

    def value(self, expression):
        """What an expression is on the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, expression, seconds=60):
        """Wait until it is true. -> its value"""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := self.value(expression):
                return value
            time.sleep(0.1)
        raise AssertionError(f"not within {seconds} s: {expression}")

    def press(self, key):
        """A key, as if pressed on the keyboard."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key])

    def picture(self, file):
        """A screenshot."""
        with open(os.fspath(file), "wb") as out:
            out.write(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
