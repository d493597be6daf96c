"""What experiments found, as a document: Markdown beside its pictures, or one HTML file with them inside."""

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jinja2
from PIL import Image

from experiments.tables import Table

TEMPLATE = Path(__file__).with_name("report.html")
TYPES = {".png": "image/png", ".gif": "image/gif"}
WIDE = 1.6  # of width to height, from which a picture has a line of its own
FOLDED = ("Runs",)  # headings of tables that few readers want


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
        return width > WIDE * height


class Section(NamedTuple):
    """A part of a document."""

    name: str  # which links go to
    title: str
    paragraphs: Sequence[str]
    tables: Mapping[str, Table]
    pictures: Sequence[Picture]


def markdown(section: Section, folder: Path, level: int = 1) -> str:
    """Return a section in Markdown, for a file in `folder`; its heading is of the given level."""
    parts = [f"{'#' * level} {section.title}", *section.paragraphs]
    for heading, table in section.tables.items():
        parts += [f"{'#' * (level + 1)} {heading}", markdown_table(table)]
    parts += [f"![{of.caption}]({os.path.relpath(of.path, folder)})" for of in section.pictures]
    return "\n\n".join(parts) + "\n"


def markdown_table(table: Table) -> str:
    """Return a table in Markdown."""
    rule = [":---" if i < table.labels else "---:" for i in range(len(table.header))]
    return "\n".join(f"| {' | '.join(line)} |" for line in [table.header, rule, *table.rows])


def markdown_document(title: str, sections: Sequence[Section], folder: Path) -> str:
    """Return sections as one Markdown document, with a list of contents."""
    contents = "\n".join(f"- [{of.title}](#{_github_anchor(of.title)})" for of in sections)
    return "\n".join([f"# {title}\n", f"{contents}\n", *(markdown(of, folder, 2) for of in sections)])


def html_document(title: str, sections: Sequence[Section]) -> str:
    """Return sections as one HTML file that needs no other: pictures are inside."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template(TEMPLATE.name).render(title=title, sections=sections, folded=FOLDED)


def _github_anchor(title: str) -> str:
    """Return what GitHub makes of a heading: lower case, hyphens for spaces, no punctuation."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")
