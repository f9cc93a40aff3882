//! JSON-RPC framing and the table of methods: what a body sent to a node is answered with.
//!
//! Batches are answered in order; every reply has HTTP status 200, errors too (BitShares: see `bitshares`). Pure: the caller passes the chain.

use serde_json::{Value, json};

use super::bitshares;
use super::chain::{Chain, ViewSpec};
use super::dialect::op_to_condenser;
use super::errors::{ASSERT, At, BAD_CAST, Failure, PARSE};
use super::golos;
use super::transaction::type_name;
use crate::chain::Protocol;

/// What is to be answered.
#[derive(Debug)]
pub(crate) enum Answer {
    /// At once.
    Now(Value),
    /// When the transaction is in a block (the synchronous broadcast): its id, and the id of the call.
    WhenIncluded {
        /// Hex id of the transaction.
        txid: String,
        /// The call's `id`.
        id: Value,
        /// Unix milliseconds.
        expiration_ms: u64,
    },
}

/// Largest batch.
const BATCH_LIMIT: usize = 1000;

/// Answers one HTTP body.
pub(crate) fn answer(chain: &mut Chain, body: &[u8], spec: ViewSpec, via: &str) -> Answer {
    if chain.config.protocol == Protocol::BitShares {
        return bitshares::answer(chain, body, spec, via);
    }
    let now = chain.head().head_ms;
    let parsed: Result<Value, _> = serde_json::from_slice(body);
    match parsed {
        Err(e) => {
            let text = String::from_utf8_lossy(body)
                .chars()
                .take(200)
                .collect::<String>();
            let failure = Failure::new(
                PARSE,
                At("json.cpp", 215, "objectFromStream"),
                "Unexpected ${e}",
                json!({"e": e.to_string()}),
                now,
            )
            .through(
                At("json.cpp", 489, "from_string"),
                "",
                json!({"str": text}),
                now,
            );
            Answer::Now(json!({"jsonrpc": "2.0", "error": failure.to_json(), "id": null}))
        }
        Ok(Value::Array(calls)) => {
            // In a batch a synchronous broadcast is answered like an asynchronous one: a node would hold the whole batch.
            let replies = calls
                .iter()
                .take(BATCH_LIMIT)
                .map(|c| match call(chain, c, spec, via) {
                    Answer::Now(v) => v,
                    Answer::WhenIncluded { id, .. } => {
                        json!({"jsonrpc": "2.0", "result": {}, "id": id})
                    }
                })
                .collect();
            Answer::Now(Value::Array(replies))
        }
        Ok(one) => call(chain, &one, spec, via),
    }
}

fn call(chain: &mut Chain, request: &Value, spec: ViewSpec, via: &str) -> Answer {
    if chain.config.protocol == Protocol::Golos {
        return golos::call(chain, request, spec, via);
    }
    let id = request.get("id").cloned().unwrap_or(Value::Null);
    let result = Call::read(chain, request).and_then(|c| c.run(chain, spec, via));
    match result {
        Ok(Outcome::Value(v)) => Answer::Now(json!({"jsonrpc": "2.0", "result": v, "id": id})),
        Ok(Outcome::Wait(txid, expiration_ms)) => Answer::WhenIncluded {
            txid,
            id,
            expiration_ms,
        },
        Err(f) => Answer::Now(json!({"jsonrpc": "2.0", "error": f.to_json(), "id": id})),
    }
}

enum Outcome {
    Value(Value),
    Wait(String, u64),
}

/// One call: which API, which method, which arguments.
pub(super) struct Call {
    pub(super) api: String,
    pub(super) method: String,
    pub(super) args: Value,
    pub(super) now: u64,
}

const APIS: [(&str, &[&str]); 5] = [
    (
        "condenser_api",
        &[
            "broadcast_transaction",
            "broadcast_transaction_synchronous",
            "get_accounts",
            "get_active_witnesses",
            "get_block",
            "get_block_header",
            "get_chain_properties",
            "get_config",
            "get_dynamic_global_properties",
            "get_hardfork_version",
            "get_version",
            "get_witness_by_account",
            "get_witness_count",
            "get_witness_schedule",
            "get_witnesses_by_vote",
            "get_transaction",
            "verify_authority",
        ],
    ),
    (
        "database_api",
        &[
            "find_witnesses",
            "get_active_witnesses",
            "get_config",
            "get_dynamic_global_properties",
            "get_version",
            "get_witness_schedule",
            "list_witnesses",
        ],
    ),
    (
        "block_api",
        &["get_block", "get_block_header", "get_block_range"],
    ),
    ("network_broadcast_api", &["broadcast_transaction"]),
    ("transaction_status_api", &["find_transaction"]),
];

