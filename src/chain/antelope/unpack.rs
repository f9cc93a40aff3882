//! Bytes → JSON, by the table in [`super::abi`]. Pure. Takes anything and never panics: the bytes come from outside.

use serde_json::{Map, Value, json};

use super::TxError;
use super::abi::{self, Type};
use super::name::Name;
use super::pack::{bad, unknown_action};
use crate::chain::graphene::format_time;
use crate::keys::TypedKey;

/// Reads all of `bytes` as one value.
pub(super) fn whole(kind: &Type, bytes: &[u8], path: &str) -> Result<Value, TxError> {
    let mut reader = Reader { left: bytes, path };
    let value = reader.value(kind)?;
    if reader.left.is_empty() {
        Ok(value)
    } else {
        Err(bad(
            path,
            format!("{} bytes are left over at the end", reader.left.len()),
        ))
    }
}

struct Reader<'a> {
    left: &'a [u8],
    path: &'a str,
}

impl<'a> Reader<'a> {
    fn bad(&self, problem: impl Into<String>) -> TxError {
        bad(self.path, problem)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], TxError> {
        let (taken, left) = self
            .left
            .split_at_checked(n)
            .ok_or_else(|| self.bad("the bytes end too early"))?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TxError> {
        let short = self.bad("the bytes end too early");
        self.take(N)?.try_into().map_err(|_| short)
    }

    fn varuint(&mut self) -> Result<u32, TxError> {
        let mut value = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| self.bad("a count above 32 bits"));
            }
        }
        Err(self.bad("a count above 32 bits"))
    }

    fn counted(&mut self) -> Result<&'a [u8], TxError> {
        let n = self.varuint()?;
        self.take(usize::try_from(n).unwrap_or(usize::MAX))
    }

    fn value(&mut self, kind: &Type) -> Result<Value, TxError> {
        Ok(match kind {
            Type::Name => json!(Name(u64::from_le_bytes(self.array()?)).to_string()),
            Type::Key => {
                let (key, len) = TypedKey::from_packed(self.left)
                    .ok_or_else(|| self.bad("no public key of a known curve"))?;
                self.take(len)?;
                json!(key.to_text("EOS"))
            }
            Type::Text => {
                let bytes = self.counted()?;
                let text = std::str::from_utf8(bytes).map_err(|_| self.bad("text is not UTF-8"))?;
                json!(text)
            }
            Type::U8 => json!(u8::from_le_bytes(self.array()?)),
            Type::U16 => json!(u16::from_le_bytes(self.array()?)),
            Type::U32 => json!(u32::from_le_bytes(self.array()?)),
            Type::Var => json!(self.varuint()?),
            Type::Time => json!(format_time(u32::from_le_bytes(self.array()?))),
            Type::List(item) => {
                // Every item takes at least a byte, so a huge count ends with the bytes.
                let n = self.varuint()?;
                let mut items = Vec::new();
                for _ in 0..n {
                    items.push(self.value(item)?);
                }
                Value::Array(items)
            }
            Type::Nothing => match self.varuint()? {
                0 => json!([]),
                _ => return Err(self.bad("context-free actions or extensions are not understood")),
            },
            Type::Object(fields) => self.object(fields)?,
            Type::Variant(name, inner) => match self.varuint()? {
                0 => json!([name, self.value(inner)?]),
                _ => return Err(self.bad(format!("only {name} is known"))),
            },
            Type::Action => self.action()?,
        })
    }

    fn object(&mut self, fields: &[(&str, Type)]) -> Result<Value, TxError> {
        let mut map = Map::new();
        for (name, kind) in fields {
            map.insert((*name).to_owned(), self.value(kind)?);
        }
        Ok(Value::Object(map))
    }

    fn action(&mut self) -> Result<Value, TxError> {
        let account = self.value(&Type::Name)?;
        let name = self.value(&Type::Name)?;
        let authorization = self.value(&Type::List(&abi::LEVEL))?;
        let data = self.counted()?;
        let texts = account.as_str().zip(name.as_str());
        let fields = texts
            .and_then(|(account, name)| abi::action(account, name))
            .ok_or_else(|| self.bad(unknown_action()))?;
        let data = whole(&Type::Object(fields), data, self.path)?;
        Ok(json!({
            "account": account, "name": name, "authorization": authorization, "data": data,
        }))
    }
}
