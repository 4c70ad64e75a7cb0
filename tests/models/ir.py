"""Functions without loops and memory, from LLVM's intermediate form to z3 expressions.

What clang prints is read line by line: a function becomes a function of bit vectors, its branches
conditions. Constants tables may be looked up in; anything else that is not known here is an error,
so that nothing is proved of code that was not understood. An instruction that may be undefined
(nuw, inbounds, exact) is read as if it were not: what the compiler concluded from C that it may be
left out is sound as long as C's own rules hold, which the sanitizers watch.
"""
import re

import z3

DEFINE = re.compile(r"^define .*?(void|i\d+) @([\w.]+)\((.*?)\)")
GLOBAL = re.compile(r"^@([\w.]+) = .*?constant \[(\d+) x (i\d+)\] (.*?)(?:, align \d+)?$")
LABEL = re.compile(r"^([\w.]+|\d+):")
FLAGS = {"nuw", "nsw", "exact", "disjoint", "nneg", "samesign", "inbounds"}
BINARY = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "shl": lambda a, b: a << b,
    "lshr": z3.LShR,
    "ashr": lambda a, b: a >> b,
}
COMPARE = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "ugt": z3.UGT,
    "uge": z3.UGE,
    "ult": z3.ULT,
    "ule": z3.ULE,
    "sgt": lambda a, b: a > b,
    "sge": lambda a, b: a >= b,
    "slt": lambda a, b: a < b,
    "sle": lambda a, b: a <= b,
}


class NotUnderstood(Exception):
    """The intermediate form has something that this reader does not know."""


def width_of(kind):
    """The bits of a type such as i64."""
    return int(kind[1:])


def word(condition):
    """A condition as a vector of one bit."""
    return z3.If(condition, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1))


def count_bits(value):
    """The number of bits that are set, in the width of the value."""
    width = value.size()
    bits = [z3.ZeroExt(width - 1, z3.Extract(i, i, value)) for i in range(width)]
    return sum(bits[1:], bits[0])


def leading_zeros(value):
    """The number of zero bits above the highest that is set."""
    width = value.size()
    count = z3.BitVecVal(width, width)
    for i in range(width):
        is_set = z3.Extract(i, i, value) == 1
        count = z3.If(is_set, z3.BitVecVal(width - 1 - i, width), count)
    return count


def product_with_overflow(a, b):
    """llvm.umul.with.overflow: the pair of product and whether it has more bits."""
    width = a.size()
    wide = z3.ZeroExt(width, a) * z3.ZeroExt(width, b)
    return z3.Extract(width - 1, 0, wide), word(z3.Extract(2 * width - 1, width, wide) != 0)


def sum_with_overflow(a, b):
    """llvm.uadd.with.overflow: the pair of sum and whether it wrapped."""
    return a + b, word(z3.ULT(a + b, a))


INTRINSICS = {
    "umin": lambda a, b: z3.If(z3.ULT(a, b), a, b),
    "umax": lambda a, b: z3.If(z3.ULT(a, b), b, a),
    "ctpop": count_bits,
    "ctlz": lambda a, _: leading_zeros(a),
    "umul.with.overflow": product_with_overflow,
    "uadd.with.overflow": sum_with_overflow,
    "usub.sat": lambda a, b: z3.If(z3.ULT(a, b), a ^ a, a - b),
    "fshl": lambda a, b, s: z3.Extract(2 * a.size() - 1, a.size(), z3.Concat(a, b) <<
                                       z3.ZeroExt(a.size(), z3.URem(s, a.size()))),
}


def table_of(count, kind, text):
    """The numbers of a constant table."""
    if text.startswith("zeroinitializer"):
        return [0] * count
    if text.startswith('c"'):
        raw = re.findall(r"\\([0-9A-F]{2})|(.)", text[2:text.rindex('"')])
        return [int(code, 16) if code else ord(letter) for code, letter in raw]
    return [int(number) for number in re.findall(rf"{kind} (-?\d+)", text)]


