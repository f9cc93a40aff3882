//! A transaction as it arrives: packed bytes and signatures, taken apart into what the rules ask about. Pure.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::authority::{Authority, Level, Weighted};
use super::bytes::Reader;
use crate::hex;
use crate::keys::{PublicKey, Signature};

/// A signed transaction.
#[derive(Debug, Clone)]
pub struct Tx {
    /// Hex id.
    pub id: String,
    /// When it expires, Unix milliseconds.
    pub expiration_ms: u64,
    pub(super) digest: [u8; 32],
    pub(super) ref_num: u16,
    pub(super) ref_prefix: u32,
    pub(super) delay_sec: usize,
    pub(super) size: usize,
    /// What it does.
    pub actions: Vec<Action>,
    pub(super) signatures: Vec<Signature>,
}

/// One action of a transaction.
#[derive(Debug, Clone)]
pub struct Action {
    /// The contract.
    pub account: String,
    /// Its action.
    pub name: String,
    /// Who permits it, with which permission.
    pub authorization: Vec<Level>,
    pub(super) data: Vec<u8>,
    pub(super) call: Call,
}

/// What an action asks of the system contract. Data that does not unpack is the contract's business, not the node's.
#[derive(Debug, Clone)]
pub(super) enum Call {
    Regproducer {
        producer: String,
        authority: SigningAuthority,
        url: String,
        location: u16,
        second: bool,
    },
    Unregprod {
        producer: String,
    },
    Claimrewards {
        owner: String,
    },
    Finalizer {
        verb: FinalizerVerb,
        producer: String,
        key: String,
    },
    Updateauth {
        account: String,
        permission: String,
        parent: String,
        auth: Authority,
    },
    Deleteauth {
        account: String,
        permission: String,
    },
    Linkauth {
        account: String,
        code: String,
        action: String,
        requirement: String,
    },
    Unlinkauth {
        account: String,
        code: String,
        action: String,
    },
    /// An action this contract does not have.
    Unknown,
    /// Bytes that do not unpack.
    Malformed(String),
}

/// Which of the three actions on finality keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FinalizerVerb {
    Register,
    Activate,
    Delete,
}

/// Who may sign blocks: `block_signing_authority_v0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningAuthority {
    /// Weight needed.
    pub threshold: u32,
    /// Keys and their weights.
    pub keys: Vec<(PublicKey, u16)>,
}

impl SigningAuthority {
    /// One key alone.
    pub(super) fn single(key: PublicKey) -> SigningAuthority {
        SigningAuthority {
            threshold: 1,
            keys: vec![(key, 1)],
        }
    }

    /// Whether `key` suffices alone.
    pub(super) fn accepts(&self, key: &PublicKey) -> bool {
        let weight = self.keys.iter().find(|(k, _)| k == key);
        weight.is_some_and(|(_, w)| u32::from(*w) >= self.threshold)
    }

    /// Its first key; the null key for none.
    pub(super) fn first(&self) -> PublicKey {
        self.keys.first().map_or(PublicKey::NULL, |(k, _)| *k)
    }

    pub(super) fn keys_json(&self) -> Value {
        let key = |(k, w): &(PublicKey, u16)| json!({"key": k.to_text(super::PREFIX), "weight": w});
        json!({"threshold": self.threshold, "keys": self.keys.iter().map(key).collect::<Vec<_>>()})
    }
}

impl Tx {
    /// Takes apart what was sent.
    pub(super) fn unpack(
        packed: &[u8],
        signatures: Vec<Signature>,
        chain_id: &[u8; 32],
    ) -> Result<Tx, String> {
        let mut r = Reader::new(packed);
        let expiration = r.u32("expiration")?;
        let ref_num = r.u16("ref_block_num")?;
        let ref_prefix = r.u32("ref_block_prefix")?;
        r.count("max_net_usage_words")?;
        r.u8("max_cpu_usage_ms")?;
        let delay_sec = r.count("delay_sec")?;
        if r.count("context_free_actions")? != 0 {
            return Err("context-free actions are not simulated".to_owned());
        }
        let actions = r.list("actions", action)?;
        if r.count("transaction_extensions")? != 0 {
            return Err("transaction extensions are not simulated".to_owned());
        }
        if !r.is_empty() {
            return Err("bytes left over behind the transaction".to_owned());
        }
        let digest = Sha256::new()
            .chain_update(chain_id)
            .chain_update(packed)
            .chain_update([0; 32])
            .finalize();
        Ok(Tx {
            id: hex::encode(&Sha256::digest(packed)),
            expiration_ms: u64::from(expiration) * 1000,
            digest: digest.into(),
            ref_num,
            ref_prefix,
            delay_sec,
            size: packed.len(),
            actions,
            signatures,
        })
    }

    /// The actions, readable, as the record keeps them.
    pub(super) fn operations(&self) -> Value {
        let one = |a: &Action| json!({"account": a.account, "name": a.name, "authorization": a.levels(), "data": a.json()});
        self.actions.iter().map(one).collect()
    }
}

impl Action {
    pub(super) fn levels(&self) -> Value {
        self.authorization.iter().map(Level::json).collect()
    }

