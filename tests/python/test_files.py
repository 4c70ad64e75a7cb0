"""Files, their data sections, and what reaches the host; expectations from nt_semantics 4."""

import pytest

import ntmm
from ntmm import FileAccess, FileFlag, Mem, Protect, Sec

PAGE = ntmm.PAGE_SIZE
GRANULARITY = ntmm.ALLOCATION_GRANULARITY
TEXT = bytes(range(1, 252)) * 40  # 10,040 bytes: not whole pages


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "data"
    made.write_bytes(TEXT)
    return made


@pytest.fixture
def file(system):
    with system.create_file(TEXT, maximum=1 << 20, name="\\Device\\Disk\\data.bin") as made:
        yield made


def fail(system, file, operation, count):
    """Transfers of a kind that fail from now on."""
    errors = ntmm._core.ntmm_emulated_disk_errors()
    errors.operations, errors.count = 1 << operation, count
    errors.status = ntmm._core.NTMM_STATUS_DEVICE_DATA_ERROR
    ntmm._core.ntmm_emulated_inject_disk(system.machine, file.device, errors)


def status_of(call):
    with pytest.raises(ntmm.NtStatusError) as caught:
        call()
    return caught.value.name


# Bytes


def test_locks_of_bytes(system):
    with system.create_file(bytes(2 * PAGE)) as file, file.open() as other:
        file.lock(0, 10)
        with pytest.raises(ntmm.NtStatusError) as caught:
            other.write(9, b"x")
        assert caught.value.name == "FILE_LOCK_CONFLICT"
        with pytest.raises(ntmm.NtStatusError) as caught:
            other.lock(5, 1, exclusive=False)
        assert caught.value.name == "LOCK_NOT_GRANTED"
        assert file.write(0, b"y") == other.write(10, b"z") == 1
        file.unlock(0, 10)
        with pytest.raises(ntmm.NtStatusError) as caught:
            file.unlock(0, 10)
        assert caught.value.name == "RANGE_NOT_LOCKED"
        assert other.read(0, 1) == b"y"


def test_reads_and_writes(file):
    assert file.read(0, 8) == TEXT[:8]
    assert file.read(len(TEXT) - 3, 100) == TEXT[-3:]
    with pytest.raises(EOFError) as caught:
        file.read(len(TEXT), 1)
    assert (caught.value.name, caught.value.moved) == ("END_OF_FILE", 0)
    assert file.write(len(TEXT) + 10, b"end") == 3
    assert file.read(len(TEXT), 20) == bytes(10) + b"end"
    assert file.information().size_bytes == len(TEXT) + 13


def test_a_file_that_cannot_grow(system):
    with system.create_file(b"abc") as file:
        with pytest.raises(ntmm.DiskFull):
            file.write(2, b"de")
        assert file.read(0, 9) == b"abc"
        assert status_of(lambda: file.set_size((1 << 47) + 1)) == "INVALID_PARAMETER_3"


def test_zeros_a_disk_and_latency(system):
    with system.create_file(100) as file, system.create_file(50, latency=(3, 9)) as slow:
        assert file.read(0, 200) == bytes(100)
        assert slow.read(0, 200) == bytes(50)
    _, disk = ntmm._core.add_disk(system.machine, None, 2 * PAGE, 0)
    with system.create_file(device=disk, valid=0) as file:
        assert file.information()[:4] == (disk, 2 * PAGE, 0, 1)
        file.write(5, b"disk")
        file.flush()
        assert file.information().valid_bytes >= 9
        assert status_of(lambda: system.create_file(device=disk)) == "SHARING_VIOLATION"
    with system.create_file(device=disk) as again:
        assert again.read(0, 12) == bytes(5) + b"disk" + bytes(3)


