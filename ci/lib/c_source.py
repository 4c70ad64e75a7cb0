"""C source as tokens, and what a file declares at file scope: as much C as ci/amalgamate needs.

Nothing is preprocessed: both branches of a conditional are read, and a macro is its call.
"""
import re

TOKEN = re.compile(
    r"(?P<comment>/\*.*?\*/|//[^\n]*)"
    r"|(?P<splice>\\\n)|(?P<newline>\n)|(?P<space>[ \t\f\v\r]+)"
    r'|(?P<string>(?:u8|[LuU])?"(?:\\.|[^"\\\n])*")'
    r"|(?P<char>[LuU]?'(?:\\.|[^'\\\n])*')"
    r"|(?P<number>\.?[0-9](?:[eEpP][+-]|[\w.])*)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<mark>->|\.\.\.|\#\#|.)", re.S)
BLANK = {"comment", "splice", "newline", "space"}
OPEN, CLOSE = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}
AGGREGATE = {"struct", "union"}
TAGGED = AGGREGATE | {"enum"}
OFFSETOF = {"offsetof", "__builtin_offsetof"}
# Names before a "(" that declare nothing.
NO_DECLARATOR = {"__attribute__", "_Alignas", "__declspec", "_Static_assert", "alignas", "typeof",
                 "__typeof__", "defined", "sizeof", "_Alignof"}


class SourceError(Exception):
    """What cannot be read, and where."""


class Token:
    __slots__ = ("kind", "text", "directive")

    def __init__(self, kind, text):
        self.kind = kind
        self.text = text
        self.directive = False


class Declared:
    """A name of a file's scope.

    space     "name" for functions, objects, types and enumerators; "tag"
    linkage   "static", "extern" (also of what says neither), or "none" for what has no linkage
    what      "function", "object", "type", "enumerator", "tag"
    is_defined, is_open  has a body or value; is an array without a length
    start     index of the declaration's first token
    """

    def __init__(self, space, name, linkage, what, start, is_defined=True, is_open=False):
        self.space, self.name, self.linkage, self.what = space, name, linkage, what
        self.start, self.is_defined, self.is_open = start, is_defined, is_open


class Macro:
    def __init__(self, name, parameters, body):
        self.name, self.parameters, self.body = name, parameters, body


