// The table of kiln_xrt.h over XRT's C++ classes. XRT has no C functions for hardware contexts, without which nothing
// runs on an NPU.
#include "kiln_xrt.h"

#include <xrt/experimental/xrt_kernel.h>
#include <xrt/experimental/xrt_xclbin.h>
#include <xrt/xrt_bo.h>
#include <xrt/xrt_device.h>
#include <xrt/xrt_hw_context.h>
#include <xrt/xrt_kernel.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <vector>

namespace {

void tell(kiln_xrt_error *error, int32_t kind, int32_t code, const char *message) {
    if (error == nullptr)
        return;
    error->kind = kind;
    error->code = code;
    std::snprintf(error->message, sizeof error->message, "%s", message);
}

// No exception may leave a C function.
template <typename Body> int32_t guarded(kiln_xrt_error *error, Body &&body) {
    try {
        body();
        return 0;
    } catch (const std::bad_alloc &e) {
        tell(error, KILN_XRT_MEMORY, 0, e.what());
    } catch (const std::system_error &e) {
        tell(error, KILN_XRT_SYSTEM, e.code().value(), e.what());
    } catch (const xrt::runlist::command_error &e) {
        tell(error, KILN_XRT_COMMAND, static_cast<int32_t>(e.get_command_state()), e.what());
    } catch (const xrt::run::command_error &e) {
        tell(error, KILN_XRT_COMMAND, static_cast<int32_t>(e.get_command_state()), e.what());
    } catch (const std::exception &e) {
        tell(error, KILN_XRT_OTHER, 0, e.what());
    } catch (...) {
        tell(error, KILN_XRT_OTHER, 0, "an exception that is no std::exception");
    }
    return -1;
}

template <typename T> T &of(void *handle) { return *static_cast<T *>(handle); }

template <typename T> void close(void *handle) {
    try {
        delete static_cast<T *>(handle);
    } catch (...) {
        // Nothing is left to close.
    }
}

int32_t device_open(void *, uint32_t index, void **device, kiln_xrt_error *error) {
    return guarded(error, [&] { *device = new xrt::device(index); });
}

int32_t device_name(void *device, char *name, size_t bytes, kiln_xrt_error *error) {
    return guarded(error, [&] {
        const std::string text = of<xrt::device>(device).get_info<xrt::info::device::name>();
        std::snprintf(name, bytes, "%s", text.c_str());
    });
}

int32_t context_open(void *device, const uint8_t *xclbin, size_t bytes, void **context, kiln_xrt_error *error) {
    return guarded(error, [&] {
        const auto *first = reinterpret_cast<const char *>(xclbin);
        const xrt::xclbin image(std::vector<char>(first, first + bytes));
        auto &on = of<xrt::device>(device);
        const xrt::uuid id = on.register_xclbin(image);
        *context = new xrt::hw_context(on, id);
    });
}

int32_t kernel_open(void *context, const char *name, void **kernel, kiln_xrt_error *error) {
    return guarded(error, [&] { *kernel = new xrt::kernel(of<xrt::hw_context>(context), std::string(name)); });
}

int32_t kernel_group(void *kernel, int32_t argument, uint32_t *group, kiln_xrt_error *error) {
    return guarded(error, [&] { *group = static_cast<uint32_t>(of<xrt::kernel>(kernel).group_id(argument)); });
}

int32_t buffer_open(void *device, size_t bytes, int32_t kind, uint32_t group, void **buffer, kiln_xrt_error *error) {
    return guarded(error, [&] {
        const auto flags = kind == KILN_XRT_CACHEABLE ? xrt::bo::flags::cacheable : xrt::bo::flags::host_only;
        *buffer = new xrt::bo(of<xrt::device>(device), bytes, flags, static_cast<xrt::memory_group>(group));
    });
}

int32_t buffer_write(void *buffer, const uint8_t *from, size_t bytes, kiln_xrt_error *error) {
    return guarded(error, [&] {
        auto &bo = of<xrt::bo>(buffer);
        std::memcpy(bo.map<void *>(), from, bytes);
        bo.sync(XCL_BO_SYNC_BO_TO_DEVICE);
    });
}

int32_t buffer_read(void *buffer, uint8_t *to, size_t bytes, kiln_xrt_error *error) {
    return guarded(error, [&] {
        auto &bo = of<xrt::bo>(buffer);
        bo.sync(XCL_BO_SYNC_BO_FROM_DEVICE);
        std::memcpy(to, bo.map<void *>(), bytes);
    });
}

int32_t run_open(void *kernel, void **run, kiln_xrt_error *error) {
    return guarded(error, [&] { *run = new xrt::run(of<xrt::kernel>(kernel)); });
}

int32_t run_set_u32(void *run, int32_t argument, uint32_t value, kiln_xrt_error *error) {
    return guarded(error, [&] { of<xrt::run>(run).set_arg(argument, value); });
}

int32_t run_set_u64(void *run, int32_t argument, uint64_t value, kiln_xrt_error *error) {
    return guarded(error, [&] { of<xrt::run>(run).set_arg(argument, value); });
}

int32_t run_set_buffer(void *run, int32_t argument, void *buffer, kiln_xrt_error *error) {
    return guarded(error, [&] { of<xrt::run>(run).set_arg(argument, of<xrt::bo>(buffer)); });
}

int32_t run_start(void *run, kiln_xrt_error *error) {
    return guarded(error, [&] { of<xrt::run>(run).start(); });
}

int32_t run_wait(void *run, uint32_t timeout_ms, int32_t *state, kiln_xrt_error *error) {
    return guarded(error, [&] {
        *state = static_cast<int32_t>(of<xrt::run>(run).wait(std::chrono::milliseconds(timeout_ms)));
    });
}

int32_t run_abort(void *run, kiln_xrt_error *error) {
    return guarded(error, [&] { of<xrt::run>(run).abort(); });
}

int32_t runlist_open(void *context, void **runlist, kiln_xrt_error *error) {
    return guarded(error, [&] { *runlist = new xrt::runlist(of<xrt::hw_context>(context)); });
}

int32_t runlist_add(void *runlist, void *run, kiln_xrt_error *error) {
    return guarded(error, [&] { of<xrt::runlist>(runlist).add(of<xrt::run>(run)); });
}

int32_t runlist_execute(void *runlist, kiln_xrt_error *error) {
    return guarded(error, [&] { of<xrt::runlist>(runlist).execute(); });
}

int32_t runlist_wait(void *runlist, uint32_t timeout_ms, int32_t *state, kiln_xrt_error *error) {
    return guarded(error, [&] {
        const auto done = of<xrt::runlist>(runlist).wait(std::chrono::milliseconds(timeout_ms));
        *state = done == std::cv_status::timeout ? ERT_CMD_STATE_TIMEOUT : ERT_CMD_STATE_COMPLETED;
    });
}

const kiln_xrt_api api = {
    KILN_XRT_VERSION,
    sizeof(kiln_xrt_api),
    nullptr,
    device_open,
    device_name,
    close<xrt::device>,
    context_open,
    close<xrt::hw_context>,
    kernel_open,
    kernel_group,
    close<xrt::kernel>,
    buffer_open,
    buffer_write,
    buffer_read,
    close<xrt::bo>,
    run_open,
    run_set_u32,
    run_set_u64,
    run_set_buffer,
    run_start,
    run_wait,
    run_abort,
    close<xrt::run>,
    runlist_open,
    runlist_add,
    runlist_execute,
    runlist_wait,
    close<xrt::runlist>,
};

} // namespace

const kiln_xrt_api *kiln_xrt_real(void) { return &api; }
