//! The local trigger for when the alert pipeline is dead.
