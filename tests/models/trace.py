"""Holds runs of the code against frames.steps: each change of a frame's row is a step of the list.

    trace.py [--sim PROGRAM [--seed N] [--seeds COUNT] [--steps M]] [--program TEST...] [FILE...]

FILE is what `sim --frames FILE` writes; with --sim the simulation runs, and its trace is read, with
--program a unit test that traced.c is linked with, which need not reach all steps.
Where the core changes a row it names the step (`frame_step` in core/base/schedule.h), and the trace
has the row as it is then. The checker knows the row as it was: the step's condition must hold of
that, and what the step does to it must give the new row, field for field. A change that no step
names is found with the frame's next one, or when (F) is let go, where the row must be known.
Who takes a frame from a list, or gives it its page, needs no (F): nobody else has the frame. With
threads another may still lock it, by an entry that was read before, and sees such a step half done:
when that other lets go, the row says nothing.

Each step of the list must be reached, or stand below with the reason why it need not. In the end
each step that was reached is spoiled in the list, twice: the opposite condition, and nothing done;
what was seen must then be wrong. Exit status: 0 or 1.
"""
import collections
import re
import sys

import runs
import steps

# A row is followed while its frame is of these: free, a page of a process, a page of a section. Of
# tables, physical pages and the core's own frames shares and names mean something else.
FOLLOWED = {0, 2, 8}
USE = 2 + len(steps.FIELDS)  # where the use stands in a line
# Names that are no step. The row is as it was; with "rest" (F) is let go.
SAME = ("rest", "use", "name", "restore", "collide")
# The row is another's from now on.
ANOTHER = {"moved": "the page of another frame came, with all that its row says"}
# Steps under (F) after which the thread has the frame alone.
TAKES = {"take_standby", "capture"}
# Steps that a run need not reach: none of the simulation does, or few do.
UNREACHED = {
    "delete_held": "seldom: a page is freed while it is mapped and written",
    "detach_held": "seldom: a trimmed page is freed while it is written",
    "soil": "seldom: a page that was given up and is changed nowhere else is kept again",
    "put_cached": "processors keep frames apart once two waited for (N), which has no points in it",
    "put_bad": "no frame is marked as bad",
    "unlist_bad": "no frame is marked as bad",
    "hold": "no memory is copied from one process to another",
}


def python_of(expression):
    """The same condition or value in Python."""
    return expression.replace("&&", " and ").replace("||", " or ")


