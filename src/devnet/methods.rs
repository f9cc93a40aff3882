//! The reading methods: which reply belongs to which call. Pure.

use serde_json::{Value, json};

use super::chain::{Chain, ViewSpec};
use super::errors::{ASSERT, At, Failure};
use super::rpc::Call;
use super::time::parse_iso;

/// Largest number of witnesses one `find_witnesses` may ask for.
const FIND_LIMIT: usize = 1000;

impl Call {
    pub(super) fn condenser(&self, chain: &Chain, spec: ViewSpec) -> Result<Value, Failure> {
        let view = chain.view(spec);
        let first = &self.args[0];
        let arity = match self.method.as_str() {
            "get_accounts"
            | "get_block"
            | "get_block_header"
            | "get_witness_by_account"
            | "verify_authority" => 1,
            "get_witnesses_by_vote" => 2,
            "get_transaction" => return Err(self.no_history()),
            _ => 0,
        };
        self.expect(arity)?;
        Ok(match self.method.as_str() {
            "get_accounts" => accounts(chain, first),
            "get_active_witnesses" => json!(view.active_witnesses()),
            "get_block" => view.block(self.number(first)?, false),
            "get_block_header" => view.header(self.number(first)?),
            "get_chain_properties" => view.schedule(false)["median_props"].clone(),
            "get_config" => view.config(),
            "get_dynamic_global_properties" => view.properties(false),
            "get_hardfork_version" => chain.names.version.into(),
            "get_version" => view.version(false),
            "get_witness_by_account" => view.witness(first.as_str().unwrap_or_default(), false),
            "get_witness_count" => view.state.witnesses().len().into(),
            "get_witness_schedule" => view.schedule(false),
            "verify_authority" => chain.verify_authority(first, spec).map(|()| true.into())?,
            _ => {
                let limit = usize::try_from(self.number(&self.args[1])?)
                    .unwrap_or(FIND_LIMIT)
                    .min(FIND_LIMIT);
                let mut all: Vec<_> = view.state.witnesses().iter().collect();
                all.sort_by_key(|w| std::cmp::Reverse(w.votes));
                all.iter()
                    .take(limit)
                    .map(|w| view.witness(&w.owner, false))
                    .collect()
            }
        })
    }

    fn no_history(&self) -> Failure {
        let format = "_account_history_api: account_history_api_plugin not enabled.";
        Failure::new(
            ASSERT,
            At("condenser_api.cpp", 1233, "get_transaction"),
            format,
            json!({}),
            self.now,
        )
        .outer(-32003)
    }

    pub(super) fn appbase(&self, chain: &Chain, spec: ViewSpec) -> Result<Value, Failure> {
        let view = chain.view(spec);
        let args = &self.args;
        Ok(match (self.api.as_str(), self.method.as_str()) {
            ("database_api", "find_witnesses") => {
                let owners = args["owners"].as_array().cloned().unwrap_or_default();
                if owners.len() > FIND_LIMIT {
                    let format = "args.owners.size() <= DATABASE_API_SINGLE_QUERY_LIMIT: ";
                    return Err(Failure::new(
                        ASSERT,
                        At("database_api.cpp", 260, "find_witnesses"),
                        format,
                        json!({}),
                        self.now,
                    )
                    .outer(-32003));
                }
                let found = owners
                    .iter()
                    .filter_map(Value::as_str)
                    .map(|o| view.witness(o, true));
                json!({"witnesses": found.filter(|w| !w.is_null()).collect::<Vec<_>>()})
            }
            ("database_api", "list_witnesses") => {
                let start = args["start"].as_str().unwrap_or_default();
                let limit = usize::try_from(args["limit"].as_u64().unwrap_or(1000))
                    .unwrap_or(FIND_LIMIT)
                    .min(FIND_LIMIT);
                let mut names: Vec<&str> = view
                    .state
                    .witnesses()
                    .iter()
                    .map(|w| w.owner.as_str())
                    .filter(|n| *n >= start)
                    .collect();
                names.sort_unstable();
                json!({"witnesses": names.into_iter().take(limit).map(|n| view.witness(n, true)).collect::<Vec<_>>()})
            }
            ("database_api", "get_active_witnesses") => {
                json!({"witnesses": view.active_witnesses()})
            }
            ("database_api", "get_config") => view.config(),
            ("database_api", "get_dynamic_global_properties") => view.properties(true),
            ("database_api", "get_version") => view.version(true),
            ("database_api", _) => view.schedule(true),
            ("block_api", "get_block_header") => {
                match view.header(self.number(&args["block_num"])?) {
                    Value::Null => json!({}),
                    header => json!({"header": header}),
                }
            }
            ("block_api", "get_block") => {
                match view.block(self.number(&args["block_num"])?, true) {
                    Value::Null => json!({}),
                    block => json!({"block": block}),
                }
            }
            ("block_api", _) => {
                let from = self.number(&args["starting_block_num"])?;
                let count = self.number(&args["count"])?.min(1000);
                let blocks = (from..from.saturating_add(count)).map(|n| view.block(n, true));
                json!({"blocks": blocks.take_while(|b| !b.is_null()).collect::<Vec<_>>()})
            }
            _ => {
                let id = args["transaction_id"].as_str().unwrap_or_default();
                view.find_transaction(id, args["expiration"].as_str().and_then(parse_iso))
            }
        })
    }
}

/// `get_accounts`, as much of an account as tells who may sign for it; unknown names are left out, as on a node.
pub(super) fn accounts(chain: &Chain, names: &Value) -> Value {
    let head = chain.head();
    let account = |name: &str| {
        let key = head.key_text(chain.accounts.get(name)?);
        let authority =
            json!({"weight_threshold": 1, "account_auths": [], "key_auths": [[key.clone(), 1]]});
        Some(json!({
            "name": name, "owner": authority.clone(), "active": authority.clone(),
            "posting": authority, "memo_key": key,
        }))
    };
    let names = names.as_array().map_or(&[][..], Vec::as_slice);
    names
        .iter()
        .filter_map(|name| account(name.as_str()?))
        .collect()
}
