//! Raw bindings to XRT
