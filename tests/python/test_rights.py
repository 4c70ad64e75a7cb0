"""Handles with rights, protected processes, privileges, jobs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ntmm
from ntmm import Access, Privilege, Protection, Signer

PAGE = ntmm.PAGE_SIZE

# Which signers each dominates, and which rights it leaves to those who do not: the specification's
# table of protected processes.
DOMINATES = {
    Signer.NONE: set(),
    Signer.AUTHENTICODE: {1},
    Signer.CODEGEN: {2},
    Signer.ANTIMALWARE: {3},
    Signer.LSA: {4},
    Signer.WINDOWS: {1, 2, 3, 4, 5},
    Signer.WINTCB: {1, 2, 3, 4, 5, 6},
    Signer.WINSYSTEM: {1, 2, 3, 4, 5, 6, 7},
    Signer.APP: {8},
}
DENIES = {signer: 0xFC7FE for signer in Signer if signer != Signer.NONE}
DENIES |= {signer: 0xFC7FF for signer in (
    Signer.ANTIMALWARE, Signer.LSA, Signer.WINTCB, Signer.WINSYSTEM)}
DENIES[Signer.NONE] = 0

signers = st.sampled_from([signer for signer in Signer if signer != Signer.NONE])


def status_of(call, *arguments, **options):
    with pytest.raises(ntmm.NtStatusError) as caught:
        call(*arguments, **options)
    return caught.value.name


def test_a_handle_carries_what_was_asked_for(process):
    assert process.access == Access.ALL
    assert Privilege.LOCK_MEMORY in process.privileges
    reader = process.open(Access.VM_READ, privileges=Privilege.LOCK_MEMORY)
    assert (reader.access, reader.privileges) == (Access.VM_READ, Privilege.LOCK_MEMORY)
    block = process.allocate(PAGE)
    process.write(block, b"seen")
    assert reader.read_memory(block, 4) == b"seen"
    for call in (
        lambda: reader.write_memory(block, b"x"),
        lambda: reader.allocate(PAGE),
        lambda: reader.query(block),
        lambda: reader.empty_working_set(),
        lambda: reader.information(),
        reader.end,
    ):
        with pytest.raises(ntmm.AccessDenied) as caught:
            call()
        assert isinstance(caught.value, PermissionError)


def test_a_clone_needs_a_right_and_has_all(system, process):
    block = process.allocate(4 * PAGE)
    process.write(block, b"both")
    with process.open(Access.CREATE_PROCESS).clone(commit_limit_pages=8) as child:
        assert child.access == Access.ALL
        assert child.read(block, 4) == b"both"
        child.write(block, b"mine")
        assert process.read(block, 4) == b"both"
        assert child.information().commit_pages == process.information().commit_pages == 4
    weak = process.open(Access.ALL & ~Access.CREATE_PROCESS)
    assert status_of(weak.clone) == "ACCESS_DENIED"
    assert status_of(process.clone, commit_limit_pages=3) == "PAGEFILE_QUOTA_EXCEEDED"


def test_the_with_of_a_second_handle_ends_nothing(system):
    process = system.create_process()
    with process.open() as same:
        assert same.allocate(PAGE)
    assert process.information().region_count == 1
    with process.open(Access.TERMINATE) as last:
        last.end()
    with pytest.raises(ntmm.InvalidHandle):
        process.allocate(PAGE)


@given(
    own=st.sampled_from(Protection), signer=signers, their=st.sampled_from(Protection),
    their_signer=signers,
)
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_protected_processes(own, signer, their, their_signer):
    signer = signer if own else Signer.NONE
    their_signer = their_signer if their else Signer.NONE
    with ntmm.System(ram=4 << 20) as system:
        caller = system.create_process(protection=own, signer=signer)
        target = system.create_process(protection=their, signer=their_signer)
        is_free = not their or (own >= their and their_signer in DOMINATES[signer])
        denied = 0 if is_free else DENIES[their_signer]
        opened = target.open(caller=caller)
        assert opened.access == Access.ALL & ~denied
        for right in Access:
            if right < Access.ALL and right & denied:
                assert status_of(target.open, right, caller=caller) == "ACCESS_DENIED"
        assert target.open().access == Access.ALL


def test_commands_need_a_privilege(system, process):
    poor = process.open(privileges=0)
    assert status_of(system.command_lists, ntmm.ListCommand.EMPTY_WORKING_SETS, caller=poor) == (
        "PRIVILEGE_NOT_HELD")
    with pytest.raises(ValueError):
        system.command_lists(9, caller=process)
    assert status_of(poor.set_working_set_limits, 300 * PAGE, 400 * PAGE) == "PRIVILEGE_NOT_HELD"


def test_a_job_limits_its_processes(system):
    one, two = system.create_process(), system.create_process()
    with system.create_job() as job:
        job.set_limits(process_memory_pages=8, job_memory_pages=12)
        job.assign(one)
        job.assign(two)
        one.allocate(8 * PAGE)
        assert status_of(one.allocate, PAGE) == "COMMITMENT_LIMIT"
        assert status_of(two.allocate, 5 * PAGE) == "COMMITMENT_LIMIT"
        two.allocate(4 * PAGE)
        assert job.information() == ntmm.JobInformation(2, 12, 12, 8, 12, None, None)
        assert status_of(job.assign, one) == "ACCESS_DENIED"
    assert status_of(two.allocate, PAGE) == "COMMITMENT_LIMIT"
    one.end()
    two.allocate(4 * PAGE)
    two.end()


def test_working_sets_of_a_job(system, process):
    job = system.create_job()
    job.set_limits(working_set_pages=(20, 30))
    job.assign(process)
    assert status_of(process.set_working_set_limits, 20 * PAGE, 40 * PAGE) == "ACCESS_DENIED"
    block = process.allocate(100 * PAGE)
    process.write(block, bytes(100 * PAGE))
    assert process.information().working_set_pages <= 30
    with pytest.raises(ntmm.BadWorkingSetLimit):
        job.set_limits(working_set_pages=(30, 20))
    job.close()
    job.close()
    with pytest.raises(ntmm.InvalidHandle):
        job.information()
