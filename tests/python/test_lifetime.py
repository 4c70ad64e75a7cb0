"""What lives how long: nothing after close, no object too many, none too few."""

import gc
import sys
import weakref

import pytest

import ntmm
from ntmm import _core

PAGE = ntmm.PAGE_SIZE


@pytest.mark.parametrize(
    "call",
    [
        lambda s, p, j, k: s.create_process(),
        lambda s, p, j, k: s.create_job(),
        lambda s, p, j, k: s.memory(),
        lambda s, p, j, k: s.counters(),
        lambda s, p, j, k: s.performance(),
        lambda s, p, j, k: s.conditions(),
        lambda s, p, j, k: s.frame(0),
        lambda s, p, j, k: s.check(),
        lambda s, p, j, k: s.hash(),
        lambda s, p, j, k: s.snapshot(),
        lambda s, p, j, k: s.restore(),
        lambda s, p, j, k: s.fork(),
        lambda s, p, j, k: s.save("never"),
        lambda s, p, j, k: s.snapshot_information(),
        lambda s, p, j, k: s.lend(PAGE),
        lambda s, p, j, k: s.take_back(0),
        lambda s, p, j, k: s.record_events(),
        lambda s, p, j, k: s.record_withdrawals(),
        lambda s, p, j, k: s.balance(),
        lambda s, p, j, k: s.add_page_file(1 << 20),
        lambda s, p, j, k: p.allocate(PAGE),
        lambda s, p, j, k: p.allocate(PAGE, alignment=0x20000),
        lambda s, p, j, k: p.read(0x10000, 1),
        lambda s, p, j, k: p.read_memory(0x10000, 1),
        lambda s, p, j, k: p.query(0),
        lambda s, p, j, k: next(p.regions()),
        lambda s, p, j, k: p.scan(),
        lambda s, p, j, k: p.working_set(),
        lambda s, p, j, k: p.translate(0),
        lambda s, p, j, k: p.open(),
        lambda s, p, j, k: p.create_stack(),
        lambda s, p, j, k: p.prefetch([(0x10000, 1)]),
        lambda s, p, j, k: p.vm_counters(),
        lambda s, p, j, k: p.allocate_physical_pages(1),
        lambda s, p, j, k: j.information(),
        lambda s, p, j, k: j.set_limits(),
        lambda s, p, j, k: k.free(),
        lambda s, p, j, k: s.create_file(b"x"),
        lambda s, p, j, k: s.create_section(PAGE),
        lambda s, p, j, k: s.open_section("name"),
        lambda s, p, j, k: s.write_mapped_pages(1),
        lambda s, p, j, k: s.remove_device(0),
        lambda s, p, j, k: p.unmap_view(0x10000),
        lambda s, p, j, k: p.is_same_file(0x10000, 0x10000),
    ],
)
def test_use_after_close_raises(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    system = ntmm.System(ram=4 << 20)
    process, job = system.create_process(), system.create_job()
    stack = process.create_stack()
    system.close()
    with pytest.raises(ntmm.Closed):
        call(system, process, job, stack)
    process.end()
    job.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda p, f, s: f.read(0, 1),
        lambda p, f, s: f.write(0, b"x"),
        lambda p, f, s: f.flush(),
        lambda p, f, s: f.open(),
        lambda p, f, s: f.information(),
        lambda p, f, s: s.information(),
        lambda p, f, s: s.subsections(),
        lambda p, f, s: s.duplicate(4),
        lambda p, f, s: s.extend(PAGE),
        lambda p, f, s: p.map_view(s),
    ],
)
def test_use_of_files_and_sections_after_close_raises(call):
    system = ntmm.System(ram=4 << 20)
    process, file = system.create_process(), system.create_file(b"x")
    section = system.create_section(file=file)
    view = process.map_view(section)
    system.close()
    with pytest.raises(ntmm.Closed):
        call(process, file, section)
    view.unmap()
    section.close()
    file.close()


def test_files_and_sections_that_are_left_open_end_with_their_system():
    system = ntmm.System(ram=4 << 20)
    process, file = system.create_process(), system.create_file(b"x")
    section = system.create_section(file=file, name="left")
    process.write(process.map_view(section), b"y")
    dead = weakref.ref(system)
    del system, process
    assert dead() is not None
    del file, section
    gc.collect()
    assert dead() is None


def test_calls_on_sections_leave_no_references():
    with ntmm.System(ram=4 << 20) as system, system.create_process() as process:
        name, contents = "a name that no one else has", bytearray(b"contents")
        counts = []
        for _ in range(4):
            for _ in range(20):
                with system.create_file(contents, name=name) as file:
                    file.write(0, contents)
                    with system.create_section(file=file, name=name) as section:
                        with system.open_section(name) as opened:
                            opened.subsections()
                            process.map_view(section).unmap()
                            process.map_view(section, lowest=0x60000000).unmap()
                        for bad in (lambda: system.create_section(file=file, name=name),
                                    lambda: system.open_section(name + "?"),
                                    lambda: process.map_view_extended(section, 0, 0, 4, [(99, 0)]),
                                    lambda: system.create_file(contents, name=name, valid=99)):
                            with pytest.raises(ntmm.NtStatusError):
                                bad()
                system.remove_device(file.device)
                for wrong in (lambda: system.create_file(b"", name=1),
                              lambda: system.open_section(b"name"),
                              lambda: _core.ntmm_create_section(
                                  system.raw, 1, [name, 0], 1, 4, 1, 0)):
                    with pytest.raises(TypeError):
                        wrong()
            gc.collect()
            counts.append((len(gc.get_objects()), sys.getrefcount(name), sys.getrefcount(contents)))
        assert counts[-1][1:] == counts[1][1:]
        assert counts[-1][0] <= counts[1][0] + 20
        contents.extend(b"no export is left")


