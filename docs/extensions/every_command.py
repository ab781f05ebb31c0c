"""The help of every command, with a heading each."""

from typing import ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinxcontrib.programoutput import program_output


class EveryCommand(SphinxDirective):
    """Show what each command of the package says of itself."""

    option_spec: ClassVar = {}

    def run(self) -> list[nodes.Node]:
        """Return a section a command, in the order in which the command line lists them."""
        from typer.main import get_command

        from bayeslaw.cli import app

        sections: list[nodes.Node] = []
        for name in vars(get_command(app))["commands"]:
            section = nodes.section(ids=[f"command-{name}"], names=[f"bayeslaw {name}"])
            section += nodes.title("", f"bayeslaw {name}")
            section += help_of(f"bayeslaw {name} --help")
            sections.append(section)
        return sections


def help_of(command: str) -> program_output:
    """Return the output of a command, to be run when the page is read."""
    node = program_output()
    node["command"] = command
    node["show_prompt"] = True
    node["hide_standard_error"] = False
    node["strip_ansi"] = True
    node["use_shell"] = False
    node["returncode"] = 0
    node["extraargs"] = ""
    node["working_directory"] = "."
    node["language"] = "text"
    return node


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect with Sphinx."""
    app.add_directive("every-command", EveryCommand)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
