//! The private files of a data folder. No secret is ever shown, not even when a file is malformed.

use super::sheet::{Sheet, Value};
use super::{Inspected, Malformed};
use sexton_proof::file;
use sexton_proof::note::Signer;

pub(super) const KEYRING_MARK: &[u8] = b"sexton keyring v0\n";
pub(super) const HEAD_MARK: &[u8] = b"sexton head v0\n";
pub(super) const SIGNING_KEY_MARK: &[u8] = b"PRIVATE+KEY+";

/// The lines between the title and the check line, where that is the BLAKE3 hash of everything before it.
fn checked_lines<'a>(bytes: &'a [u8], format: &'static str) -> Result<Vec<&'a str>, Malformed> {
    let malformed = Malformed::of(format);
    let text = std::str::from_utf8(bytes).map_err(|_| malformed(&"it is not text"))?;
    let body = text.strip_suffix('\n').ok_or_else(|| malformed(&"it does not end with a line feed"))?;
    let (body, last) = body.rsplit_once('\n').ok_or_else(|| malformed(&"its check line is missing"))?;
    let found = last.strip_prefix("check ").ok_or_else(|| malformed(&"its check line is missing"))?;
    let expected = hex::encode(file::root(format!("{body}\n").as_bytes()));
    if found != expected {
        return Err(malformed(&"its check line is not the BLAKE3 hash of what stands before it"));
    }
    Ok(body.lines().skip(1).collect())
}

pub(super) fn keyring(bytes: &[u8]) -> Inspected {
    let malformed = Malformed::of("keyring");
    let mut keys = Vec::new();
    for line in checked_lines(bytes, "keyring")? {
        // The third word is the key: looked at for its length, and dropped.
        let words: Vec<&str> = line.split(' ').collect();
        let ["key", class, month, secret] = words.as_slice() else {
            return Err(malformed(&"a line is not `key <class id> <yyyy-mm> <64 hex>`"));
        };
        if secret.len() != 64 {
            return Err(malformed(&"a key has not 64 digits"));
        }
        keys.push(Sheet::default().with("class", *class).with("due_month", *month));
    }
    Ok(Sheet::of("keyring").with("keys", Value::Rows(keys)).with("secrets", "not shown"))
}

pub(super) fn head(bytes: &[u8]) -> Inspected {
    let malformed = Malformed::of("head");
    let lines = checked_lines(bytes, "head")?;
    let [size, root] = lines.as_slice() else { return Err(malformed(&"it has not the lines size and root")) };
    let size: u64 = size
        .strip_prefix("size ")
        .and_then(|size| size.parse().ok())
        .ok_or_else(|| malformed(&"its second line is not `size <n>`"))?;
    let root = root.strip_prefix("root ").ok_or_else(|| malformed(&"its third line is not `root <hex>`"))?;
    Ok(Sheet::of("head").with("size", size).with("root", root))
}

pub(super) fn signing_key(bytes: &[u8]) -> Inspected {
    let malformed = Malformed::of("signing key");
    let text = std::str::from_utf8(bytes).map_err(|_| malformed(&"it is not text"))?;
    let signer = Signer::from_private(text.trim_end()).map_err(|e| malformed(&e))?;
    let key = signer.verifier();
    Ok(Sheet::of("signing key")
        .with("origin", key.name())
        .with("id", format!("{:08x}", key.id()))
        .with("public_key", key.to_string())
        .with("secret", "not shown"))
}
