import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data():
    """Returns the folder of real data and weights that TF_TRANSFER_DATA names, or skips with a reason."""
    folder = os.environ.get("TF_TRANSFER_DATA")
    if not folder:
        pytest.skip("TF_TRANSFER_DATA does not name a folder with real data")
    if not Path(folder).is_dir():
        pytest.fail(f"TF_TRANSFER_DATA is not a folder: {folder}")
    return Path(folder)
