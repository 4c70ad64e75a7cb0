"""The call graph of the core as gcc leaves it after inlining, with each function's stack.

The core is compiled as the target ntmm_freestanding compiles it (a kernel's flags, -O2), with
-fcallgraph-info. What a call through a pointer reaches is declared in CALLS, by file and by the
expression that is called; a pointer that callers set is a slot, and BINDS says which functions the
callers of each file put there. Three checks keep the declarations true: each such call that gcc
reports is declared, each declaration is used, and each function whose address the objects take is
declared as a target.
"""
import collections
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
FLAGS = ("-std=c11 -O2 -ffreestanding -nostdlib -fno-pic -mno-red-zone -mgeneral-regs-only "
         "-mcmodel=kernel -fno-stack-protector -fno-asynchronous-unwind-tables -ffunction-sections "
         "-Icore -Icore/include -DNTMM_BUILDING=1 -DNDEBUG -fcallgraph-info=su,da").split()
BYTES = ("memcpy", "memmove", "memset", "memcmp")
PLATFORM_HEADERS = ("cpu.h", "cpu_inline.h", "emulated.h", "snapshot.h", "freestanding.h")

# What the platform runs when a transfer has ended.
READS = ("core/paging/inpage.c:complete", "core/paging/mapped_read.c:complete")
COMPLETIONS = READS + ("core/paging/blocks.c:finish_alone", "core/paging/mapped_write.c:complete",
                       "core/paging/writer.c:complete")
EMBEDDER = "embedder"
# A call through a pointer: file and expression, then functions, EMBEDDER, or a slot's name. Calls
# of the form platform->field(...) are the platform's and need no line.
CALLS = {
    ("core/inspect/check_slabs.c", "check"):
        ("core/inspect/check_slabs.c:check_slab", "core/inspect/check_slabs.c:check_nodes_of"),
    ("core/inspect/check_tables.c", "k->reader"): EMBEDDER,
    ("core/paging/blocks.c", "block->io.complete"): "end of a transfer",
    ("core/phys/rows.c", "cost_of"):
        ("core/phys/frames.c:count_standby", "core/phys/rows.c:cost_of_row"),
    ("core/section/image_functions.c", "f->read"): "bytes of an image",
    ("core/section/image_headers.c", "source->read"): "bytes of a file",
    ("core/section/image_layout.c", "source->read"): "bytes of a file",
    ("core/section/relocate_directory.c", "r->read"): "bytes of an image",
    ("core/section/relocate_index.c", "r->read"): "bytes of an image",
    ("core/section/relocate_index.c", "r->chunk"): ("image_record_chunk",),
    ("core/services/image.c", "system->image_verifier"):
        ("core/services/image.c:read_for_verifier",),
    ("core/space/entry.c", "sink"): EMBEDDER,
}
# What lies in a slot: at first, and while a function of this file, or this one, is on the stack.
FIRST = {"end of a transfer": COMPLETIONS}
BINDS = {
    "transfer_and_wait": {"end of a transfer": ("core/paging/blocks.c:finish_alone",)},
    "core/paging/mapped_write.c": {"end of a transfer": ("core/paging/mapped_write.c:complete",)},
    "core/paging/writer.c": {"end of a transfer": ("core/paging/writer.c:complete",)},
    # Reads that a fault or a prefetch began are submitted by these.
    "core/services/relief.c": {"end of a transfer": READS},
    "core/services/prefetch.c": {"end of a transfer": READS},
    "core/services/image.c": {"bytes of a file": ("core/services/image.c:read_data",),
                              "bytes of an image": ("core/services/image.c:read_rva",)},
    "core/section/image_record.c":
        {"bytes of an image": ("core/section/image_record.c:read_directory",)},
}

# stack_bytes counts the return address. calls: names; indirect: (file, expression).
Function = collections.namedtuple("Function", "name place stack_bytes calls indirect")


class Undeclared(Exception):
    """A declaration is missing, or is used by nothing."""


def compiler_of(gcc):
    """As tests/callgrind names a compiler: what the table belongs to."""
    def ask(*options):
        return subprocess.run([gcc, *options], stdout=subprocess.PIPE, text=True,
                              check=True).stdout.strip()
    return f"GNU {ask('-dumpfullversion')} {ask('-dumpmachine').split('-')[0]}"


def sources():
    found = glob.glob(os.path.join(ROOT, "core", "*", "*.c"))
    return sorted(os.path.relpath(path, ROOT) for path in found)


def compile_core(gcc, folder):
    def compile_one(source):
        target = os.path.join(folder, source.replace("/", "_")[:-2])
        run = subprocess.run([gcc, *FLAGS, "-c", source, "-o", target + ".o"], cwd=ROOT,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if run.returncode != 0:
            sys.exit(f"{source} does not compile:\n{run.stdout}")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, sources()))


def plain(title):
    """The source's name of a function: without the suffixes of gcc's copies."""
    return re.sub(r"\.(isra|part|constprop|cold)(\.\d+)?", "", title)


def expression_at(file, line, column, text):
    """What is called at this place of the source: "platform->now", "check"."""
    match = re.match(r"(?:[A-Z_]+\()?([\w.>-]+)\(", text.split("\n")[line - 1][column - 1:])
    if not match:
        raise Undeclared(f"{file}:{line}:{column}: no call through a pointer is seen here")
    return match.group(1)


