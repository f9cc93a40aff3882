//! The two HTTP listeners.
