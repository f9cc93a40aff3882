//! The demo: devnet, two nodes of one witness, slotkeeper, and real Prometheus and Alertmanager. Shows a failover as it
//! happens, from the missed slot to the standby's first block. Starts and ends processes; touches nothing outside its
//! temporary directory.
//!
//! | file | owns |
//! |---|---|
//! | [`world`] | everything that runs, and the configuration a user would write for it |
//! | [`monitoring`] | Prometheus and Alertmanager with the shipped `deploy/` files |
//! | [`story`] | crash the primary, watch, tell |
//! | [`teller`] | what every telling has: polls of public pages, told as events |
//! | [`timeline`] | what was seen, as events; pure |
//! | [`nodeos`] | a real Antelope network instead of the devnet |

pub mod monitoring;
pub mod nodeos;
pub mod story;
pub mod teller;
pub mod timeline;
pub mod world;
