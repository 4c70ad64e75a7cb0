"""What may become of the row of a frame, from frames.steps, for the model of frames."""
import pathlib
import re

PATH = pathlib.Path(__file__).resolve().parent / "frames.steps"

# As enum ntmm_frame_location; and what `list` is of a frame that is on none.
LOCATIONS = ("ZEROED", "FREE", "STANDBY", "MODIFIED", "NOWRITE", "BAD", "ACTIVE", "TRANSITION")
NONE = "NONE"
FIELDS = ("loc", "list", "shares", "refs", "reading", "writing", "dirty", "owner", "slot", "spare")
WORDS = {name: number for number, name in enumerate((*LOCATIONS, NONE))}
_FIELD = re.compile(r"\b(" + "|".join(FIELDS) + r")\b")


class Step:
    """One change of a row."""

    def __init__(self, name, locks, when, changes):
        self.name = name
        self.locks = "" if locks == "-" else locks
        self.when = when
        self.changes = [tuple(part.strip() for part in change.split("=", 1))
                        for change in changes.split(";") if change.strip()]


class Rule:
    """What holds of a row."""

    def __init__(self, name, condition):
        self.name = name
        self.condition = condition


class Steps:
    """The list."""

    def __init__(self, text):
        self.steps, self.always, self.rest = {}, [], []
        for number, line in enumerate(text.splitlines(), 1):
            line = line.split("#", 1)[0].strip()
            if line:
                self.add(number, line)

    def add(self, number, line):
        """One line."""
        kind, rest = line.split(None, 1)
        parts = [part.strip() for part in rest.split("|", 3 if kind == "step" else 1)]
        if kind == "step":
            self.add_step(number, rest)
        elif kind in ("always", "rest") and len(parts) == 2:
            (self.always if kind == "always" else self.rest).append(Rule(*parts))
        else:
            raise ValueError(f"line {number}: not understood")

    def add_step(self, number, text):
        """name | locks | when | do; `||` is no separator."""
        parts = [part.strip() for part in re.split(r"(?<!\|)\|(?!\|)", text)]
        if len(parts) != 4 or parts[0] in self.steps:
            raise ValueError(f"line {number}: a step has a name of its own and four parts")
        self.steps[parts[0]] = Step(*parts)


def read():
    """The list as it is."""
    return Steps(PATH.read_text())


def rows(text):
    """The same expression over the rows of the model."""
    return _FIELD.sub(r"\1[f]", text)


def promela(steps):
    """The list for the model: constants, and an inline function for each step."""
    lines = [f"#define {name} {number}" for name, number in WORDS.items()]
    for kind in ("always", "rest"):
        body = " && \\\n    ".join(f"({rows(rule.condition)})" for rule in getattr(steps, kind))
        lines.append(f"#define {kind}(f) assert(\\\n    {body})")
    for step in steps.steps.values():
        changes = "; ".join(rows(f"{field} = {value}") for field, value in step.changes)
        lines += [f"inline step_{step.name}(f)", "{", "    d_step {",
                  f"        assert(holds_{step.locks or 'none'}(f) && ({rows(step.when)}));",
                  f"        {changes};", "        always(f)", "    }", "}"]
    return "\n".join(lines) + "\n"
