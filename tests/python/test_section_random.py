"""Random calls on files, sections and views: against a model of bytes, and against the checker."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

import ntmm
from ntmm import FileAccess, Mem, Protect, Sec, SectionAccess
from pe import make_dll

PAGE = ntmm.PAGE_SIZE
GRANULARITY = ntmm.ALLOCATION_GRANULARITY
MAXIMUM = 6 * PAGE

places = st.integers(0, MAXIMUM - 1)
small = st.binary(min_size=1, max_size=200)


class OneFile(RuleBasedStateMachine):
    """A file, two processes that map it, reads and writes beside them; the model is its bytes.

    In copies, pages are the file's until they are written, and the process's own from then on.
    """

    views = Bundle("views")

    def __init__(self):
        super().__init__()
        self.system = ntmm.System(ram=2 << 20)
        self.system.add_page_file(4 << 20)
        self.processes = [self.system.create_process() for _ in range(2)]
        self.bytes = bytearray(b"start" * 2000)
        self.file = self.system.create_file(bytes(self.bytes), maximum=MAXIMUM)
        self.copies = {}

    def teardown(self):
        self.file.flush()
        for process in self.processes:
            process.end()
        self.system.check()
        found = self.file.read(0, MAXIMUM)
        device = self.file.device
        self.file.close()
        with self.system.create_file(device=device) as again:
            assert again.read(0, MAXIMUM) == found == self.bytes
        assert self.system.close() == ntmm.Teardown(0, 0, 0, 0)

    @rule(target=views, number=st.integers(0, 1), copies=st.booleans())
    def map(self, number, copies):
        if len(self.copies) >= 8:
            return multiple()
        protect = Protect.WRITECOPY if copies else Protect.READWRITE
        with self.system.create_section(file=self.file, protect=protect) as section:
            view = self.processes[number].map_view(section)
            view.is_copy, view.limit = copies, len(self.bytes)
        self.copies[number, view] = {}
        return view

    def is_there(self, view):
        return view.is_mapped

    @rule(view=views)
    def unmap(self, view):
        if self.is_there(view):
            del self.copies[self.processes.index(view.process), view]
        view.unmap()

    def seen(self, view, page):
        copies = self.copies[self.processes.index(view.process), view]
        own = copies.get(page)
        return own if own is not None else self.bytes[page * PAGE:(page + 1) * PAGE]

    @rule(view=views, place=places, data=small)
    def store(self, view, place, data):
        place = min(place, view.limit - 1)
        data = data[:view.limit - place]
        if not self.is_there(view):
            return
        view.process.write(view + place, data)
        if not view.is_copy:
            self.bytes[place:place + len(data)] = data
            return
        copies = self.copies[self.processes.index(view.process), view]
        for i, byte in enumerate(data):
            page, at = divmod(place + i, PAGE)
            if page not in copies:
                copies[page] = bytearray(self.bytes[page * PAGE:(page + 1) * PAGE])
            if at >= len(copies[page]):  # behind the end of the file when it was copied
                copies[page].extend(bytes(at + 1 - len(copies[page])))
            copies[page][at] = byte

    @rule(view=views, place=places, size=st.integers(1, 300))
    def load(self, view, place, size):
        place = min(place, view.limit - 1)
        size = min(size, view.limit - place)
        if not self.is_there(view):
            return
        found = view.process.read(view + place, size)
        for i, byte in enumerate(found):
            page, at = divmod(place + i, PAGE)
            expected = self.seen(view, page)
            assert byte == (expected[at] if at < len(expected) else 0)

    @rule(place=places, data=small)
    def write(self, place, data):
        data = data[:MAXIMUM - place]
        assert self.file.write(place, data) == len(data)
        self.bytes.extend(bytes(max(0, place + len(data) - len(self.bytes))))
        self.bytes[place:place + len(data)] = data

    @rule(place=places, size=st.integers(1, 3 * PAGE))
    def read(self, place, size):
        try:
            assert self.file.read(place, size) == self.bytes[place:place + size]
        except ntmm.EndOfFile:
            assert place >= len(self.bytes)

    @rule(size=st.integers(1, MAXIMUM))
    def resize(self, size):
        try:
            self.file.set_size(size)
        except ntmm.FileInUse:
            assert size < len(self.bytes) and self.copies
            return
        self.bytes[size:] = b""
        self.bytes.extend(bytes(size - len(self.bytes)))

    @rule(number=st.integers(0, 1))
    def trim(self, number):
        self.processes[number].empty_working_set()

    @rule(budget=st.integers(1, 8))
    def write_out(self, budget):
        self.system.write_mapped_pages(budget)
        self.system.write_modified_pages(budget)

    @rule()
    def flush(self):
        self.file.flush()

    @rule()
    def purge_standby(self):
        self.system.command_lists(
            ntmm.ListCommand.PURGE_STANDBY_LIST, caller=self.processes[0])

    @invariant()
    def size_and_views_are_the_model_s(self):
        found = self.file.information()
        assert found.size_bytes == len(self.bytes)
        assert found.data_views == len(self.copies)


TestOneFile = OneFile.TestCase
TestOneFile.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, derandomize=True, database=None
)

sizes = st.sampled_from(
    [0, 1, PAGE, PAGE + 1, 4 * PAGE, GRANULARITY + 5, 1 << 30, 1 << 43, 1 << 63])
protections = st.sampled_from([*Protect, Protect.READWRITE | Protect.GUARD, 0, 1 << 31])
accesses = st.sampled_from([SectionAccess.ALL] * 4 + [*SectionAccess, 0])
names = st.sampled_from([None, None, None, "a", "b", "\ud800", "n" * 256])
contents = st.one_of(st.binary(max_size=50), st.sampled_from([make_dll(), bytes(9000)]))


def odd(**strategies):
    """Options of a call of which at most two are not the usual ones."""
    one = st.one_of([st.fixed_dictionaries({name: some}) for name, some in strategies.items()])
    return st.one_of(
        st.just({}), st.just({}), one, st.tuples(one, one).map(lambda two: two[0] | two[1]))


section_options = odd(
    size=sizes,
    attributes=st.sampled_from([*Sec, Sec.COMMIT | Sec.BASED, Sec.COMMIT | Sec.NOCACHE, 0]),
    protect=protections,
    access=accesses,
    name=names,
    open_if=st.booleans(),
)
view_options = odd(
    size=sizes,
    base=st.sampled_from(
        [1, PAGE, 0x50000000, 0x50001000, 0x7FFFFFFF0000, 1 << 47, (1 << 64) - 1]),
    offset=st.sampled_from([1, PAGE, GRANULARITY, (1 << 64) - 1]),
    protect=protections,
    type=st.sampled_from([Mem.RESERVE, Mem.TOP_DOWN, Mem.LARGE_PAGES, Sec.NO_CHANGE, 1,
                          Mem.DIFFERENT_IMAGE_BASE_OK]),
    inherit=st.sampled_from([1, 2, 3]),
    commit=sizes,
)


class AnyCalls(RuleBasedStateMachine):
    """Calls with arguments right and wrong: each succeeds or raises a status, and the checker stays
    silent, now and then and at the end."""

    files, sections, views = Bundle("files"), Bundle("sections"), Bundle("views")

    def __init__(self):
        super().__init__()
        self.system = ntmm.System(ram=2 << 20)
        self.processes = [self.system.create_process() for _ in range(2)]

    def teardown(self):
        self.system.check()
        for process in self.processes:
            process.end()
        self.system.check()
        self.system.close()

    succeeded = set()

    @classmethod
    def call(cls, function, *arguments, **options):
        try:
            result = function(*arguments, **options)
            cls.succeeded.add(function.__name__)
            return result
        except ntmm.NtStatusError as error:
            assert error.name in ntmm.STATUS_NAMES.values()
            assert error.name not in ("INTERNAL_ERROR", "NOT_IMPLEMENTED", "UNSUCCESSFUL")
            return multiple()

    @initialize(target=files)
    def begin_files(self):
        return multiple(self.system.create_file(make_dll(), maximum=1 << 20),
                        self.system.create_file(bytes(range(250)) * 40, maximum=1 << 20))

    @initialize(target=sections)
    def begin_sections(self):
        return multiple(*self.sections_of_every_kind())

    def sections_of_every_kind(self):
        pages = [self.system.create_section(4 * PAGE, attributes=kind, name=name)
                 for kind, name in ((Sec.COMMIT, self.unused("a")), (Sec.RESERVE, None))]
        with self.system.create_file(make_dll(), maximum=1 << 20) as file:
            return pages + [self.system.create_section(file=file, attributes=kind)
                            for kind in (Sec.COMMIT, Sec.IMAGE)]

    def unused(self, name):
        try:
            self.system.open_section(name).close()
        except ntmm.NameNotFound:
            return name
        return None

    @initialize(target=views)
    def begin_views(self):
        sections = self.sections_of_every_kind()
        found = [process.map_view(section) for process in self.processes for section in sections]
        for section in sections:
            section.close()
        return multiple(*found)

    @rule(target=files, data=contents, more=st.booleans(), name=names, sections=st.booleans())
    def create_file(self, data, more, name, sections):
        return self.call(self.system.create_file, data, maximum=len(data) + more * GRANULARITY,
                         name=name, has_sections=sections)

    @rule(target=files, file=files, access=st.sampled_from([*FileAccess, 0, 64]))
    def open_file(self, file, access):
        return self.call(file.open, access)

    @rule(file=files, place=sizes, data=contents)
    def move(self, file, place, data):
        self.call(file.write, place, data)
        self.call(file.read, place, len(data))

    @rule(file=files, size=sizes, place=sizes)
    def change_file(self, file, size, place):
        if size <= 1 << 20 or size > 1 << 47:
            self.call(file.set_size, size)
        self.call(file.flush, place, size)
        self.call(file.can_delete)

    @rule(file=files, closes=st.sampled_from([False, False, True]))
    def forget(self, file, closes):
        self.call(file.purge)
        if closes:
            self.call(file.close)

    @rule(target=sections, file=st.one_of(st.none(), files), options=section_options)
    def create_section(self, file, options):
        size = {} if file is not None else {"size": 3 * PAGE}
        return self.call(self.system.create_section, **{**size, "file": file, **options})

    @rule(target=sections, file=files,
          attributes=st.sampled_from([Sec.IMAGE, Sec.IMAGE_NO_EXECUTE]))
    def create_image(self, file, attributes):
        return self.call(self.system.create_section, file=file, attributes=attributes)

    @rule(target=sections, name=st.sampled_from(["a", "a", "b", "\ud800"]),
          access=accesses)
    def open_section(self, name, access):
        return self.call(self.system.open_section, name, access)

    @rule(target=sections, section=sections, access=accesses)
    def duplicate(self, section, access):
        return self.call(section.duplicate, access)

    @rule(section=sections, size=sizes)
    def ask(self, section, size):
        self.call(section.information)
        self.call(section.image_information)
        self.call(section.subsections)
        self.call(section.extend, size)

    @rule(section=sections, closes=st.sampled_from([False, False, True]))
    def close_section(self, section, closes):
        if closes:
            self.call(section.close)

    @rule(target=views, number=st.integers(0, 1), section=sections, options=view_options)
    def map(self, number, section, options):
        return self.call(self.processes[number].map_view, section, **options)

    @rule(view=views, place=st.sampled_from([0, 5, PAGE - 1, PAGE, 3 * PAGE]), data=contents)
    def touch(self, view, place, data):
        self.call(view.process.write, view + place, data)
        self.call(view.process.read, view + place, len(data))

    @rule(view=views, protect=protections, size=st.sampled_from([1, PAGE, 3 * PAGE]))
    def change(self, view, protect, size):
        self.call(view.process.protect, view, size, protect)
        self.call(view.process.commit, view, size)
        self.call(view.process.decommit, view, size)

    @rule(view=views, other=views)
    def look(self, view, other):
        self.call(view.process.query, view)
        self.call(view.process.flush, view)
        self.call(view.process.is_same_file, view, other)

    @rule(view=views, flags=st.sampled_from([0, 0, 1, 2, 4]))
    def unmap(self, view, flags):
        self.call(view.process.unmap_view, view + 17, flags=flags)

    @rule(number=st.integers(0, 1), budget=st.integers(0, 9))
    def page_out(self, number, budget):
        self.processes[number].empty_working_set()
        self.system.write_mapped_pages(budget)

    @rule()
    def check(self):
        self.system.check()


def test_any_calls():
    """What they reach is looked at too: refusals alone would prove little."""
    run_state_machine_as_test(AnyCalls, settings=settings(
        max_examples=40, stateful_step_count=40, deadline=None, derandomize=True, database=None))
    assert AnyCalls.succeeded >= {
        "create_section", "open_section", "duplicate", "extend", "information", "subsections",
        "image_information", "map_view", "unmap_view", "commit", "protect", "is_same_file",
        "create_file", "open", "read", "write", "set_size", "flush", "purge", "can_delete", "close",
    }
