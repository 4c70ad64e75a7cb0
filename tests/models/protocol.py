"""What may become of a read and of its page, from collided.steps, for the model and for traces."""
import pathlib
import re

PATH = pathlib.Path(__file__).resolve().parent / "collided.steps"

BLOCK = ("users", "waits", "done", "good", "flying")
PAGE = ("reading", "owner", "shares", "refs", "entry", "given")
# What no row says: the steps alone.
GHOSTS = ("flying", "given")
# As enum seen_entry of tests/sim/frames.c.
ENTRIES = {"OUT": 0, "HERE": 1, "MAPPED": 2, "ELSEWHERE": 3}
# The same in the model, which has one entry; f is the frame.
_OF_MODEL = {"OUT": "SLOT", "HERE": "TRANS(f)", "MAPPED": "VALID(f)", "entry": "entry", "kept": "1"}
_WORD = re.compile(r"\b[A-Za-z]+\b")


class Step:
    """One change of a block or of a page, and what the other must be like."""

    def __init__(self, kind, name, parts):
        self.kind = kind
        self.name = name
        self.locks, self.when, changes, self.other = parts
        self.changes = [tuple(part.strip() for part in change.split("=", 1))
                        for change in changes.split(";")]


class Protocol:
    """The list."""

    def __init__(self, text):
        self.steps = {}
        self.always = []  # kind, name, condition
        for number, line in enumerate(text.splitlines(), 1):
            line = line.split("#", 1)[0].strip()
            if line:
                self.add(number, line)

    def add(self, number, line):
        """One line; `||` is no separator."""
        head, *parts = (part.strip() for part in re.split(r"(?<!\|)\|(?!\|)", line))
        words = head.split()
        if words[0] == "always" and len(parts) == 1:
            self.always.append((*words[1:], *parts))
        elif words[0] in ("block", "page") and len(parts) == 4 and words[1] not in self.steps:
            self.steps[words[1]] = Step(*words, parts)
        else:
            raise ValueError(f"line {number}: not understood")


def read():
    """The list as it is."""
    return Protocol(PATH.read_text())


def words(text, frame, block):
    """The same expression over the variables of the model."""
    def word(match):
        name = match[0]
        if name in BLOCK:
            return f"{name}[{block}]"
        if name in _OF_MODEL:
            return _OF_MODEL[name].replace("f", frame)
        return f"{name}[{frame}]"
    return _WORD.sub(word, text)


def page_step(step, pairs):
    """Lines of the inline function of a step of a page."""
    changes = "; ".join(f"{words(field, 'f', '')} = {words(value, 'f', '')}"
                        for field, value in step.changes)
    locks = "".join(f"holds_{lock}(f) && " for lock in step.locks if lock != "-")
    return [f"inline step_{step.name}(f)", "{", "    d_step {",
            f"        assert({locks}({words(step.when, 'f', '')}));",
            f"        assert(block_of[f] == NONE || ({words(step.other, 'f', 'block_of[f]')}));",
            f"        {changes};", *pairs, "    }", "}"]


def block_step(step, frames, pairs):
    """The same of a block."""
    changes = "; ".join(f"{words(field, '', 'b')} = {words(value, '', 'b')}"
                        for field, value in step.changes)
    locks = "holds_Q && " if step.locks == "Q" else ""
    each = [f"        assert(block_of[{f}] != b || ({words(step.other, str(f), 'b')}));"
            for f in range(frames)]
    return [f"inline step_{step.name}(b)", "{", "    d_step {",
            f"        assert({locks}({words(step.when, '', 'b')}));", *each,
            f"        {changes};", *pairs, "    }", "}"]


def promela(protocol, frames=2):
    """The list for the model: an inline function for each step, which asserts and changes."""
    def rules(kind, frame, block):
        return [f"        assert({words(condition, frame, block)});"
                for of, _, condition in protocol.always if of == kind]

    def pairs(frame, block, guard):
        return [line.replace("assert(", f"assert({guard} || (", 1)[:-2] + "));"
                for line in rules("pair", frame, block)]

    lines = []
    for step in protocol.steps.values():
        if step.kind == "page":
            checks = rules("page", "f", "") + pairs("f", "block_of[f]", "block_of[f] == NONE")
            lines += page_step(step, checks)
        else:
            checks = rules("block", "", "b")
            for f in range(frames):
                checks += pairs(str(f), "b", f"block_of[{f}] != b")
            lines += block_step(step, frames, checks)
    return "\n".join(lines) + "\n"