def test_what_was_never_written_reads_as_zeros(system):
    """The device has other bytes there: FileFlag.STALE."""
    with system.create_file(b"x" * 10, maximum=1 << 20, flags=FileFlag.STALE) as file:
        file.set_size(3 * PAGE)
        assert file.read(0, 4 * PAGE) == b"x" * 10 + bytes(3 * PAGE - 10)
    with system.create_file(TEXT, valid=100) as file:
        assert file.read(0, 200) == TEXT[:100] + bytes(100)


def test_rights_of_a_file_s_handles(system, process, file):
    with file.open(FileAccess.READ_DATA) as reader:
        assert status_of(lambda: reader.write(0, b"x")) == "ACCESS_DENIED"
        assert status_of(lambda: reader.set_size(1)) == "ACCESS_DENIED"
        for protect, is_allowed in (
            (Protect.READONLY, True),
            (Protect.WRITECOPY, True),
            (Protect.READWRITE, False),
            (Protect.EXECUTE, False),
            (Protect.EXECUTE_READ, False),
            (Protect.EXECUTE_WRITECOPY, False),
            (Protect.EXECUTE_READWRITE, False),
        ):
            if is_allowed:
                system.create_section(file=reader, protect=protect).close()
            else:
                with pytest.raises(ntmm.AccessDenied):
                    system.create_section(file=reader, protect=protect)
    assert status_of(lambda: file.open(0)) == "INVALID_PARAMETER_3"
    assert file.information().handle_count == 1


def test_files_that_are_refused(system, tmp_path):
    with pytest.raises(FileNotFoundError):
        system.create_file(path=tmp_path / "none")
    with pytest.raises(ntmm.InvalidFile):
        system.create_file(path=tmp_path)
    with pytest.raises(TypeError):
        system.create_file(b"x", name=7)
    with system.create_file(b"", maximum=10) as empty:
        assert status_of(lambda: system.create_section(file=empty)) == "MAPPED_FILE_SIZE_ZERO"
        assert status_of(lambda: system.create_section(file=empty, attributes=Sec.IMAGE)) == (
            "INVALID_FILE_FOR_SECTION")
    with system.create_file(b"pipe", has_sections=False) as pipe:
        assert status_of(lambda: system.create_section(file=pipe)) == "INVALID_FILE_FOR_SECTION"
    assert status_of(lambda: system.create_file(b"x", valid=2)) == "INVALID_PARAMETER_2"


# Host files: what is written is read independently, from the host


def test_a_view_reaches_the_host_file(system, process, path):
    with system.create_file(path=path) as file, system.create_section(file=file) as section:
        view = process.map_view(section)
        assert process.read(view, len(TEXT)) == TEXT
        # Bytes behind the end of the file are zeros, can be written, and never reach it.
        assert process.read(view + len(TEXT), 8) == bytes(8)
        process.write(view + 5000, b"hello")
        process.write(view + len(TEXT), b"never")
        assert path.read_bytes() == TEXT
        process.flush(view)
        expected = TEXT[:5000] + b"hello" + TEXT[5005:]
        assert path.read_bytes() == expected
        process.write(view, b"!")
        file.flush()
        assert path.read_bytes() == b"!" + expected[1:]


def test_the_last_use_of_a_file_writes_it(system, process, path):
    with system.create_file(path=path) as file, system.create_section(file=file) as section:
        view = process.map_view(section)
    process.write(view, b"last")
    assert path.read_bytes() == TEXT
    view.unmap()
    assert path.read_bytes() == b"last" + TEXT[4:]


def test_the_mapped_page_writer(system, process, path):
    with system.create_file(path=path) as file, system.create_section(file=file) as section:
        process.write(process.map_view(section), b"background")
        process.empty_working_set()
        assert system.write_mapped_pages(16) == 1
        assert path.read_bytes() == b"background" + TEXT[10:]


def test_a_purge_loses_what_was_not_written(system, process, path):
    with system.create_file(path=path) as file, system.create_section(file=file) as section:
        view = process.map_view(section)
        process.write(view, b"lost")
        with pytest.raises(ntmm.FileInUse):
            file.purge()
        view.unmap()
        file.purge()
        assert file.read(0, 4) == TEXT[:4]
    assert path.read_bytes() == TEXT


