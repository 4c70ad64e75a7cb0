"""What became of drawn mutants: a text file, one line a mutant, and what follows from it.

    NUMBER.TRY VERDICT FILE:LINE OPERATOR FUNCTION: `OLD` to `NEW`; WHAT

NUMBER is the place in the drawn order, TRY counts what was drawn there before and does not count:
what does not compile (broken) and what is no change at all (equivalent: of the same object code, or
by hand, with the reason as WHAT). The last line of a number holds. Lines that begin with "#" or a
space are remarks: below a mutant that survived stands why.
"""
import collections
import math
import re

COUNTED = ("killed", "survived")
VERDICTS = COUNTED + ("equivalent", "broken")
LINE = re.compile(r"(?P<number>\d+)\.(?P<attempt>\d+) (?P<verdict>[a-z]+) (?P<file>[^ :]+):"
                  r"(?P<line>\d+) (?P<operator>[a-z]+) (?P<function>\w+): (?P<change>`.*`); "
                  r"(?P<what>.*)")

Result = collections.namedtuple("Result", "number attempt verdict file line operator function "
                                "change what")


def floor_of(name):
    """core/phys/lists.c is of phys, core/platform/emulated/cpu.c of emulated."""
    return name.split("/")[-2]


def short(text):
    text = " ".join(text.split())
    return text if len(text) <= 70 else text[:67] + "..."


def format_result(number, attempt, verdict, site, what):
    return (f"{number}.{attempt} {verdict} {site.file}:{site.line} {site.operator} "
            f"{site.function}: `{short(site.old)}` to `{short(site.new)}`; {what}")


def parse(line):
    """A Result, or None for a remark."""
    if not line.strip() or line[0] in "# ":
        return None
    match = LINE.fullmatch(line)
    if not match or match["verdict"] not in VERDICTS:
        raise ValueError(f"not understood: {line}")
    fields = match.groupdict()
    for name in ("number", "attempt", "line"):
        fields[name] = int(fields[name])
    return Result(**fields)


def read(path):
    """The last result of each number."""
    results = {}
    if path.exists():
        for line in path.read_text().split("\n"):
            result = parse(line)
            if result:
                results[result.number] = result
    return results


def replace(path, result, line):
    """Puts `line` where the line of `result` stands, and leaves out the remarks below it."""
    kept, is_below = [], False
    for old in path.read_text().split("\n"):
        if old.startswith(f"{result.number}.{result.attempt} "):
            kept.append(line)
            is_below = " killed " in line
        elif not (is_below and old[:1] == " "):
            kept.append(old)
            is_below = False
    path.write_text("\n".join(kept))


def wilson(killed, count, z=1.96):
    """The interval that holds the share with 95 %, by Wilson."""
    if count == 0:
        return 0.0, 1.0
    share, square = killed / count, z * z / count
    middle = share + square / 2
    half = z * math.sqrt(share * (1 - share) / count + square / (4 * count))
    return (middle - half) / (1 + square), (middle + half) / (1 + square)


def figures(results):
    killed = sum(result.verdict == "killed" for result in results)
    low, high = wilson(killed, len(results))
    share = 100 * killed / len(results) if results else 0
    return f"{killed:4} of {len(results):4}  {share:5.1f} %  ({100 * low:.1f} to {100 * high:.1f})"


def report(path):
    """The lines of a report."""
    lines = [parse(line) for line in path.read_text().split("\n")]
    last = read(path)
    counted = [result for _, result in sorted(last.items()) if result.verdict in COUNTED]
    left_out = collections.Counter(line.verdict for line in lines
                                   if line and line.verdict not in COUNTED)
    said = [f"all            {figures(counted)}"]
    for title, key in (("floor", lambda result: floor_of(result.file)),
                       ("operator", lambda result: result.operator)):
        groups = collections.defaultdict(list)
        for result in counted:
            groups[key(result)].append(result)
        said.append(f"\n{title}")
        said += [f"  {name:12} {figures(group)}" for name, group in sorted(groups.items())]
    said.append(f"\nnot counted, another drawn instead: {left_out['equivalent']} equivalent, "
                f"{left_out['broken']} that do not compile")
    said.append("\nsurvivors")
    said += [f"  {result.number}.{result.attempt} {result.file}:{result.line} {result.operator} "
             f"{result.function}: {result.change}; {result.what}"
             for result in counted if result.verdict == "survived"]
    return said
