# The extension that SWIG makes of the C headers: every function under its C name. Results are a
# status, or a list of the status and the values that the function filled in; see ntmm.i.
from typing import Any

class ntmm_fault_result:
    kind: int
    parameter_count: int
    parameters: list[int]

class ntmm_check_report:
    invariant: str
    process: int
    object: int
    expected: int
    found: int

class ntmm_process_information:
    counters: list[int]
    def __getattr__(self, name: str) -> Any: ...

def __getattr__(name: str) -> Any: ...
