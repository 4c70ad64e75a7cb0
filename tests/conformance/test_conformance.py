"""The lists beside the cases are whole and current."""
import rows
import statuses


def test_every_row_and_every_pair_of_checks_has_a_case():
    assert rows.Coverage().faults() == []


def test_the_table_of_the_conformance_page_is_current():
    assert rows.stale(rows.Coverage()) == []


def test_every_documented_status_is_accounted_for():
    assert statuses.faults() == []


def test_no_status_is_without_a_test_or_a_reason():
    assert [pair for pair, (kind, rest) in statuses.read_list().items()
            if kind == "none" and rest == "?"] == []


def test_statuses_of_a_docstring_end_with_it():
    text = """
 * @param base  in
 * @return NTMM_STATUS_SUCCESS; or
 *         NTMM_STATUS_NO_MEMORY  none, as NTMM_STATUS_PENDING would
 * Locks: never NTMM_STATUS_TIMEOUT.
 """
    assert statuses.statuses_of(text) == ["SUCCESS", "NO_MEMORY", "PENDING"]
