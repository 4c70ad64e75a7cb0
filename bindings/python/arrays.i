/*
 * Arrays and buffers of the C interface as Python objects.
 *
 * Numbers go in as any sequence of integers, and come out as lists. NT's buffers of bytes are any
 * object with a buffer that can be written, filled in place: also by a call that raises, as in NT.
 * A count that a failed call also writes is a uint64_cell: its cast() goes in, its value() is read
 * afterwards.
 */
%{
/* A fresh array of the numbers of a sequence; NULL and an exception on failure. */
static uint64_t *values_of(PyObject *sequence, uint64_t *count)
{
    PyObject *fast = PySequence_Fast(sequence, "a sequence of integers is expected");
    Py_ssize_t length = fast ? PySequence_Fast_GET_SIZE(fast) : 0;
    uint64_t *values = fast ? calloc(length ? (size_t)length : 1, sizeof(*values)) : NULL;

    if (fast && !values) {
        PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; values && i < length; i++) {
        values[i] = PyLong_AsUnsignedLongLong(PySequence_Fast_GET_ITEM(fast, i));
        if (PyErr_Occurred()) {
            free(values);
            values = NULL;
        }
    }
    Py_XDECREF(fast);
    *count = (uint64_t)length;
    return values;
}

/* Room for that many objects of some size, zeroed; NULL and an exception on failure. */
static void *room_for(PyObject *number, uint64_t *count, size_t size_bytes)
{
    void *room = NULL;

    *count = PyLong_AsUnsignedLongLong(number);
    if (!PyErr_Occurred()) {
        room = *count < SIZE_MAX ? calloc(*count ? (size_t)*count : 1, size_bytes) : NULL;
        if (!room) {
            PyErr_NoMemory();
        }
    }
    return room;
}

/* Converts an argument of PyArg_ParseTuple, whose own formats do not see an overflow. */
static int number_of(PyObject *object, void *number)
{
    *(uint64_t *)number = PyLong_AsUnsignedLongLong(object);
    return !PyErr_Occurred();
}

/* PyArg_ParseTuple takes nothing else. */
static bool is_tuple(PyObject *object)
{
    if (!PyTuple_Check(object)) {
        PyErr_SetString(PyExc_TypeError, "a tuple is expected");
        return false;
    }
    return true;
}

/* Pairs (first byte, bytes) as ranges; NULL and an exception on failure. */
static struct ntmm_memory_range_entry *ranges_of(PyObject *sequence, uint64_t *count)
{
    PyObject *fast = PySequence_Fast(sequence, "a sequence of (address, size) is expected");
    Py_ssize_t length = fast ? PySequence_Fast_GET_SIZE(fast) : 0;
    struct ntmm_memory_range_entry *ranges =
        fast ? calloc(length ? (size_t)length : 1, sizeof(*ranges)) : NULL;

    if (fast && !ranges) {
        PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; ranges && i < length; i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(fast, i);

        if (!is_tuple(item) ||
            !PyArg_ParseTuple(item, "O&O&", number_of, &ranges[i].virtual_address, number_of,
                              &ranges[i].number_of_bytes)) {
            free(ranges);
            ranges = NULL;
            break;
        }
    }
    Py_XDECREF(fast);
    *count = (uint64_t)length;
    return ranges;
}

/* Extended parameters and, behind them, the address requirements that they name. */
static bool fill_parameter(PyObject *item, struct ntmm_mem_extended_parameter *parameter,
                           struct ntmm_mem_address_requirements *requirements)
{
    PyObject *value = NULL;

    if (!is_tuple(item) ||
        !PyArg_ParseTuple(item, "O&O", number_of, &parameter->type, &value)) {
        return false;
    }
    if (!PyTuple_Check(value)) {
        parameter->value = PyLong_AsUnsignedLongLong(value);
        return !PyErr_Occurred();
    }
    parameter->requirements = requirements;
    return PyArg_ParseTuple(value, "O&O&O&", number_of, &requirements->lowest_starting_address,
                            number_of, &requirements->highest_ending_address, number_of,
                            &requirements->alignment);
}

static struct ntmm_mem_extended_parameter *parameters_of(PyObject *sequence, uint32_t *count)
{
    PyObject *fast = PySequence_Fast(sequence, "a sequence of (type, value) is expected");
    Py_ssize_t length = fast ? PySequence_Fast_GET_SIZE(fast) : 0;
    struct ntmm_mem_extended_parameter *parameters =
        fast ? calloc((size_t)length + 1, sizeof(*parameters) +
                      sizeof(struct ntmm_mem_address_requirements)) : NULL;
    struct ntmm_mem_address_requirements *requirements =
        parameters ? (struct ntmm_mem_address_requirements *)(parameters + length + 1) : NULL;

    if (fast && !parameters) {
        PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; parameters && i < length; i++) {
        if (!fill_parameter(PySequence_Fast_GET_ITEM(fast, i), &parameters[i], &requirements[i])) {
            free(parameters);
            parameters = NULL;
        }
    }
    Py_XDECREF(fast);
    *count = (uint32_t)length;
    return parameters;
}

/* Text as UTF-16 units, which live as long as *bytes; None is NULL and 0. */
static bool units_of(PyObject *text, PyObject **bytes, const uint16_t **units, uint32_t *count)
{
    *units = NULL;
    *count = 0;
    if (text == Py_None) {
        return true;
    }
    *bytes = PyUnicode_AsEncodedString(text, PY_BIG_ENDIAN ? "utf-16-be" : "utf-16-le",
                                       "surrogatepass");
    if (*bytes) {
        *units = (const uint16_t *)PyBytes_AS_STRING(*bytes);
        *count = (uint32_t)(PyBytes_GET_SIZE(*bytes) / 2);
    }
    return *bytes != NULL;
}

/* A section's configuration of (name, open_if). */
static bool fill_section_config(PyObject *tuple, struct ntmm_section_config *config,
                                PyObject **bytes)
{
    PyObject *name = NULL;
    int open_if = 0;

    *config = (struct ntmm_section_config){.size = sizeof(*config),
                                           .version = NTMM_SECTION_CONFIG_VERSION};
    if (!is_tuple(tuple) || !PyArg_ParseTuple(tuple, "Op", &name, &open_if)) {
        return false;
    }
    config->open_if = (uint32_t)open_if;
    return units_of(name, bytes, &config->name, &config->name_units);
}

/* A file's configuration of (device, size_bytes, valid_bytes, flags, name). */
static bool fill_file_config(PyObject *tuple, struct ntmm_file_config *config, PyObject **bytes)
{
    PyObject *name = NULL;
    uint64_t flags = 0;

    *config = (struct ntmm_file_config){.size = sizeof(*config),
                                        .version = NTMM_FILE_CONFIG_VERSION};
    if (!is_tuple(tuple) ||
        !PyArg_ParseTuple(tuple, "O&O&O&O&O", number_of, &config->device, number_of,
                          &config->size_bytes, number_of, &config->valid_bytes, number_of, &flags,
                          &name)) {
        return false;
    }
    config->flags = flags < UINT32_MAX ? (uint32_t)flags : UINT32_MAX;
    return units_of(name, bytes, &config->name, &config->name_units);
}
%}

