//! On a real nodeos network: a package pinned by hash, three nodes, real blocks. What is counted and done is held against
//! what the blocks themselves say.
//!
//! | file | owns |
//! |---|---|
//! | `scene` | the network with slotkeeper beside it, and the truth read from its blocks |
//! | `truth` | who was scheduled, who produced, under which key; read from blocks alone |
//! | `permission` | the failover permission is made by our own commands, and judged |
//! | `story` | the primary dies, production moves; and back |

mod permission;
mod scene;
mod story;
mod truth;
