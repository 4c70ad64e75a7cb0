/*
 * The public headers as a Python module, ntmm._core: every function under its C name, every
 * constant, every struct as a class. A status that is not a success is raised as the exception that
 * ntmm._errors.error_of makes of it; a success is returned.
 *
 * Pointers that a function fills become results: in/out bases and sizes, handles, systems and
 * machines, and the bytes of a load; arrays.i has those of arrays, sinks.i the callbacks. Not here:
 * the platform's operations, coroutines, the inline path of a processor, faults that wait.
 */
%module(package="ntmm") _core

%{
#include <ntmm.h>
#include <ntmm/snapshot.h>

/* Raises what ntmm._errors makes of the status; the status of that call itself does not matter. */
static void raise_status(ntmm_status status)
{
    PyObject *module = PyImport_ImportModule("ntmm._errors");
    PyObject *error = module ? PyObject_CallMethod(module, "error_of", "I", status) : NULL;

    if (error) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    }
    Py_XDECREF(error);
    Py_XDECREF(module);
}

/* Of an argument that is not looked at, because one before it is wrong. */
static const Py_buffer NO_VIEW;

static PyObject *list_of(const uint64_t *values, size_t count)
{
    PyObject *list = PyList_New((Py_ssize_t)count);

    for (size_t i = 0; list && i < count; i++) {
        PyList_SET_ITEM(list, (Py_ssize_t)i, PyLong_FromUnsignedLongLong(values[i]));
    }
    return list;
}
%}

%include <stdint.i>
%include <typemaps.i>

/* Statuses. A Python function that the call ran may have raised. */
%typemap(out) ntmm_status {
    if (PyErr_Occurred()) {
        SWIG_fail;
    }
    if (!NTMM_SUCCEEDED($1)) {
        raise_status($1);
        SWIG_fail;
    }
    $result = PyLong_FromUnsignedLong($1);
}

/* Values behind pointers. A service's status, then base, size and old: a list. */
%apply uint64_t *INOUT { uint64_t *base, uint64_t *size };
%apply uint32_t *OUTPUT { uint32_t *old };
%apply uint64_t *INOUT { uint64_t *first_frame };
%apply uint64_t *INOUT { uint64_t *offset, uint64_t *view_size };
%apply uint64_t *OUTPUT { ntmm_handle *process, ntmm_handle *handle, ntmm_handle *job };
%apply uint64_t *OUTPUT { ntmm_handle *file, ntmm_handle *opened };
%apply uint64_t *OUTPUT { ntmm_handle *section, ntmm_handle *duplicate };
%apply uint64_t *OUTPUT { uint64_t *secured };
%apply uint64_t *OUTPUT { uint64_t *device, uint64_t *return_length, uint64_t *next };
%apply uint64_t *OUTPUT { uint64_t *count, uint64_t *size_bytes };
%apply uint32_t *OUTPUT { uint32_t *number, uint32_t *granularity, uint32_t *processed };
%apply bool *OUTPUT { bool *is_signalled };

/* A machine that was closed is None. */
%typemap(check) struct ntmm_system * {
    if (!$1) {
        SWIG_exception_fail(SWIG_ValueError, "there is no system");
    }
}
%typemap(check) struct ntmm_emulated * {
    if (!$1) {
        SWIG_exception_fail(SWIG_ValueError, "there is no machine");
    }
}
%typemap(check) struct recorder *, struct python_device * {
    if (!$1) {
        SWIG_exception_fail(SWIG_ValueError, "there is no such object");
    }
}
%apply struct ntmm_system * { const struct ntmm_system * };
%apply struct ntmm_emulated * { const struct ntmm_emulated * };

%typemap(in, numinputs=0) struct ntmm_system **system (struct ntmm_system *made) {
    made = NULL;
    $1 = &made;
}
%typemap(argout) struct ntmm_system **system {
    $result = SWIG_Python_AppendOutput(
        $result, SWIG_NewPointerObj(*$1, $descriptor(struct ntmm_system *), 0));
}
%typemap(in, numinputs=0) struct ntmm_emulated **emu (struct ntmm_emulated *made) {
    made = NULL;
    $1 = &made;
}
%typemap(argout) struct ntmm_emulated **emu {
    $result = SWIG_Python_AppendOutput(
        $result, SWIG_NewPointerObj(*$1, $descriptor(struct ntmm_emulated *), 0));
}
%apply struct ntmm_emulated **emu { struct ntmm_emulated **fork };

