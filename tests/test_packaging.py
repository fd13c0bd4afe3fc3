"""What gets installed: every room, the shipped encoder, nothing else."""

import configparser
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENCODER = "tf_transfer/saved_models/mnist_encoder/1"


@pytest.fixture(scope="module")
def setup_cfg():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_every_package_of_the_tree_is_listed(setup_cfg):
    listed = set(setup_cfg["options"]["packages"].split()) - {"tf_transfer.saved_models"}
    found = {".".join(file.parent.relative_to(ROOT).parts) for file in (ROOT / "tf_transfer").rglob("__init__.py")}
    assert listed == found, "setup.cfg lists the packages one by one; bring [options] packages up to date"
    without = [file for file in (ROOT / "tf_transfer").rglob("*.py") if not (file.parent / "__init__.py").exists()]
    assert not without, f"files in folders without an __init__.py would not be installed: {without}"


def test_constraints_are_exact_versions_and_cover_what_is_required(setup_cfg):
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    names = {name.lower().replace("_", "-") for name in pinned}
    extras = setup_cfg["options.extras_require"]
    needed = setup_cfg["options"]["install_requires"] + extras["test"] + extras["docs"]
    requirements = [line for line in needed.splitlines() if line and not line.startswith("#")]
    missing = {line.split(">")[0].split("<")[0].lower() for line in requirements} - names
    assert not missing, f"constraints.txt pins nothing for {sorted(missing)}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Builds a wheel from a copy of the checkout with exports of a user lying in it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    unwanted = shutil.ignore_patterns("__pycache__", ".*", "build", "*.egg-info", "*.ipynb", "cache")
    for name in ("tf_transfer", "saved_models", "tests", "benchmarks", "tutorials", "docs"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=unwanted)
    for name in ("setup.py", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for stray in ("saved_models/flowers/1/saved_model.pb", "saved_models/mnist_encoder/2/saved_model.pb"):
        (source / stray).parent.mkdir(parents=True)
        (source / stray).write_bytes(b"somebody's export")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(out), "."]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (file,) = out.glob("*.whl")
    return file


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_the_shipped_encoder_only(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(file.relative_to(ROOT)) for file in (ROOT / "tf_transfer").rglob("*.py")}
    assert modules <= names, f"not in the wheel: {sorted(modules - names)}"
    folder = ROOT / "saved_models/mnist_encoder/1"
    encoder = {f"{ENCODER}/{file.relative_to(folder)}" for file in folder.rglob("*") if file.is_file()}
    assert f"{ENCODER}/saved_model.pb" in encoder
    assert {name for name in names if name.startswith("tf_transfer/saved_models/")} == encoder
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tf_transfer"}
    assert any(name.endswith("licenses/LICENSE") or name.endswith("dist-info/LICENSE") for name in names)


@pytest.mark.slow
def test_an_installed_wheel_works_away_from_the_checkout(wheel, tmp_path):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin/python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.run([str(python), "-c", where], capture_output=True, text=True, check=True).stdout.strip())
    # Without the checkout on the path: pip would take its editable install for the one that is asked for.
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests/offline")}
    install = [sys.executable, "-m", "pip", "-q", "--python", str(python), "install", "--no-deps", str(wheel)]
    subprocess.run(install, env=environment, check=True)
    # The dependencies come from this environment; the folder alone, so that its own .pth files, and with them an
    # editable install of this checkout, are not followed.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")

    def run(*command):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    version = run(python, "-c", "import tf_transfer; print(tf_transfer.__file__, tf_transfer.__version__)")
    assert str(site) in version
    assert "train" in run(venv / "bin/tf-transfer", "--help")
    script = (
        "import numpy as np, tf_transfer as tft\n"
        "backbone = tft.load_backbone('hub:' + str(tft.backbones.shipped('mnist_encoder')))\n"
        "print(backbone(np.zeros((2, *backbone.input_shape[1:]), 'float32')).shape[0])"
    )
    assert run(python, "-c", script).split()[-1] == "2"
