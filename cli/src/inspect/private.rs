//! Content of the private files of a data folder. No secret is shown, not even of a malformed file.

use super::sheet::{Sheet, Value};
use super::{Inspected, Malformed};
use sexton_proof::checked_text::{self, FEED_KEY_TITLE, Head, KEYRING_TITLE};
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

pub(super) fn keyring(bytes: &[u8]) -> Inspected<'_> {
    let malformed = Malformed::of("keyring");
    let mut keys = Vec::new();
    for line in checked_lines(bytes, "keyring", KEYRING_TITLE)? {
        let key =
            key_line(line).ok_or_else(|| malformed(&"a line is not `key <class id> <yyyy-mm> <64 hex>`"))?;
        if keys.last().is_some_and(|last| *last >= key) {
            return Err(malformed(&"its lines do not ascend"));
        }
        keys.push(key);
    }
    let row = |(class, month): &(u32, &str)| Sheet::default().with("class", *class).with("due_month", *month);
    Ok(Sheet::of("keyring").with("keys", Value::rows_of(keys, row)).with("secrets", "not shown"))
}

/// Returns class and month of a line of a keyring. Of the key only the form is checked.
fn key_line(line: &str) -> Option<(u32, &str)> {
    let words: Vec<&str> = line.split(' ').collect();
    let ["key", class, month, secret] = words.as_slice() else { return None };
    let id: u32 = class.parse().ok().filter(|id| *id >= 1 && *class == format!("{id}"))?;
    let (year, number) = month.split_once('-')?;
    let has_digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    let is_month = has_digits(year, 4) && has_digits(number, 2) && ("01"..="12").contains(&number);
    (is_month && is_secret(secret)).then_some((id, *month))
}

/// Returns `true` for 64 digits of lower-case hex.
fn is_secret(digits: &str) -> bool {
    digits.len() == 64 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

pub(super) fn feed_key(bytes: &[u8]) -> Inspected<'_> {
    let malformed = Malformed::of("feed key");
    let lines = checked_lines(bytes, "feed key", FEED_KEY_TITLE)?;
    // Only the form of the key is checked.
    let is_key = |line: &str| line.strip_prefix("key ").is_some_and(is_secret);
    match lines.as_slice() {
        [line] if is_key(line) => Ok(Sheet::of("feed key").with("secret", "not shown")),
        _ => Err(malformed(&"its second and only other line is not `key <64 hex>`")),
    }
}

pub(super) fn head(bytes: &[u8]) -> Inspected<'_> {
    let head = Head::parse(bytes).map_err(|e| Malformed::of("head")(&format_args!("it {e}")))?;
    Ok(Sheet::of("head").with("size", head.size).hex("root", &head.root))
}

pub(super) fn signing_key(bytes: &[u8]) -> Inspected<'_> {
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
        let shown = serde_json::to_value(&sheet).unwrap();
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

    #[test]
    fn keyring_line_of_another_form_is_malformed() {
        let secret = "5e".repeat(32);
        let of = |lines: &str| keyring(&checked(&format!("sexton keyring v0\n{lines}"))).is_ok();
        assert!(
            of("")
                && of(&format!("key 1 2026-08 {secret}\nkey 1 2026-09 {secret}\nkey 12 2026-01 {secret}\n"))
        );
        for (class, month, secret) in [
            ("0", "2026-08", secret.as_str()),
            ("01", "2026-08", &secret),
            ("+1", "2026-08", &secret),
            ("4294967296", "2026-08", &secret),
            ("\x1b[2J", "2026-08", &secret),
            ("1", "2026-13", &secret),
            ("1", "2026-00", &secret),
            ("1", "2026-8", &secret),
            ("1", "\u{9b}026-08", &secret),
            ("1", "2026-08", &secret.to_uppercase()),
            ("1", "2026-08", &"x".repeat(64)),
            ("1", "2026-08", &secret[1..]),
        ] {
            assert!(!of(&format!("key {class} {month} {secret}\n")), "{class:?} {month:?} {secret:?}");
        }
        let twice = format!("key 1 2026-08 {secret}\n").repeat(2);
        assert!(!of(&twice));
    }

    #[test]
    fn head_with_another_root_is_malformed() {
        let of = |body: &str| head(&checked(&format!("sexton head v0\n{body}"))).is_ok();
        let root = "5e".repeat(32);
        assert!(of(&format!("size 7\nroot {root}\n")));
        for root in ["", "00", "x", "\x1b[2J", &"x".repeat(64), &root.to_uppercase(), &format!("{root} ")] {
            assert!(!of(&format!("size 7\nroot {root}\n")), "{root:?}");
        }
        for size in ["", "07", "+7", "-1", "9223372036854775809", "\u{9b}"] {
            assert!(!of(&format!("size {size}\nroot {root}\n")), "{size:?}");
        }
        assert!(!of(&format!("size 7\nroot {root}\nmore 1\n")) && !of(&format!("size 7\nroot {root}")));
    }
}
