"""Whether the simulation has the same hashes on other hosts and with other compilers.

    hashes.py --sim PROGRAM --sources FILE --out FOLDER [--seeds COUNT] [--steps M] [--only NAME]

PROGRAM is the simulation as this tree builds it; the others are built here, into FOLDER. No hash is
recorded: all programs run the same seeds now, and each hash must be PROGRAM's. Exit status: 0, 1,
or 77 when a compiler or emulator is missing and nothing differs.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# name, compiler, flags, what may run the program: nothing is this machine.
HOSTS = [
    ("gcc-O0", "gcc", ["-O0"], [[]]),
    ("gcc-O3", "gcc", ["-O3"], [[]]),
    ("clang-O2", "clang-19", ["-O2"], [[]]),
    ("i686", "i686-linux-gnu-gcc", ["-O1", "-static"], [[], ["qemu-i386"]]),
    ("s390x", "s390x-linux-gnu-gcc", ["-O1", "-static"], [["qemu-s390x"]]),
]
# As CMakeLists.txt has them.
FLAGS = ["-DNTMM_SCHEDULE_POINTS=1", "-DNTMM_BUILDING=1", "-DNTMM_DEBUG=1",
         *(f"-I{ROOT / folder}" for folder in ("core", "core/include", "tests", "fuzz"))]
HASH = re.compile(r"^seed (\d+): hash ([0-9A-F]{16})$", re.MULTILINE)
SECONDS_OF_RUN = 300


def compile_one(command, source, out):
    """One object; what the compiler said if it failed."""
    target = out / (re.sub(r"\W", "_", str(source)) + ".o")
    done = subprocess.run([*command, "-w", "-c", source, "-o", target], check=False,
                          capture_output=True, text=True)
    return target, done.stderr if done.returncode else ""


def build(host, arguments):
    """The program of a host; None: it does not compile."""
    name, compiler, own, _ = host
    out = arguments.out / name
    out.mkdir(parents=True, exist_ok=True)
    command = [compiler, "-std=c11", *own, *FLAGS]
    sources = arguments.sources.read_text().split()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        made = list(pool.map(lambda source: compile_one(command, source, out), sources))
    wrong = [text for _, text in made if text]
    if wrong:
        print(f"{name}: does not compile\n{wrong[0]}")
        return None
    program = out / "sim"
    subprocess.run([compiler, *own, "-pthread", "-o", program, *(target for target, _ in made)],
                   check=True)
    return program


def hashes(command, arguments):
    """Seed to hash; a seed that failed has none."""
    run = [*command, "--seeds", str(arguments.seeds), "--steps", str(arguments.steps), "--verbose",
           "--minimise", "0"]
    done = subprocess.run(run, check=False, capture_output=True, text=True, timeout=SECONDS_OF_RUN)
    found = dict(HASH.findall(done.stdout))
    if done.returncode:
        print(f"{' '.join(map(str, command))} fails:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
        found["whole run"] = f"exit status {done.returncode}"
    return found


def runner(host):
    """What runs a host's programs; None: nothing here does."""
    name, compiler, _, emulators = host
    if not shutil.which(compiler):
        print(f"{name}: skipped, {compiler} is missing")
        return None
    for emulator in emulators:
        if not emulator or shutil.which(emulator[0]):
            return emulator
    print(f"{name}: skipped, {emulators[-1][0]} is missing")
    return None


def check_host(host, expected, arguments):
    """Whether a host has the hashes; None: it could not be asked."""
    emulator = runner(host)
    if emulator is None:
        return None
    began = time.monotonic()
    program = build(host, arguments)
    if program is None:
        return False
    built = time.monotonic()
    found = hashes([*emulator, program], arguments)
    different = [seed for seed in expected.keys() | found.keys()
                 if expected.get(seed) != found.get(seed)]
    print(f"{host[0]}: {len(expected) - len(different)} of {len(expected)} hashes are equal; "
          f"built in {built - began:.0f} s, ran {time.monotonic() - built:.0f} s", flush=True)
    for seed in sorted(different, key=lambda seed: seed.zfill(20)):
        print(f"  seed {seed}: {found.get(seed)}, not {expected.get(seed)}")
    return not different


def main():
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--sim", "--sources", "--out"):
        parser.add_argument(name, type=pathlib.Path, required=True)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--only", default="", help="hosts whose names hold this")
    arguments = parser.parse_args()
    expected = hashes([arguments.sim], arguments)
    if len(expected) != arguments.seeds:
        print("the program of this tree has not a hash for each seed")
        return 1
    verdicts = [check_host(host, expected, arguments) for host in HOSTS
                if arguments.only in host[0]]
    if False in verdicts or not verdicts:
        return 1
    return 77 if None in verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
