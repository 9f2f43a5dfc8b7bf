//! Kiln's runner on a real NPU over XRT
