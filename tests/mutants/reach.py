"""Which tests reach which lines of core/, by clang's coverage, each test run once by itself.

The build is that of ci/coverage. What a test reached is kept with the digest of its program, so
that only tests whose program changed run again. A test that takes more than world.LONGEST seconds
of processor time, or fails, reaches nothing: it is not used.
"""
import hashlib
import json
import pathlib
import shutil
import subprocess

import run
import world

BUILD = run.ROOT / "build" / "coverage"


def tool(name):
    return shutil.which(f"{name}-19") or name


def build():
    launcher = [] if shutil.which("ccache") is None else ["-DCMAKE_C_COMPILER_LAUNCHER=ccache"]
    subprocess.run(["cmake", "--preset", "coverage", *launcher], cwd=run.ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    return world.build_tests(str(BUILD))


def lines_of(tracefile):
    """{file of core/: numbers of the lines that ran} of an lcov tracefile. Its paths may be of
    another folder of the same tree, if a cache of compilations is shared."""
    reached, name = {}, None
    for line in tracefile.split("\n"):
        if line.startswith("SF:"):
            _, core, name = line.rpartition("/core/")
            name = f"core/{name}" if core and name.endswith(".c") else None
        elif name and line.startswith("DA:"):
            number, count = line[3:].split(",")[:2]
            if int(count) > 0:
                reached.setdefault(name, []).append(int(number))
    return reached


def take(test, folder):
    """What one test reaches; {} if it is not used."""
    command, environment, where = test
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment = {**environment, "LLVM_PROFILE_FILE": str(folder / "%p.profraw")}
    reason, seconds = world.measure(command, environment, where, world.LONGEST)
    profiles = sorted(folder.glob("*.profraw"))
    if reason:
        return {"reason": reason, "seconds": seconds, "lines": {}}
    merged = folder / "profdata"
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", *profiles, "-o", merged], check=True)
    said = subprocess.run([tool("llvm-cov"), "export", "-format=lcov", "-skip-functions",
                           "-skip-branches", f"-instr-profile={merged}", command[0]],
                          check=True, capture_output=True, text=True)
    shutil.rmtree(folder)
    return {"reason": None, "seconds": seconds, "lines": lines_of(said.stdout)}


def table(folder, say=print):
    """{test: {"digest", "seconds", "reason", "lines"}}, kept in folder/reach; the folder is
    absolute, as tests run elsewhere."""
    tests = build()
    kept = folder / "reach"
    kept.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, test in sorted(tests.items()):
        path = kept / f"{name}.json"
        digest = hashlib.sha256(pathlib.Path(test[0][0]).read_bytes()
                                + " ".join(test[0]).encode()).hexdigest()[:16]
        known = json.loads(path.read_text()) if path.exists() else {}
        if known.get("digest") != digest:
            known = {"digest": digest, **take(test, folder / "profiles")}
            path.write_text(json.dumps(known))
            say(f"{name}: {known['seconds']:.2f} s, {known['reason'] or 'taken'}", flush=True)
        found[name] = known
    return found


def tests_by_line(reached):
    """{(file, line): names of tests}."""
    lines = {}
    for name, known in sorted(reached.items()):
        for file, numbers in known["lines"].items():
            for number in numbers:
                lines.setdefault((file, number), []).append(name)
    return lines
