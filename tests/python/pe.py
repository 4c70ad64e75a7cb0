"""The maker of PE files that an example has, for tests."""

import importlib.util
import pathlib

_PATH = pathlib.Path(__file__).parents[2] / "examples" / "share_and_map.py"
_spec = importlib.util.spec_from_file_location("share_and_map", _PATH)
_example = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_example)
make_dll = _example.make_dll
