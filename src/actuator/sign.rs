//! From an order to signed bytes: draft, sign, recover the public key from our own signature and compare. No I/O but
//! the signer's own; knows nothing of sending, so that a rehearsal that ends here cannot broadcast.

use super::authority::Keyring;
use super::decide::Order;
use crate::chain::{Anchor, Chain, Change, Sealed};
use crate::watch::Snapshot;

/// Signs `order` for `producer` on the agreed view of `snapshot`.
///
/// # Errors
/// In words, for the journal and the operator: what could not be done and why.
pub(super) fn sign(
    chain: &dyn Chain,
    keyring: &Keyring,
    order: &Order,
    producer: &str,
    snapshot: &Snapshot,
) -> Result<Sealed, String> {
    let view = snapshot.agreement.as_ref().map_err(ToString::to_string)?;
    let state = view
        .producers
        .get(producer)
        .and_then(|p| p.state.clone())
        .ok_or("the agreed view does not have the producer")?;
    let irreversible = snapshot
        .irreversible
        .clone()
        .ok_or("no agreed irreversible block is known yet")?;
    let change = Change {
        producer: producer.to_owned(),
        from: order.from,
        to: order.to,
        method: order.by.method,
        permission: order.by.permission.clone(),
        finalizer: order.finalizer.clone(),
    };
    let anchor = Anchor {
        head_time: view.head.time,
        irreversible,
        state,
    };
    let draft = chain
        .draft(&change, &anchor)
        .map_err(|e| format!("the transaction could not be drafted: {e}"))?;
    let signer = keyring
        .signer(&order.by.signer)
        .ok_or("the signing secret is not loaded")?;
    let signature = signer
        .sign(&draft.digest, chain.nonce())
        .map_err(|e| format!("signing failed: {e}"))?;
    let recovered = signature
        .recover(&draft.digest)
        .map_err(|e| format!("our own signature does not verify: {e}"))?;
    if recovered != order.by.signer {
        return Err("our own signature recovers to another key than the one asked to sign".into());
    }
    Ok(chain.seal(draft, &signature))
}
