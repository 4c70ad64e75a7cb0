#!/usr/bin/env python3
"""Boots the example kernel in QEMU and judges what it says and what it left on its disk.

usage: boot.py KERNEL DISK --processors N
       boot.py KERNEL DISK --measure

The first form runs five programs that together use three times the RAM, then reads DISK, the raw
image that was the page file, and finds evicted pages in it by their known contents. The second
prints the instructions from exception entry to return by kind of fault, counted by QEMU (-icount
shift=0). Ends with 77 when QEMU is missing.
"""
import argparse
import re
import shutil
import struct
import subprocess
import sys

QEMU = "qemu-system-x86_64"
PAGE = 4096
MEBIBYTES_OF_RAM = 20
MEBIBYTES_OF_DISK = 96
FILLERS = 4
EXIT_ALL_IS_WELL = 16 << 1 | 1
MARK = 0x6E746D6D
# enum ntmm_fault_kind; a stack's growth is the guard's fault and then the page's
KINDS = {1: "demand zero", 2: "transition", 3: "make dirty", 4: "stack growth, two faults",
         6: "hard", 7: "copy on write"}


def boot(arguments):
    with open(arguments.disk, "wb") as disk:
        disk.truncate(MEBIBYTES_OF_DISK << 20)
    command = [QEMU, "-machine", "pc", "-accel", "tcg", "-cpu", "max", "-nodefaults",
               "-m", str(MEBIBYTES_OF_RAM), "-smp", str(arguments.processors),
               "-kernel", arguments.kernel, "-append", "measure" if arguments.measure else "run",
               "-drive", f"if=none,id=disk,format=raw,file={arguments.disk}",
               "-device", "virtio-blk-pci,drive=disk,disable-modern=on",
               "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
               "-serial", "stdio", "-monitor", "none", "-display", "none", "-no-reboot"]
    if arguments.measure:
        command += ["-icount", "shift=0"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=arguments.seconds,
                              check=False)
    except subprocess.TimeoutExpired as late:
        print((late.stdout or b"").decode(errors="replace"))
        sys.exit(f"no end after {arguments.seconds} s")
    print(done.stdout, end="")
    if done.returncode != EXIT_ALL_IS_WELL:
        sys.exit(f"exit status {done.returncode}, not {EXIT_ALL_IS_WELL}")
    return done.stdout


def expect(condition, what):
    if not condition:
        sys.exit(f"failed: {what}")


def numbers(line_of, text):
    """The words of a line that are followed by a number, of the last such line."""
    lines = [line for line in text.splitlines() if line.startswith(line_of)]
    expect(lines, f"no line '{line_of}'")
    return {name.strip(): int(value) for name, value in re.findall(r"([a-z ]+) (\d+)", lines[-1])}


def judge_words(text, processors):
    for program in range(FILLERS + 1):
        expect(f"program {program} ended with 0\n" in text, f"program {program}")
    expect("left: pages 0 commit 0 objects 0 processes 0 waits 0 transfers 0\n" in text, "left")
    first = text.splitlines()
    reports = [line for line in first if line.startswith("commit ")]
    ram = numbers("ram ", text)["ram"]
    commit = int(reports[0].split()[1])
    expect(commit >= 3 * ram, f"{commit} pages of {ram} of RAM are not three times as much")
    paging = numbers("page file", text)
    expect(paging["written"] >= 2 * ram and paging["read"] >= 2 * ram, "pages written and read")
    if processors > 1:
        sent = sum(int(n) for n in re.findall(r"shootdowns \d+ interrupts (\d+)", text))
        served = sum(int(n) for n in re.findall(r"served (\d+)", text))
        expect(sent > 0 and served == sent, f"{sent} shootdown interrupts, {served} served")
    return ram


def pattern(first):
    return struct.pack("<512Q", *(first * (2 * k + 1) & (1 << 64) - 1 for k in range(512)))


def is_half_written(data, first):
    """Taken while its program wrote it: a beginning as now, the rest as before (zeros at first)."""
    older = pattern(first - (1 << 24)) if first >> 24 & 15 > 1 else bytes(PAGE)
    newer = pattern(first)
    word = 0
    while word < PAGE and data[word:word + 8] == newer[word:word + 8]:
        word += 8
    return data[word:] == older[word:]


def judge_disk(path, ram):
    """Every page that begins as a filler's is one, to the last word."""
    found, half = set(), 0
    with open(path, "rb") as disk:
        while data := disk.read(PAGE):
            first = struct.unpack_from("<Q", data)[0]
            if first >> 32 != MARK or first & 15 != 1:
                continue
            if data == pattern(first):
                found.add((first >> 28 & 15, first >> 4 & 0xFFFFF))
                continue
            expect(is_half_written(data, first), f"page {first:x} on the disk is damaged")
            half += 1
    by_filler = [sum(filler == f for filler, _ in found) for f in range(FILLERS)]
    pages = sum(by_filler)
    print(f"on the disk: {pages} different pages, by program {by_filler}; {half} half written")
    # RAM holds the pages of one filler, perhaps of the last one for good, but not those of two
    expect(pages >= 2 * ram and sorted(by_filler)[1] > 0, "evicted pages on the disk")


def judge_figures(text):
    figures = {int(kind): (int(least), int(mean), int(most)) for kind, least, mean, most in
               re.findall(r"instructions kind (\d+) least (\d+) mean (\d+) most (\d+)", text)}
    expect(figures.keys() == KINDS.keys(), f"figures of {sorted(figures)}")
    heading = "instructions from exception entry to return"
    print(f"{heading:45} {'least':>7} {'mean':>7} {'most':>7}")
    for kind, (least, mean, most) in sorted(figures.items()):
        expect(0 < least <= mean <= most, KINDS[kind])
        print(f"{KINDS[kind]:45} {least:7} {mean:7} {most:7}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernel")
    parser.add_argument("disk")
    parser.add_argument("--processors", type=int, default=1)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--seconds", type=int, default=240)
    arguments = parser.parse_args()
    if shutil.which(QEMU) is None:
        print(f"skipped: no {QEMU} (apt-get install qemu-system-x86)")
        return 77
    text = boot(arguments)
    if arguments.measure:
        judge_figures(text)
        return 0
    judge_disk(arguments.disk, judge_words(text, arguments.processors))
    return 0


if __name__ == "__main__":
    sys.exit(main())