%include <cpointer.i>
%pointer_class(uint64_t, uint64_cell);

/* Buffers that are filled in place, and buffers that are only read. */
%typemap(in) (void *buffer, uint64_t length) (Py_buffer view = NO_VIEW) {
    if (PyObject_GetBuffer($input, &view, PyBUF_WRITABLE) < 0) {
        SWIG_fail;
    }
    $1 = view.buf;
    $2 = ($2_ltype)view.len;
}
%typemap(freearg) (void *buffer, uint64_t length) {
    if (view$argnum.obj) {
        PyBuffer_Release(&view$argnum);
    }
}
%apply (void *buffer, uint64_t length) {
    (void *buffer, uint64_t size), (void *information, uint32_t length),
    (void *buffer, uint64_t size_bytes)
};
%typemap(in) (const void *buffer, uint64_t size) (Py_buffer view = NO_VIEW) {
    if (PyObject_GetBuffer($input, &view, PyBUF_SIMPLE) < 0) {
        SWIG_fail;
    }
    $1 = view.buf;
    $2 = ($2_ltype)view.len;
}
%typemap(freearg) (const void *buffer, uint64_t size) {
    if (view$argnum.obj) {
        PyBuffer_Release(&view$argnum);
    }
}
%apply (const void *buffer, uint64_t size) { (const void *information, uint32_t length) };

