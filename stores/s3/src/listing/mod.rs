//! Listing of a bucket, for taking its objects in.
//!
//! A page is read, its objects are registered, and the position after it is stored. So an interrupted listing goes on where it
//! was, and its memory is that of one page, or of a few pages if parts of the bucket are listed in parallel.

mod page;
mod position;

pub use page::{ListedObject, Page};
pub use position::Position;

use crate::error::Error;
use crate::key;
use crate::shared::Shared;
use crate::state::Versioning;
use crate::store::S3Store;
use crate::trouble::Trouble;
use aws_sdk_s3::types::EncodingType;
use position::Kind;
use std::sync::Arc;
use std::sync::mpsc;
use tokio::sync::Semaphore;

/// Pages per part that wait for the caller of [`S3Store::list_parts`].
const PAGES_AHEAD: usize = 2;
/// Most pages that are read to find the boundaries of parts.
const SPLIT_PAGES_MAX: usize = 100;
/// Most levels of folders that are passed to find boundaries.
const SPLIT_LEVELS_MAX: usize = 8;

/// Page, or the error of its part, with the number of the part.
type Sent = (usize, Result<Page, Error>);

impl S3Store {
    /// Reads one page of a listing: versions of objects, delete markers, and then multipart uploads. An object that is stored
    /// or deleted meanwhile may be in it or not.
    ///
    /// # Errors
    /// [`Error::NoBucket`], [`Error::Denied`], [`Error::Failed`]. The same position can be read again.
    pub fn list(&self, position: &Position) -> Result<Page, Error> {
        let position = position.clone();
        self.call("the bucket cannot be listed", |shared| async move { page(&shared, &position).await })
    }

    /// Finds positions from which parts of the bucket can be listed at the same time. Together they list every object once.
    /// The parts end at folders (`/`) of current objects. So a bucket without folders has one part.
    ///
    /// # Errors
    /// [`Error::NoBucket`], [`Error::Denied`], [`Error::Failed`].
    pub fn split(&self, prefix: &str, parts: usize) -> Result<Vec<Position>, Error> {
        let prefix = prefix.to_owned();
        self.call("the bucket cannot be listed", |shared| async move {
            let folders = folders(&shared, &prefix).await?;
            Ok(Position::split(&prefix, &position::spread(folders, parts.saturating_sub(1))))
        })
    }

    /// Lists parts of the bucket at the same time and calls `take` with each page, one at a time, in this thread. After `take`
    /// returns `Ok`, the part's position is the one after the page. A complete part is `None`. So `parts` is the resume token
    /// whenever `take` is called and after this function returned. Memory is bounded by two pages per part.
    ///
    /// # Errors
    /// The first error of a part or of `take`. The other parts stop as well.
    pub fn list_parts<E: From<Error>>(
        &self,
        parts: &mut [Option<Position>],
        mut take: impl FnMut(&[Option<Position>], Page) -> Result<(), E>,
    ) -> Result<(), E> {
        let (sender, receiver) = mpsc::channel();
        let mut waiting = Vec::with_capacity(parts.len());
        for (number, part) in parts.iter().enumerate() {
            let pages = Arc::new(Semaphore::new(PAGES_AHEAD));
            waiting.push(pages.clone());
            if let Some(position) = part.clone() {
                self.spawn(list_part(self.shared.clone(), number, position, pages, sender.clone()));
            }
        }
        drop(sender);
        let _stop = StopParts(&waiting);
        for (number, page) in &receiver {
            let page = page?;
            let next = page.next.clone();
            take(parts, page)?;
            if let (Some(part), Some(pages)) = (parts.get_mut(number), waiting.get(number)) {
                *part = next;
                pages.add_permits(1);
            }
        }
        // A part that panicked has sent nothing.
        match parts.iter().all(Option::is_none) {
            true => Ok(()),
            false => Err(crate::store::defect().into()),
        }
    }
}

/// Ends the tasks of all parts.
struct StopParts<'a>(&'a [Arc<Semaphore>]);

impl Drop for StopParts<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|pages| pages.close());
    }
}

