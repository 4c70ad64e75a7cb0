"""Traces whose checksums are right and whose contents lie: by hand from docs/traces.md."""
import struct
import subprocess

import pytest
from conftest import refusal, run_well

MAGIC = b"\x89NTT\r\n\x1a\n"
READ, WRITE, EXECUTE = 1, 2, 4
FETCH, LOAD, STORE, MODIFY = range(4)


def block(raw):
    stored = subprocess.run(["zstd", "-qc"], input=raw, capture_output=True, check=True).stdout
    return struct.pack("<II", len(stored), len(raw)) + stored


def summary(runs, kinds, flags=0, records=None, references=None, run_count=None):
    total = sum(kinds)
    return struct.pack(
        "<II6Q", flags, len(runs) if run_count is None else run_count,
        total if references is None else references, total if records is None else records,
        *kinds) + b"".join(struct.pack("<QII", *run) for run in runs)


def references(ops, operands, folds=b"", records=None):
    return struct.pack("<II", len(ops) if records is None else records,
                       len(folds)) + ops + folds + operands


def op(kind, length_code, size_code):
    return kind | length_code << 2 | size_code << 4


# A fetch of 3 bytes at 0x10000 (zigzag 0x20000), then one right behind it.
OPS = bytes([op(FETCH, 3, 2), op(FETCH, 0, 2)])
OPERANDS = struct.pack("<Q", 0x20000)
RUNS = [(0x10, 1, EXECUTE)]
GOOD = summary(RUNS, (2, 0, 0, 0)), references(OPS, OPERANDS)


def write(path, *raws):
    path.write_bytes(MAGIC + struct.pack("<II", 1, 0) + b"".join(map(block, raws)))
    return path


def test_written_by_hand(tmp_path):
    path = write(tmp_path / "t.ntt", *GOOD)
    assert run_well("trace", "print", path) == "I  00010000,3\nI  00010003,3\n"
    run_well("trace", "info", path)
    run_well("replay", "--verify", path)


def test_every_kind_of_operand_by_hand(tmp_path):
    """Two data references after one fetch, twice: the second time both are predicted."""
    ops = bytes([op(FETCH, 3, 0), op(LOAD, 3, 7), op(STORE, 2, 15),
                 op(FETCH, 1, 0), op(LOAD, 1, 7), op(STORE, 0, 13)])
    operands = (struct.pack("<QQHH", 0x20000, 0x40000, 100, 0x2000) +
                struct.pack("<BB", 1, 16))  # back by 1 to the same fetch; 8 bytes further
    path = write(tmp_path / "t.ntt",
                 summary([(0x1, 1, READ | WRITE), (0x10, 1, EXECUTE), (0x20, 1, READ)],
                         (2, 2, 2, 0)),
                 references(ops, operands))
    assert run_well("trace", "print", path) == (
        "I  00010000,1\n L 00020000,8\n S 00001000,100\n"
        "I  00010000,1\n L 00020008,8\n S 00001000,32\n")


FORGED = {
    "unknown flag": (summary(RUNS, (2, 0, 0, 0), flags=2), GOOD[1], "summary contradicts itself"),
    "kinds do not add up": (summary(RUNS, (2, 1, 0, 0), references=2, records=2), GOOD[1],
                            "summary contradicts itself"),
    "more records than references": (summary(RUNS, (2, 0, 0, 0), records=3), GOOD[1],
                                     "summary contradicts itself"),
    "exact, fewer records": (summary(RUNS, (2, 0, 0, 0), records=1), GOOD[1],
                             "summary contradicts itself"),
    "more runs than there are": (summary(RUNS, (2, 0, 0, 0), run_count=2), GOOD[1],
                                 "summary contradicts itself"),
    "runs overlap": (summary([(0x10, 2, 4), (0x11, 1, 1)], (2, 0, 0, 0)), GOOD[1],
                     "summary contradicts itself"),
    "empty run": (summary([(0x10, 0, 4)], (2, 0, 0, 0)), GOOD[1], "summary contradicts itself"),
    "run past the last address": (summary([(1 << 52, 1, 4)], (2, 0, 0, 0)), GOOD[1],
                                  "summary contradicts itself"),
    "no room for a summary": (b"\0" * 55, GOOD[1], "summary contradicts itself"),
    "an operand missing": (GOOD[0], references(OPS, OPERANDS[:7]), "block contradicts itself"),
    "an operand too many": (GOOD[0], references(OPS, OPERANDS + b"x"), "block contradicts itself"),
    "no record": (GOOD[0], references(b"", b""), "block contradicts itself"),
    "fewer bytes than records": (GOOD[0], references(OPS, OPERANDS, records=99),
                                 "block contradicts itself"),
    "more records than promised": (summary(RUNS, (1, 0, 0, 0)), GOOD[1],
                                   "block contradicts itself"),
    "folds in an exact trace": (GOOD[0], references(OPS, OPERANDS, b"\0\0"),
                                "block contradicts itself"),
    "no folds in a folded trace": (summary(RUNS, (2, 0, 0, 0), flags=1), GOOD[1],
                                   "block contradicts itself"),
    "a fold's word is cut": (summary(RUNS, (2, 0, 0, 0), flags=1),
                             references(OPS, OPERANDS, b"\0\xff"), "block contradicts itself"),
    "folds are more than promised": (summary(RUNS, (2, 0, 0, 0), flags=1),
                                     references(OPS, OPERANDS, b"\0\1"), "not as many as promised"),
    "size 0": (GOOD[0], references(bytes([op(FETCH, 3, 15), op(FETCH, 0, 2)]),
                                   struct.pack("<HQ", 0, 0x20000)), "impossible record"),
    "size 4097": (GOOD[0], references(bytes([op(FETCH, 3, 15), op(FETCH, 0, 2)]),
                                      struct.pack("<HQ", 4097, 0x20000)), "impossible record"),
    "past the last address": (GOOD[0], references(OPS, struct.pack("<Q", 1)), "impossible record"),
    "folded and crossing": (summary(RUNS, (3, 0, 0, 0), flags=1, records=1),
                            references(bytes([op(FETCH, 3, 2)]), struct.pack("<Q", 2 * 0x10FFF),
                                       b"\2"), "impossible record"),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged(tmp_path, name):
    first, second, what = FORGED[name]
    path = write(tmp_path / "t.ntt", first, second)
    for command in (["trace", "info"], ["replay"], ["replay", "--verify"]):
        message = refusal(*command, path)
        assert message.startswith(f"{path}: offset ") and what in message


def test_fewer_blocks_than_promised(tmp_path):
    path = write(tmp_path / "t.ntt", summary(RUNS, (3, 0, 0, 0)), GOOD[1])
    assert refusal("replay", path) == f"{path}: offset {path.stat().st_size}: " \
        "the trace is cut off here"


def test_summary_of_another_trace(tmp_path):
    """Only `info` counts pages; a replay meets the page that the program never had."""
    path = write(tmp_path / "t.ntt", summary([(0x11, 1, EXECUTE)], (2, 0, 0, 0)), GOOD[1])
    assert "the summary is not that of the references" in refusal("trace", "info", path)
    assert refusal("replay", path) == \
        f"{path}: reference 1: address 0x10000: STATUS_ACCESS_VIOLATION"


def test_other_version(tmp_path):
    path = tmp_path / "t.ntt"
    path.write_bytes(MAGIC + struct.pack("<II", 2, 0))
    assert refusal("replay", path).startswith(f"{path}: offset 8: a version")
