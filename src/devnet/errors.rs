//! Errors as the real nodes word them: `{code, message, data:{code, name, message, stack:[{context, format, data}]}}`.
//!
//! Shapes, codes, names, formats and source lines are those observed on steemd 0.24.0 and hived 1.25.0 testnet builds. Pure.

use serde_json::{Value, json};

use super::time::iso;

/// A JSON-RPC error.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// The outer JSON-RPC code.
    pub(crate) code: i64,
    /// What was thrown.
    fc: (i64, &'static str, &'static str),
    frames: Vec<Value>,
    text: String,
}

/// Kinds of exception: code, name, message.
pub(crate) const ASSERT: (i64, &str, &str) = (10, "assert_exception", "Assert Exception");
pub(crate) const PARSE: (i64, &str, &str) = (4, "parse_error_exception", "Parse Error");
pub(crate) const BAD_CAST: (i64, &str, &str) = (7, "bad_cast_exception", "Bad Cast");
pub(crate) const UNKNOWN_KEY: (i64, &str, &str) =
    (13, "N5boost10wrapexceptISt12out_of_rangeEE", "unknown key");
pub(crate) const MISSING_ACTIVE: (i64, &str, &str) = (
    3_010_000,
    "tx_missing_active_auth",
    "missing required active authority",
);
pub(crate) const MISSING_OTHER: (i64, &str, &str) = (
    3_040_000,
    "tx_missing_other_auth",
    "missing required other authority",
);
pub(crate) const IRRELEVANT: (i64, &str, &str) = (
    3_050_000,
    "tx_irrelevant_sig",
    "irrelevant signature included",
);
pub(crate) const REPEATED: (i64, &str, &str) = (
    3_060_000,
    "tx_duplicate_sig",
    "duplicate signature included",
);
pub(crate) const EXPIRATION: (i64, &str, &str) = (
    4_030_100,
    "transaction_expiration_exception",
    "transaction expiration exception",
);
pub(crate) const TAPOS: (i64, &str, &str) = (
    4_030_200,
    "transaction_tapos_exception",
    "transaction tapos exception",
);

/// Where in the node's source a frame was added.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At(
    pub(crate) &'static str,
    pub(crate) u32,
    pub(crate) &'static str,
);

impl Failure {
    /// An exception of `kind` thrown at `at`, with outer code -32000.
    pub(crate) fn new(
        kind: (i64, &'static str, &'static str),
        at: At,
        format: &str,
        data: Value,
        now_ms: u64,
    ) -> Failure {
        let text = render(format, &data);
        let frames = vec![frame("error", at, format, data, now_ms)];
        Failure {
            code: -32000,
            fc: kind,
            frames,
            text,
        }
    }

    /// The same with another outer code.
    pub(crate) fn outer(mut self, code: i64) -> Failure {
        self.code = code;
        self
    }

    /// A frame added while the exception went up.
    pub(crate) fn through(mut self, at: At, format: &str, data: Value, now_ms: u64) -> Failure {
        self.text.push_str(&render(format, &data));
        self.frames.push(frame("warn", at, format, data, now_ms));
        self
    }

    /// An exception that only shows once it is wrapped: the first frame has the level `warn`.
    pub(crate) fn wrapped(
        kind: (i64, &'static str, &'static str),
        at: At,
        data: Value,
        now_ms: u64,
    ) -> Failure {
        let format = "${what}: ";
        let text = render(format, &data);
        Failure {
            code: -32000,
            fc: kind,
            frames: vec![frame("warn", at, format, data, now_ms)],
            text,
        }
    }

    /// The `error` member of the reply.
    pub(crate) fn to_json(&self) -> Value {
        let (code, name, message) = self.fc;
        json!({
            "code": self.code,
            "message": format!("{message}:{}", self.text),
            "data": {"code": code, "name": name, "message": message, "stack": self.frames},
        })
    }

    /// The inner code, by which clients tell the cases apart.
    #[cfg(test)]
    pub(crate) fn data_code(&self) -> i64 {
        self.fc.0
    }
}

fn frame(level: &str, at: At, format: &str, data: Value, now_ms: u64) -> Value {
    json!({
        "context": {"level": level, "file": at.0, "line": at.1, "method": at.2, "hostname": "", "timestamp": iso(now_ms, 1000)},
        "format": format,
        "data": data,
    })
}

/// Fills `${name}` from the data; what is not there stays.
fn render(format: &str, data: &Value) -> String {
    let mut out = String::new();
    let mut rest = format;
    while let Some(start) = rest.find("${") {
        let (before, tail) = rest.split_at(start);
        out.push_str(before);
        let Some(end) = tail.find('}') else {
            rest = tail;
            break;
        };
        let (placeholder, after) = tail.split_at(end + 1);
        let name = placeholder.trim_start_matches("${").trim_end_matches('}');
        match data.get(name) {
            Some(Value::String(s)) => out.push_str(s),
            Some(other) => out.push_str(&other.to_string()),
            None => out.push_str(placeholder),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_the_rendered_first_frame() {
        let f = Failure::new(
            MISSING_ACTIVE,
            At("a.hpp", 1, "m"),
            "Missing Active Authority ${id}",
            json!({"id":"wita"}),
            0,
        )
        .through(At("b.cpp", 2, "n"), "", json!({}), 0);
        let e = f.to_json();
        assert_eq!(
            e["message"],
            "missing required active authority:Missing Active Authority wita"
        );
        assert_eq!(e["data"]["stack"][1]["context"]["level"], "warn");
        assert_eq!(f.data_code(), 3_010_000);
    }

    #[test]
    fn placeholders_that_are_not_there_stay() {
        assert_eq!(render("x ${a} ${b", &json!({})), "x ${a} ${b");
    }
}
