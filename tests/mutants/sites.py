"""Where a C file of core/ can be changed in one place: what clang's syntax tree says, not text.

sites_of(tree, source) gives sites; a site is one change, the bytes [begin, end) becoming `new`.

  relational  < to <=, > to >=, == to !=, and back
  arithmetic  + to -, += to -=, and back
  logical     && to ||, and back; the condition of if, while, do, for or ?: negated
  constant    a number of the file, one more or one less
  deletion    a statement that is a call, an assignment or a step is left out
  return      another status, or true for false, in what is returned
  bits        & to |, ^ to &, << to >>, and back, with assignments; ~ left out

What stands in a macro's body or arguments is left alone, so assertions are; so are functions that
assertions alone call, parts of debug builds, and calls that are nothing without them (NOT_DELETED).
The condition that is one comparison by == or != is not negated: that would be the same mutant.
"""
import collections
import re

OPERATORS = ("relational", "arithmetic", "logical", "constant", "deletion", "return", "bits")
SWAPS = {
    "<": ("relational", "<="), "<=": ("relational", "<"), ">": ("relational", ">="),
    ">=": ("relational", ">"), "==": ("relational", "!="), "!=": ("relational", "=="),
    "+": ("arithmetic", "-"), "-": ("arithmetic", "+"), "+=": ("arithmetic", "-="),
    "-=": ("arithmetic", "+="), "&&": ("logical", "||"), "||": ("logical", "&&"),
    "&": ("bits", "|"), "|": ("bits", "&"), "^": ("bits", "&"), "<<": ("bits", ">>"),
    ">>": ("bits", "<<"), "&=": ("bits", "|="), "|=": ("bits", "&="), "^=": ("bits", "&="),
    "<<=": ("bits", ">>="), ">>=": ("bits", "<<="),
}
# Checks of the order of locks, points of the simulation, guards of debug builds, hints.
NOT_DELETED = re.compile(r"lock_note_|lock_trace_|schedule_point|poison_|gap_node_fetch"
                         r"|__builtin_(trap|prefetch)")
ASSERTIONS = re.compile(rb"NTMM_(ASSERT|CHECKED|STATIC_ASSERT)\b")
STATUS = re.compile(rb"NTMM_STATUS_\w+")
OTHER_STATUS = {b"NTMM_STATUS_SUCCESS": b"NTMM_STATUS_UNSUCCESSFUL",
                b"NTMM_STATUS_INVALID_PARAMETER": b"NTMM_STATUS_ACCESS_DENIED"}
TOKEN = re.compile(rb"/\*.*?\*/|//[^\n]*|\w+|<<=|>>=|<<|>>|&&|\|\||[-+*/%&|^<>=!]=|->|\+\+|--|\S",
                   re.S)
DEBUG_ONLY = re.compile(r"^#\s*if.*\b(NTMM_DEBUG|NTMM_SCHEDULE_POINTS|NTMM_TRACE_LOCKS)\b")

Site = collections.namedtuple("Site", "file line function operator begin end old new")


def in_file(place):
    """(offset, whether a macro stands there, length of the token) in the file itself, or None."""
    is_macro = "expansionLoc" in place
    bare = place["expansionLoc"] if is_macro else place
    if "offset" not in bare or "includedFrom" in bare:
        return None
    return bare["offset"], is_macro, bare["tokLen"]


def closing(source, begin):
    """The byte after the parenthesis that closes the one at begin; comments and strings hold none
    that do not balance."""
    depth = 0
    for at in range(begin, len(source)):
        depth += {40: 1, 41: -1}.get(source[at], 0)
        if depth == 0:
            return at + 1
    return len(source)


def span_of(node, source):
    """[begin, end) of a node that no macro encloses, else None."""
    begin, end = (in_file(node["range"][side]) for side in ("begin", "end"))
    if begin is None or end is None:
        return None
    after = end[0] + end[2]
    if end[1]:  # the end of a call of a macro
        if begin[1] and begin[0] == end[0] and not is_whole_macro(node, source):
            return None
        space = len(source[after:]) - len(source[after:].lstrip())
        if source[after + space:after + space + 1] == b"(":
            after = closing(source, after + space)
    return begin[0], after


