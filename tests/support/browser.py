"""Headless Chromium, without a network: what it makes of a page that needs nothing else."""

import html
import json
import pathlib
import re
import shutil
import subprocess

CHROMIUM = shutil.which("chromium")
# Asks the page in the frame, which may itself run no script.
_ASK = """
addEventListener("load", () => {
  const page = document.querySelector("iframe").contentDocument;
  const images = [...page.images];
  document.body.dataset.found = JSON.stringify({
    images: images.length,
    loaded: images.filter(each => each.complete && each.naturalWidth > 0).length,
    width: page.documentElement.scrollWidth,
    background: page.defaultView.getComputedStyle(page.body).backgroundColor,
    text: page.body.innerText,
    title: page.title,
  });
});
"""


def framed(page: pathlib.Path, width: int, height: int = 4000) -> pathlib.Path:
    """Writes beside a page another one that shows it in a frame of a width, in pixels."""
    inside = html.escape(page.read_text(encoding="utf-8"))
    wrapper = page.with_name(f"{page.stem}_{width}.html")
    wrapper.write_text(
        f'<!doctype html><meta charset="utf-8"><script>{_ASK}</script><body style="margin:0">'
        f'<iframe style="border:0;width:{width}px;height:{height}px" srcdoc="{inside}"></iframe>',
        encoding="utf-8",
    )
    return wrapper


def browse(page: pathlib.Path, profile: pathlib.Path, *flags: str) -> tuple[str, str]:
    """Opens a page; returns what is printed, with `--dump-dom` the elements, and the log."""
    command = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        *("--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9"),
        *("--enable-logging=stderr", "--virtual-time-budget=20000", "--hide-scrollbars"),
        *(f"--user-data-dir={profile}", *flags, page.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


def asked(page: pathlib.Path, profile: pathlib.Path, width: int, *flags: str) -> dict[str, object]:
    """Returns what a page looks like from outside at a width, and what was logged of it.

    {"images", "loaded": numbers of pictures, "width": of its content, "background": its colour,
    "text": what is read, "title": its own, "errors": lines of the console}.
    """
    dom, log = browse(framed(page, width), profile, "--dump-dom", *flags)
    found = json.loads(html.unescape(re.search(r'data-found="([^"]*)"', dom)[1]))
    return found | {"errors": [line for line in log.splitlines() if "CONSOLE" in line]}
