//! Definition of a class: its promise, which its leaf in the log states, and its local terms.

use sexton_proof::id::ClassId;
use sexton_proof::leaf::{ClassLeaf, Disposition, Find, Openings, StartRule};
use sexton_proof::time::Timestamp;
use sexton_proof::window::{Calendar, Span};
use std::time::Duration;

/// Definition of one version of a class: the promise, and how it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Definition {
    /// Name of the class: 1 to 64 of a-z 0-9 - . _, beginning with a letter.
    pub name: String,
    /// Span from the start to the floor; `None` if no floor is promised.
    pub keep: Option<Span>,
    /// Span from the start to the ceiling; `None` if no ceiling is promised.
    pub within: Option<Span>,
    /// IANA time zone in which calendar spans count.
    pub zone: String,
    /// Holidays and extra working days, for `within` in working days.
    pub calendar: Calendar,
    /// Rule for the start of an object that is registered without one.
    pub start: StartRule,
    /// Longest time that the start of an object may stay unknown. Then its start is the registration plus this span.
    pub max_open: Option<Span>,
    /// Width of a slot: whole seconds, at least [`SLOT_MIN`](super::SLOT_MIN), at most 366 days.
    pub slot: Duration,
    /// Time left for the work between slot and ceiling; at most 366 days.
    pub lead: Duration,
    /// Way in which objects are found.
    pub find: Find,
    /// Treatment of an object at its end.
    pub disposition: Disposition,
    /// Keeper of the openings of the commitments.
    pub openings: Openings,
    /// Exact span within which a registration is sealed; at most 366 days.
    pub seal_within: Span,
    /// Span for which openings are kept after the end: exact from 31 days on, or in months or years. `None` if they are never
    /// destroyed.
    pub evidence: Option<Span>,
    /// `true` if deletions go into the feed.
    pub feed: bool,
    /// Time for which ended objects are remembered by their key, to recognise copies restored from a backup. At most ten
    /// years (3,660 days); `None` if they are not remembered.
    pub remember: Option<Span>,
    /// `true` if the host itself deletes most objects. Otherwise an alarm is raised if nearly all objects of a batch are
    /// absent.
    pub host_deletes: bool,
}

/// Terms of a class that it does not promise. No leaf states them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalTerms {
    pub(crate) feed: bool,
    pub(crate) remember: Option<Span>,
    pub(crate) host_deletes: bool,
}

impl Definition {
    /// Returns the terms that no leaf states.
    pub(crate) fn local(&self) -> LocalTerms {
        let Definition { feed, remember, host_deletes, .. } = *self;
        LocalTerms { feed, remember, host_deletes }
    }

    /// Returns the leaf that defines version `version` of the class under the number `id`.
    pub(crate) fn leaf(&self, id: ClassId, version: u32, logged: Timestamp) -> ClassLeaf {
        ClassLeaf {
            logged,
            name: self.name.clone(),
            id,
            version,
            keep: self.keep,
            within: self.within,
            zone: self.zone.clone(),
            calendar: self.calendar.clone(),
            start: self.start,
            max_open: self.max_open,
            slot: self.slot,
            lead: self.lead,
            disposition: self.disposition,
            openings: self.openings,
            find: self.find,
            seal_within: self.seal_within,
            evidence: self.evidence,
        }
    }

    /// Joins the terms that a leaf states and the local terms.
    pub(crate) fn from_leaf(leaf: &ClassLeaf, local: LocalTerms) -> Self {
        Definition {
            name: leaf.name.clone(),
            keep: leaf.keep,
            within: leaf.within,
            zone: leaf.zone.clone(),
            calendar: leaf.calendar.clone(),
            start: leaf.start,
            max_open: leaf.max_open,
            slot: leaf.slot,
            lead: leaf.lead,
            find: leaf.find,
            disposition: leaf.disposition,
            openings: leaf.openings,
            seal_within: leaf.seal_within,
            evidence: leaf.evidence,
            feed: local.feed,
            remember: local.remember,
            host_deletes: local.host_deletes,
        }
    }
}