class Module:
    """What one compilation printed: its functions by name, its constant tables."""

    def __init__(self, text):
        self.functions = {}
        self.tables = {}
        self.strings = dict(re.findall(r'^@([\w.]+) = .*?constant \[\d+ x i8\] c"(.*?)\\00"', text,
                                       re.MULTILINE))
        lines = iter(text.splitlines())
        for line in lines:
            table = GLOBAL.match(line)
            if table:
                name, count, kind, values = table.groups()
                self.tables[name] = width_of(kind), table_of(int(count), kind, values)
            function = DEFINE.match(line)
            if function:
                body = []
                for inner in lines:
                    if inner == "}":
                        break
                    body.append(inner)
                self.functions[function[2]] = Function(self, function, body)

    def call(self, name, *arguments):
        """The value of a function for arguments, as an expression."""
        if name not in self.functions:
            raise NotUnderstood(f"no function {name}")
        return self.functions[name].value(arguments)


class Function:
    """One function: its blocks, in the order of its text."""

    def __init__(self, module, head, body):
        self.module = module
        self.name = head[2]
        self.parameters = re.findall(r"(i\d+)[^,]*? (%[\w.]+)", head[3])
        self.blocks = {}
        label = self.first = None
        for line in body:
            line = line.split(" ; ")[0].split(", !")[0].rstrip()
            start = LABEL.match(line)
            if start:
                label = "%" + start[1]
                self.blocks[label] = []
                self.first = self.first or label
            elif line.strip():
                if line.startswith("    ") or line == "  ]":  # a switch over several lines
                    self.blocks[label][-1] += " " + line.strip()
                else:
                    self.blocks[label].append(line.strip())

    def order(self):
        """The blocks, each behind all that lead to it; a loop is an error."""
        done, open_blocks, order = set(), set(), []

        def visit(label):
            if label in done:
                return
            if label in open_blocks:
                raise NotUnderstood(f"{self.name}: a loop")
            open_blocks.add(label)
            for target in re.findall(r"label (%[\w.]+)", self.blocks[label][-1]):
                visit(target)
            done.add(label)
            order.append(label)

        visit(self.first)
        return order[::-1]

    def value(self, arguments):
        """What the function returns for these arguments."""
        names = [name for _, name in self.parameters]
        run = Run(self, dict(zip(names, arguments, strict=True)))
        for label in self.order():
            run.enter(label)
            for line in self.blocks[label]:
                run.step(label, line)
        result = None
        for condition, value in run.returned:
            result = value if result is None else z3.If(condition, value, result)
        return result