    /// The data as the contract's ABI shows it; hex where it has no form.
    pub(super) fn json(&self) -> Value {
        match &self.call {
            Call::Regproducer {
                producer,
                authority,
                url,
                location,
                second: false,
            } => {
                json!({"producer": producer, "producer_key": authority.first().to_text(super::PREFIX), "url": url, "location": location})
            }
            Call::Regproducer {
                producer,
                authority,
                url,
                location,
                second: true,
            } => json!({"producer": producer,
                "producer_authority": ["block_signing_authority_v0", authority.keys_json()], "url": url, "location": location}),
            Call::Unregprod { producer } => json!({"producer": producer}),
            Call::Claimrewards { owner } => json!({"owner": owner}),
            Call::Finalizer {
                producer,
                key,
                verb: FinalizerVerb::Register,
            } => json!({"finalizer_name": producer, "finalizer_key": key}),
            Call::Finalizer { producer, key, .. } => {
                json!({"finalizer_name": producer, "finalizer_key": key})
            }
            Call::Updateauth {
                account,
                permission,
                parent,
                auth,
            } => {
                json!({"account": account, "permission": permission, "parent": parent, "auth": auth.json()})
            }
            Call::Deleteauth {
                account,
                permission,
            } => json!({"account": account, "permission": permission}),
            Call::Linkauth {
                account,
                code,
                action,
                requirement,
            } => {
                json!({"account": account, "code": code, "type": action, "requirement": requirement})
            }
            Call::Unlinkauth {
                account,
                code,
                action,
            } => json!({"account": account, "code": code, "type": action}),
            Call::Unknown | Call::Malformed(_) => Value::String(hex::encode(&self.data)),
        }
    }
}

fn action(r: &mut Reader<'_>) -> Result<Action, String> {
    let account = r.name("account")?;
    let name = r.name("action")?;
    let authorization = r.list("authorization", level)?;
    let data = r.blob("data")?.to_vec();
    let call = if account == "eosio" {
        call(&name, &data).unwrap_or_else(Call::Malformed)
    } else {
        Call::Unknown
    };
    Ok(Action {
        account,
        name,
        authorization,
        data,
        call,
    })
}

fn level(r: &mut Reader<'_>) -> Result<Level, String> {
    Ok(Level {
        actor: r.name("actor")?,
        permission: r.name("permission")?,
    })
}

/// What the contract's dispatcher makes of the data. Bytes behind it are ignored, as the contract does.
fn call(name: &str, data: &[u8]) -> Result<Call, String> {
    let r = &mut Reader::new(data);
    Ok(match name {
        "regproducer" => Call::Regproducer {
            producer: r.name("producer")?,
            authority: SigningAuthority::single(r.key("producer_key")?),
            url: r.text("url")?,
            location: r.u16("location")?,
            second: false,
        },
        "regproducer2" => Call::Regproducer {
            producer: r.name("producer")?,
            authority: signing_authority(r)?,
            url: r.text("url")?,
            location: r.u16("location")?,
            second: true,
        },
        "unregprod" => Call::Unregprod {
            producer: r.name("producer")?,
        },
        "claimrewards" => Call::Claimrewards {
            owner: r.name("owner")?,
        },
        "regfinkey" | "actfinkey" | "delfinkey" => Call::Finalizer {
            producer: r.name("finalizer_name")?,
            key: r.text("finalizer_key")?,
            verb: match name {
                "regfinkey" => {
                    r.text("proof_of_possession")?;
                    FinalizerVerb::Register
                }
                "actfinkey" => FinalizerVerb::Activate,
                _ => FinalizerVerb::Delete,
            },
        },
        "updateauth" => Call::Updateauth {
            account: r.name("account")?,
            permission: r.name("permission")?,
            parent: r.name("parent")?,
            auth: authority(r)?,
        },
        "deleteauth" => Call::Deleteauth {
            account: r.name("account")?,
            permission: r.name("permission")?,
        },
        "linkauth" => Call::Linkauth {
            account: r.name("account")?,
            code: r.name("code")?,
            action: r.name("type")?,
            requirement: r.name("requirement")?,
        },
        "unlinkauth" => Call::Unlinkauth {
            account: r.name("account")?,
            code: r.name("code")?,
            action: r.name("type")?,
        },
        _ => Call::Unknown,
    })
}

fn signing_authority(r: &mut Reader<'_>) -> Result<SigningAuthority, String> {
    if r.count("authority variant")? != 0 {
        return Err("unknown variant of a block signing authority".to_owned());
    }
    Ok(SigningAuthority {
        threshold: r.u32("threshold")?,
        keys: r.list("keys", |r| Ok((r.key("key")?, r.u16("weight")?)))?,
    })
}

fn authority(r: &mut Reader<'_>) -> Result<Authority, String> {
    let threshold = r.u32("threshold")?;
    let keys = r.list("keys", |r| {
        let by = r.key("key")?;
        let weight = r.u16("weight")?;
        Ok(Weighted { by, weight })
    })?;
    let accounts = r.list("accounts", |r| {
        let by = level(r)?;
        let weight = r.u16("weight")?;
        Ok(Weighted { by, weight })
    })?;
    let waits = r.list("waits", |r| Ok((r.u32("wait_sec")?, r.u16("weight")?)))?;
    Ok(Authority {
        threshold,
        keys,
        accounts,
        waits,
    })
}