def is_whole_macro(node, source):
    """Whether a node that begins and ends in one macro may stand for it: not its argument."""
    return not node["range"]["begin"]["expansionLoc"].get("isMacroArgExpansion")


def operator_between(left, right, opcode, source):
    """The bytes of the operator between two operands, if it stands in the file, else None."""
    first, last = span_of(left, source), in_file(right["range"]["begin"])
    if first is None or last is None or first[1] > last[0]:
        return None
    found = [match.span() for match in TOKEN.finditer(source, first[1], last[0])
             if match.group() == opcode.encode()]
    return found[0] if len(found) == 1 else None


def callee_of(node):
    """The name of the function that a call names, or None."""
    while node and node.get("kind") != "DeclRefExpr":
        node = (node.get("inner") or [None])[0]
    return node["referencedDecl"].get("name") if node else None


class Finder:
    """Walks one file's tree; `calls` says which functions each function names, and how."""

    def __init__(self, name, source):
        self.name, self.source = name, source
        self.sites = []
        self.calls = collections.defaultdict(set)  # function: callers; "" is an assertion
        self.function = None
        self.debug_lines = debug_lines(source.decode())

    def line(self, offset):
        return self.source.count(b"\n", 0, offset) + 1

    def add(self, operator, begin, end, new):
        line = self.line(begin)
        if line not in self.debug_lines:
            self.sites.append(Site(self.name, line, self.function, operator, begin, end,
                                   self.source[begin:end].decode(), new))

    def is_asserted(self, node):
        place = in_file(node.get("range", {}).get("begin", {}))
        return bool(place and place[1] and ASSERTIONS.match(self.source, place[0]))

    def walk(self, node):
        kind = node.get("kind")
        if self.is_asserted(node):
            return references(self, node)
        if kind == "DeclRefExpr":
            self.note_reference(node)
        elif kind in ("BinaryOperator", "CompoundAssignOperator"):
            self.swap(node)
        elif kind == "UnaryOperator" and node["opcode"] == "~":
            self.leave_out_inversion(node)
        elif kind == "IntegerLiteral":
            self.shift(node)
        elif kind == "ReturnStmt":
            self.return_other(node)
        for child in statements_of(node):
            self.delete(child)
        condition = condition_of(node)
        if condition:
            self.negate(condition)
        for child in node.get("inner", []):
            self.walk(child)

    def note_reference(self, node):
        if node["referencedDecl"]["kind"] != "FunctionDecl":
            return
        caller = "" if self.is_asserted(node) else self.function
        self.calls[node["referencedDecl"]["name"]].add(caller)

    def swap(self, node):
        if node["opcode"] not in SWAPS:
            return
        left, right = node["inner"]
        ends = [in_file(side) for side in (left["range"]["end"], right["range"]["begin"])]
        if ends[0] and ends[1] and ends[0][1] and ends[1][1] and ends[0][0] == ends[1][0]:
            return
        span = operator_between(left, right, node["opcode"], self.source)
        if span:
            operator, new = SWAPS[node["opcode"]]
            self.add(operator, *span, new)

    def leave_out_inversion(self, node):
        place = in_file(node["range"]["begin"])
        if place and not place[1]:
            self.add("bits", place[0], place[0] + 1, "")

    def shift(self, node):
        place = in_file(node["range"]["begin"])
        if not place or place[1]:
            return
        begin, end = place[0], place[0] + place[2]
        text = self.source[begin:end].decode()
        self.add("constant", begin, end, f"({text} + 1)")
        if int(node["value"]) > 0:
            self.add("constant", begin, end, f"({text} - 1)")

    def return_other(self, node):
        """Each status or truth value that the statement names outside calls."""
        span = span_of(node, self.source)
        if not span:
            return
        depth = 0
        for match in TOKEN.finditer(self.source, *span):
            word = match.group()
            depth += {b"(": 1, b")": -1}.get(word, 0)
            if STATUS.fullmatch(word) and depth == 0:
                other = OTHER_STATUS.get(word, b"NTMM_STATUS_INVALID_PARAMETER")
                self.add("return", *match.span(), other.decode())
            elif word in (b"true", b"false") and depth == 0:
                self.add("return", *match.span(), "false" if word == b"true" else "true")

    def delete(self, node):
        if not is_deletable(node):
            return
        begin = in_file(node["range"]["begin"])
        span = span_of(node, self.source)
        is_step = begin and begin[1] and self.source.startswith(b"frame_step", begin[0])
        if span and not is_step and not self.is_asserted(node):
            self.add("deletion", *span, "")

    def negate(self, node):
        bare = node
        while bare.get("kind") in ("ParenExpr", "ImplicitCastExpr"):
            bare = bare["inner"][0]
        if bare.get("kind") == "BinaryOperator" and bare["opcode"] in ("==", "!="):
            return
        span = span_of(node, self.source)
        if span and bare.get("kind") != "IntegerLiteral":
            text = self.source[slice(*span)].decode()
            self.add("logical", *span, f"!({text})")


