"""The pages of the documentation, and what is in their fenced blocks."""

import re
import shlex

from tests.support.places import ROOT

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
ASSIGNMENT = re.compile(r'^(\w+)="([^"]*)"\n', re.MULTILINE)
# Names before a command, as in `ARN_SSL_CONFIG=... docker`.
VARIABLE = re.compile(r"[A-Z_]+=")


def pages() -> dict[str, str]:
    """{path below the checkout: text} of README, the site's pages in order, and CONTRIBUTING."""
    site = re.findall(r"^  - .*: ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    paths = ["README.md", *(f"docs/{name}" for name in site), "CONTRIBUTING.md"]
    return {path: (ROOT / path).read_text() for path in paths}


def blocks(page: str, *languages: str) -> list[str]:
    """The fenced blocks of a page that are in one of these languages."""
    return [body for _, language, body in FENCE.findall(page) if language in languages]


def command_lines() -> list[list[str]]:
    """The words of every command line of every page, each once, in order.

    Continued lines are joined, variables that a block sets are put in, and those before a command
    are left out; a loop's body stands for its first turn.
    """
    lines = {}
    for page in pages().values():
        for body in blocks(page, "bash"):
            lines |= dict.fromkeys(_lines(body))
        for body in blocks(page, "console"):
            lines |= dict.fromkeys(_lines("\n".join(re.findall(r"^\$ (.*)$", body, re.MULTILINE))))
    return [list(line) for line in lines]


def _lines(block: str) -> list[tuple[str, ...]]:
    for name, value in ASSIGNMENT.findall(block):
        block = block.replace(f"${name}", " ".join(value.split()))
    text = ASSIGNMENT.sub("", block).replace("\\\n", " ").replace("$seed", "0")
    split = [shlex.split(line, comments=True) for line in text.splitlines()]
    split = [words for words in split if words and words[0] not in ("for", "done")]
    for words in split:
        while VARIABLE.match(words[0]):
            del words[0]
    return [tuple(words) for words in split]
