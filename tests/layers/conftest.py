import hub_modules
import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Keeps unpacked modules out of the home folder and out of each other's tests."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TF_TRANSFER_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image") / "module"
    hub_modules.save_image_module(folder)
    return folder


@pytest.fixture(scope="session")
def text_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text") / "module"
    hub_modules.save_text_module(folder)
    return folder