class Run:
    """A function in the making: values so far, and under which condition each edge is taken."""

    def __init__(self, function, values):
        self.function = function
        self.module = function.module
        self.values = values
        self.edges = {}  # (from, to) -> condition
        self.reached = {function.first: z3.BoolVal(True)}
        self.returned = []

    def enter(self, label):
        """Whether a block is reached: by any of the edges to it."""
        into = [condition for (_, to), condition in self.edges.items() if to == label]
        if into:
            self.reached[label] = z3.Or(into)

    def operand(self, kind, text):
        """A value by name, or a number."""
        if text.startswith("%"):
            return self.values[text]
        if text in ("true", "false"):
            return z3.BitVecVal(int(text == "true"), 1)
        return z3.BitVecVal(int(text), width_of(kind))

    def step(self, label, line):
        """One instruction."""
        name, _, text = line.partition(" = ")
        if not text:
            self.leave(label, line)
            return
        words = [w for w in re.sub(r"range\([^)]*\) ", "", text).split() if w not in FLAGS]
        while words[0] in ("tail", "notail"):
            words.pop(0)
        self.values[name] = self.compute(label, words[0], " ".join(words[1:]))

    def compute(self, label, verb, rest):
        """The value of an instruction."""
        if verb in BINARY:
            kind, a, b = re.match(r"(i\d+) (\S+), (\S+)$", rest).groups()
            return BINARY[verb](self.operand(kind, a), self.operand(kind, b))
        if verb == "icmp":
            how, kind, a, b = re.match(r"(\w+) (i\d+) (\S+), (\S+)$", rest).groups()
            return word(COMPARE[how](self.operand(kind, a), self.operand(kind, b)))
        if verb == "select":
            condition, kind, a, b = re.match(r"i1 (\S+), (i\d+) (\S+), i\d+ (\S+)$", rest).groups()
            return z3.If(self.operand("i1", condition) == 1, self.operand(kind, a),
                         self.operand(kind, b))
        if verb in ("zext", "sext", "trunc"):
            return self.resize(verb, rest)
        if verb == "freeze":
            return self.operand(*rest.split())
        if verb == "phi":
            return self.merge(label, rest)
        if verb == "call":
            return self.call(rest)
        if verb == "extractvalue":
            pair, index = re.match(r"\{.*?\} (\S+), (\d)$", rest).groups()
            return self.values[pair][int(index)]
        if verb == "getelementptr":
            table, kind, index = re.match(r"\[\d+ x i\d+\], ptr @([\w.]+), i64 0, (i\d+) (\S+)$",
                                          rest).groups()
            return table, self.operand(kind, index)
        if verb == "load":
            kind, pointer = re.match(r"(i\d+), ptr (\S+), align \d+$", rest).groups()
            return self.look_up(width_of(kind), *self.values[pointer])
        raise NotUnderstood(f"{self.function.name}: {verb} {rest}")

    def resize(self, verb, rest):
        """A value in more bits, or in fewer."""
        kind, value, to = re.match(r"(i\d+) (\S+) to (i\d+)$", rest).groups()
        more = width_of(to) - width_of(kind)
        value = self.operand(kind, value)
        if verb == "trunc":
            return z3.Extract(width_of(to) - 1, 0, value)
        return z3.ZeroExt(more, value) if verb == "zext" else z3.SignExt(more, value)

    def merge(self, label, rest):
        """A phi: the value of the edge that was taken."""
        kind = rest.split()[0]
        result = None
        for text, source in re.findall(r"\[ (\S+), (%[\w.]+) \]", rest):
            value = self.operand(kind, text)
            if result is None:
                result = value
            elif (source, label) in self.edges:
                result = z3.If(self.edges[source, label], value, result)
        return result

    def call(self, rest):
        """A call of an intrinsic, or of another function."""
        called, text = re.match(r".*?@([\w.]+)\((.*)\)", rest).groups()
        arguments = [self.operand(kind, value) for kind, value in
                     re.findall(r"(i\d+) (?:noundef |zeroext )*([%\w.-]+)", text)]
        for name, compute in INTRINSICS.items():
            if re.fullmatch(rf"llvm\.{re.escape(name)}\.i\d+", called):
                return compute(*arguments)
        return self.module.call(called, *arguments)

    def look_up(self, width, name, index):
        """A number of a constant table."""
        table_width, numbers = self.module.tables[name]
        if table_width != width:
            raise NotUnderstood(f"{name} is read in {width} bits")
        result = z3.BitVecVal(numbers[0], width)
        for i, number in enumerate(numbers):
            result = z3.If(index == i, z3.BitVecVal(number, width), result)
        return result

    def leave(self, label, line):
        """The end of a block."""
        here = self.reached[label]
        verb, _, rest = line.partition(" ")
        targets = re.findall(r"label (%[\w.]+)", rest)
        if verb == "ret":
            self.returned.append((here, self.operand(*rest.split())))
        elif verb == "br" and len(targets) == 1:
            self.add_edge(label, targets[0], here)
        elif verb == "br":
            taken = self.operand("i1", re.match(r"i1 (\S+),", rest)[1]) == 1
            self.add_edge(label, targets[0], z3.And(here, taken))
            self.add_edge(label, targets[1], z3.And(here, z3.Not(taken)))
        elif verb == "switch":
            kind, value = re.match(r"(i\d+) (\S+),", rest).groups()
            value = self.operand(kind, value)
            cases = re.findall(rf"{kind} (-?\d+), label (%[\w.]+)", rest)
            for number, target in cases:
                self.add_edge(label, target, z3.And(here, value == int(number)))
            others = [value != int(number) for number, _ in cases]
            self.add_edge(label, targets[0], z3.And(here, *others))
        elif verb != "unreachable":
            raise NotUnderstood(f"{self.function.name}: {line}")

    def add_edge(self, source, target, condition):
        """One more way from a block to another."""
        old = self.edges.get((source, target))
        self.edges[source, target] = condition if old is None else z3.Or(old, condition)
