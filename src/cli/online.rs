//! What a command asks the configured endpoints of an Antelope chain, one after the other until one answers: who may sign
//! for an account, and whether leaving changes the schedule. Reads only; decides nothing that the daemon relies on.

use anyhow::{Context, anyhow};
use serde_json::{Value, json};

use crate::chain::antelope::permission::{Account, NEEDED, NEEDED_WITH_FINALIZERS, Verdict};
use crate::chain::antelope::{candidates_call, election};
use crate::chain::{BlockId, BlockRef, Call, Chain, Leaving, Reply};
use crate::config::{ChainConfig, ProducerConfig, WhenExhausted};
use crate::hex;
use crate::rpc::Endpoint;

/// What one endpoint said of an account.
pub(super) struct Asked {
    /// Which endpoint.
    pub(super) endpoint: String,
    /// The account's permissions.
    pub(super) account: Account,
    /// Head time, Unix milliseconds.
    pub(super) head_time: i64,
    /// The irreversible block that a transaction refers to.
    pub(super) irreversible: BlockRef,
    /// What unregistering would do.
    leaving: Leaving,
}

/// The actions that a switch of this producer calls.
pub(super) fn needed(producer: &ProducerConfig) -> &'static [&'static str] {
    if producer.keys.iter().any(|k| k.finalizer_key.is_some()) {
        &NEEDED_WITH_FINALIZERS
    } else {
        &NEEDED
    }
}

/// Asks the endpoints in turn; the first that serves the right chain and knows the account is believed.
///
/// # Errors
/// What each endpoint said instead.
pub(super) async fn ask(
    chain: &dyn Chain,
    config: &ChainConfig,
    producer: &str,
) -> anyhow::Result<Asked> {
    let mut said = Vec::new();
    for endpoint in &config.endpoints {
        let label = endpoint.label.clone();
        let asked = async {
            let endpoint = Endpoint::new(endpoint, chain.framing())?;
            one(chain, &endpoint, producer).await
        };
        match asked.await {
            Ok(asked) => return Ok(asked),
            Err(error) => said.push(format!("{label}: {error:#}")),
        }
    }
    Err(anyhow!("no endpoint answers: {}", said.join("; ")))
}

async fn one(chain: &dyn Chain, endpoint: &Endpoint, producer: &str) -> anyhow::Result<Asked> {
    let call = |name: &str, params: Value| Call {
        method: format!("/v1/chain/{name}"),
        params,
    };
    let calls = [
        call("get_info", json!({})),
        call("get_account", json!({"account_name": producer})),
        call("get_producer_schedule", json!({})),
        candidates_call(),
    ];
    let answers = endpoint
        .ask(&calls)
        .await
        .map_err(|e| anyhow!("{}", e.detail))?;
    let mut replies = answers.replies.into_iter();
    let mut next = |what: &str| -> anyhow::Result<Value> {
        let reply: Reply = replies.next().context("an answer is missing")?;
        reply.map_err(|fault| anyhow!("{what}: {}", fault.message))
    };
    let info = next("get_info")?;
    let text = |field: &str| -> anyhow::Result<&str> {
        let value = info.get(field).and_then(Value::as_str);
        value.with_context(|| format!("get_info has no {field}"))
    };
    let expected = hex::encode(&chain.spec().chain_id);
    if !text("chain_id")?.eq_ignore_ascii_case(&expected) {
        return Err(anyhow!("it serves another chain ({})", text("chain_id")?));
    }
    let head_time =
        jiff::civil::DateTime::strptime("%Y-%m-%dT%H:%M:%S%.f", text("head_block_time")?)
            .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC))
            .context("head_block_time")?
            .timestamp()
            .as_millisecond();
    let irreversible = BlockRef {
        num: info
            .get("last_irreversible_block_num")
            .and_then(Value::as_u64)
            .context("get_info has no last_irreversible_block_num")?,
        id: BlockId(text("last_irreversible_block_id")?.to_owned()),
        time: head_time,
    };
    let account = Account::read(&next("get_account")?)?;
    if account.name != producer {
        return Err(anyhow!("it answered about another account"));
    }
    let schedule = next("get_producer_schedule")?;
    let scheduled = schedule
        .pointer("/active/producers")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    let leaving = election(&next("get_producers")?, scheduled)?.without(producer);
    Ok(Asked {
        endpoint: endpoint.label().to_owned(),
        account,
        head_time,
        irreversible,
        leaving,
    })
}

/// What was found about a producer, one line each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// What is right.
    pub(super) good: Vec<String>,
    /// What works and could be better.
    pub(super) warnings: Vec<String>,
    /// What would keep a switch from being made.
    pub(super) wrong: Vec<String>,
}

