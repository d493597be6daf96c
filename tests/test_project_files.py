"""The files that a package is judged by before it is installed: licence, citation, changelog, metadata."""

import json
import re
import tomllib
from importlib.metadata import version

import jsonschema
import pytest
import yaml

import cnn3
from tests.helpers.processes import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
SCHEMA = json.loads((ROOT / "tests" / "golden" / "cff" / "schema-1.2.0.json").read_text())


def as_json(value: object) -> object:
    """Return YAML's value as JSON has it: dates are text."""
    return json.loads(json.dumps(value, default=str))


def test_the_citation_is_valid_and_names_the_study_and_the_data_set():
    jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(as_json(CITATION))
    cited = {(entry["authors"][0]["family-names"], entry["year"]) for entry in CITATION["references"]}
    assert cited == {("Kıvrıl", 2021), ("Krizhevsky", 2009)}  # noqa: RUF001 a dotless i


@pytest.mark.parametrize("field", ["authors", "title", "message", "cff-version"])
def test_the_schema_refuses_a_citation_that_lacks_something(field):
    broken = {name: value for name, value in CITATION.items() if name != field}
    with pytest.raises(jsonschema.ValidationError, match=field):
        jsonschema.validate(as_json(broken), SCHEMA)


def test_the_licence_is_the_same_everywhere():
    assert PROJECT["license"] == CITATION["license"] == "Apache-2.0"
    assert PROJECT["license-files"] == ["LICENSE"]
    text = (ROOT / "LICENSE").read_text()
    assert re.search(r"Apache License\s+Version 2\.0, January 2004", text)
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_version_is_that_of_the_metadata_and_the_changelog_has_it():
    assert cnn3.__version__ == version("cnn3")
    sections = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    names = [name for name, _ in sections]
    assert names[0] == "Unreleased"
    assert PROJECT["version"] == names[1]
    released = [tuple(map(int, name.split("."))) for name in names[1:]]
    assert released == sorted(released, reverse=True)
    assert all(date for _, date in sections[1:])


def test_type_checkers_are_told_that_the_package_is_typed():
    assert (ROOT / "cnn3" / "py.typed").is_file()
