//! The configuration of buckets, as `docs/s3.md` and `packaging/sexton.toml` show it.
#![cfg(feature = "s3")]
#![allow(clippy::unwrap_used, reason = "shared test code may fail a test")]

use sexton_service::config::Config;

const HEAD: &str = "data = \"/var/lib/sexton/data\"\norigin = \"example.com/uploads\"\n";

fn buckets(text: &str) -> Vec<(String, Option<String>, usize)> {
    let config = Config::parse(&format!("{HEAD}{text}")).unwrap();
    config.buckets.into_iter().map(|bucket| (bucket.name, bucket.class, bucket.rules.len())).collect()
}

#[test]
fn bucket_of_the_page_is_read() {
    let page = include_str!("../../docs/s3.md");
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let expected = vec![("uploads".to_owned(), Some("upload-30d".to_owned()), 1)];
    assert_eq!(buckets(text), expected);
    // Settings that the page shows as comments. A comment in words has a space after its sign.
    let all: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert!(all.contains("\nendpoint = ") && all.contains("\ntags = "), "{all}");
    assert_eq!(buckets(&all), expected);
}

#[test]
fn bucket_of_the_packaged_file_is_read() {
    let file = include_str!("../../packaging/sexton.toml");
    let (_, rest) = file.split_once("#[[bucket]]\n").unwrap();
    let settings =
        rest.lines().filter_map(|line| line.strip_prefix('#')).filter(|line| !line.starts_with(' '));
    let text = format!("[[bucket]]\n{}\n", settings.collect::<Vec<_>>().join("\n"));
    assert_eq!(buckets(&text), vec![("photos".to_owned(), Some("photo-30d".to_owned()), 1)]);
}
