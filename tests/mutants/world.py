"""A copy of the tree where one object is compiled, one library linked, and tests run as they are.

The core is one shared library there, every symbol of it visible, so that programs of tests need not
be linked anew for a mutant; those that hold the core otherwise (the simulation, which compiles it
once more, and tests that stand before calls of the host) are. A mutant is compiled in a folder of
its own, so that several can be judged at once.

A test has failed when it ends with another status than 0, or hangs: it takes 10 times the processor
time that it took for reach.py (and 3 seconds more), or all its threads sleep for SLEEP seconds.
"""
import hashlib
import json
import os
import pathlib
import resource
import shlex
import shutil
import signal
import subprocess
import time

import run

SLEEP = 40
# Runs seeds in children, of which no coverage is left: tried for every line that a test reaches.
EVERYWHERE = ("sim.seeds",)
LONGEST = 20  # seconds of processor time; tests that take longer are not used
# Not programs that hold the core, or for all of the tree at once.
LEFT_OUT = ("shell", "policies", "exports", "callgrind", "fuzz_calls.complete",
            "fuzz_calls.reached", "conformance.model", "conformance.lists", "test_words")
VISIBLE = {
    "add_library(ntmm_static STATIC": "add_library(ntmm_static SHARED",
    "OUTPUT_NAME ntmm EXPORT_NAME static": "OUTPUT_NAME ntmm_all EXPORT_NAME static",
    "(ntmm_objects PROPERTIES POSITION_INDEPENDENT_CODE ON)":
        "(ntmm_objects PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET default)\n"
        "target_compile_options(ntmm_objects PRIVATE -O1)",
}
LIBRARY = "libntmm_all.so"


def visible(data):
    """CMakeLists.txt with the static library shared, optimized, and all its symbols visible."""
    text = data.decode()
    for old, new in VISIBLE.items():
        if text.count(old) != 1:
            raise ValueError(f"CMakeLists.txt does not say once: {old}")
        text = text.replace(old, new)
    return text.encode()


def tests_of(build):
    """{name: (command, environment, folder)} of the quick C tests of a build folder."""
    listed = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], check=True,
                            capture_output=True, text=True).stdout
    tests = {}
    for test in json.loads(listed)["tests"]:
        properties = {item["name"]: item["value"] for item in test["properties"]}
        command = test.get("command")
        if (not command or not command[0].startswith(f"{build}/bin/")
                or "quick" not in properties["LABELS"] or test["name"].startswith(LEFT_OUT)):
            continue
        environment = dict(item.split("=", 1) for item in properties.get("ENVIRONMENT", []))
        tests[test["name"]] = (command, environment, properties.get("WORKING_DIRECTORY", build))
    return tests


def build_tests(build):
    """Builds a folder that is configured, and gives its tests. ctest says the command of a test
    only when its program exists, so everything is built first."""
    subprocess.run(["ninja", "-C", build], check=True, stdout=subprocess.DEVNULL)
    tests = tests_of(build)
    if not tests:
        raise ValueError(f"{build} has no quick C tests")
    return tests


def sleeps(pid):
    """Whether every thread of the process and of its children waits, so that time alone does not
    help it."""
    try:
        threads = list(pathlib.Path(f"/proc/{pid}/task").iterdir())
        states = [(path / "stat").read_text().rsplit(")", 1)[1].split()[0] for path in threads]
        children = [child for path in threads for child in (path / "children").read_text().split()]
    except (OSError, IndexError):
        return False
    return set(states) == {"S"} and all(sleeps(child) for child in children)