impl Call {
    fn read(chain: &Chain, request: &Value) -> Result<Call, Failure> {
        let now = chain.head().head_ms;
        let src = &chain.names.src;
        let method = request
            .get("method")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let params = request.get("params").cloned();
        let (api, name, args) = if method == "call" {
            let list = params
                .as_ref()
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            let text = |i: usize| {
                list.get(i)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            (
                text(0),
                text(1),
                list.get(2).cloned().unwrap_or_else(|| json!({})),
            )
        } else {
            let (api, name) = method.split_once('.').unwrap_or((method, ""));
            // Without `params` the node takes an empty object, which the array-style API then refuses.
            (
                api.to_owned(),
                name.to_owned(),
                params.unwrap_or_else(|| json!({})),
            )
        };
        let place = |line| At("json_rpc_plugin.cpp", line, "find_api_method");
        let Some((_, methods)) = APIS.iter().find(|(a, _)| *a == api) else {
            let format = format!(
                "api_itr != {}_registered_apis.end(): Could not find API ${{api}}",
                src.api_prefix
            );
            return Err(Failure::new(
                ASSERT,
                place(src.find_api),
                &format,
                json!({"api": api}),
                now,
            )
            .outer(-32002));
        };
        let hive_only = name == "get_block_range" && chain.names.config != "HIVE";
        if hive_only || !methods.contains(&name.as_str()) {
            let format = "method_itr != api_itr->second.end(): Could not find method ${method}";
            return Err(Failure::new(
                ASSERT,
                place(src.find_method),
                format,
                json!({"method": name}),
                now,
            )
            .outer(-32002));
        }
        let call = Call {
            api,
            method: name,
            args,
            now,
        };
        call.check_style()?;
        Ok(call)
    }

    /// The condenser takes arrays, the other APIs objects.
    fn check_style(&self) -> Result<(), Failure> {
        let (line, at, format) = if self.api == "condenser_api" {
            if self.args.is_array() {
                return Ok(());
            }
            (537, "get_array", "Invalid cast from ${type} to Array")
        } else {
            if self.args.is_object() {
                return Ok(());
            }
            (
                575,
                "get_object",
                "Invalid cast from type '${type}' to Object",
            )
        };
        let data = json!({"type": type_name(&self.args)});
        Err(Failure::new(
            BAD_CAST,
            At("variant.cpp", line, at),
            format,
            data,
            self.now,
        ))
    }

    pub(super) fn expect(&self, n: usize) -> Result<(), Failure> {
        let got = self.args.as_array().map_or(0, Vec::len);
        if got == n {
            return Ok(());
        }
        let format = format!("args.size() == {n}: Expected #s argument(s), was ${{n}}");
        let f = Failure::new(
            ASSERT,
            At("condenser_api.cpp", 736, "get_block"),
            &format,
            json!({"n": got}),
            self.now,
        );
        Err(f.outer(-32003))
    }

    pub(super) fn number(&self, v: &Value) -> Result<u64, Failure> {
        v.as_u64()
            .or_else(|| v.as_str()?.parse().ok())
            .ok_or_else(|| {
                Failure::new(
                    PARSE,
                    At("string.cpp", 113, "to_uint64"),
                    "Couldn't parse uint64_t",
                    json!({}),
                    self.now,
                )
                .through(
                    At("string.cpp", 116, "to_uint64"),
                    "",
                    json!({"i": v}),
                    self.now,
                )
                .through(
                    At("variant.cpp", 405, "as_uint64"),
                    "",
                    json!({"*this": v}),
                    self.now,
                )
            })
    }

    fn run(&self, chain: &mut Chain, spec: ViewSpec, via: &str) -> Result<Outcome, Failure> {
        match (self.api.as_str(), self.method.as_str()) {
            ("condenser_api", "broadcast_transaction") => {
                self.expect(1)?;
                chain.accept(&self.args[0], spec, via)?;
                Ok(Outcome::Value(json!({})))
            }
            ("condenser_api", "broadcast_transaction_synchronous") => {
                self.expect(1)?;
                let tx = chain.accept(&self.args[0], spec, via)?;
                Ok(Outcome::Wait(tx.id.clone(), tx.expiration_ms))
            }
            ("network_broadcast_api", _) => {
                let tx = self.appbase_transaction(chain)?;
                chain.accept(&tx, spec, via)?;
                Ok(Outcome::Value(json!({})))
            }
            ("condenser_api", _) => self.condenser(chain, spec).map(Outcome::Value),
            _ => self.appbase(chain, spec).map(Outcome::Value),
        }
    }

    fn appbase_transaction(&self, chain: &Chain) -> Result<Value, Failure> {
        let mut tx = self.args["trx"].clone();
        let ops = tx["operations"].as_array().cloned().unwrap_or_default();
        let mut out = Vec::new();
        for op in &ops {
            out.push(op_to_condenser(op).ok_or_else(|| self.not_appbase(chain, op))?);
        }
        if tx.is_object() {
            tx["operations"] = Value::Array(out);
        }
        Ok(tx)
    }

    fn not_appbase(&self, chain: &Chain, op: &Value) -> Failure {
        if chain.names.config == "HIVE" {
            let at = At("static_variant.hpp", 430, "from_variant");
            return Failure::new(
                ASSERT,
                at,
                "v.is_object(): Input data have to treated as object.",
                json!({}),
                self.now,
            )
            .outer(-32003);
        }
        let data = json!({"type": type_name(op)});
        Failure::new(
            BAD_CAST,
            At("variant.cpp", 575, "get_object"),
            "Invalid cast from type '${type}' to Object",
            data,
            self.now,
        )
    }
}
