//! Recorded failovers of real nodes, replayed tick by tick through `Chain::read`, agreement and the ledger: what comes out
//! must equal the truth derived beforehand from headers and schedules.

mod graphene;
mod guard;
mod nodeos;
mod replay;
mod tape;
