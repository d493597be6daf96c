"""The package as pip installs it: what the wheel and the source distribution hold, and that it runs from them."""

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.helpers.processes import ROOT

pytestmark = pytest.mark.whole
PICTURE = ROOT / "docs" / "pictures" / "cat.png"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the source distribution and of the wheel, which is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what the wheel installs."""
    (wheel,) = built.glob("*.whl")
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), str(wheel)],
        check=True,
        capture_output=True,
    )
    return folder


def run(command: list[str], cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=False)


def test_the_wheel_holds_the_packages_with_their_data_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0].split("-")[0] for name in names} == {"cnn3", "experiments"}
    assert {
        "cnn3/__init__.pyi",
        "cnn3/py.typed",
        "cnn3/weights/pretrained/README.md",
        "cnn3/weights/pretrained/flip.safetensors",
        "cnn3/weights/pretrained/tuned.safetensors",
        "experiments/support/report.html",
    } <= names
    (record,) = (name for name in names if name.endswith(".dist-info/licenses/LICENSE"))
    assert zipfile.ZipFile(wheel).read(record) == (ROOT / "LICENSE").read_bytes()


def test_the_source_distribution_holds_all_that_is_kept_under_version_control(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        names = {name.split("/", 1)[1] for name in file.getnames()}
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(listed) - names == {".ci/run"}
    assert names - set(listed) == {"PKG-INFO"}


def test_commands_run_from_the_wheel_though_the_working_directory_has_experiments_of_its_own(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "__init__.py").touch()
    env = {"PYTHONPATH": str(installed)}
    script = str(installed / "bin" / "cnn3")
    done = run([script, "setup", "--dataset", "digits", "--output", "results"], tmp_path, env)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / "digits" / "setup" / "table.md").is_file()
    done = run([script, "predict", str(PICTURE)], tmp_path, env)
    assert done.stdout.startswith(f"{PICTURE}: cat "), done.stderr


def test_modules_run_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    for module in ("experiments.reproduce", "cnn3.predict"):
        done = run([sys.executable, "-m", module, "--help"], tmp_path, {"PYTHONPATH": str(installed)})
        assert (done.returncode, done.stderr) == (0, "")


def test_an_editable_installation_is_found_from_the_folder_that_holds_the_clone(tmp_path: Path) -> None:
    (tmp_path / "cnn3").symlink_to(ROOT)
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site)]
    subprocess.run([*pip, "--editable", str(ROOT)], check=True, capture_output=True)
    script = f"import site; site.addsitedir({str(site)!r}); import cnn3; print(cnn3.load, cnn3.__file__)"
    done = run([sys.executable, "-c", script], tmp_path, {})
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"{ROOT / 'cnn3' / '__init__.py'}\n")