class Checker:
    """What is known of the frames of one machine after another."""

    def __init__(self, listed):
        self.steps = listed.steps
        self.alone = TAKES | {name for name, step in listed.steps.items() if "F" not in step.locks}
        self.listed = {name: (compile(python_of(step.when), name, "eval"),
                              [(field, compile(python_of(value), name, "eval"))
                               for field, value in step.changes])
                       for name, step in listed.steps.items()}
        self.always = [(rule.name, compile(python_of(rule.condition), rule.name, "eval"))
                       for rule in listed.always]
        self.rest = [(rule.name, compile(python_of(rule.condition), rule.name, "eval"))
                     for rule in listed.rest]
        self.rows = {}
        self.last = {}  # frame to its last step of the list, and the thread that made it
        self.known = {}  # (step, row before, row after) to what is wrong, or None
        self.reached = collections.Counter()
        self.first = self.checked = self.looks = 0
        self.errors = []

    def wrong_rule(self, rules, row):
        """The first rule that a row breaks."""
        words = dict(steps.WORDS, **dict(zip(steps.FIELDS, row)))
        return next((name for name, condition in rules if not eval(condition, {}, words)), None)

    def judge(self, name, before, after):
        """What is wrong with a step."""
        if name in SAME:
            if before != after:
                return "the row changed without a step"
            broken = self.wrong_rule(self.rest, after) if name == "rest" else None
            return f"{broken} does not hold" if broken else None
        when, changes = self.listed[name]
        row = dict(zip(steps.FIELDS, before))
        words = dict(steps.WORDS, **row)
        if not eval(when, {}, words):
            return "its condition does not hold"
        for field, value in changes:
            row[field] = eval(value, {}, dict(steps.WORDS, **row))
        if tuple(row.values()) != after:
            return f"it does not give this row, but {show(tuple(row.values()))}"
        broken = self.wrong_rule(self.always, after)
        return f"{broken} does not hold" if broken else None

    def is_look(self, frame, name, thread):
        """Whether (F) is let go by a thread that looked at a frame which another one has alone."""
        step, owner = self.last.get(frame, (None, thread))
        return name == "rest" and step in self.alone and owner != thread

    def take(self, where, frame, name, after, is_followed, thread):
        """One line of a trace."""
        before = self.rows.get(frame)
        if before not in (None, after) and self.is_look(frame, name, thread):
            self.looks += 1
            return
        if name in self.listed:
            self.last[frame] = name, thread
            self.reached[name] += 1
        elif name not in SAME and name not in ANOTHER:
            self.errors.append(f"{where}: {name} is no step of the list")
        if before is None:
            self.first += 1
        elif name not in ANOTHER:
            self.checked += 1
            change = (name, before, after)
            if change not in self.known:
                self.known[change] = self.judge(*change) if name in (*self.listed, *SAME) else None
            if self.known[change]:
                self.errors.append(f"{where}: frame {frame}: {name}: {self.known[change]}\n"
                                   f"    before {show(before)}\n    after  {show(after)}")
        self.rows[frame] = after if is_followed else None

    def read(self, path):
        """A whole trace."""
        where = ""
        with open(path, encoding="ascii") as lines:
            for number, line in enumerate(lines, 1):
                parts = line.split()
                if parts[0] == "block":
                    continue
                if parts[0] == "machine":
                    self.rows, self.last = {}, {}
                    where = line.strip()
                    continue
                row = tuple(map(int, parts[2:USE]))
                self.take(f"{where}, line {number}", parts[0], parts[1], row,
                          int(parts[USE]) in FOLLOWED, parts[-1])
        return where != ""


def show(row):
    """A row for people."""
    names = {number: name for name, number in steps.WORDS.items()}
    return " ".join(f"{field}={names[value] if field in ('loc', 'list') else value}"
                    for field, value in zip(steps.FIELDS, row))


def spoiled(checker):
    """Steps whose spoiling nobody notices."""
    seen = collections.defaultdict(list)
    for name, before, after in checker.known:
        if name in checker.listed:
            seen[name].append((before, after))
    missed = []
    for name, changes in seen.items():
        step = checker.listed[name]
        opposite = compile(f"not ({python_of(checker.steps[name].when)})", name, "eval")
        for how, planted in (("the opposite", (opposite, step[1])), ("nothing", (step[0], []))):
            checker.listed[name] = planted
            if not any(checker.judge(name, *change) for change in changes):
                missed.append(f"{name}: {how}")
        checker.listed[name] = step
    return missed


def report(checker, is_part):
    """Print what was found; whether nothing is wrong. is_part: not all that a run must have."""
    print(f"{checker.checked} steps of rows checked, {checker.first} of rows not known before, "
          f"{len(checker.known)} different ones; {checker.looks} looks at frames of others")
    print("reached:", " ".join(f"{name} {count}" for name, count in checker.reached.items()))
    missed = [] if is_part else spoiled(checker)
    return runs.judge(checker, checker.listed, UNREACHED, is_part, missed)


def main():
    """See the top of the file."""
    arguments = runs.arguments_of(__doc__.splitlines()[0], seeds=30, steps=2000)
    checker = Checker(steps.read())
    is_right = runs.read_all(arguments, checker)
    return 0 if report(checker, bool(arguments.program)) and is_right else 1


if __name__ == "__main__":
    sys.exit(main())
