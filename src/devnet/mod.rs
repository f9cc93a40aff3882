//! A simulated chain of the Steem protocol, with nodes that speak the real RPC dialects.
