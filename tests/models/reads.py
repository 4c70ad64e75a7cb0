"""Holds runs of the code against collided.steps: what becomes of reads, their blocks and pages.

    reads.py [--sim PROGRAM [--seed N] [--seeds COUNT] [--steps M]] [--program TEST...] [FILE...]

FILE is what `sim --frames FILE` writes; with --sim the simulation runs, with a crowd that makes
faults collide, and its trace is read, with --program a unit test that traced.c is linked with,
which need not reach all steps. Where the core acts in the protocol it names the step, and the trace
has the block, or the frame's row and what its entry says, as they are then. The checker knows them
as they were: the step's condition must hold of that, and of the block or the pages that belong to
it, and what the step does must give what the trace has. A change that no step names is found with
the next one, or when (F) is let go.

A page is followed from the time its read is begun until it is mapped or gone, and its block free.
Each step of the list must be reached, or stand below with the reason why it need not. In the end
each step that was reached is spoiled in the list, thrice: the opposite condition, the opposite
condition of the other, and nothing done; what was seen must then be wrong. Exit status: 0 or 1.
"""
import collections
import sys

import protocol
import runs
import steps

USE_OF_TABLE = 3
USE = 2 + len(steps.FIELDS)  # where the use, the entry and the block stand in a line
# Steps of frames.steps that are the same to a page that is read.
SAME_AS = {"begin_read_file": "begin_read", "begin_flush": "hold", "begin_flush_shared": "hold",
           "begin_flush_listed": "hold_trimmed"}
# The frame has another page from now on, or none, or the writer has it: no more is to be checked.
OTHER = ("moved", "capture", "begin_write", "put_zeroed", "put_cached", "put_bad")
# The page is gone with these.
LAST = ("take_standby", "put_free")
UNREACHED = {
    "again": "a page must be freed and paged out again before a fault that waited has looked",
    "hold": "seldom: a page of a file is flushed before all who waited for its read have looked",
    "drop_share": "seldom: a view lets a page go before all who waited for its read have looked",
    "last_share": "seldom: the same of a page that was read ahead",
}
# Conditions of the other that say nothing of it: whatever it is like, and that there is none.
TRIVIAL = ("1", "0")
ROW = ("reading", "owner", "shares", "refs")  # fields of both lists
OUT = protocol.ENTRIES["OUT"]
FRESH = {"reading": 0, "owner": 0, "shares": 1, "refs": 1, "entry": OUT, "given": 0}
NO_BLOCK = {"users": 0, "waits": 0, "done": 0, "good": 0, "flying": 0}


def compiled(expression):
    """A condition or value in Python."""
    text = expression.replace("&&", " and ").replace("||", " or ")
    return compile(text, expression, "eval")


class Step:
    """A step of the list, ready to be looked at."""

    def __init__(self, step):
        self.kind = step.kind
        self.when = compiled(step.when)
        self.other = compiled(step.other)
        self.changes = [(field, compiled(value)) for field, value in step.changes]