/* Sequences of numbers; None is NULL and 0. */
%typemap(in) (const uint64_t *values, uint64_t count) (uint64_t *array = NULL) {
    $2 = 0;
    if ($input != Py_None) {
        array = values_of($input, &$2);
        if (!array) {
            SWIG_fail;
        }
    }
    $1 = array;
}
%typemap(freearg) (const uint64_t *values, uint64_t count) {
    free(array$argnum);
}
%apply (const uint64_t *values, uint64_t count) {
    (const uint64_t *addresses, uint64_t count), (const uint64_t *frames, uint64_t frame_count),
    (const uint64_t *offsets, uint64_t offset_count), (const uint64_t *flags, uint64_t flag_count)
};
/* Frames for pages in a row; a number: so many pages, and NULL. */
%typemap(in) (uint64_t count, const uint64_t *frames) (uint64_t *array = NULL) {
    if (PyLong_Check($input)) {
        $1 = PyLong_AsUnsignedLongLong($input);
        if (PyErr_Occurred()) {
            SWIG_fail;
        }
    } else {
        array = values_of($input, &$1);
        if (!array) {
            SWIG_fail;
        }
    }
    $2 = array;
}
%typemap(freearg) (uint64_t count, const uint64_t *frames) {
    free(array$argnum);
}

/* Numbers that a function fills in: their greatest number goes in, a list comes out. */
%typemap(in) (uint64_t *count, uint64_t *frames) (uint64_t number, uint64_t *array = NULL) {
    array = room_for($input, &number, sizeof(*array));
    if (!array) {
        SWIG_fail;
    }
    $1 = &number;
    $2 = array;
}
%typemap(argout) (uint64_t *count, uint64_t *frames) {
    $result = SWIG_Python_AppendOutput($result, list_of($2, (size_t)*$1));
}
%typemap(freearg) (uint64_t *count, uint64_t *frames) {
    free(array$argnum);
}
%typemap(in) (uint64_t *addresses, uint64_t *count) (uint64_t number, uint64_t *array = NULL) {
    array = room_for($input, &number, sizeof(*array));
    if (!array) {
        SWIG_fail;
    }
    $1 = array;
    $2 = &number;
}
%typemap(argout) (uint64_t *addresses, uint64_t *count) {
    $result = SWIG_Python_AppendOutput($result, list_of($1, (size_t)*$2));
}
%typemap(freearg) (uint64_t *addresses, uint64_t *count) {
    free(array$argnum);
}
%typemap(in) (uint64_t *bitmap, uint64_t words) (uint64_t *array = NULL) {
    array = room_for($input, &$2, sizeof(*array));
    if (!array) {
        SWIG_fail;
    }
    $1 = array;
}
%typemap(argout) (uint64_t *bitmap, uint64_t words) {
    $result = SWIG_Python_AppendOutput($result, list_of($1, (size_t)$2));
}
%typemap(freearg) (uint64_t *bitmap, uint64_t words) {
    free(array$argnum);
}
/* Records of a scan: their greatest number goes in, bytes in NT's layout come out. */
%typemap(in) (struct ntmm_memory_basic_information *records, uint32_t capacity, uint32_t *count)
    (uint64_t number, uint32_t found, struct ntmm_memory_basic_information *array = NULL) {
    array = room_for($input, &number, sizeof(*array));
    if (!array) {
        SWIG_fail;
    }
    found = 0;
    $1 = array;
    $2 = number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
    $3 = &found;
}
%typemap(argout)
    (struct ntmm_memory_basic_information *records, uint32_t capacity, uint32_t *count) {
    $result = SWIG_Python_AppendOutput(
        $result, PyBytes_FromStringAndSize((const char *)$1,
                                           (Py_ssize_t)(*$3 * sizeof(*$1))));
}
%typemap(freearg)
    (struct ntmm_memory_basic_information *records, uint32_t capacity, uint32_t *count) {
    free(array$argnum);
}