/* Not written when the frame is in use still, which is no failure. */
%typemap(in, numinputs=0) uint32_t *outcome (uint32_t became) {
    became = 0;
    $1 = &became;
}
%typemap(argout) uint32_t *outcome {
    $result = SWIG_Python_AppendOutput($result, PyLong_FromUnsignedLong(*$1));
}

/* Bytes: a load takes a count and gives bytes, a store takes an object with a buffer. */
%typemap(in) (void *buffer, size_t size) (PyObject *bytes = NULL) {
    Py_ssize_t count = PyLong_AsSsize_t($input);
    if (count < 0) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "a number of bytes is not negative");
        }
        SWIG_fail;
    }
    bytes = PyBytes_FromStringAndSize(NULL, count);
    if (!bytes) {
        SWIG_fail;
    }
    $1 = PyBytes_AS_STRING(bytes);
    $2 = (size_t)count;
}
%typemap(argout) (void *buffer, size_t size) {
    $result = SWIG_Python_AppendOutput($result, bytes$argnum);
    bytes$argnum = NULL;
}
%typemap(freearg) (void *buffer, size_t size) {
    Py_XDECREF(bytes$argnum);
}
%typemap(in) (const void *buffer, size_t size) (Py_buffer view = NO_VIEW) {
    if (PyObject_GetBuffer($input, &view, PyBUF_SIMPLE) < 0) {
        SWIG_fail;
    }
    $1 = view.buf;
    $2 = (size_t)view.len;
}
%typemap(freearg) (const void *buffer, size_t size) {
    if (view$argnum.obj) {
        PyBuffer_Release(&view$argnum);
    }
}

/* Arrays of numbers are lists. */
%typemap(out) uint64_t [ANY] {
    $result = list_of($1, $1_dim0);
}
%typemap(in) (uint64_t *values, uint32_t count) {
    $2 = (uint32_t)PyLong_AsUnsignedLong($input);
    if (PyErr_Occurred()) {
        SWIG_fail;
    }
    $1 = calloc($2 ? $2 : 1, sizeof(*$1));
    if (!$1) {
        PyErr_NoMemory();
        SWIG_fail;
    }
}
%typemap(argout) (uint64_t *values, uint32_t count) {
    $result = SWIG_Python_AppendOutput($result, list_of($1, $2));
}
%typemap(freearg) (uint64_t *values, uint32_t count) {
    free($1);
}

%include "arrays.i"

/* ntmm_check wants scratch memory: the module brings it. */
%typemap(in, numinputs=0) (void *scratch, size_t size) {
    $1 = NULL;
    $2 = 0;
}
%typemap(check) (void *scratch, size_t size) {
    $2 = ntmm_check_scratch_size(arg1);
    $1 = malloc($2 ? $2 : 1);
    if (!$1) {
        PyErr_NoMemory();
        SWIG_fail;
    }
}
%typemap(freearg) (void *scratch, size_t size) {
    free($1);
}

/* Text that a function writes. */
%typemap(in, numinputs=0) (char *buffer, size_t buffer_size) (char text[512]) {
    $1 = text;
    $2 = sizeof(text);
}
%typemap(argout) (char *buffer, size_t buffer_size) {
    $result = SWIG_Python_AppendOutput($result, PyUnicode_FromString($1));
}

/* Rows of the table of counters are constant. */
%feature("immutable") ntmm_counter_description::name;
%feature("immutable") ntmm_counter_description::nt_class;
%feature("immutable") ntmm_counter_description::unit;

/* A function has the name of its argument's enum. */
%rename(ntmm_memory_list_commands, %$isenum) ntmm_memory_list_command;

