"""Every term of the glossary is a link where a page uses it first."""

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform

# What is no running text.
ELSEWHERE = (
    nodes.title,
    nodes.literal,
    nodes.literal_block,
    nodes.doctest_block,
    nodes.reference,
    nodes.raw,
    nodes.math,
    nodes.math_block,
    nodes.term,
    nodes.rubric,
    nodes.caption,
    nodes.field_name,
    nodes.classifier,
    addnodes.desc_signature,
    addnodes.pending_xref,
    addnodes.index,
)
Term = tuple[str, str, str]


def plural(term: str) -> str:
    """Return the plural of a term."""
    if term.endswith("y") and term[-2] not in "aeiou":
        return f"{term[:-1]}ies"
    return f"{term}es" if term.endswith("s") else f"{term}s"


def glossary_terms(env: BuildEnvironment) -> dict[str, Term]:
    """Return page, identifier and first sentence of every term, by the term in lower case."""
    found: dict[str, Term] = {}
    for page in {page for page, _ in env.domaindata["std"]["terms"].values()}:
        for item in env.get_doctree(page).findall(nodes.definition_list_item):
            sentence = item[-1].astext().split("\n")[0].split(". ")[0].rstrip(".")
            for term in item.findall(nodes.term):
                for identifier in term["ids"]:
                    found[term.astext().lower()] = (page, identifier, sentence)
    return found


class FirstUse(SphinxPostTransform):
    """Link the first use of each term on a page to the glossary."""

    default_priority = 5
    builders = ("html", "dirhtml", "singlehtml")

    def run(self, **_: Any) -> None:
        """Link what is running text and no link yet."""
        terms = self.env.temp_data.setdefault("terms of the glossary", None) or glossary_terms(self.env)
        self.env.temp_data["terms of the glossary"] = terms
        left = {form: term for term in terms for form in (term, plural(term))}
        for text in list(self.document.findall(nodes.Text)):
            if not left:
                return
            above = ancestors(text)
            if above and not any(isinstance(node, ELSEWHERE) for node in above):
                self.link(text, terms, left)

    def link(self, text: nodes.Text, terms: dict[str, Term], left: dict[str, str]) -> None:
        """Link the terms that are left in one text, longer ones before the shorter ones that they hold."""
        own = {identifier for above in ancestors(text) for identifier in identifiers_of_item(above)}
        pieces: list[nodes.Node] = []
        begin = 0
        pattern = "|".join(re.escape(form) for form in sorted(left, key=len, reverse=True))
        for use in re.finditer(rf"(?<![\w-])(?:{pattern})(?![\w-])", text.astext(), re.IGNORECASE):
            term = left.get(use.group().lower())
            if term is None or terms[term][1] in own:
                continue
            page, identifier, sentence = terms[term]
            uri = self.app.builder.get_relative_uri(self.env.docname, page) + f"#{identifier}"
            pieces.append(nodes.Text(text.astext()[begin : use.start()]))
            pieces.append(nodes.reference("", use.group(), refuri=uri, reftitle=sentence, classes=["glossary-term"]))
            begin = use.end()
            for form in (term, plural(term)):
                left.pop(form, None)
        if pieces:
            text.parent.replace(text, [*pieces, nodes.Text(text.astext()[begin:])])


def ancestors(node: nodes.Node) -> list[nodes.Node]:
    """Return all nodes above one."""
    found = []
    while (node := node.parent) is not None:
        found.append(node)
    return found


def identifiers_of_item(node: nodes.Node) -> list[str]:
    """Return the identifiers of the terms that an item of a definition list defines."""
    if not isinstance(node, nodes.definition_list_item):
        return []
    return [identifier for term in node.findall(nodes.term) for identifier in term["ids"]]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect with Sphinx."""
    app.add_post_transform(FirstUse)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