def parse(text, read_source):
    """Functions of one .ci file, by title."""
    found = {}
    for match in re.finditer(r'^node: \{ title: "([^"]+)" label: "([^"]*)" \}', text, flags=re.M):
        _, place, stack, *_ = match[2].split("\\n")
        size, kind = re.match(r"(\d+) bytes \(([\w,]+)\)", stack).groups()
        if kind not in ("static", "dynamic,bounded"):
            raise Undeclared(f"{match[1]}: its stack has no bound")
        found[match[1]] = Function(match[1], place, int(size), set(), set())
    for source, target, place in re.findall(
            r'^edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)" label: "([^"]*)" \}', text,
            flags=re.M):
        if target != "__indirect_call":
            found[source].calls.add(target)
            continue
        file, line, column = place.rsplit(":", 2)
        expression = expression_at(file, int(line), int(column), read_source(file))
        found[source].indirect.add((file, expression))
    return found


def addresses_taken(gcc_folder):
    """Functions whose address is in the objects: static ones by file, as the graph names them."""
    taken = set()
    for source in sources():
        stem = os.path.join(gcc_folder, source.replace("/", "_")[:-2])
        run = subprocess.run(["readelf", "-rsW", stem + ".o"], stdout=subprocess.PIPE, text=True,
                             check=True)
        functions = set(re.findall(r"FUNC\s+\w+\s+\w+\s+\d+ (\S+)", run.stdout))
        for symbol, offset in re.findall(r"R_X86_64_(?:64|32S?)\s+\w+ (\S+) \+ (\w+)$", run.stdout,
                                         flags=re.M):
            name = symbol.removeprefix(".text.")
            if int(offset, 16) == 0 and name != symbol and name in functions:
                taken.add(f"{source}:{plain(name)}")
            elif symbol in functions or symbol in BYTES:
                taken.add(plain(symbol))
    return taken


class Graph:
    """Functions by title; resolves every call."""

    def __init__(self, functions, taken):
        self.functions = functions
        self.by_name = collections.defaultdict(list)
        for title in functions:
            self.by_name[plain(title)].append(title)
        self.check_declarations(taken)

    def check_declarations(self, taken):
        sites = {site for function in self.functions.values() for site in function.indirect
                 if not site[1].startswith("platform->")}
        wrong = [f"{file}: {what}(...) is called and not declared" for file, what in
                 sorted(sites - set(CALLS))]
        wrong += [f"{file}: {what}(...) is declared and not called" for file, what in
                  sorted(set(CALLS) - sites)]
        declared = {name for slots in [FIRST, *BINDS.values()] for names in slots.values()
                    for name in names}
        for targets in CALLS.values():
            declared |= set(targets) if isinstance(targets, tuple) else set()
        wrong += [f"the address of {name} is taken, and no declaration has it"
                  for name in sorted(taken - declared)]
        if wrong:
            raise Undeclared("\n".join(wrong))

    def titles(self, name):
        """The copies of a function; one that has been inlined everywhere has none."""
        return [name] if name in self.functions else self.by_name.get(name, [])

    def enter(self, title, slots):
        """The slots as they are inside this function."""
        file = self.functions[title].place.split(":")[0]
        bound = {**BINDS.get(file, {}), **BINDS.get(title, {})}
        return tuple(sorted({**dict(slots), **bound}.items())) if bound else slots

    def callees(self, state):
        """What (title, slots) calls: such states, and ("platform", field) or (EMBEDDER, what)."""
        title, slots = state
        for name in sorted(self.functions[title].calls):
            if name in self.functions:
                yield name, self.enter(name, slots)
            elif name not in BYTES:
                raise Undeclared(f"{title} calls {name}, which is not in the core")
        for site in sorted(self.functions[title].indirect):
            if site[1].startswith("platform->"):
                yield "platform", site[1].split(">")[1]
                continue
            targets = CALLS[site]
            if targets == EMBEDDER:
                yield EMBEDDER, site[1]
                continue
            if isinstance(targets, str):
                if targets not in dict(slots):
                    raise Undeclared(f"{title}: nothing is bound to \"{targets}\"")
                targets = dict(slots)[targets]
            for target in targets:
                for copy in self.titles(target):
                    yield copy, self.enter(copy, slots)

    def root(self, name):
        (title,) = self.titles(name)
        return title, self.enter(title, tuple(sorted(FIRST.items())))


def build(gcc="gcc"):
    """The graph of the core as it is."""
    texts = {}

    def read_source(file):
        if file not in texts:
            with open(os.path.join(ROOT, file), encoding="utf-8") as opened:
                texts[file] = opened.read()
        return texts[file]

    functions = {}
    with tempfile.TemporaryDirectory() as folder:
        compile_core(gcc, folder)
        for path in sorted(glob.glob(os.path.join(folder, "*.ci"))):
            with open(path, encoding="utf-8") as opened:
                functions.update(parse(opened.read(), read_source))
        return Graph(functions, addresses_taken(folder))


def public_calls(without=PLATFORM_HEADERS):
    """The public calls in the order of the headers: header, name."""
    return [(header, name) for header, name, _ in public_docstrings(without)]


def public_docstrings(without=PLATFORM_HEADERS):
    """The public calls in the order of the headers: header, name, the comment above it."""
    found = []
    for path in sorted(glob.glob(os.path.join(ROOT, "core", "include", "ntmm", "*.h"))):
        if os.path.basename(path) in without:
            continue
        with open(path, encoding="utf-8") as opened:
            text = opened.read()
        for match in re.finditer(r"^NTMM_API\b[^;(]*?\b(ntmm_\w+)\s*\(", text, flags=re.M):
            above = text[:match.start()]
            comment = above[above.rindex("/**"):] if above.rstrip().endswith("*/") else ""
            found.append((os.path.basename(path), match[1], comment))
    return found
