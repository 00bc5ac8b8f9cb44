//! Real processes, real clients: one theme a module.
