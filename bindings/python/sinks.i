/*
 * What the C interface does by callbacks: events and withdrawn translations are recorded and taken
 * as lists, since their sinks run where no Python may; devices call Python functions, whose
 * exceptions are raised by the access that caused them.
 */
%{
struct withdrawal {
    uint64_t process, base, end;
    uint32_t reason;
};

/* What a machine's sinks saw and nobody has taken yet. */
struct recorder {
    struct ntmm_event *events;
    size_t event_count, event_room;
    struct withdrawal *withdrawals;
    size_t withdrawal_count, withdrawal_room;
    uint64_t lost; /* no memory of the host's */
};

struct python_device {
    PyObject *read, *write;
    uint64_t base_pa;
};

static bool has_room(void **records, size_t count, size_t *room, size_t size_bytes)
{
    void *grown;

    if (count < *room) {
        return true;
    }
    grown = realloc(*records, (*room * 2 + 64) * size_bytes);
    if (!grown) {
        return false;
    }
    *records = grown;
    *room = *room * 2 + 64;
    return true;
}

static void record_event(void *context, const struct ntmm_event *event)
{
    struct recorder *r = context;
    void *events = r->events;

    if (has_room(&events, r->event_count, &r->event_room, sizeof(*event))) {
        r->events = events;
        r->events[r->event_count++] = *event;
    } else {
        r->lost++;
    }
}

static void record_withdrawal(void *context, ntmm_handle process, uint64_t base, uint64_t end,
                              enum ntmm_shootdown_reason reason)
{
    struct recorder *r = context;
    void *withdrawals = r->withdrawals;

    if (has_room(&withdrawals, r->withdrawal_count, &r->withdrawal_room,
                 sizeof(struct withdrawal))) {
        r->withdrawals = withdrawals;
        r->withdrawals[r->withdrawal_count++] =
            (struct withdrawal){.process = process, .base = base, .end = end, .reason = reason};
    } else {
        r->lost++;
    }
}

static uint64_t read_device(void *context, uint64_t address, uint32_t size)
{
    struct python_device *device = context;
    uint64_t value = 0;
    PyObject *result = NULL;

    if (!PyErr_Occurred()) {
        result = PyObject_CallFunction(device->read, "KI",
                                       (unsigned long long)(address - device->base_pa), size);
    }
    if (result) {
        value = PyLong_AsUnsignedLongLong(result);
    }
    Py_XDECREF(result);
    return value;
}

static void write_device(void *context, uint64_t address, uint32_t size, uint64_t value)
{
    struct python_device *device = context;
    PyObject *result = NULL;

    if (!PyErr_Occurred()) {
        result = PyObject_CallFunction(device->write, "KIK",
                                       (unsigned long long)(address - device->base_pa), size,
                                       (unsigned long long)value);
    }
    Py_XDECREF(result);
}
%}

%typemap(in) PyObject *function {
    if (!PyCallable_Check($input)) {
        PyErr_SetString(PyExc_TypeError, "a device's read and write are functions");
        SWIG_fail;
    }
    $1 = $input;
}
%apply PyObject *function { PyObject *read, PyObject *write };
%typemap(in, numinputs=0) struct python_device **device (struct python_device *made) {
    made = NULL;
    $1 = &made;
}
%typemap(argout) struct python_device **device {
    $result = SWIG_Python_AppendOutput(
        $result, SWIG_NewPointerObj(*$1, $descriptor(struct python_device *), 0));
}

%inline %{
struct recorder *create_recorder(void) { return calloc(1, sizeof(struct recorder)); }

/* When the machine is gone, or records no more. */
void destroy_recorder(struct recorder *recorder)
{
    free(recorder->events);
    free(recorder->withdrawals);
    free(recorder);
}

/* Records events of these kinds from now on; 0: none. */
void record_events(struct ntmm_emulated *machine, struct recorder *recorder, uint32_t mask)
{
    ntmm_emulated_set_event(machine, record_event, recorder);
    ntmm_set_event_mask(ntmm_emulated_system(machine), mask);
}

/* Records withdrawn ranges from now on, or no more. */
void record_withdrawals(struct ntmm_emulated *machine, struct recorder *recorder, bool is_on)
{
    ntmm_set_invalidation_sink(ntmm_emulated_system(machine), is_on ? record_withdrawal : NULL,
                               recorder);
}

/* A list of (time_100ns, kind, process, a, b, detail); the record is empty afterwards. */
PyObject *take_events(struct recorder *recorder)
{
    PyObject *list = PyList_New(0);

    for (size_t i = 0; list && i < recorder->event_count; i++) {
        const struct ntmm_event *e = &recorder->events[i];
        PyObject *row = Py_BuildValue("(KHIKKH)", (unsigned long long)e->time_100ns, e->kind,
                                      e->process, (unsigned long long)e->a,
                                      (unsigned long long)e->b, e->detail);

        if (!row || PyList_Append(list, row) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(row);
    }
    recorder->event_count = 0;
    return list;
}

/* A list of (process, base, end, reason); the record is empty afterwards. */
PyObject *take_withdrawals(struct recorder *recorder)
{
    PyObject *list = PyList_New(0);

    for (size_t i = 0; list && i < recorder->withdrawal_count; i++) {
        const struct withdrawal *w = &recorder->withdrawals[i];
        PyObject *row =
            Py_BuildValue("(KKKI)", (unsigned long long)w->process, (unsigned long long)w->base,
                          (unsigned long long)w->end, w->reason);

        if (!row || PyList_Append(list, row) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(row);
    }
    recorder->withdrawal_count = 0;
    return list;
}

/* ntmm_emulated_map_io with functions read(offset, size) and write(offset, size, value). */
ntmm_status map_device(struct ntmm_emulated *machine, PyObject *read, PyObject *write,
                       uint64_t size_bytes, uint64_t *first_frame, struct python_device **device)
{
    struct python_device *made = calloc(1, sizeof(*made));
    struct ntmm_emulated_device config = {
        .size = sizeof(config), .read = read_device, .write = write_device, .context = made};
    ntmm_status status = NTMM_STATUS_INSUFFICIENT_RESOURCES;

    if (made) {
        status = ntmm_emulated_map_io(machine, &config, size_bytes, first_frame);
    }
    if (!NTMM_SUCCEEDED(status)) {
        free(made);
        return status;
    }
    Py_INCREF(read);
    Py_INCREF(write);
    made->read = read;
    made->write = write;
    made->base_pa = *first_frame * NTMM_PAGE_SIZE;
    *device = made;
    return status;
}

/* When the machine has given the device back, or is gone. */
void destroy_device(struct python_device *device)
{
    Py_DECREF(device->read);
    Py_DECREF(device->write);
    free(device);
}
%}
