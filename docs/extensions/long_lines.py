"""Sentences that commands print are wrapped, as a terminal would; tables keep their lines."""

import textwrap
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

WIDTH = 88
OF_TABLES = set("│┃┏┡└┌├━─")


def wrapped(line: str) -> str:
    """Wrap a line unless it is one of a table; what is continued is indented as the line is."""
    if len(line) <= WIDTH or OF_TABLES & set(line):
        return line
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(line, WIDTH, subsequent_indent=indent + "  ", break_long_words=False, break_on_hyphens=False)


def wrap_outputs(app: Sphinx, doctree: Any) -> None:
    """Wrap what stands under a command."""
    for block in doctree.findall(nodes.literal_block):
        lines = block.astext().split("\n")
        if lines[0].startswith("$ ") and "not-run" not in block["classes"]:
            # The command itself stays on one line, to be copied.
            text = "\n".join([lines[0], *map(wrapped, lines[1:])])
            block.rawsource = text
            block.clear()
            block += nodes.Text(text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect with Sphinx."""
    # After the programs of a page have run.
    app.connect("doctree-read", wrap_outputs, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
