//! Reading and writing the chain's binary layout. Apart from the adapter's own code, so that one mistake cannot hide in
//! both. Pure.

use super::name;
use crate::keys::PublicKey;

/// A place in a run of bytes. Every error says what was being read.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn take(&mut self, n: usize, what: &str) -> Result<&'a [u8], String> {
        let (head, tail) = self
            .rest
            .split_at_checked(n)
            .ok_or_else(|| format!("datastream attempted to read past the end ({what})"))?;
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], String> {
        let bytes = self.take(N, what)?;
        bytes.try_into().map_err(|_| what.to_owned())
    }

    pub(super) fn u8(&mut self, what: &str) -> Result<u8, String> {
        Ok(u8::from_le_bytes(self.array(what)?))
    }

    pub(super) fn u16(&mut self, what: &str) -> Result<u16, String> {
        Ok(u16::from_le_bytes(self.array(what)?))
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    /// A count of 32 bits, seven to the byte.
    pub(super) fn count(&mut self, what: &str) -> Result<usize, String> {
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = self.u8(what)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value)
                    .ok()
                    .and_then(|v| usize::try_from(v).ok())
                    .ok_or_else(|| format!("count out of range ({what})"));
            }
        }
        Err(format!("count does not end ({what})"))
    }

    pub(super) fn name(&mut self, what: &str) -> Result<String, String> {
        Ok(name::text(u64::from_le_bytes(self.array(what)?)))
    }

    pub(super) fn text(&mut self, what: &str) -> Result<String, String> {
        let n = self.count(what)?;
        let bytes = self.take(n, what)?.to_vec();
        String::from_utf8(bytes).map_err(|_| format!("no UTF-8 ({what})"))
    }

    pub(super) fn blob(&mut self, what: &str) -> Result<&'a [u8], String> {
        let n = self.count(what)?;
        self.take(n, what)
    }

    /// A public key of the curve K1, the only one that this chain takes.
    pub(super) fn key(&mut self, what: &str) -> Result<PublicKey, String> {
        match self.u8(what)? {
            0 => Ok(PublicKey::from_bytes(self.array(what)?)),
            other => Err(format!("key of type {other} ({what})")),
        }
    }

    /// `n` items.
    pub(super) fn list<T>(
        &mut self,
        what: &str,
        mut read: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let n = self.count(what)?;
        // Every item takes at least a byte: a count beyond that is a lie, and must not reserve memory.
        if n > self.rest.len() {
            return Err(format!("count {n} beyond the end ({what})"));
        }
        (0..n).map(|_| read(self)).collect()
    }
}

/// Bytes being written.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn count(&mut self, n: usize) -> &mut Self {
        let mut rest = n;
        loop {
            let byte = u8::try_from(rest & 0x7f).unwrap_or(0);
            rest >>= 7;
            if rest == 0 {
                self.0.push(byte);
                return self;
            }
            self.0.push(byte | 0x80);
        }
    }

    pub(super) fn name(&mut self, text: &str) -> &mut Self {
        let number = name::number(text).unwrap_or(0);
        self.raw(&number.to_le_bytes())
    }

    pub(super) fn blob(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len()).raw(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_both_ways_and_end() {
        for n in [0, 1, 127, 128, 300, 65_535, 2_000_000] {
            let mut w = Writer::default();
            w.count(n);
            assert_eq!(Reader::new(&w.0).count("n"), Ok(n));
        }
        assert!(Reader::new(&[0xff; 9]).count("n").is_err());
        assert!(Reader::new(&[0x80]).count("n").is_err());
        assert!(
            Reader::new(&[0xff, 0xff, 0x03])
                .list("n", |r| r.u8("x"))
                .is_err()
        );
    }
}