%ignore ntmm_platform;
%ignore ntmm_io;
%ignore ntmm_create_system;
%ignore ntmm_attach_system;
%ignore ntmm_emulated_platform;
%ignore ntmm_emulated_set_log;
%ignore ntmm_emulated_set_event;
%ignore ntmm_emulated_spawn;
%ignore ntmm_emulated_update;
%ignore ntmm_emulated_arena;
%ignore ntmm_emulated_cpu;
%ignore ntmm_emulated_disk_image;
%ignore ntmm_emulated_disk_config::path;
%ignore ntmm_emulated_file_config::path;
%ignore ntmm_emulated_file_config::contents;
%ignore ntmm_emulated_query_host_file;
%ignore ntmm_emulated_read_disk;
%ignore ntmm_check_with_storage;
%ignore ntmm_storage_reader;
%ignore ntmm_set_invalidation_sink;
%ignore ntmm_invalidation_sink;
%ignore ntmm_set_image_verifier;
%ignore ntmm_image_verifier;
%ignore ntmm_image_file;
%ignore ntmm_emulated_map_io;
%ignore ntmm_emulated_device;
%ignore ntmm_mem_extended_parameter;
%ignore ntmm_file_config;
%ignore ntmm_section_config;
%ignore ntmm_free_user_physical_pages;
%ignore ntmm_map_user_physical_pages_scatter;
%ignore ntmm_cfg_call_target_list;
%ignore ntmm_fault_begin;
%ignore ntmm_fault_cancel;
%ignore ntmm_wait;

/* What `size` of a struct must say. */
%inline %{
size_t sizeof_config(void) { return sizeof(struct ntmm_config); }
size_t sizeof_process_config(void) { return sizeof(struct ntmm_process_config); }
size_t sizeof_emulated_config(void) { return sizeof(struct ntmm_emulated_config); }
size_t sizeof_paging_file_config(void) { return sizeof(struct ntmm_paging_file_config); }
size_t sizeof_caller(void) { return sizeof(struct ntmm_caller); }
size_t sizeof_job_limits(void) { return sizeof(struct ntmm_job_limits); }
size_t sizeof_translation(void) { return sizeof(struct ntmm_translation); }
size_t sizeof_snapshot_information(void) { return sizeof(struct ntmm_snapshot_information); }
%}

/* What takes a callback or a string that must live on, with these filled in. */
%inline %{
/* A disk that is a host file, or in memory for None. */
ntmm_status add_disk(struct ntmm_emulated *machine, const char *path, uint64_t size_bytes,
                     uint64_t maximum_bytes, uint64_t *device)
{
    struct ntmm_emulated_disk_config config = {
        .size = sizeof(config),
        .version = NTMM_EMULATED_DISK_VERSION,
        .size_bytes = size_bytes,
        .maximum_bytes = maximum_bytes,
        .path = path,
    };
    return ntmm_emulated_add_disk(machine, &config, device);
}

/* A file that is a host file, or for None one in memory: of these bytes, or of so many zeros. */
ntmm_status add_file(struct ntmm_emulated *machine, const char *path, const void *buffer,
                     uint64_t size, uint64_t zero_bytes, uint64_t maximum_bytes, uint32_t flags,
                     uint32_t minimum_latency_pumps, uint32_t maximum_latency_pumps,
                     uint64_t *device, uint64_t *size_bytes)
{
    struct ntmm_emulated_file_config config = {
        .size = sizeof(config),
        .version = NTMM_EMULATED_FILE_VERSION,
        .path = path,
        .contents = size ? buffer : NULL,
        .size_bytes = size ? size : zero_bytes,
        .maximum_bytes = maximum_bytes,
        .flags = flags,
        .minimum_latency_pumps = minimum_latency_pumps,
        .maximum_latency_pumps = maximum_latency_pumps,
    };
    return ntmm_emulated_add_file(machine, &config, device, size_bytes);
}

/* Completes the transfers in flight. */
void settle(struct ntmm_emulated *machine)
{
    const struct ntmm_platform *platform = ntmm_emulated_platform(machine);
    struct ntmm_emulated_statistics statistics;

    for (ntmm_emulated_query(machine, &statistics);
         statistics.transfers != statistics.completions;
         ntmm_emulated_query(machine, &statistics)) {
        platform->pump(platform->context);
    }
}

/* ntmm_check_with_storage over the machine's disks. */
ntmm_status check_with_disks(struct ntmm_emulated *machine, struct ntmm_check_report *report)
{
    struct ntmm_system *system = ntmm_emulated_system(machine);
    size_t size = ntmm_check_scratch_size(system);
    void *scratch = malloc(size ? size : 1);
    ntmm_status status = NTMM_STATUS_INSUFFICIENT_RESOURCES;

    if (scratch) {
        status = ntmm_check_with_storage(system, scratch, size, ntmm_emulated_read_disk, machine,
                                         report);
    }
    free(scratch);
    return status;
}
%}

