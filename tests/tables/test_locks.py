"""Tests of locks.py: what it counts, and what it says of holds."""
import platform
import shutil
import subprocess

import pytest

import locks

LOOP = """\
\t.text
\t.globl\tloop
\t.type\tloop, @function
loop:
\tmovl\t$10, %ecx
.L2:
\tsubl\t$1, %ecx
\tnop
\tcmpl\t$0, %ecx
\tjne\t.L2
\tcall\tleaf
\tmovq\t%rax, %rax
\tret
\t.type\tleaf, @function
leaf:
\tret
\t.section\t.rodata
.L3:
\t.long\t0
\t.section\t.note.GNU-stack,"",@progbits
"""
MAIN = """\
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
register uint64_t the_count __asm__("r15");
void loop(void);
int main(void)
{
    uint64_t before = the_count;
    loop();
    uint64_t passed = the_count - before;
    printf("%d\\n", (int)passed);
    exit(0);
}
"""
LOCK = locks.LOCKS[0]


@pytest.mark.skipif(platform.machine() != "x86_64" or not shutil.which("gcc"),
                    reason="needs gcc for x86-64")
def test_each_instruction_counts_once(tmp_path):
    (tmp_path / "loop.s").write_text(locks.blocks_of(LOOP))
    (tmp_path / "main.c").write_text(MAIN)
    subprocess.run(["gcc", "-O1", "-ffixed-r15", "-no-pie", "-fno-pie", "main.c", "loop.s", "-o",
                    "main"], cwd=tmp_path, check=True)
    answer = subprocess.run([tmp_path / "main"], stdout=subprocess.PIPE, text=True, check=True)
    assert int(answer.stdout) == 1 + 10 * 4 + 1 + 1 + 2


def test_a_block_ends_at_labels_and_jumps_and_data_has_none():
    lines = locks.blocks_of(LOOP).split("\n")
    assert [line for line in lines if "r15" in line] == [
        f"\tleaq\t{n}(%r15), %r15" for n in (1, 4, 1, 2, 1)]
    assert lines.index("\tleaq\t4(%r15), %r15") == lines.index(".L2:") + 1


def test_what_the_core_asks_of_the_library_is_counted():
    assert "\tcall\tcounted_memset" in locks.blocks_of("\t.text\nf:\n\tcall\tmemset\n")
    assert "\tcall\tmemset_of" in locks.blocks_of("\t.text\nf:\n\tcall\tmemset_of\n")


def test_a_hold_that_is_a_quarter_longer_fails_and_so_does_one_without_a_row():
    assert locks.judge({"a": 1000}, {"a": 1300}, "longest") == 0
    assert locks.judge({"a": 1000}, {"a": 1301}, "longest") == 1
    assert locks.judge({}, {"a": 1}, "longest") == 1
    assert locks.judge({"a": 1}, {}, "longest") == 0


def test_growth_is_half_as_much_again():
    base, more = {(LOCK, "x"): (1000, "0x1", "0x2")}, {(LOCK, "x"): (1551, "0x1", "0x2")}
    assert locks.grown(base, more) == {(LOCK, "x")}
    assert locks.grown(base, {(LOCK, "x"): (1550, "0x1", "0x2")}) == set()


def test_a_lock_of_everybody_may_not_grow():
    longest = [(lock, 1, "x", "f", "g") for lock in locks.LOCKS]
    assert locks.judge_shared(longest, [(LOCK, "x", 1, 4, 1)]) == 0
    assert locks.judge_shared(longest, [(locks.LOCKS[10], "x", 1, 4, 1)]) == 1
    assert locks.judge_shared(longest[1:], []) == 1


def test_a_table_is_read_as_it_is_written():
    longest = [(lock, 10 * n, "a label", "f", "g") for n, lock in enumerate(locks.LOCKS)]
    text = locks.table_of(longest, [(LOCK, "a label", 1, 4, 2)], "GNU 1.2 z80")
    assert locks.read_table(text) == ({row[0]: row[1] for row in longest},
                                      {(LOCK, "a label"): 4}, "GNU 1.2 z80")