class Checker:
    """What is known of the blocks and pages of one machine after another."""

    def __init__(self, listed):
        self.texts = listed.steps
        self.steps = {name: Step(step) for name, step in listed.steps.items()}
        self.always = [(kind, name, compiled(condition))
                       for kind, name, condition in listed.always]
        self.known = {}  # (step, itself before, after, the others) to what is wrong, or None
        self.reached = collections.Counter()
        self.names = set()  # steps of rows that the protocol knows nothing of
        self.checked = 0
        self.errors = []
        self.begin("")

    def begin(self, where):
        """Another machine."""
        self.where = where
        self.blocks, self.targets = {}, {}
        self.pages, self.block_of = {}, {}  # by frame
        self.is_new, self.is_table = set(), set()

    # --- one step ---

    def judge(self, name, before, after, others):
        """What is wrong with a step. others: of a block its pages, of a page its block; each has
        `kept`, of a page and its block."""
        step = self.steps[name]
        words = dict(protocol.ENTRIES, **before)
        if not eval(step.when, {}, words):
            return "its condition does not hold"
        for other in others:
            if not eval(step.other, {}, dict(protocol.ENTRIES, **other)):
                return "its condition of the other does not hold"
        row = dict(before)
        for field, value in step.changes:
            row[field] = eval(value, {}, dict(protocol.ENTRIES, **row))
        if row != after:
            return f"it does not give this, but {show(row)}"
        return self.wrong_rule(step.kind, row, others)

    def wrong_rule(self, kind, row, others):
        """The first rule that is broken."""
        for of, name, condition in self.always:
            if of == kind:
                rows = [row]
            elif of == "pair":
                rows = [{**row, **other} for other in others]
            else:
                rows = []
            for words in rows:
                if not eval(condition, {}, dict(protocol.ENTRIES, **words)):
                    return f"{name} does not hold"
        return None

    def check(self, line, what, name, before, after, others):
        """The same, once for each that is different."""
        self.reached[name] += 1
        self.checked += 1
        change = (name, tuple(before.items()), tuple(after.items()),
                  tuple(tuple(other.items()) for other in others))
        if change not in self.known:
            self.known[change] = self.judge(name, before, after, others)
        if self.known[change]:
            self.error(line, f"{what}: {name}: {self.known[change]}\n"
                       f"    before {show(before)}\n    after  {show(after)}\n"
                       f"    other  {' / '.join(map(show, others))}")

    def error(self, line, text):
        """Something is wrong."""
        self.errors.append(f"{self.where}, line {line}: {text}")

    # --- blocks ---

    def pages_of(self, number):
        """Of a block: pages that belong to it, each as it is, and different ones alone."""
        rows = {}
        for frame, block in self.block_of.items():
            if block == number:
                row = dict(self.pages[frame], kept=int(self.targets[number] == frame))
                rows[tuple(row.values())] = row
        return [row for _, row in sorted(rows.items())]

    def take_block(self, line, number, name, values):
        """A line of a block."""
        if name not in self.steps or self.steps[name].kind != "block":
            self.error(line, f"{name} is no step of a block")
            return
        users, waits, done, good, target = values
        before = self.blocks.get(number, NO_BLOCK)
        after = dict(zip(protocol.BLOCK, (users, waits, done, good)))
        self.add_ghosts(name, before, after)
        if self.texts[name].locks == "-":
            after.update(users=before["users"], waits=before["waits"])  # others may change them
        self.targets[number] = target
        self.check(line, f"block {number}", name, dict(before), after, self.pages_of(number))
        self.blocks[number] = after
        if name == "free":
            self.let_go(number)

    def add_ghosts(self, name, before, after):
        """What a step makes of what no row says."""
        changes = {field: value for field, value in self.steps[name].changes}
        for ghost in protocol.GHOSTS:
            if ghost in before:
                after[ghost] = eval(changes[ghost]) if ghost in changes else before[ghost]

    def let_go(self, number):
        """A block is free: its pages belong to none."""
        for frame in [frame for frame, block in self.block_of.items() if block == number]:
            del self.block_of[frame]
            if self.pages[frame]["shares"] != 0:
                self.forget(frame)

    # --- pages ---

    def forget(self, frame):
        """The page is mapped or gone."""
        self.pages.pop(frame, None)
        self.block_of.pop(frame, None)
        self.is_new.discard(frame)
        self.is_table.discard(frame)

    def others_of(self, frame):
        """The block that a page belongs to, in a list."""
        number = self.block_of.get(frame)
        if number is None:
            return []
        kept = int(self.targets.get(number) == frame)
        return [dict(self.blocks.get(number, NO_BLOCK), kept=kept)]

    def begin_page(self, line, frame, use, block):
        """Its read is begun."""
        if frame in self.pages:
            self.error(line, f"frame {frame}: begin_read: it is {show(self.pages[frame])}")
        self.pages[frame] = dict(FRESH)
        self.block_of[frame] = block
        self.is_table = (self.is_table - {frame}) | ({frame} if use == USE_OF_TABLE else set())

    def take_row(self, line, frame, name, after, use, block):
        """A line of a frame."""
        name = SAME_AS.get(name, name)
        if name == "begin_read":
            self.begin_page(line, frame, use, block)
        before = self.pages.get(frame)
        if before is None:
            return
        if name in OTHER:
            self.forget(frame)
        elif name == "rest":
            self.rest(line, frame, before, after)
        elif name in self.steps:
            self.step_page(line, frame, name, before, after)
        else:
            self.names.add(name)
            self.same(line, frame, name, before, after)
        if after["reading"] and frame in self.pages and self.block_of.get(frame) != block:
            self.error(line, f"frame {frame}: {name}: its row names block {block}")

    def step_page(self, line, frame, name, before, after):
        """A step of the list."""
        after = dict(after)
        expected = dict(self.steps[name].changes)
        if not is_stable(after) and "entry" not in expected:
            after["entry"] = before["entry"]  # it is (W)'s alone
        self.add_ghosts(name, before, after)
        self.check(line, f"frame {frame}", name, before, after, self.others_of(frame))
        self.pages[frame] = after
        if name == "reactivate":
            self.is_new.add(frame)
        if name in LAST:
            self.forget(frame)

    def rest(self, line, frame, before, after):
        """(F) is let go: with the first one after its page came back, the entry is valid."""
        if frame in self.is_new:
            self.is_new.discard(frame)
            self.add_ghosts("map", before, after)
            self.check(line, f"frame {frame}", "map", before, after, self.others_of(frame))
            self.pages[frame] = after
            if frame in self.is_table or frame not in self.block_of:
                self.forget(frame)
        else:
            self.same(line, frame, "rest", before, after)
            if is_stable(after) and before["entry"] != after["entry"]:
                self.error(line, f"frame {frame}: the entry changed without a step: "
                           f"{show(before)}, {show(after)}")

    def same(self, line, frame, name, before, after):
        """Nothing that is followed has changed."""
        if any(before[field] != after[field] for field in ROW):
            self.error(line, f"frame {frame}: {name}: the row changed without a step\n"
                       f"    before {show(before)}\n    after  {show(after)}")

    # --- a trace ---

    def read(self, path):
        """A whole one."""
        with open(path, encoding="ascii") as lines:
            for number, line in enumerate(lines, 1):
                parts = line.split()
                if parts[0] == "machine":
                    self.begin(line.strip())
                elif parts[0] == "block":
                    self.take_block(number, int(parts[1]), parts[2], tuple(map(int, parts[3:])))
                else:
                    self.read_row(number, parts)
        return self.where != ""

    def read_row(self, line, parts):
        """A line of a frame."""
        frame = int(parts[0])
        if frame not in self.pages and SAME_AS.get(parts[1], parts[1]) != "begin_read":
            return
        row = dict(zip(steps.FIELDS, map(int, parts[2:USE])))
        use, entry, block = map(int, parts[USE:USE + 3])
        after = {field: row[field] for field in ROW}
        self.take_row(line, frame, parts[1], dict(after, entry=entry), use, block)


