//! From an order to signed bytes: draft, sign, recover the public key from our own signature and compare. No I/O but
//! the signer's own; knows nothing of sending, so that a rehearsal that ends here cannot broadcast.

use super::authority::Keyring;
use super::decide::Order;
use crate::chain::{Anchor, Chain, Change, Finalizer, Sealed};
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
        finalizer: finalizer(order, snapshot.finalizers.get(producer)),
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

/// The finalizer key to activate with the switch. None where the chain says nothing of the producer's finalizer (no
/// Savanna, or it could not be read) or has the key already: the system contract refuses `actfinkey` then, and the switch,
/// which is worth more, would fail with it.
fn finalizer(order: &Order, known: Option<&Finalizer>) -> Option<String> {
    let known = known?;
    order
        .finalizer
        .clone()
        .filter(|key| known.newest() != key.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actuator::authority::Usable;
    use crate::chain::Method;
    use crate::keys::PublicKey;

    #[test]
    fn a_finalizer_key_is_activated_only_where_the_chain_has_another() {
        let wants = |key: Option<&str>| Order {
            from: PublicKey::from_bytes([2; 33]),
            to: PublicKey::from_bytes([3; 33]),
            by: Usable {
                method: Method::Regproducer,
                signer: PublicKey::from_bytes([4; 33]),
                permission: None,
            },
            finalizer: key.map(str::to_owned),
        };
        let chain = |active: &str, pending: Option<&str>| Finalizer {
            active_key: active.to_owned(),
            pending_key: pending.map(str::to_owned),
            last_vote: None,
        };
        let b = Some("PUB_BLS_b");
        let cases = [
            (b, Some(chain("PUB_BLS_a", None)), b),
            (b, Some(chain("PUB_BLS_b", None)), None),
            (b, Some(chain("PUB_BLS_a", b)), None),
            (b, Some(chain("PUB_BLS_b", Some("PUB_BLS_a"))), b),
            (b, None, None),
            (None, Some(chain("PUB_BLS_a", None)), None),
        ];
        for (key, known, want) in cases {
            let got = finalizer(&wants(key), known.as_ref());
            assert_eq!(got.as_deref(), want, "{key:?} {known:?}");
        }
    }
}