def test_a_walk_ends_with_its_system():
    system = ntmm.System(ram=4 << 20)
    walk = system.create_process().regions(free=True)
    next(walk)
    system.close()
    with pytest.raises(ntmm.Closed):
        next(walk)


def test_the_c_interface_refuses_what_is_not_there():
    for call in (
        lambda: _core.ntmm_query_counters(None, 1),
        lambda: _core.ntmm_zero_free_pages(None, 1),
        lambda: _core.ntmm_emulated_hash(None),
        lambda: _core.settle(None),
        lambda: _core.ntmm_emulated_snapshot(None),
        lambda: _core.take_events(None),
        lambda: _core.destroy_device(None),
    ):
        with pytest.raises(ValueError):
            call()


def test_a_process_keeps_its_system_alive():
    process = ntmm.System(ram=4 << 20).create_process()
    gc.collect()
    assert not process.system.is_closed
    assert process.allocate(PAGE)
    system = weakref.ref(process.system)
    del process
    gc.collect()
    assert system() is None


def test_objects_that_hold_a_system_let_it_go():
    system = ntmm.System(ram=4 << 20)
    process, job = system.create_process(), system.create_job()
    held = [process.open(), job, process.create_stack(), system.lend(PAGE), process.regions()]
    dead = weakref.ref(system)
    del system, process, job
    gc.collect()
    assert dead() is not None
    held.clear()
    gc.collect()
    assert dead() is None


def test_a_device_lets_its_functions_go():
    class Register:
        def read(self, offset, size):
            return 0

        def write(self, offset, size, value):
            pass

    register = Register()
    dead = weakref.ref(register)
    system = ntmm.System(ram=4 << 20)
    lent = system.map_device(register.read, register.write)
    process = system.create_process()
    block = process.map_borrowed(lent)
    fork = system.fork()
    del register
    gc.collect()
    lent.take_back()
    gc.collect()
    assert dead() is not None
    assert fork.process(process).read(block, 1) == b"\0"
    fork.close()
    gc.collect()
    assert dead() is None
    system.close()


def test_a_fork_keeps_a_lent_buffer():
    parent = ntmm.System(ram=4 << 20)
    process = parent.create_process()
    lent = parent.lend(PAGE)
    block = process.map_borrowed(lent)
    fork = parent.fork()
    lent.take_back()
    parent.close()
    del lent
    gc.collect()
    double = fork.process(process)
    double.write(block, b"still")
    assert double.read(block, 5) == b"still"
    fork.close()


def test_calls_leave_no_references():
    """Arguments and results of calls of every shape have as many owners afterwards as before."""
    with ntmm.System(ram=4 << 20) as system, system.create_process() as process:
        block = process.allocate(PAGE)
        buffer, pairs, frames = bytearray(48), [(block, PAGE)], process.allocate_physical_pages(1)
        window = process.allocate(PAGE, type=ntmm.Mem.RESERVE | ntmm.Mem.PHYSICAL)
        watched = process.allocate(PAGE, type=ntmm.Mem.RESERVE | ntmm.Mem.WRITE_WATCH)
        system.record_events()

        def release_all():
            for run in process.scan():
                if run.allocation_base not in (block, window, watched):
                    try:
                        process.release(run.allocation_base)
                    except ntmm.NtStatusError:
                        pass

        counts = []
        for _ in range(4):
            for _ in range(20):
                process.query_class(0, block, buffer)
                process.write_memory(block, buffer)
                process.prefetch(pairs)
                process.map_physical_pages(window, frames)
                process.get_write_watch(watched, PAGE)
                process.scan()
                process.working_set()
                process.allocate_extended(PAGE, ntmm.Mem.RESERVE, 4, [(1, (0, 0, 0)), (2, 0)])
                for bad in (lambda: process.query_class(0, 1 << 63, buffer),
                            lambda: process.prefetch([(block, 0)]),
                            lambda: process.map_physical_pages(0, frames),
                            lambda: process.write_memory(0, buffer)):
                    with pytest.raises(ntmm.NtStatusError):
                        bad()
                release_all()
                system.take_events()
            gc.collect()
            counts.append((len(gc.get_objects()), [sys.getrefcount(o) for o in (
                buffer, pairs, frames)]))
        assert counts[-1][1] == counts[1][1]
        assert counts[-1][0] <= counts[1][0] + 20
        buffer.extend(b"no export is left")


def test_memory_of_the_host_is_given_back():
    """A few hundred machines, forks and recorders: what they took, the next ones take again."""
    resource = pytest.importorskip("resource")

    def round_of_machines():
        for _ in range(60):
            with ntmm.System(ram=1 << 20) as system, system.create_process() as process:
                system.record_events()
                system.record_withdrawals()
                process.write(process.map_borrowed(system.lend(PAGE)), b"x")
                process.write(process.allocate(16 * PAGE), bytes(16 * PAGE))
                system.fork().close()

    round_of_machines()
    round_of_machines()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(4):
        round_of_machines()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10
