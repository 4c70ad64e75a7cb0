"""Wrong input: one line that names the place, exit status 2."""
import subprocess

import pytest
from conftest import refusal, run, run_well
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

GOOD = "I  00401000,3\n L 1ffefff8,8\n"
MALFORMED = [
    ("hello", "not a line of lackey"),
    ("", "not a line of lackey"),
    ("I 00401000,3", "not a line of lackey"),
    (" X 00401000,3", "not a line of lackey"),
    ("I  zz,3", "no hexadecimal address"),
    ("I  00401000", "no comma"),
    ("I  00401000;3", "no comma"),
    (" L 00401000,", "no size"),
    (" L 00401000,x", "no size"),
    (" L 00401000,0", "not 1 to 4096"),
    (" L 00401000,4097", "not 1 to 4096"),
    (" L 00401000,99999999999999999999", "not 1 to 4096"),
    (" L 00401000,8x", "something follows"),
    (" L 00401000,-8", "no size"),
    (" L 10000000000000000,8", "more than 64 bits"),
    (" L ffffffffffffffff,2", "past the last address"),
]


@pytest.mark.parametrize("line,what", MALFORMED)
def test_malformed_line_names_file_and_line(tmp_path, line, what):
    path = tmp_path / "bad.lackey"
    path.write_text(GOOD + line + "\n" + GOOD)
    for command in (["replay", path], ["trace", "info", path],
                    ["trace", "convert", path, tmp_path / "out.ntt"]):
        message = refusal(*command)
        assert message.startswith(f"{path}:3: ")
        assert what in message
    assert not (tmp_path / "out.ntt").exists()


def test_malformed_line_on_standard_input():
    assert refusal("replay", "-", input=b"nonsense\n").startswith("-:1: ")


def test_text_without_reference(tmp_path):
    path = tmp_path / "empty.lackey"
    path.write_text("==1== nothing\n")
    assert refusal("replay", path) == f"{path}:1: the trace ends without a reference"


def test_missing_file():
    path = "/nonexistent/x.ntt"
    assert refusal("replay", path) == f"{path}: No such file or directory"


def test_missing_file_after_a_good_one(text):
    assert refusal("replay", text, "/nonexistent/x").startswith("/nonexistent/x: ")


@pytest.mark.parametrize("size", [
    "0", "x", "12Q", "64MM", "-1M", "4097", "99999999999T", "", "1e9"])
def test_impossible_size(text, size):
    assert f"--ram {size}:" in refusal("replay", "--ram", size, text)


@pytest.mark.parametrize("size", ["4K", "100000000G", "1000000G"])
def test_size_that_no_machine_has(text, size):
    assert refusal("replay", "--ram", size, text).startswith("ntmm: --ram: ")


def test_too_little_ram_for_a_text(text):
    assert "--ram: " in refusal("replay", "--ram", "256K", text)


def test_too_little_ram_for_a_binary_trace(text, tmp_path):
    run_well("trace", "convert", text, tmp_path / "t.ntt")
    message = refusal("replay", "--ram", "64K", tmp_path / "t.ntt")
    assert message.startswith("ntmm: --ram: 64 KiB are too little")


def test_address_that_no_program_has(tmp_path):
    path = tmp_path / "high.lackey"
    path.write_text(" L ffffffffff600000,8\n")
    assert refusal("replay", path).startswith(f"{path}: reference 1: address 0xffffffffff600000: ")
    run_well("trace", "convert", path, tmp_path / "high.ntt")
    assert "0xffffffffff600000" in refusal("replay", tmp_path / "high.ntt")


@pytest.mark.parametrize("arguments", [
    ["nonsense"], ["help", "nonsense"], ["replay"], ["replay", "-", "-"], ["record"],
    ["trace"], ["trace", "nonsense"], ["trace", "info"], ["trace", "convert", "one"],
    ["trace", "print"], ["trace", "convert", "--limit", "x", "a", "b"],
    ["replay", "--seed", "x", "t"], ["replay", "--explain", "xyz", "t"],
    ["replay", "--explain", "1:1000", "t"], ["replay", "--corrupt-reference", "5", "t"],
    ["record", "/nonexistent/program"],
])
def test_wrong_command_line(arguments):
    assert refusal(*arguments, input=b"").startswith("ntmm: ")


def test_unknown_option():
    done = run("replay", "--nonsense", "t")
    assert done.returncode == 2 and b"--nonsense" in done.stderr


def test_without_valgrind(tmp_path):
    message = refusal("record", "true", env={"PATH": str(tmp_path)})
    assert "apt-get install valgrind" in message


def test_unwritable_output(text, tmp_path):
    assert refusal("trace", "convert", text, tmp_path / "no" / "out.ntt").startswith(
        f"{tmp_path}/no/out.ntt: cannot write: ")


def test_full_standard_output(text):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([run.__globals__["NTMM"], "replay", text], stdout=full,
                              stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2 and b"standard output" in done.stderr


def test_zstd_text_cut_off(text, tmp_path):
    packed = subprocess.run(["zstd", "-qc", text], capture_output=True, check=True).stdout
    path = tmp_path / "cut.zst"
    path.write_bytes(packed[:-7])
    assert refusal("replay", path).startswith(f"{path}: offset ")


@pytest.mark.parametrize("form", ["--exact", "--fold"])
def test_binary_cut_off_anywhere(text, tmp_path, form):
    whole = tmp_path / "whole.ntt"
    cut = tmp_path / "cut.ntt"
    run_well("trace", "convert", form, text, whole)
    data = whole.read_bytes()
    for length in range(4, len(data)):
        cut.write_bytes(data[:length])
        assert refusal("replay", cut).startswith(f"{cut}: offset "), length


@settings(max_examples=150, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_binary_with_a_changed_byte(text, tmp_path, data):
    whole = tmp_path / "whole.ntt"
    changed = tmp_path / "changed.ntt"
    if not whole.exists():
        run_well("trace", "convert", "--fold", text, whole)
    raw = bytearray(whole.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    changed.write_bytes(raw)
    if run("trace", "info", changed).returncode == 0:  # a bit of zstd's that means nothing
        assert run_well("trace", "print", changed) == run_well("trace", "print", whole)
        return
    message = refusal("trace", "info", changed)
    assert message.startswith((f"{changed}: offset ", f"{changed}:1: ")), message


def test_bytes_behind_the_end(text, tmp_path):
    path = tmp_path / "t.ntt"
    run_well("trace", "convert", text, path)
    path.write_bytes(path.read_bytes() + b"x")
    assert "bytes follow the last block" in refusal("replay", path)
