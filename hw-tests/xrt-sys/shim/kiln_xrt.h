// The part of XRT that Kiln uses, as a table of C functions. kiln_xrt.cpp fills it with XRT's C++ classes, and
// src/fake.rs with a device that does not exist. src/sys.rs declares the same table: a test compares the two.
//
// Functions return 0, or -1 with *error filled. A handle that a function gives belongs to the caller, who closes it
// with the close function of its kind, once; closing never fails.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KILN_XRT_VERSION 1

// What kind of failure, and what `code` is then.
enum {
    KILN_XRT_SYSTEM = 1,  // errno, positive
    KILN_XRT_COMMAND = 2, // ert_cmd_state
    KILN_XRT_MEMORY = 3,  // 0
    KILN_XRT_OTHER = 4    // 0
};

// Kinds of buffers.
enum {
    KILN_XRT_HOST_ONLY = 0,
    KILN_XRT_CACHEABLE = 1
};

typedef struct kiln_xrt_error {
    int32_t kind;
    int32_t code;
    char message[1024];
} kiln_xrt_error;

typedef struct kiln_xrt_api {
    uint32_t version; // KILN_XRT_VERSION
    uint32_t bytes;   // sizeof(kiln_xrt_api)
    void *self;       // for device_open

    int32_t (*device_open)(void *self, uint32_t index, void **device, kiln_xrt_error *error);
    int32_t (*device_name)(void *device, char *name, size_t bytes, kiln_xrt_error *error);
    void (*device_close)(void *device);

    // A context on the device, of its own for this xclbin.
    int32_t (*context_open)(void *device, const uint8_t *xclbin, size_t bytes, void **context, kiln_xrt_error *error);
    void (*context_close)(void *context);

    int32_t (*kernel_open)(void *context, const char *name, void **kernel, kiln_xrt_error *error);
    int32_t (*kernel_group)(void *kernel, int32_t argument, uint32_t *group, kiln_xrt_error *error);
    void (*kernel_close)(void *kernel);

    int32_t (*buffer_open)(void *device, size_t bytes, int32_t kind, uint32_t group, void **buffer, kiln_xrt_error *error);
    // Copies all bytes into the buffer and makes the device see them.
    int32_t (*buffer_write)(void *buffer, const uint8_t *from, size_t bytes, kiln_xrt_error *error);
    // Makes the host see the buffer and copies all its bytes out.
    int32_t (*buffer_read)(void *buffer, uint8_t *to, size_t bytes, kiln_xrt_error *error);
    void (*buffer_close)(void *buffer);

    int32_t (*run_open)(void *kernel, void **run, kiln_xrt_error *error);
    int32_t (*run_set_u32)(void *run, int32_t argument, uint32_t value, kiln_xrt_error *error);
    int32_t (*run_set_u64)(void *run, int32_t argument, uint64_t value, kiln_xrt_error *error);
    int32_t (*run_set_buffer)(void *run, int32_t argument, void *buffer, kiln_xrt_error *error);
    int32_t (*run_start)(void *run, kiln_xrt_error *error);
    // Waits this long at most, in milliseconds, at least 1; *state is the run's ert_cmd_state then.
    int32_t (*run_wait)(void *run, uint32_t timeout_ms, int32_t *state, kiln_xrt_error *error);
    int32_t (*run_abort)(void *run, kiln_xrt_error *error);
    void (*run_close)(void *run);

    int32_t (*runlist_open)(void *context, void **runlist, kiln_xrt_error *error);
    int32_t (*runlist_add)(void *runlist, void *run, kiln_xrt_error *error);
    int32_t (*runlist_execute)(void *runlist, kiln_xrt_error *error);
    // As run_wait, for all its runs.
    int32_t (*runlist_wait)(void *runlist, uint32_t timeout_ms, int32_t *state, kiln_xrt_error *error);
    void (*runlist_close)(void *runlist);
} kiln_xrt_api;

// XRT's own.
const kiln_xrt_api *kiln_xrt_real(void);

#ifdef __cplusplus
}
#endif
