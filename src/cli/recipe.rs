//! What to do where no configured key can register a key again: sign on the machine that has the active key, send from
//! anywhere. Printed by `producer enable`.

use std::fmt::Write;

use serde_json::Value;

use crate::config::ChainConfig;
use crate::hex;

/// The recipe, where the newest decision of `answer` holds an unsigned transaction.
pub(super) fn recipe(answer: &Value, chain: &ChainConfig) -> Option<String> {
    let decisions = answer.get("decisions")?.as_array()?;
    let decision = decisions.iter().find(|d| d.get("unsigned").is_some())?;
    let transaction = decision.get("unsigned")?;
    let producer = decision.get("producer")?.as_str()?;
    let expires = transaction.get("expiration")?.as_str()?;
    let spec = &chain.spec;
    let protocol = spec.protocol;
    let mut out = format!(
        "No key configured here may do it: that needs the active key of {producer}. With that key, by hand:\n\n\
         1. Save this as enable.json. It must be on chain by {expires} UTC; repeat the command for a fresh one. It sets\n   \
         the signing key and leaves url and properties as they stand on chain now; look it over.\n\n{transaction}\n\n\
         2. On the machine that has the active key:\n\n   \
         slotkeeper tx sign --protocol {protocol} --chain-id {id} --address-prefix {prefix} --core-symbol {symbol} --key-file {producer}-active.pem < enable.json > signed.json\n\n\
         3. Here:\n\n   \
         slotkeeper tx broadcast --protocol {protocol}",
        id = hex::encode(&spec.chain_id),
        prefix = spec.address_prefix,
        symbol = spec.core_symbol,
    );
    for endpoint in &chain.endpoints {
        // Writing to a String cannot fail.
        let _ = write!(out, " --endpoint {}", endpoint.label);
    }
    out.push_str(" < signed.json");
    Some(out)
}