/// Judges what the chain says against the configuration.
pub(super) fn judge(asked: &Asked, producer: &ProducerConfig, prefix: &str) -> Findings {
    let mut out = Findings::default();
    let full = format!("{}/{}", producer.chain, producer.name);
    let needed = needed(producer);
    for authority in &producer.authority {
        let name = authority.permission.as_deref().unwrap_or("active");
        let whose = format!("{full}: permission {}@{name}", producer.name);
        let keys = asked.account.permissions.get(name);
        let keys: Vec<String> = keys
            .iter()
            .flat_map(|p| p.sufficient_keys())
            .map(|key| key.to_text(prefix))
            .collect();
        if keys.is_empty() && asked.account.permissions.contains_key(name) {
            out.wrong.push(format!(
                "{whose} has no key that suffices alone; slotkeeper signs with one key"
            ));
            continue;
        }
        let signs = format!("{} may sign", keys.join(" or "));
        match asked.account.verdict(name, needed) {
            Verdict::Missing => out.wrong.push(format!(
                "{whose} does not exist on chain: `slotkeeper producer permission {full}` makes it"
            )),
            Verdict::Lacks(actions) => out.wrong.push(format!(
                "{whose} may not call {}: `slotkeeper producer permission {full}` links what is missing",
                actions.join(", ")
            )),
            Verdict::Suffices => out.good.push(format!(
                "{whose} may call what a switch needs and nothing else; {signs}"
            )),
            Verdict::Excess(links) => {
                let links: Vec<String> = links.iter().map(|(c, a)| format!("{c}::{a}")).collect();
                out.warnings.push(format!(
                    "{whose} suffices, and can do more than a switch needs ({}): whoever steals its key can do that too; {signs}",
                    if links.iter().any(|l| l == "*::*") {
                        "everything the account can".to_owned()
                    } else {
                        links.join(", ")
                    }
                ));
            }
            Verdict::Unknown => out.warnings.push(format!(
                "{whose} exists, but {} does not list what it may call; {signs}",
                asked.endpoint
            )),
        }
    }
    let disables = producer.when_exhausted == WhenExhausted::Disable;
    match asked.leaving {
        Leaving::Leaves => out.good.push(format!(
            "{full}: disabling would take it out of the schedule"
        )),
        Leaving::Stays { .. } => {
            let why = asked.leaving.in_vain().unwrap_or_default();
            let line = format!("{full}: {why}");
            if disables {
                out.wrong.push(format!("{line}; use when_exhausted: hold"));
            } else {
                out.warnings.push(line);
            }
        }
        Leaving::Unknown => out.warnings.push(format!(
            "{full}: whether disabling would change the schedule cannot be told from what {} lists",
            asked.endpoint
        )),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn asked(links: &Value, leaving: Leaving) -> Asked {
        let key = "EOS5YHnNgis74GWeARGtzkjYwfwLnvih4Y5fG5vHyPseKzomk9NSE";
        let auth = json!({"threshold": 1, "keys": [{"key": key, "weight": 1}], "accounts": [], "waits": []});
        let permission = |name: &str, parent: &str, links: &Value| json!({"perm_name": name, "parent": parent, "required_auth": auth, "linked_actions": links});
        let account = json!({"account_name": "alice", "permissions": [
            permission("owner", "", &json!([])),
            permission("active", "owner", &json!([])),
            permission("failover", "active", links),
        ]});
        Asked {
            endpoint: "https://api.example.org".into(),
            account: Account::read(&account).unwrap(),
            head_time: 0,
            irreversible: BlockRef {
                num: 1,
                id: BlockId(String::new()),
                time: 0,
            },
            leaving,
        }
    }

    fn links(actions: &[&str]) -> Value {
        let all = actions.iter();
        all.map(|a| json!({"account": "eosio", "action": a}))
            .collect()
    }

    fn producer(change: impl Fn(&str) -> String) -> ProducerConfig {
        let text = std::fs::read_to_string("examples/antelope.yml").unwrap();
        let config = config::parse(&change(&text), std::path::Path::new("")).unwrap();
        config.producers[0].clone()
    }

    #[test]
    fn a_permission_for_switches_alone_is_right_and_any_other_is_said_to_be_more_or_less() {
        let alice = producer(str::to_owned);
        let all = ["regproducer", "regproducer2", "unregprod", "actfinkey"];
        let of = |actions: &[&str]| judge(&asked(&links(actions), Leaving::Leaves), &alice, "EOS");
        let found = of(&all);
        assert_eq!((found.good.len(), found.wrong.len()), (2, 0), "{found:?}");
        assert!(found.warnings.is_empty(), "{found:?}");
        // A host's finalizer key is configured, so activating it is part of a switch.
        let found = of(&all[..3]);
        assert!(
            found.wrong[0].contains("may not call actfinkey"),
            "{found:?}"
        );
        let found = of(&[
            "regproducer",
            "regproducer2",
            "unregprod",
            "actfinkey",
            "buyram",
        ]);
        assert!(found.warnings[0].contains("eosio::buyram"), "{found:?}");
        assert!(found.wrong.is_empty());
    }

    #[test]
    fn active_suffices_with_a_warning_and_a_permission_that_is_not_there_does_not() {
        let active = producer(|t| t.replace("permission: alice@failover, ", ""));
        let found = judge(&asked(&links(&[]), Leaving::Leaves), &active, "EOS");
        assert!(found.wrong.is_empty(), "{found:?}");
        assert!(found.warnings[0].contains("everything the account can"));
        let other = producer(|t| t.replace("alice@failover", "alice@other"));
        let found = judge(&asked(&links(&[]), Leaving::Leaves), &other, "EOS");
        assert!(found.wrong[0].contains("does not exist"), "{found:?}");
    }

    #[test]
    fn disabling_that_cannot_change_the_schedule_is_said_beforehand() {
        let stays = Leaving::Stays {
            others: 2,
            scheduled: 3,
        };
        let all = links(&["regproducer", "regproducer2", "unregprod", "actfinkey"]);
        let hold = producer(str::to_owned);
        let found = judge(&asked(&all, stays), &hold, "EOS");
        assert!(found.warnings[0].contains("cannot change the schedule"));
        let disable = producer(|t| {
            t.replace(
                "name: alice\n",
                "name: alice\n    when_exhausted: disable\n",
            )
        });
        let found = judge(&asked(&all, stays), &disable, "EOS");
        assert!(found.wrong[0].contains("when_exhausted: hold"), "{found:?}");
    }
}
