# The extension that SWIG makes of the C headers: every function under its C name. Results are a
# status, or a list of the status and the values that the function filled in; see ntmm.i.
from typing import Any

NTMM_USER_PROBE_ADDRESS: int

class ntmm_emulated_config:
    def __getattr__(self, name: str) -> Any: ...
    def __setattr__(self, name: str, value: Any) -> None: ...

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

class ntmm_memory_basic_information:
    base_address: int
    allocation_base: int
    allocation_protect: int
    region_size: int
    state: int
    protect: int
    type: int

class ntmm_thread_stack:
    stack_base: int
    stack_limit: int
    deallocation_stack: int
    guaranteed_bytes: int

def __getattr__(name: str) -> Any: ...