def test_a_host_file_is_made_grown_and_cut(system, tmp_path):
    path = tmp_path / "new"
    with system.create_file(path=path, flags=FileFlag.CREATE) as file:
        assert file.write(PAGE, b"tail") == 4
        file.flush()
        assert path.read_bytes() == bytes(PAGE) + b"tail"
        file.set_size(PAGE + 2)
        assert path.stat().st_size == PAGE + 2
    system.remove_device(file.device)
    assert path.read_bytes() == bytes(PAGE) + b"ta"


def test_a_host_file_that_is_only_read(system, path):
    path.chmod(0o444)
    with system.create_file(path=path, flags=FileFlag.READ_ONLY) as file:
        assert file.read(0, len(TEXT)) == TEXT
        assert status_of(lambda: file.write(0, b"x")) == "ACCESS_DENIED"
        system.create_section(file=file, protect=Protect.READONLY).close()
        with pytest.raises(PermissionError):
            system.create_section(file=file)


def test_a_write_that_fails_is_said_and_kept(system):
    """The file is closed, its page stays, and is there for the next who opens the device."""
    file = system.create_file(b"old")
    file.write(0, b"new")
    fail(system, file, ntmm._core.NTMM_IO_WRITE, 2)
    assert status_of(file.flush) == "DEVICE_DATA_ERROR"
    assert file.information().is_write_failed
    assert not file.information().is_write_failed
    assert status_of(file.close) == "DEVICE_DATA_ERROR"
    assert file.handle == 0
    with system.create_file(device=file.device) as again:
        assert again.read(0, 3) == b"new"


def test_a_read_that_fails_says_how_far_it_came(system):
    with system.create_file(TEXT) as file:
        assert file.read(0, PAGE) == TEXT[:PAGE]
        file.purge()
        fail(system, file, ntmm._core.NTMM_IO_READ, 1 << 40)
        with pytest.raises(ntmm.NtStatusError) as caught:
            file.read(0, PAGE)
        assert (caught.value.name, caught.value.moved) == ("DEVICE_DATA_ERROR", 0)


# Sections of data


def test_a_section_has_the_exact_size_of_its_file(system, process, file):
    with system.create_section(file=file) as section:
        assert section.information() == (0, Sec.FILE, len(TEXT))
        (only,) = section.subsections()
        assert only[:5] == (0, 3, 0, len(TEXT), 3)
        with pytest.raises(ntmm.InvalidViewSize):
            process.map_view(section, len(TEXT) + 1)
        view = process.map_view(section, len(TEXT))
        assert view.size == 3 * PAGE
        assert process.mapped_filename(view) == "\\Device\\Disk\\data.bin"
        assert process.region(view).region_type == ntmm.RegionType.MAPPED_DATA_FILE
    with system.create_section(100, file=file) as small:
        assert small.information().maximum_size == 100


def test_reserve_means_commit_for_a_file(system, process, file):
    with system.create_section(file=file, attributes=Sec.RESERVE) as section:
        assert process.query(process.map_view(section)).state == Mem.COMMIT


def test_a_section_larger_than_its_file(system, file):
    for protect in (Protect.READONLY, Protect.WRITECOPY, Protect.EXECUTE_READ):
        with pytest.raises(ntmm.SectionTooBig):
            system.create_section(2 * len(TEXT), file=file, protect=protect)
    with system.create_section(2 * len(TEXT), file=file) as section:
        assert section.information().maximum_size == 2 * len(TEXT)
    assert file.information().size_bytes == 2 * len(TEXT)
    assert file.read(len(TEXT), 2 * len(TEXT)) == bytes(len(TEXT))
    with pytest.raises(ntmm.DiskFull):
        system.create_section(2 << 20, file=file)


