//! What a switch is drafted as.

use serde_json::json;
use slotkeeper::chain::graphene::{Dialect, Transaction};
use slotkeeper::chain::{
    Anchor, BlockId, BlockRef, Chain, Change, Method, ProducerState, Protocol,
};
use slotkeeper::keys::{Nonce, SecretKey, Signer};

use crate::captures::testnet;

/// A draft is the operation, the reference block and the expiry that the agreed view asks for; its bytes are those of
/// the vectors' own serializer, and the seal adds nothing but the signature.
#[test]
fn drafts_echo_the_agreed_view() {
    let chain = testnet(Protocol::Hive);
    let secret = SecretKey::from_seed_sha256("draft test").expect("a key");
    let to = SecretKey::from_seed_sha256("draft test standby")
        .expect("a key")
        .public_key();
    let props = json!({"account_creation_fee": "3.000 TESTS", "maximum_block_size": 65536,
                       "hbd_interest_rate": 700});
    let anchor = Anchor {
        head_time: 1_795_236_856_000,
        irreversible: BlockRef {
            num: 0x0001_0203,
            id: BlockId("00010203deadbeef000000000000000000000000".into()),
            time: 1_795_236_800_000,
        },
        state: ProducerState {
            registered_key: secret.public_key(),
            effective_key: secret.public_key(),
            enabled: true,
            url: "https://example.com/w".into(),
            props: props.clone(),
            reported_missed: None,
            last_block: None,
            version: None,
            feed_time: None,
            coming: None,
            unpaid_blocks: None,
        },
    };
    for method in [Method::WitnessSetProperties, Method::WitnessUpdate] {
        let change = Change {
            producer: "alice".into(),
            from: secret.public_key(),
            to,
            method,
            finalizer: None,
            permission: None,
        };
        let draft = chain.draft(&change, &anchor).expect("a draft");
        assert_eq!(draft.expiry, anchor.head_time + 30_000);
        assert_eq!(draft.transaction["ref_block_num"], 0x0203);
        assert_eq!(draft.transaction["ref_block_prefix"], 0xefbe_adde_u32);
        let signature = secret.sign(&draft.digest, Nonce::Graphene).expect("signs");
        let sealed = chain.seal(draft.clone(), &signature);
        let signed = Transaction::from_json(&sealed.transaction, &Dialect::testnet(Protocol::Hive))
            .expect("reads back");
        assert_eq!(
            signed.signatures[0]
                .recover(&draft.digest)
                .expect("recovers"),
            secret.public_key()
        );
        let operation = &sealed.transaction["operations"][0][1];
        if method == Method::WitnessUpdate {
            assert_eq!(operation["props"], props);
            assert_eq!(operation["url"], "https://example.com/w");
        } else {
            let names: Vec<_> = operation["props"]
                .as_array()
                .expect("props")
                .iter()
                .collect();
            assert_eq!(names.len(), 2, "only the key changes: {names:?}");
        }
        assert!(chain.compares_and_swaps(method) == (method == Method::WitnessSetProperties));
    }
}
