"""Random sequences against a model that is a dict of pages: a second one, in Python."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import ntmm
from ntmm import Mem, Protect

BASE = 0x50000000
PAGES = 32
PAGE = ntmm.PAGE_SIZE

pages = st.integers(0, PAGES - 1)
counts = st.integers(1, 8)
protections = st.sampled_from(
    [
        Protect.NOACCESS,
        Protect.READONLY,
        Protect.READWRITE,
        Protect.EXECUTE_READ,
        Protect.READWRITE | Protect.GUARD,
        Protect.READONLY | Protect.GUARD,
    ]
)


class OneReservation(RuleBasedStateMachine):
    """One reservation; a page is [protection, bytes] when committed, absent when not."""

    def __init__(self):
        super().__init__()
        self.system = ntmm.System(ram=4 << 20)
        self.process = self.system.create_process()
        self.process.allocate(PAGES * PAGE, base=BASE, type=Mem.RESERVE)
        self.pages = {}

    def teardown(self):
        self.system.check()
        assert self.system.close() == ntmm.Teardown(0, 0, 0, 0)

    @rule(page=pages, count=counts, protect=protections)
    def commit(self, page, count, protect):
        count = min(count, PAGES - page)
        self.process.allocate(
            count * PAGE, base=BASE + page * PAGE, type=Mem.COMMIT, protect=protect
        )
        for number in range(page, page + count):
            self.pages[number] = [protect, self.pages.get(number, (0, bytearray(PAGE)))[1]]

    @rule(page=pages, count=counts)
    def decommit(self, page, count):
        count = min(count, PAGES - page)
        self.process.free(BASE + page * PAGE, count * PAGE, type=Mem.DECOMMIT)
        for number in range(page, page + count):
            self.pages.pop(number, None)

    @rule(page=pages, count=counts, protect=protections)
    def protect(self, page, count, protect):
        numbers = range(page, min(page + count, PAGES))
        try:
            old = self.process.protect(BASE + page * PAGE, len(numbers) * PAGE, protect)
        except ntmm.NotCommitted:
            assert any(number not in self.pages for number in numbers)
            return
        assert old == self.pages[page][0]
        for number in numbers:
            self.pages[number][0] = protect

    def raises(self, address, size, is_write):
        """The exception class and address that the model expects of an access, or None."""
        for number in range((address - BASE) // PAGE, (address + size - 1 - BASE) // PAGE + 1):
            at = max(address, BASE + number * PAGE)
            page = self.pages.get(number)
            base = page[0] & ~Protect.GUARD if page else Protect.NOACCESS
            if base == Protect.NOACCESS or (is_write and base != Protect.READWRITE):
                return ntmm.AccessViolation, at
            if page[0] & Protect.GUARD:
                page[0] = base
                return ntmm.GuardPage, at
        return None

    @precondition(lambda self: self.pages)
    @rule(page=pages, offset=st.integers(0, PAGE - 1), data=st.binary(min_size=1, max_size=64))
    def write(self, page, offset, data):
        address = BASE + page * PAGE + offset
        expected = self.raises(address, len(data), True)
        try:
            self.process.write(address, data)
        except ntmm.FaultError as error:
            assert expected == (type(error), error.address)
            return
        assert expected is None
        for i, byte in enumerate(data):
            number, at = divmod(address + i - BASE, PAGE)
            self.pages[number][1][at] = byte

    @precondition(lambda self: self.pages)
    @rule(page=pages, offset=st.integers(0, PAGE - 1), size=st.integers(1, 64))
    def read(self, page, offset, size):
        address = BASE + page * PAGE + offset
        expected = self.raises(address, size, False)
        try:
            found = self.process.read(address, size)
        except ntmm.FaultError as error:
            assert expected == (type(error), error.address)
            return
        assert expected is None
        positions = (divmod(address + i - BASE, PAGE) for i in range(size))
        assert found == bytes(self.pages[number][1][at] for number, at in positions)

    @invariant()
    def regions_are_the_pages(self):
        shown = {}
        for run in self.process.regions():
            if run.allocation_base == BASE and run.state == Mem.COMMIT:
                for address in range(run.base_address, run.end, PAGE):
                    shown[(address - BASE) // PAGE] = run.protect
        assert shown == {number: page[0] for number, page in self.pages.items()}


TestOneReservation = OneReservation.TestCase
TestOneReservation.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, derandomize=True, database=None
)
