"""What experiments found, as a document: Markdown beside its pictures, or one HTML file with them inside."""

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jinja2
from PIL import Image

from experiments.support.tables import Table

TEMPLATE = Path(__file__).with_name("report.html")
TYPES = {".png": "image/png", ".gif": "image/gif"}
WIDE = 1.6  # of width to height, from which a picture has a line of its own
COMPARISON = "comparison"  # begins the name of a picture of several panels, which needs one too
FOLDED = ("Runs",)  # headings of tables that few readers want
MARKS = {"holds": "holds", "does not hold": "fails"}  # of cells with a verdict


class Picture(NamedTuple):
    """A picture that has been written, and what stands under it."""

    path: Path
    caption: str

    @property
    def uri(self) -> str:
        """Return the whole file as an address."""
        return f"data:{TYPES[self.path.suffix]};base64,{base64.b64encode(self.path.read_bytes()).decode()}"

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height in pixels."""
        with Image.open(self.path) as image:
            return image.size

    @property
    def wide(self) -> bool:
        """Whether it needs a line of its own."""
        width, height = self.size
        return width > WIDE * height or self.path.name.startswith(COMPARISON)


class Section(NamedTuple):
    """A part of a document."""

    name: str  # which links go to
    title: str
    paragraphs: Sequence[str]
    tables: Mapping[str, Table]
    pictures: Sequence[Picture]
    notes: Sequence[str] = ()  # after the tables

    @property
    def gallery(self) -> list[Picture]:
        """Return the pictures, those first that need a line of their own, so that the others stay in pairs."""
        return sorted(self.pictures, key=lambda picture: not picture.wide)


class Document(NamedTuple):
    """A title, how it was made, and its sections; the first is the answer."""

    title: str
    made: str
    sections: Sequence[Section]


def markdown(section: Section, folder: Path, level: int = 1) -> str:
    """Return a section in Markdown, for a file in `folder`; its heading is of the given level."""
    return "\n\n".join([f"{'#' * level} {section.title}", *_markdown_body(section, folder, level + 1)]) + "\n"


def _markdown_body(section: Section, folder: Path, level: int) -> list[str]:
    parts = [*section.paragraphs]
    for heading, table in section.tables.items():
        if heading in FOLDED:
            parts.append(f"<details><summary>{heading}</summary>\n\n{markdown_table(table)}\n\n</details>")
        else:
            parts += [f"{'#' * level} {heading}", markdown_table(table)]
    return [*parts, *section.notes, *(f"![{of.caption}]({os.path.relpath(of.path, folder)})" for of in section.gallery)]


def markdown_table(table: Table) -> str:
    """Return a table in Markdown."""
    rule = [":---" if i < table.labels else "---:" for i in range(len(table.header))]
    return "\n".join(f"| {' | '.join(line)} |" for line in [table.header, rule, *table.rows])


def markdown_document(document: Document, folder: Path) -> str:
    """Return a document in Markdown: the answer, a list of contents, and the other sections."""
    answer, *sections = document.sections
    contents = "\n".join(f"- [{of.title}](#{_github_anchor(of.title)})" for of in sections)
    opening = [f"# {document.title}", *_markdown_body(answer, folder, 2), "## Contents", contents]
    return "\n\n".join([*opening, *(markdown(of, folder, 2).rstrip() for of in sections), document.made]) + "\n"


def html_document(document: Document) -> str:
    """Return a document as one HTML file that needs no other: pictures are inside."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template(TEMPLATE.name).render(document._asdict() | {"folded": FOLDED, "marks": MARKS})


def _github_anchor(title: str) -> str:
    """Return what GitHub makes of a heading: lower case, hyphens for spaces, no punctuation."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")