def is_stable(row):
    """Whether the entry of a page is (F)'s too."""
    return row["owner"] == 1 and row["shares"] == 0


def show(row):
    """A row for people."""
    names = {number: name for name, number in protocol.ENTRIES.items()}
    return " ".join(f"{field}={names[value] if field == 'entry' else value}"
                    for field, value in row.items())


def spoiled(checker):
    """Steps whose spoiling nobody notices."""
    seen = collections.defaultdict(list)
    for name, before, after, others in checker.known:
        seen[name].append((dict(before), dict(after), [dict(other) for other in others]))
    missed = []
    for name, changes in seen.items():
        step, text = checker.steps[name], checker.texts[name]
        plants = [("when", compiled(f"not ({text.when})"), "the opposite")]
        if text.other not in TRIVIAL:
            plants.append(("other", compiled(f"not ({text.other})"), "the opposite of the other"))
        if any(field != value for field, value in text.changes) and name not in NOTHING_DONE:
            plants.append(("changes", [], "nothing"))
        for field, planted, how in plants:
            right = getattr(step, field)
            setattr(step, field, planted)
            if not any(checker.judge(name, *change) for change in changes):
                missed.append(f"{name}: {how}")
            setattr(step, field, right)
    return missed


# What these do leaves all as it was; "delete" of a page that was detached, and others are seldom.
NOTHING_DONE = ("collide", "put_free", "delete")


def report(checker, is_part):
    """Print what was found; whether nothing is wrong. is_part: not all that a run must have."""
    print(f"{checker.checked} steps checked, {len(checker.known)} different ones")
    print("reached:", " ".join(f"{name} {count}" for name, count in checker.reached.items()))
    print("of no account to a read:", " ".join(sorted(checker.names)))
    missed = [] if is_part else spoiled(checker)
    has_kept = any(dict(other)["kept"] for *_, others in checker.known for other in others)
    if not has_kept:
        print("no block was seen to keep a page")
    return runs.judge(checker, checker.steps, UNREACHED, is_part, missed) and has_kept


def main():
    """See the top of the file."""
    arguments = runs.arguments_of(__doc__.splitlines()[0], seeds=20, steps=3000)
    checker = Checker(protocol.read())
    is_right = runs.read_all(arguments, checker, ["--crowd"])
    return 0 if report(checker, bool(arguments.program)) and is_right else 1


if __name__ == "__main__":
    sys.exit(main())