%include "sinks.i"

/* What has arrays whose lengths do not stand beside them. */
%inline %{
/* ntmm_free_user_physical_pages; *freed also when it fails. */
ntmm_status free_user_physical_pages(struct ntmm_system *system, ntmm_handle process,
                                     uint64_t count, const uint64_t *frames, uint64_t *freed)
{
    *freed = count;
    return ntmm_free_user_physical_pages(system, process, freed, frames);
}

/* ntmm_map_user_physical_pages_scatter; frames None: the pages are unmapped. */
ntmm_status map_user_physical_pages_scatter(struct ntmm_system *system, ntmm_handle process,
                                            const uint64_t *addresses, uint64_t count,
                                            const uint64_t *frames, uint64_t frame_count)
{
    if (frames && frame_count != count) {
        PyErr_SetString(PyExc_ValueError, "as many frames as addresses are expected");
        return NTMM_STATUS_INVALID_PARAMETER;
    }
    return ntmm_map_user_physical_pages_scatter(system, process, addresses, count, frames);
}

/* ntmm_set_information_virtual_memory with one range and its call targets. */
ntmm_status set_call_targets(struct ntmm_system *system, ntmm_handle process, uint64_t address,
                             uint64_t size, const uint64_t *offsets, uint64_t offset_count,
                             const uint64_t *flags, uint64_t flag_count, uint32_t *processed)
{
    struct ntmm_memory_range_entry range = {address, size};
    struct ntmm_cfg_call_target_list list = {.processed = processed};
    ntmm_status status = NTMM_STATUS_INSUFFICIENT_RESOURCES;

    *processed = 0;
    list.count = (uint32_t)(offset_count < flag_count ? offset_count : flag_count);
    list.targets = calloc(list.count ? list.count : 1, sizeof(*list.targets));
    for (uint32_t i = 0; list.targets && i < list.count; i++) {
        list.targets[i] = (struct ntmm_cfg_call_target){offsets[i], flags[i]};
    }
    if (list.targets) {
        status = ntmm_set_information_virtual_memory(
            system, process, NTMM_VM_CFG_CALL_TARGET_INFORMATION, 1, &range, &list, sizeof(list));
    }
    free(list.targets);
    return status;
}
%}

%include <ntmm/types.h>
%include <ntmm/status.h>
%include <ntmm/constants.h>
%include <ntmm/counters.h>
%include <ntmm/event.h>
%include <ntmm/platform.h>
%include <ntmm/system.h>
%include <ntmm/process.h>
%include <ntmm/paging.h>
%include <ntmm/virtual.h>
%include <ntmm/query.h>
%include <ntmm/memory.h>
%include <ntmm/offer.h>
%include <ntmm/write_watch.h>
%include <ntmm/physical.h>
%include <ntmm/frames.h>
%include <ntmm/working_set.h>
%include <ntmm/statistics.h>
%include <ntmm/access.h>
%include <ntmm/job.h>
%include <ntmm/fault.h>
%include <ntmm/stack.h>
%include <ntmm/borrow.h>
%include <ntmm/secure.h>
%include <ntmm/call_target.h>
%include <ntmm/file.h>
%include <ntmm/section.h>
%include <ntmm/inspect.h>
%include <ntmm/emulated.h>
%include <ntmm/snapshot.h>