def statements_of(node):
    """What stands as a statement directly in the node."""
    kind, inner = node.get("kind"), node.get("inner", [])
    if kind == "CompoundStmt":
        return inner
    if kind == "IfStmt":
        return inner[1:]
    if kind in ("WhileStmt", "ForStmt", "CaseStmt", "DefaultStmt", "LabelStmt"):
        return inner[-1:]
    return inner[:1] if kind == "DoStmt" else []


def condition_of(node):
    kind, inner = node.get("kind"), node.get("inner", [])
    if kind in ("IfStmt", "WhileStmt", "ConditionalOperator"):
        return inner[0]
    if kind == "DoStmt":
        return inner[1]
    return inner[2] if kind == "ForStmt" and inner[2].get("kind") else None


def is_deletable(node):
    kind = node.get("kind")
    if kind == "CStyleCastExpr" and node["castKind"] == "ToVoid":
        node = node["inner"][0]
        kind = node.get("kind")
        if kind != "CallExpr":
            return False
    if kind == "CallExpr":
        return not NOT_DELETED.match(callee_of(node) or "")
    if kind == "BinaryOperator":
        return node["opcode"] == "="
    return kind == "CompoundAssignOperator" or (
        kind == "UnaryOperator" and node["opcode"] in ("++", "--"))


def debug_lines(text):
    """Lines between an #if of debug builds and its #else or #endif."""
    lines, depth, since = set(), 0, None
    for number, line in enumerate(text.split("\n"), 1):
        word = re.match(r"#\s*(if|else|elif|endif)", line)
        if since is not None:
            lines.add(number)
        if not word:
            continue
        if word.group(1) == "if":
            depth += 1
            if since is None and DEBUG_ONLY.match(line):
                since = depth
        elif since == depth:
            since = None
        if word.group(1) == "endif":
            depth -= 1
    return lines


def sites_of(name, tree, source):
    """(the sites of a file, {function: names of those that call it, "" for an assertion})."""
    finder = Finder(name, source)
    for node in tree.get("inner", []):
        place = in_file(node.get("loc", {}))
        if node.get("kind") == "FunctionDecl":
            finder.function = node["name"]
            if place and any(part.get("kind") == "CompoundStmt" for part in node.get("inner", [])):
                finder.walk(node)
                continue
        finder.function = node.get("name", "?")
        references(finder, node)
    return finder.sites, dict(finder.calls)


def references(finder, node):
    if node.get("kind") == "DeclRefExpr":
        finder.note_reference(node)
    for child in node.get("inner", []):
        references(finder, child)


def called_by_assertions_alone(calls):
    """Functions that assertions call, and nobody else but functions of this set."""
    only = {name for name, callers in calls.items() if "" in callers}
    while True:
        reached = only | {name for name, callers in calls.items() if callers & only}
        kept = {name for name in reached if calls[name] <= only | {"", name}}
        if kept == only:
            return only
        only = kept
