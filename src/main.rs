//! slotkeeper command line.

fn main() {}
