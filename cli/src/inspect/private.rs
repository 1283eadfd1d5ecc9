//! Content of the private files of a data folder. No secret is shown, not even of a malformed file.

use super::sheet::{Sheet, Value};
use super::{Inspected, Malformed};
use sexton_proof::checked_text::{self, FEED_KEY_TITLE, HEAD_TITLE, KEYRING_TITLE};
use sexton_proof::note::Signer;

pub(super) const KEYRING_MARK: &[u8] = b"sexton keyring v0\n";
pub(super) const FEED_KEY_MARK: &[u8] = b"sexton feed key v0\n";
pub(super) const HEAD_MARK: &[u8] = b"sexton head v0\n";
pub(super) const SIGNING_KEY_MARK: &[u8] = b"PRIVATE+KEY+";

/// Returns the lines between the title and the check line of a checked text.
fn checked_lines<'a>(bytes: &'a [u8], format: &'static str, title: &str) -> Result<Vec<&'a str>, Malformed> {
    let body = checked_text::parse(bytes, title);
    body.map(|body| body.lines().collect()).map_err(|e| Malformed::of(format)(&format_args!("it {e}")))
}

pub(super) fn keyring(bytes: &[u8]) -> Inspected {
    let malformed = Malformed::of("keyring");
    let mut keys = Vec::new();
    for line in checked_lines(bytes, "keyring", KEYRING_TITLE)? {
        // The third word is the key. Only its length is checked.
        let words: Vec<&str> = line.split(' ').collect();
        let ["key", class, month, secret] = words.as_slice() else {
            return Err(malformed(&"a line is not `key <class id> <yyyy-mm> <64 hex>`"));
        };
        if secret.len() != 64 {
            return Err(malformed(&"a key does not have 64 digits"));
        }
        keys.push(Sheet::default().with("class", *class).with("due_month", *month));
    }
    Ok(Sheet::of("keyring").with("keys", Value::Rows(keys)).with("secrets", "not shown"))
}

pub(super) fn feed_key(bytes: &[u8]) -> Inspected {
    let malformed = Malformed::of("feed key");
    let lines = checked_lines(bytes, "feed key", FEED_KEY_TITLE)?;
    // Only the form of the key is checked.
    let is_key = |line: &str| {
        let digits = line.strip_prefix("key ").unwrap_or_default();
        digits.len() == 64 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    match lines.as_slice() {
        [line] if is_key(line) => Ok(Sheet::of("feed key").with("secret", "not shown")),
        _ => Err(malformed(&"its second and only other line is not `key <64 hex>`")),
    }
}

pub(super) fn head(bytes: &[u8]) -> Inspected {
    let malformed = Malformed::of("head");
    let lines = checked_lines(bytes, "head", HEAD_TITLE)?;
    let [size, root] = lines.as_slice() else {
        return Err(malformed(&"it does not have exactly the lines size and root"));
    };
    let size: u64 = size
        .strip_prefix("size ")
        .and_then(|size| size.parse().ok())
        .ok_or_else(|| malformed(&"its second line is not `size <n>`"))?;
    let root = root.strip_prefix("root ").ok_or_else(|| malformed(&"its third line is not `root <hex>`"))?;
    Ok(Sheet::of("head").with("size", size).with("root", root))
}

pub(super) fn signing_key(bytes: &[u8]) -> Inspected {
    let malformed = Malformed::of("log key");
    let text = std::str::from_utf8(bytes).map_err(|_| malformed(&"it is not text"))?;
    let signer = Signer::from_private(text.trim_end()).map_err(|e| malformed(&e))?;
    let key = signer.verifier();
    Ok(Sheet::of("log key")
        .with("origin", key.name())
        .with("id", format!("{:08x}", key.id()))
        .with("public_key", key.to_string())
        .with("secret", "not shown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(body: &str) -> Vec<u8> {
        let mut text = body.to_owned();
        checked_text::append_check(&mut text);
        text.into_bytes()
    }

    #[test]
    fn feed_key_is_recognised_and_never_shown() {
        let secret = "5e".repeat(32);
        let good = checked(&format!("sexton feed key v0\nkey {secret}\n"));
        let Ok(sheet) = feed_key(&good) else { panic!("it is refused") };
        let shown = sheet.json();
        assert_eq!((&shown["format"], &shown["secret"]), (&"feed key".into(), &"not shown".into()));
        assert!(!shown.to_string().contains(&secret));

        let mut changed = good.clone();
        changed[25] ^= 1;
        let bodies = [
            "sexton feed key v0\n".to_owned(),
            format!("sexton feed key v0\nkey {}\n", &secret[1..]),
            format!("sexton feed key v0\nkey {}\n", secret.to_uppercase()),
            format!("sexton feed key v0\nkey {secret}\nkey {secret}\n"),
        ];
        for bad in bodies.iter().map(|body| checked(body)).chain([changed, good[..good.len() - 1].to_vec()]) {
            let Err(malformed) = feed_key(&bad) else { panic!("it is taken") };
            assert!(!malformed.why.contains("5e5e"), "{}", malformed.why);
        }
    }
}
