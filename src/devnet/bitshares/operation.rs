//! `witness_update` (operation 21) where witnesses and accounts are object ids: read from JSON, and written as a person
//! would. Pure.

use serde_json::{Value, json};

use super::super::state::State;
use super::super::witness::{Effect, Witness};
use super::FEE;
use super::objects::{account_id, witness_id};
use crate::keys::PublicKey;

const WITNESS_UPDATE: u64 = 21;

/// Reads one operation.
pub(in super::super) fn effect(op: &Value, prefix: &str) -> Result<Effect, String> {
    if op[0].as_u64() != Some(WITNESS_UPDATE) {
        return Err(format!("the devnet does not know the operation {}", op[0]));
    }
    let body = op.get(1).ok_or("operation has no content")?;
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let needed = |name: &str| text(name).ok_or_else(|| format!("{name} is no string"));
    let fee = &body["fee"];
    let amount = fee["amount"]
        .as_i64()
        .or_else(|| fee["amount"].as_str()?.parse().ok());
    Ok(Effect::Change {
        witness: needed("witness")?,
        account: needed("witness_account")?,
        url: text("new_url"),
        key: text("new_signing_key")
            .map(|key| PublicKey::parse(&key, prefix))
            .transpose()
            .map_err(|e| e.to_string())?,
        fee: (
            amount.ok_or("fee has no amount")?,
            fee["asset_id"].as_str().unwrap_or_default().to_owned(),
        ),
    })
}

/// The operation that makes a witness what `wanted` is.
pub(in super::super) fn by_hand(state: &State, wanted: &Witness) -> Value {
    json!([WITNESS_UPDATE, {
        "fee": {"amount": FEE, "asset_id": "1.3.0"},
        "witness": witness_id(wanted),
        "witness_account": account_id(wanted),
        "new_url": wanted.url,
        "new_signing_key": state.key_text(&wanted.signing_key),
    }])
}
