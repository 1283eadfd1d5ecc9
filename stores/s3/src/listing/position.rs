//! Positions in a listing: where it begins, where it ends, and how far it came.

use serde::{Deserialize, Serialize};

/// Position in a listing of a bucket. [`S3Store::list`](crate::S3Store::list) reads the page that begins there.
///
/// It is also the resume token: a host stores the position after each page whose objects it has registered. After a restart
/// the listing goes on there. The server keeps nothing for it, so a position does not expire.
///
/// ```
/// use sexton_s3::Position;
///
/// let position = Position::start("uploads/");
/// let token = serde_json::to_string(&position)?;
/// assert_eq!(serde_json::from_str::<Position>(&token)?, position);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Position {
    pub(crate) kind: Kind,
    /// Prefix of all keys.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) prefix: String,
    /// Key up to which all is listed, itself included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<String>,
    /// Last listed version or upload of the key `after`, which has more of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) within: Option<String>,
    /// Last key, itself included. `None`: up to the end of the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) through: Option<String>,
    /// `true`: multipart uploads follow the versions.
    #[serde(default)]
    pub(crate) then_uploads: bool,
}

/// Kind of what is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Versions of objects, and delete markers.
    Versions,
    /// Multipart uploads that are neither complete nor aborted.
    Uploads,
}

impl Position {
    /// Returns the start of a listing of all keys with this prefix. An empty one means the whole bucket.
    #[must_use]
    pub fn start(prefix: impl Into<String>) -> Self {
        Self {
            kind: Kind::Versions,
            prefix: prefix.into(),
            after: None,
            within: None,
            through: None,
            then_uploads: true,
        }
    }

    /// Returns the starts of listings that together list all that [`start`](Self::start) lists, each once. Every boundary is
    /// the last key of one and the key before the first of the next. The last listing is that of the multipart uploads, whose
    /// order not every server sorts by key.
    pub(crate) fn split(prefix: &str, boundaries: &[String]) -> Vec<Self> {
        let part = |after: Option<&String>, through: Option<&String>| Self {
            after: after.cloned(),
            through: through.cloned(),
            then_uploads: false,
            ..Self::start(prefix)
        };
        let starts = std::iter::once(None).chain(boundaries.iter().map(Some));
        let ends = boundaries.iter().map(Some).chain(std::iter::once(None));
        let mut parts: Vec<Self> = starts.zip(ends).map(|(after, through)| part(after, through)).collect();
        parts.push(Self { kind: Kind::Uploads, then_uploads: false, ..Self::start(prefix) });
        parts
    }

    /// Returns the position after everything of this kind.
    pub(crate) fn following(&self) -> Option<Self> {
        self.then_uploads.then(|| Self {
            kind: Kind::Uploads,
            then_uploads: false,
            ..Self::start(&self.prefix)
        })
    }

    /// Returns the position after a key, or in the middle of its versions.
    pub(crate) fn at(&self, after: String, within: Option<String>) -> Self {
        Self { after: Some(after), within, ..self.clone() }
    }

    /// Returns `true` if the listing has the key before it.
    pub(crate) fn is_ahead(&self, key: &str) -> bool {
        match &self.after {
            None => true,
            Some(after) if self.within.is_some() => key >= after.as_str(),
            Some(after) => key > after.as_str(),
        }
    }

    /// Returns `true` if the key is behind the end of the listing.
    pub(crate) fn is_past_the_end(&self, key: &str) -> bool {
        self.through.as_deref().is_some_and(|through| key > through)
    }
}

/// Chooses at most `count` boundaries, as evenly as their number allows. The texts are sorted.
pub(crate) fn spread(texts: Vec<String>, count: usize) -> Vec<String> {
    if texts.len() <= count {
        return texts;
    }
    let len = texts.len();
    let chosen: std::collections::BTreeSet<usize> = (1..=count).map(|n| n * len / (count + 1)).collect();
    texts.into_iter().enumerate().filter(|(index, _)| chosen.contains(index)).map(|(_, text)| text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_listing_cover_each_key_once() {
        let boundaries: Vec<String> = ["b/", "d/", "m"].map(Into::into).into();
        let parts = Position::split("", &boundaries);
        assert_eq!(parts.iter().filter(|part| part.kind == Kind::Uploads).count(), 1);
        for key in ["", "a", "b/", "b/x", "c", "d/", "d/\u{10ffff}", "m", "m0", "z"] {
            let takes =
                |p: &&Position| p.kind == Kind::Versions && p.is_ahead(key) && !p.is_past_the_end(key);
            assert_eq!(parts.iter().filter(takes).count(), 1, "{key:?}");
        }
        assert!(parts.iter().all(|part| part.following().is_none()));
    }

    #[test]
    fn whole_listing_ends_with_the_uploads() {
        let start = Position::start("p/");
        let uploads = start.at("p/z".into(), None).following().unwrap();
        assert_eq!(
            (uploads.kind, uploads.after.as_ref(), uploads.prefix.as_str()),
            (Kind::Uploads, None, "p/")
        );
        assert_eq!(uploads.following(), None);
    }

    #[test]
    fn boundaries_are_spread_evenly() {
        let texts: Vec<String> = (0..100).map(|n| format!("{n:02}")).collect();
        assert_eq!(spread(texts.clone(), 3), ["25", "50", "75"]);
        assert_eq!(spread(texts.clone(), 0), Vec::<String>::new());
        assert_eq!(spread(texts[..2].to_vec(), 3), ["00", "01"]);
        assert_eq!(spread(texts, 99).len(), 99);
    }
}
