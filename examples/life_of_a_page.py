"""The life of a page: what the program does to it, and what the memory manager makes of it.

    PYTHONPATH=build/python python3 examples/life_of_a_page.py

A page is committed, written, trimmed, written out, taken away, and read back from the page file; a
fork shows what would have become of it otherwise. Each line is a named tuple, which
pandas.DataFrame(rows) would take as it is.
"""

from typing import NamedTuple

import ntmm
from ntmm import ListCommand, Mem


class Row(NamedTuple):
    """The page after something happened; pages of the process and faults so far."""

    what: str
    state: str
    where: str
    priority: int
    commit: int
    working_set: int
    soft: int
    hard: int


def look(what: str, process: ntmm.Process, address: int) -> Row:
    """The row of a page as it is now."""
    page, information, counters = (
        process.page(address), process.information(), process.counters())
    where = "working set" if page.valid else page.location.name.lower().replace("_", " ")
    if page.is_on_modified_list:
        where = "modified list"
    return Row(
        what,
        Mem(process.query(address).state).name or "",
        where,
        page.priority,
        information.commit_pages,
        information.working_set_pages,
        counters["transition_faults"],
        counters["hard_faults"],
    )


def show(rows: list[Row]) -> None:
    """Print rows as a table."""
    lines = [Row._fields] + [tuple(str(value) for value in row) for row in rows]
    widths = [max(len(text) for text in column) for column in zip(*lines)]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


def main() -> None:
    """Live the life."""
    with ntmm.System(ram=4 << 20, seed=1) as system, system.create_process() as process:
        system.add_page_file(4 << 20)
        base = process.reserve(16 * ntmm.PAGE_SIZE)
        rows = [look("reserve", process, base)]
        process.commit(base, ntmm.PAGE_SIZE)
        rows.append(look("commit", process, base))
        process.write(base, b"remember me")
        rows.append(look("write", process, base))
        process.empty_working_set()
        rows.append(look("trim", process, base))
        process.read(base, 1)
        rows.append(look("read: soft fault", process, base))
        process.empty_working_set()
        system.write_modified_pages(1)
        rows.append(look("trim, write out", process, base))
        system.command_lists(ListCommand.PURGE_STANDBY_LIST, caller=process)
        rows.append(look("frame taken", process, base))
        with system.fork() as fork:
            double = fork.process(process)
            double.decommit(base, ntmm.PAGE_SIZE)
            rows.append(look("in a fork: decommit", double, base))
        text = process.read(base, 11)
        rows.append(look("read: hard fault", process, base))
        show(rows)
        print(text.decode())


if __name__ == "__main__":
    main()