def test_extending(system, process, file):
    with system.create_section(file=file) as section:
        short = process.map_view(section)
        long = process.map_view(section, 8 * PAGE, type=Mem.RESERVE)
        with pytest.raises(ntmm.FaultError):
            process.read(long + 4 * PAGE, 1)
        assert section.extend(100) == len(TEXT)
        assert section.extend(5 * PAGE) == 5 * PAGE
        assert file.information().size_bytes == 5 * PAGE
        process.write(long + 4 * PAGE, b"grown")
        assert file.read(4 * PAGE, 5) == b"grown"
        assert process.query(short).region_size == 3 * PAGE
    with system.create_section(file=file, protect=Protect.READONLY) as section:
        with pytest.raises(ntmm.SectionNotExtended):
            section.extend(6 * PAGE)


def test_all_views_reads_and_writes_are_one(system, process, file):
    with system.create_process() as other:
        with system.create_section(file=file) as one, system.create_section(file=file) as two:
            mine = process.map_view(one)
            theirs = other.map_view(two, protect=Protect.READONLY)
            process.write(mine + 7, b"view")
            assert other.read(theirs + 7, 4) == b"view"
            assert file.read(7, 4) == b"view"
            file.write(7, b"call")
            assert other.read(theirs + 7, 4) == b"call"
            found = file.information()
            assert (found.data_views, found.data_sections, found.image_views) == (2, 2, 0)


def test_copies_never_reach_the_file(system, process, path):
    with system.create_file(path=path) as file:
        with system.create_section(file=file, protect=Protect.WRITECOPY) as section:
            with process.map_view(section) as view:
                process.write(view, b"mine")
                assert process.query(view).protect == Protect.READWRITE
                assert process.query(view + PAGE).protect == Protect.WRITECOPY
                assert file.read(0, 4) == TEXT[:4]
                file.write(PAGE, b"seen")
                assert process.read(view + PAGE, 4) == b"seen"
    assert path.read_bytes() == TEXT[:PAGE] + b"seen" + TEXT[PAGE + 4:]


def test_a_mapped_file_cannot_be_cut(system, process, file):
    section = system.create_section(file=file)
    view = process.map_view(section)
    for _ in range(2):
        with pytest.raises(ntmm.FileInUse) as caught:
            file.set_size(len(TEXT) - 2)
        assert caught.value.name == "USER_MAPPED_FILE"
        assert process.read(view, 4) == TEXT[:4]
        section.close()
    file.set_size(len(TEXT) + 100)
    view.unmap()
    file.set_size(10)
    assert file.read(0, 99) == TEXT[:10]
    assert file.can_delete()


def test_a_read_that_fails_is_an_in_page_error(system, process, file):
    with system.create_section(file=file) as section:
        view = process.map_view(section)
        fail(system, file, ntmm._core.NTMM_IO_READ, 1 << 40)
        with pytest.raises(ntmm.InPageError) as caught:
            process.read(view + 5, 1)
        assert caught.value.address == view + 5
        assert caught.value.io_status == ntmm._core.NTMM_STATUS_DEVICE_DATA_ERROR
        fail(system, file, ntmm._core.NTMM_IO_READ, 0)
        assert process.read(view + 5, 1) == TEXT[5:6]


def test_a_fork_s_file_goes_its_own_way(system, process, file):
    file.write(0, b"both")
    with system.fork() as fork:
        double = fork.file(file)
        double.write(0, b"fork")
        double.flush()
        assert fork.file(file.handle).read(0, 4) == b"fork"
        with pytest.raises(ValueError):
            system.create_section(file=double)
    assert file.read(0, 4) == b"both"


def test_a_machine_with_a_host_file_has_no_snapshots(system, path):
    file = system.create_file(path=path)
    with pytest.raises(ntmm.NotSupported):
        system.fork()
    file.close()
    system.remove_device(file.device)
    system.fork().close()