/* Sequences of tuples. */
%typemap(in) (uint64_t count, const struct ntmm_memory_range_entry *ranges)
    (struct ntmm_memory_range_entry *array = NULL) {
    array = ranges_of($input, &$1);
    if (!array) {
        SWIG_fail;
    }
    $2 = array;
}
%typemap(freearg) (uint64_t count, const struct ntmm_memory_range_entry *ranges) {
    free(array$argnum);
}
%typemap(in) (const struct ntmm_mem_extended_parameter *parameters, uint32_t parameter_count)
    (struct ntmm_mem_extended_parameter *array = NULL) {
    array = parameters_of($input, &$2);
    if (!array) {
        SWIG_fail;
    }
    $1 = array;
}
%typemap(freearg)
    (const struct ntmm_mem_extended_parameter *parameters, uint32_t parameter_count) {
    free(array$argnum);
}
%apply (const struct ntmm_mem_extended_parameter *parameters, uint32_t parameter_count) {
    (const struct ntmm_mem_extended_parameter *parameters, uint32_t count)
};

/* Names, and what is configured by a tuple with one. */
%typemap(in) (const uint16_t *name, uint32_t name_units)
    (const uint16_t *units, PyObject *bytes = NULL) {
    if (!units_of($input, &bytes, &units, &$2)) {
        SWIG_fail;
    }
    $1 = (uint16_t *)units;
}
%typemap(freearg) (const uint16_t *name, uint32_t name_units) {
    Py_XDECREF(bytes$argnum);
}
%typemap(in) const struct ntmm_section_config *config
    (struct ntmm_section_config made, PyObject *bytes = NULL) {
    $1 = NULL;
    if ($input != Py_None) {
        if (!fill_section_config($input, &made, &bytes)) {
            SWIG_fail;
        }
        $1 = &made;
    }
}
%typemap(freearg) const struct ntmm_section_config *config {
    Py_XDECREF(bytes$argnum);
}
%typemap(in) const struct ntmm_file_config *config
    (struct ntmm_file_config made, PyObject *bytes = NULL) {
    if (!fill_file_config($input, &made, &bytes)) {
        SWIG_fail;
    }
    $1 = &made;
}
%typemap(freearg) const struct ntmm_file_config *config {
    Py_XDECREF(bytes$argnum);
}
/* A section's size; None is NULL. */
%typemap(in) const uint64_t *maximum_size (uint64_t number) {
    $1 = NULL;
    if ($input != Py_None) {
        number = PyLong_AsUnsignedLongLong($input);
        if (PyErr_Occurred()) {
            SWIG_fail;
        }
        $1 = &number;
    }
}
/* Subsections: their greatest number goes in; their bytes and how many there are come out. */
%typemap(in) (struct ntmm_subsection_information *records, uint32_t capacity, uint32_t *count)
    (uint64_t number, uint32_t found, struct ntmm_subsection_information *array = NULL) {
    array = room_for($input, &number, sizeof(*array));
    if (!array) {
        SWIG_fail;
    }
    found = 0;
    $1 = array;
    $2 = number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
    $3 = &found;
}
%typemap(argout)
    (struct ntmm_subsection_information *records, uint32_t capacity, uint32_t *count) {
    $result = SWIG_Python_AppendOutput(
        $result, PyBytes_FromStringAndSize((const char *)$1,
                                           (Py_ssize_t)((*$3 < $2 ? *$3 : $2) * sizeof(*$1))));
    $result = SWIG_Python_AppendOutput($result, PyLong_FromUnsignedLong(*$3));
}
%typemap(freearg)
    (struct ntmm_subsection_information *records, uint32_t capacity, uint32_t *count) {
    free(array$argnum);
}
