"""What is published: the package and nothing that runs by itself when it is installed."""

import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Sequence[PurePosixPath]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return [PurePosixPath(name) for name in archive.namelist()]


def test_a_wheel_holds_every_module_and_its_types(names: Sequence[PurePosixPath]) -> None:
    modules = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("massgen_compat/**/*.py")}
    assert {name.as_posix() for name in names if name.suffix == ".py"} == modules
    assert PurePosixPath("massgen_compat/py.typed") in names


def test_a_wheel_runs_nothing_when_python_starts(names: Sequence[PurePosixPath]) -> None:
    """A ``.pth`` file would: that is how packages of this field were turned into thieves."""
    for name in names:
        known = name.suffix == ".py" or name.name == "py.typed"
        assert known or name.parts[0].endswith(".dist-info"), name
    assert {name.parts[0].split("-")[0] for name in names} == {"massgen_compat"}


def test_what_is_installed_is_what_the_page_on_security_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [re.split(r"[<>=~!;\[ ]", each)[0] for each in project["dependencies"]]
    page = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    told = page.partition(" packages at run time: ")[2].partition(".\n")[0]
    assert re.findall(r"`([^`]+)`", told) == needed