async fn list_part(
    shared: Arc<Shared>,
    number: usize,
    start: Position,
    pages: Arc<Semaphore>,
    sender: mpsc::Sender<Sent>,
) {
    let mut position = Some(start);
    while let Some(at) = position {
        // Closed: the caller stopped.
        let Ok(permit) = pages.acquire().await else { return };
        permit.forget();
        let page =
            page(&shared, &at).await.map_err(|trouble| Error::of("the bucket cannot be listed", trouble));
        position = page.as_ref().ok().and_then(|page| page.next.clone());
        if sender.send((number, page)).is_err() {
            return;
        }
    }
}

/// Reads the page that begins at a position.
async fn page(shared: &Shared, position: &Position) -> Result<Page, Trouble> {
    let caller = &shared.caller;
    let prefix = Some(position.prefix.clone()).filter(|prefix| !prefix.is_empty());
    if position.kind == Kind::Uploads {
        let output = caller.send(|client| {
            let request = client.list_multipart_uploads().bucket(&caller.bucket).set_prefix(prefix.clone());
            let request =
                request.set_key_marker(position.after.clone()).set_upload_id_marker(position.within.clone());
            request.encoding_type(EncodingType::Url).max_uploads(shared.page_objects).send()
        });
        return match output.await {
            Ok(output) => Page::of_uploads(position, output),
            Err(Trouble::Unsupported) => Ok(Page { objects: Vec::new(), unusable: Vec::new(), next: None }),
            Err(trouble) => Err(trouble),
        };
    }
    let output = caller.send(|client| {
        let request = client.list_object_versions().bucket(&caller.bucket).set_prefix(prefix.clone());
        let request =
            request.set_key_marker(position.after.clone()).set_version_id_marker(position.within.clone());
        request.encoding_type(EncodingType::Url).max_keys(shared.page_objects).send()
    });
    match output.await {
        Ok(output) => Page::of_versions(position, output),
        Err(Trouble::Unsupported) => {
            // Current objects are all that there is only if there are no versions.
            if caller.versioning().await? != Versioning::Off {
                return Err(Trouble::Other(
                    "the bucket has versions, and the server cannot list them".into(),
                ));
            }
            let output = caller.send(|client| {
                let request = client.list_objects_v2().bucket(&caller.bucket).set_prefix(prefix.clone());
                let request =
                    request.set_start_after(position.after.clone()).encoding_type(EncodingType::Url);
                request.max_keys(shared.page_objects).send()
            });
            Page::of_objects(position, output.await?)
        }
        Err(trouble) => Err(trouble),
    }
}

/// Lists the folders below a prefix, sorted. If there is only one, those below it.
async fn folders(shared: &Shared, prefix: &str) -> Result<Vec<String>, Trouble> {
    let mut found = Vec::new();
    let mut prefix = prefix.to_owned();
    for _ in 0..SPLIT_LEVELS_MAX {
        found = folders_of(shared, &prefix).await?;
        match found.as_slice() {
            [one] => prefix.clone_from(one),
            _ => break,
        }
    }
    Ok(found)
}

async fn folders_of(shared: &Shared, prefix: &str) -> Result<Vec<String>, Trouble> {
    let caller = &shared.caller;
    let (mut found, mut token) = (Vec::new(), None);
    for _ in 0..SPLIT_PAGES_MAX {
        let output = caller.send(|client| {
            let request = client.list_objects_v2().bucket(&caller.bucket).prefix(prefix).delimiter("/");
            request.set_continuation_token(token.clone()).encoding_type(EncodingType::Url).send()
        });
        let output = output.await?;
        let is_url = output.encoding_type.is_some();
        let listed =
            output.common_prefixes.unwrap_or_default().into_iter().filter_map(|folder| folder.prefix);
        // A folder that cannot be decoded is no boundary. Its objects are in a part all the same.
        found.extend(
            listed.filter_map(|folder| if is_url { key::from_url(&folder).ok() } else { Some(folder) }),
        );
        match output.next_continuation_token {
            Some(next) if output.is_truncated == Some(true) => token = Some(next),
            _ => break,
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}
