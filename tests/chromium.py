"""A headless Chromium that opens a page, takes pictures as a person gives them, and tells all.

It is spoken to over two pipes, in the browser's own protocol, so nothing else is needed.
"""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
]
READY = "document.body?.dataset.ready === 'yes'"
ANSWER = """new Promise((resolve, reject) => {
  document.addEventListener("answer", ({ detail }) => resolve(JSON.stringify(detail,
    (_, x) => ArrayBuffer.isView(x) ? Array.from(x) : x)), { once: true });
  document.addEventListener("failure", ({ detail }) => reject(detail), { once: true });
})"""


class Page:
    """A page that is open: `requests`, the addresses it asked for, and `errors`, its complaints."""

    def __init__(self, out, back):
        self.out, self.back = out, back
        self.count, self.session, self.text = 0, None, b""
        self.requests, self.errors = [], []

    def open(self, url):
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Network", "Runtime", "Log", "Page", "DOM"):
            self.ask(f"{domain}.enable")
        self.ask("Page.navigate", url=url)

    def ask(self, method, **arguments):
        """Return what the browser answers to one call."""
        self.count += 1
        call = {"id": self.count, "method": method, "params": arguments}
        if self.session:
            call["sessionId"] = self.session
        self.out.write(json.dumps(call).encode() + b"\0")
        self.out.flush()
        while True:
            told = json.loads(self._read())
            if told.get("id") == self.count:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']['message']}")
                return told["result"]
            self._note(told)

    def value(self, code):
        """Return what an expression becomes, a promise what it brings."""
        made = self.ask("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in made:
            raise RuntimeError(str(made["exceptionDetails"]))
        return made["result"].get("value")

    def wait(self, code, seconds=60):
        """Return when an expression is true."""
        end = time.monotonic() + seconds
        while not self.value(code):
            if time.monotonic() > end:
                raise TimeoutError(f"{code} never came true; the page said {self.errors}")
            time.sleep(0.1)

    def answer(self, do):
        """Return what the page answers to what `do()` does."""
        self.value(f"globalThis.next = {ANSWER}; 0")
        do()
        return json.loads(self.value("globalThis.next"))

    def choose(self, selector, *files):
        """Give files to a file field, as a person who picks them."""
        root = self.ask("DOM.getDocument")["root"]["nodeId"]
        field = self.ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.ask("DOM.setFileInputFiles", nodeId=field, files=[str(x) for x in files])

    def drag(self, selector, *places):
        """Draw with the mouse from place to place: shares of an element's width and height."""
        box = json.loads(
            self.value(
                f"(() => {{ const x = document.querySelector({selector!r}); x.scrollIntoView();"
                "return JSON.stringify(x.getBoundingClientRect()); })()"
            )
        )
        kinds = ["mousePressed"] + ["mouseMoved"] * (len(places) - 1) + ["mouseReleased"]
        for kind, (x, y) in zip(kinds, [*places, places[-1]]):
            self.ask(
                "Input.dispatchMouseEvent",
                type=kind,
                x=box["left"] + x * box["width"],
                y=box["top"] + y * box["height"],
                button="left",
                buttons=1,
                clickCount=1,
            )

    def _read(self):
        while b"\0" not in self.text:
            more = self.back.read1(1 << 20)
            if not more:
                raise RuntimeError(f"Chromium ended. It said {self.errors}")
            self.text += more
        first, _, self.text = self.text.partition(b"\0")
        return first

    def _note(self, told):
        method, given = told.get("method"), told.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])
        elif method == "Log.entryAdded":
            self.errors.append(given["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(given["exceptionDetails"]))


@contextlib.contextmanager
def opened(path):
    """Yield the `Page` of an HTML file, opened from disk."""
    with contextlib.ExitStack() as stack:
        profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
        browser = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash"]
            + [BROWSER, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(browser.wait, 30)
        stack.callback(browser.terminate)
        os.close(theirs_in)
        os.close(theirs_out)
        out = stack.enter_context(open(ours_out, "wb"))
        page = Page(out, stack.enter_context(open(ours_in, "rb")))
        page.open(Path(path).resolve().as_uri())
        yield page