class Source:
    """One file: tokens; the indices of those that are code; macros; declarations."""

    def __init__(self, path, text):
        self.path = path
        self.tokens = [Token(found.lastgroup, found.group()) for found in TOKEN.finditer(text)]
        self.directives = list(self.mark_directives())
        self.code = [i for i, t in enumerate(self.tokens)
                     if t.kind not in BLANK and not t.directive]
        self.macros = {}      # by name: the last definition
        self.left_over = {}   # macros still defined at the file's end
        for directive in self.directives:
            self.note_macro(directive)
        self.pairs = self.match_pairs()
        self.uses = {t.text for t in self.tokens if t.kind == "name"}

    def mark_directives(self):
        """Yields (first, end) of each directive, its newline not included."""
        first, fresh = None, True
        for i, token in enumerate(self.tokens):
            if first is None and fresh and token.text == "#":
                first = i
            if token.kind == "newline":
                if first is not None:
                    yield first, i
                first, fresh = None, True
            elif token.kind not in BLANK:
                fresh = False
            token.directive = first is not None
        if first is not None:
            yield first, len(self.tokens)

    def words(self, directive):
        return [i for i in range(*directive) if self.tokens[i].kind not in BLANK]

    def note_macro(self, directive):
        at = self.words(directive)
        words = [self.tokens[i].text for i in at]
        if words[1:2] == ["undef"]:
            self.left_over.pop(words[2], None)
        if words[1:2] != ["define"]:
            return
        parameters, body = None, words[3:]
        if words[3:4] == ["("] and at[3] == at[2] + 1:
            end = words.index(")")
            parameters, body = [w for w in words[4:end] if w != ","], words[end + 1:]
        self.macros[words[2]] = self.left_over[words[2]] = Macro(words[2], parameters, body)

    def line_of(self, i):
        return 1 + sum(t.text.count("\n") for t in self.tokens[:i])

    def error(self, i, what):
        return SourceError(f"{self.path}:{self.line_of(i)}: {what}")

    def match_pairs(self):
        """Positions in self.code of each opening bracket and of what closes it, both ways."""
        pairs, stack = {}, []
        for at, i in enumerate(self.code):
            text = self.tokens[i].text
            if text in OPEN:
                stack.append(at)
            elif text in CLOSE and self.tokens[i].kind == "mark":
                if not stack or OPEN[self.text(stack[-1])] != text:
                    raise self.error(i, f"{text} closes nothing")
                pairs[at] = stack.pop()
                pairs[pairs[at]] = at
        if stack:
            raise self.error(self.code[stack[-1]], f"{self.text(stack[-1])} is never closed")
        return pairs

    def text(self, at):
        return self.tokens[self.code[at]].text if 0 <= at < len(self.code) else ""

    def is_name(self, at):
        return 0 <= at < len(self.code) and self.tokens[self.code[at]].kind == "name"

    def declarations(self, macros):
        """All that the file declares at file scope; macros: those with parameters, by name."""
        at = 0
        while at < len(self.code):
            if self.text(at) in {";", "}"}:  # the brace: of extern "C", which is passed below
                at += 1
            elif self.text(at) == "extern" and self.text(at + 1) == '"C"':
                at += 3
            elif self.text(at) in macros and self.text(at + 1) == "(":
                self.check_call(at, macros[self.text(at)], macros)
                at = self.pairs[at + 1] + 1
            else:
                at = yield from self.declaration(at)

    def check_call(self, at, macro, macros):
        """A call at file scope: what its macro declares cannot be seen, so it must not."""
        seen, left = set(), [macro]
        while left:
            macro = left.pop()
            if macro.name in seen:
                continue
            seen.add(macro.name)
            if {"static", "{"} & set(macro.body):
                raise self.error(self.code[at], f"{self.text(at)} declares at file scope what "
                                 "cannot be seen")
            left += [macros[word] for word in macro.body if word in macros]

    def declaration(self, start):
        """One declaration from start on; its end is the value of the generator."""
        at, seen_value, function, names = start, False, None, []
        bodies, last, is_open = [], None, False
        while at < len(self.code):
            text = self.text(at)
            if text == "{" and not seen_value and function and self.text(at - 1) == ")":
                yield from self.named(start, [(function, False)], bodies, True, True)
                return self.pairs[at] + 1
            if text == "{" and not seen_value:
                bodies.append(at)
                yield from self.body(at, start)
                last = None
            elif text == "(" and not seen_value and self.text(at - 1) not in NO_DECLARATOR:
                if self.text(at + 1) == "*":
                    last = self.pointer_name(at)
                elif self.is_name(at - 1) and function is None:
                    function = self.text(at - 1)
            elif text == "=":
                names.append((last, is_open))
                seen_value, last = True, None
            elif text in {",", ";"}:
                if last and not seen_value:
                    names.append((last, is_open))
                if text == ";":
                    is_function = function is not None and not (names and bodies)
                    named = [(function, False)] if is_function else names
                    yield from self.named(start, named, bodies, seen_value, is_function)
                    return at + 1
                last, is_open = None, False
                seen_value = False
            elif text == "[":
                is_open = is_open or self.pairs[at] == at + 1
            elif self.is_name(at) and not seen_value and text not in NO_DECLARATOR:
                last = text
            at = self.pairs[at] + 1 if text in OPEN else at + 1
        raise self.error(self.code[start], "a declaration without an end")

    def pointer_name(self, at):
        """The name declared by a group that begins "(*"."""
        for i in range(at + 1, self.pairs[at]):
            if self.is_name(i) and self.text(i + 1) in {"[", ")", "("}:
                return self.text(i)
        raise self.error(self.code[at], "a declarator without a name")

    def named(self, start, names, bodies, is_defined, is_function):
        first = self.code[start]
        words = set()
        for at in range(start, len(self.code)):
            if self.text(at) in {"(", "{", "=", ";"}:
                break
            words.add(self.text(at))
        if "typedef" in words:
            linkage, what = "none", "type"
        else:
            linkage = "static" if "static" in words else "extern"
            what = "function" if is_function else "object"
        if what == "object" and "extern" not in words:
            is_defined = True
        for name, is_open in names:
            if name is None:
                raise self.error(first, "a declarator without a name")
            is_tag = self.text(start) in TAGGED and name == self.text(start + 1)
            if not is_tag:
                yield Declared("name", name, linkage, what, first, is_defined, is_open)

    def body(self, at, start):
        """The tag of the struct, union or enum whose brace is at, and what stands in it."""
        first = self.code[start]
        keyword = self.text(at - 1)
        if keyword not in TAGGED:
            keyword = self.text(at - 2)
            if keyword not in TAGGED:
                raise self.error(self.code[at], "a brace that begins nothing known")
            yield Declared("tag", self.text(at - 1), "none", "tag", first)
        inner, end = at + 1, self.pairs[at]
        while inner < end:
            if keyword == "enum" and self.is_name(inner) and self.text(inner - 1) in {"{", ","}:
                if self.text(inner + 1) == "(":
                    yield Declared("name", self.text(inner), "none", "call", first)
                else:
                    yield Declared("name", self.text(inner), "none", "enumerator", first)
            if self.text(inner) == "{":
                yield from self.body(inner, start)
            inner = self.pairs[inner] + 1 if self.text(inner) in OPEN else inner + 1

    def roles(self):
        """The role of each name token by its index: "member", "tag" or "name"."""
        roles = {}
        for i, token in enumerate(self.tokens):
            if token.kind == "name":
                roles[i] = self.role_by_neighbour(i)
        for at in self.pairs:
            if self.text(at) == "{" and (self.text(at - 1) in AGGREGATE or
                                         self.text(at - 2) in AGGREGATE):
                roles.update(self.member_declarators(at))
        for at, i in enumerate(self.code):
            if self.text(at) in OFFSETOF and self.text(at + 1) == "(":
                comma = self.comma_of(at + 1)
                roles.update({self.code[j]: "member" for j in range(comma, self.pairs[at + 1])
                              if self.is_name(j) and self.text(j - 1) in {",", "."}})
        return roles

    def role_by_neighbour(self, i):
        before = i - 1
        while before >= 0 and self.tokens[before].kind in BLANK:
            before -= 1
        text = self.tokens[before].text if before >= 0 else ""
        return "member" if text in {".", "->"} else "tag" if text in TAGGED else "name"

    def member_declarators(self, at):
        roles, inner, end = {}, at + 1, self.pairs[at]
        while inner < end:
            if self.is_name(inner) and self.text(inner + 1) in {";", ",", "[", ":"}:
                roles[self.code[inner]] = "member"
            if self.text(inner) == "(" and self.text(inner + 1) == "*":
                name = self.pointer_name(inner)
                roles.update({self.code[j]: "member" for j in range(inner, self.pairs[inner])
                              if self.text(j) == name})
            inner = self.pairs[inner] + 1 if self.text(inner) in OPEN else inner + 1
        return roles

    def comma_of(self, opening):
        """The first comma of a call's own level."""
        at = opening + 1
        while at < self.pairs[opening] and self.text(at) != ",":
            at = self.pairs[at] + 1 if self.text(at) in OPEN else at + 1
        return at

    def arguments(self, opening):
        """Token indices of each argument of the call whose bracket is at opening."""
        groups, at = [[]], opening + 1
        while at < self.pairs[opening]:
            if self.text(at) == ",":
                groups.append([])
                at += 1
                continue
            end = self.pairs[at] + 1 if self.text(at) in OPEN else at + 1
            groups[-1] += self.code[at:end]
            at = end
        return groups


def member_parameters(macros):
    """Of each macro, the parameters that become a member's name, or part of some name."""
    named = {name: set() for name in macros}
    changed = True
    while changed:
        changed = False
        for name, macro in macros.items():
            for index, parameter in enumerate(macro.parameters):
                if index not in named[name] and is_special(macro, parameter, named):
                    named[name].add(index)
                    changed = True
    return named


def is_special(macro, parameter, named):
    body = macro.body
    for i, word in enumerate(body):
        before = body[i - 1] if i else ""
        after = body[i + 1] if i + 1 < len(body) else ""
        if word == parameter and (before in {".", "->", "#", "##"} or after == "##"):
            return True
        if word in named and after == "(":
            depth, index = 0, 0
            for inner in body[i + 1:]:
                depth += (inner == "(") - (inner == ")")
                if depth == 0:
                    break
                index += depth == 1 and inner == ","
                if inner == parameter and index in named[word]:
                    return True
        if word in OFFSETOF and parameter in body[i:]:
            return parameter in body[body.index(",", i):]
    return False