def spent(pid):
    """Processor seconds of a process, and of children that it waited for."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def measure(command, environment, folder, seconds):
    """(why it failed or None, processor seconds); `seconds` of processor time are the limit. (That
    of setrlimit may come seconds late.)"""
    process = subprocess.Popen(command, env={**os.environ, **environment}, cwd=folder,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    pause, asleep_since = 0.002, None
    try:
        resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(pause)
            pause = min(pause * 1.5, 0.1)
            if not sleeps(process.pid):
                asleep_since = None
            elif asleep_since is None:
                asleep_since = time.monotonic()
            is_asleep = asleep_since and time.monotonic() - asleep_since > SLEEP
            if is_asleep or spent(process.pid) > seconds:
                os.killpg(process.pid, signal.SIGKILL)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.returncode = os.waitstatus_to_exitcode(status)
    return why(process.returncode), usage.ru_utime + usage.ru_stime


def why(code):
    if code == -signal.SIGKILL:
        return "hangs"
    if code < 0:
        return "traps" if code in (-signal.SIGILL, -signal.SIGTRAP) else f"dies of signal {-code}"
    return "fails" if code else None


def words_of(command, source, out, new_source, new_out):
    """A compiler's command with other files, no list of dependencies, and nothing for debuggers, as
    lines have changed there."""
    words = shlex.split(command)
    if pathlib.Path(words[0]).name == "ccache":
        del words[0]
    kept, skip = [], 0
    for word in words:
        if skip:
            skip -= 1
        elif word in ("-MF", "-MT"):
            skip = 1
        elif word not in ("-MD", "-g"):
            kept.append({source: new_source, out: new_out}.get(word, word))
    return kept


class World:
    def __init__(self, folder):
        self.folder = folder
        self.tree = folder / "tree"
        self.build = self.tree / "build" / "dev"
        self.tests, self.links, self.compiles, self.objects = {}, {}, {}, []
        self.sound = {}

    def prepare(self):
        """Copies what changed, builds, and learns how everything is compiled and linked."""
        shutil.rmtree(self.folder / "originals", ignore_errors=True)
        run.copy_tree(self.tree, {"CMakeLists.txt": visible})
        launcher = [] if shutil.which("ccache") is None else ["-DCMAKE_C_COMPILER_LAUNCHER=ccache"]
        subprocess.run(["cmake", "-S", self.tree, "-B", self.build, "-G", "Ninja", *launcher,
                        "-DCMAKE_BUILD_TYPE=Debug"],
                       check=True, stdout=subprocess.DEVNULL)
        self.tests = build_tests(str(self.build))
        programs = sorted({f"bin/{pathlib.Path(test[0][0]).name}" for test in self.tests.values()})
        for entry in json.loads((self.build / "compile_commands.json").read_text()):
            name = os.path.relpath(entry["file"], self.tree)
            if name.startswith("core/"):
                words = shlex.split(entry["command"])
                entry["output"] = words[words.index("-o") + 1]
                self.compiles.setdefault(name, []).append(entry)
        self.objects = [entry["output"] for entries in self.compiles.values() for entry in entries
                        if entry["output"].startswith("CMakeFiles/ntmm_objects.dir/")]
        self.read_links([*programs, LIBRARY])
        self.link_alone()
        self.read_sound()

    def read_links(self, targets):
        for target in targets:
            said = subprocess.run(["ninja", "-C", self.build, "-t", "commands", "-s", target],
                                  check=True, capture_output=True, text=True).stdout
            words = shlex.split(said.strip().split("\n")[-1])
            words = words[words.index("&&") + 1:] if words[0] == ":" else words
            self.links[target] = words[:words.index("&&")] if "&&" in words else words

    def link_alone(self):
        """Programs that stand before calls of the host must hold the library themselves."""
        for name, (command, environment, folder) in self.tests.items():
            program = f"bin/{pathlib.Path(command[0]).name}"
            if self.how_held(name) == "linked" and LIBRARY in self.links[program]:
                out = self.folder / program
                out.parent.mkdir(exist_ok=True)
                self.link(program, {}, out)
                self.tests[name] = ([str(out), *command[1:]], environment, folder)

    def link(self, target, made, out):
        """Links a program, or the library, with objects exchanged for those of `made`."""
        words = []
        for word in self.links[target]:
            words += self.objects if word == LIBRARY and target != LIBRARY else [word]
        words = [made.get(word, word) for word in words] + ["-Wl,-S"]
        words[words.index("-o") + 1] = str(out)
        subprocess.run(words, cwd=self.build, check=True, stdout=subprocess.DEVNULL)

    def digest(self, name):
        return hashlib.sha256(pathlib.Path(self.tests[name][0][0]).read_bytes()).hexdigest()[:16]

    def read_sound(self):
        """What is known of programs that are as they were."""
        path = self.folder / "sound.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        self.sound = {name: of for name, of in known.items()
                      if name in self.tests and of["digest"] == self.digest(name)}

    def is_sound(self, name):
        """Whether a test passes without a mutant."""
        if name not in self.sound:
            reason, _ = measure(*self.tests[name], LONGEST)
            self.sound[name] = {"digest": self.digest(name), "reason": reason}
            (self.folder / "sound.json").write_text(json.dumps(self.sound, indent=0))
        return self.sound[name]["reason"] is None

    def how_held(self, name):
        """"shared": the library is loaded; "linked": the program is linked anew for a mutant."""
        link = self.links[f"bin/{pathlib.Path(self.tests[name][0][0]).name}"]
        is_wrapped = any("--wrap" in word for word in link)
        return "shared" if LIBRARY in link and not is_wrapped else "linked"


class Mutant:
    """One change, compiled in a folder of its own."""

    def __init__(self, world, site, folder):
        self.world, self.site, self.folder = world, site, folder
        self.made = {}  # object of the build: object of the mutant
        self.is_linked = False

    def write(self, text):
        path = self.folder / self.site.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
        return str(path)

    def text(self):
        source = (self.world.tree / self.site.file).read_bytes()
        return source[:self.site.begin] + self.site.new.encode() + source[self.site.end:]

    def compile(self, entry, text, out, *more):
        """Whether it compiles. Headers of its folder are those of the tree."""
        path = self.write(text)
        words = words_of(entry["command"], entry["file"], entry["output"], path, str(out))
        words += ["-w", "-iquote", str(pathlib.Path(entry["file"]).parent), *more]
        done = subprocess.run(words, cwd=self.world.build, capture_output=True)
        return done.returncode == 0

    def entries(self):
        return self.world.compiles[self.site.file]

    def entry(self):
        return next(entry for entry in self.entries() if entry["output"] in self.world.objects)

    def make(self):
        """"broken", "equivalent" or None: the object is there and differs."""
        entry, out = self.entry(), self.folder / "mutant-O1.o"
        if not self.compile(entry, self.text(), out):
            return "broken"
        self.made[entry["output"]] = str(out)
        return "equivalent" if out.read_bytes() == self.original("-O1") else None

    def is_same_optimized(self):
        """Whether a better optimizer makes the same object of the original."""
        out = self.folder / "mutant-O2.o"
        return (self.compile(self.entry(), self.text(), out, "-O2")
                and out.read_bytes() == self.original("-O2"))

    def original(self, level):
        """The object of the original; it does not name the folder that it was compiled in."""
        kept = self.world.folder / "originals" / f"{self.site.file.replace('/', '-')}{level}.o"
        if not kept.exists():
            kept.parent.mkdir(exist_ok=True)
            out = self.folder / f"original{level}.o"
            self.compile(self.entry(), (self.world.tree / self.site.file).read_bytes(), out, level)
            out.replace(kept)
        return kept.read_bytes()

    def link_library(self):
        if not self.is_linked:
            self.world.link(LIBRARY, self.made, self.folder / LIBRARY)
        self.is_linked = True

    def link_program(self, program):
        """A program that holds the core itself, with the mutant in it; None if it cannot be."""
        for number, entry in enumerate(self.entries()):
            if entry["output"] not in self.made:
                out = self.folder / f"other{number}.o"
                if not self.compile(entry, self.text(), out):
                    return None
                self.made[entry["output"]] = str(out)
        out = self.folder / pathlib.Path(program).name
        self.world.link(program, self.made, out)
        return str(out)

    def try_test(self, name, usual):
        """(why it failed or None, processor seconds)."""
        command, environment, folder = self.world.tests[name]
        if self.world.how_held(name) == "shared":
            self.link_library()
            environment = {**environment, "LD_LIBRARY_PATH": str(self.folder)}
        else:
            program = self.link_program(f"bin/{pathlib.Path(command[0]).name}")
            if program is None:
                return None, 0.0
            command = [program, *command[1:]]
        return measure(command, environment, folder, 10 * usual + 3)
