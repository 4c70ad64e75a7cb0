"""The package itself: examples in docstrings, types, the low-level module."""

import doctest
import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest

import ntmm
from ntmm import _core, _file, _process, _section, _system, _view


@pytest.mark.parametrize("module", [ntmm, _file, _process, _section, _system, _view])
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_every_public_name_is_documented():
    for name in ntmm.__all__:
        value = getattr(ntmm, name)
        if isinstance(value, type):
            assert value.__doc__, name
            for owner in value.__mro__[:-1]:
                if owner.__module__.startswith("ntmm."):
                    check_members(owner)


def check_members(owner):
    for member, function in vars(owner).items():
        is_part = callable(function) or isinstance(function, (property, classmethod))
        if is_part and not member.startswith("_"):
            assert function.__doc__, f"{owner.__name__}.{member}"


def test_every_header_is_bound():
    """A header of the contract that the C layer does not include is named here, with a reason."""
    left_out = {
        "freestanding.h",  # a kernel's own platform, which no hosted library has
        "cpu.h", "cpu_inline.h",  # the inline path of a processor, whose calls emulated.h wraps
    }
    root = pathlib.Path(__file__).parents[2]
    interface = (root / "bindings" / "python" / "ntmm.i").read_text()
    included = set(re.findall(r"^%include <ntmm/(\w+\.h)>", interface, re.MULTILINE))
    headers = {path.name for path in (root / "core" / "include" / "ntmm").glob("*.h")}
    assert headers - included == left_out


def test_every_service_is_bound():
    """What the headers declare that the C layer is made of is in it, but for what it leaves out."""
    left_out = {
        "attach_system", "create_system", "emulated_arena", "emulated_cpu",
        "emulated_disk_image", "emulated_map_io", "emulated_platform", "emulated_read_disk",
        "emulated_set_event", "emulated_set_log", "emulated_spawn", "emulated_update",
        "check_with_storage", "fault_begin", "fault_cancel", "set_invalidation_sink",
        "set_image_verifier",
        "free_user_physical_pages", "map_user_physical_pages_scatter",
        "emulated_query_host_file",
    }
    root = pathlib.Path(__file__).parents[2]
    interface = (root / "bindings" / "python" / "ntmm.i").read_text()
    declared = set()
    for header in re.findall(r"^%include <(ntmm/\w+\.h)>", interface, re.MULTILINE):
        text = (root / "core" / "include" / header).read_text()
        declared |= set(re.findall(r"^NTMM_API[^;(]*?\bntmm_(\w+)\(", text, re.MULTILINE))
    bound = {name[len("ntmm_"):] for name in dir(_core) if name.startswith("ntmm_")}
    assert len(declared) > 80
    assert declared - bound <= left_out


def test_c_documentation_reaches_the_low_level_module():
    assert "NtAllocateVirtualMemory" in _core.ntmm_allocate_virtual_memory.__doc__


def test_low_level_calls_give_in_out_values():
    with ntmm.System(ram=8 << 20) as system:
        process = system.create_process()
        assert _core.ntmm_allocate_virtual_memory(
            system.raw, process.handle, 0x50008000, 0, 1, 0x2000, 4
        ) == [0, 0x50000000, 0x9000]


def test_names_of_statuses_are_nt_s():
    assert ntmm.STATUS_NAMES[0xC0000018] == "CONFLICTING_ADDRESSES"
    assert ntmm.STATUS_NAMES[0x80000001] == "GUARD_PAGE_VIOLATION"


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
def test_types_hold():
    package = pathlib.Path(ntmm.__file__).parent
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir=/dev/null", str(package)],
        capture_output=True,
        text=True,
        cwd=package.parent,
    )
    assert result.returncode == 0, result.stdout
