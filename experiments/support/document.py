"""A document of sections with tables and pictures, as Markdown or as one HTML file with the pictures inside."""

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jinja2
from PIL import Image

from experiments.support.tables import Table

TEMPLATE = Path(__file__).with_name("report.html")
MEDIA_TYPES = {".png": "image/png", ".gif": "image/gif"}
WIDE_RATIO = 1.6  # ratio of width to height above which a picture has a line of its own
COMPARISON = "comparison"  # prefix of pictures with several panels, which also have a line of their own
FOLDED = ("Runs",)  # headings of tables that are folded at first
MARKS = {"holds": "holds", "does not hold": "fails"}  # CSS class of a cell by its verdict


class Picture(NamedTuple):
    """A picture that has been written, with its caption."""

    path: Path
    caption: str

    @property
    def uri(self) -> str:
        """Return a data URI with the whole file."""
        return f"data:{MEDIA_TYPES[self.path.suffix]};base64,{base64.b64encode(self.path.read_bytes()).decode()}"

    @property
    def size(self) -> tuple[int, int]:
        """The width and height in pixels."""
        with Image.open(self.path) as image:
            return image.size

    @property
    def wide(self) -> bool:
        """Whether it needs a line of its own."""
        width, height = self.size
        return width > WIDE_RATIO * height or self.path.name.startswith(COMPARISON)


class Section(NamedTuple):
    """A part of a document."""

    name: str  # the anchor of links
    title: str
    paragraphs: Sequence[str]
    tables: Mapping[str, Table]
    pictures: Sequence[Picture]
    notes: Sequence[str] = ()  # after the tables

    @property
    def gallery(self) -> list[Picture]:
        """The pictures; those with a line of their own come first, so that the others stay in pairs."""
        return sorted(self.pictures, key=lambda picture: not picture.wide)


class Document(NamedTuple):
    """A title, a footer, and the sections; the first is the answer."""

    title: str
    footer: str
    sections: Sequence[Section]


def markdown(section: Section, folder: Path, level: int = 1) -> str:
    """Return a section in Markdown for a file in `folder`, with a heading of the given level."""
    return "\n\n".join([f"{'#' * level} {section.title}", *_markdown_body(section, folder, level + 1)]) + "\n"


def _markdown_body(section: Section, folder: Path, level: int) -> list[str]:
    parts = [*section.paragraphs]
    for heading, table in section.tables.items():
        if heading in FOLDED:
            parts.append(f"<details><summary>{heading}</summary>\n\n{markdown_table(table)}\n\n</details>")
        else:
            parts += [f"{'#' * level} {heading}", markdown_table(table)]
    pictures = (f"![{picture.caption}]({os.path.relpath(picture.path, folder)})" for picture in section.gallery)
    return [*parts, *section.notes, *pictures]


def markdown_table(table: Table) -> str:
    """Return a table in Markdown."""
    rule = [":---" if i < table.labels else "---:" for i in range(len(table.header))]
    return "\n".join(f"| {' | '.join(line)} |" for line in [table.header, rule, *table.rows])


def markdown_document(document: Document, folder: Path) -> str:
    """Return a document in Markdown: the answer, a list of contents, and the other sections."""
    answer, *sections = document.sections
    contents = "\n".join(f"- [{section.title}](#{_github_anchor(section.title)})" for section in sections)
    opening = [f"# {document.title}", *_markdown_body(answer, folder, 2), "## Contents", contents]
    rest = [markdown(section, folder, 2).rstrip() for section in sections]
    return "\n\n".join([*opening, *rest, document.footer]) + "\n"


def html_document(document: Document) -> str:
    """Return a document as one HTML file with its pictures inside."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template(TEMPLATE.name).render(document._asdict() | {"folded": FOLDED, "marks": MARKS})


def _github_anchor(title: str) -> str:
    """Return the anchor that GitHub gives a heading: lower case, hyphens for spaces, no punctuation."""
    text = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return text.replace(" ", "-")
