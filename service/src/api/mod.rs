//! Operations: what people and hosts do with an open engine, as requests and answers in JSON.
//!
//! One type is one operation. Server, client, OpenAPI document and command are generic over [`Operation`], so an
//! operation is the same wherever it runs. [`visit`] lists them all.

mod alarms;
mod backup;
mod bytes;
mod changes;
mod classes;
mod count;
mod covers;
mod decision;
mod erasures;
mod feed;
mod folder;
mod holds;
mod limits;
mod objects;
mod page;
mod pauses;
mod plan;
mod receipts;
mod register;
mod requests;
mod sources;
mod status;
mod upkeep;
mod which;

pub use alarms::{Alarm, AlarmList, ListAlarms, ResumeAlarm, ResumedAlarms};
pub use backup::{BackUp, BackedUp};
pub use bytes::Bytes;
pub use changes::{ChangedObject, ReleaseObject, ReplaceContent, RescheduleObject, StartObject};
pub use classes::{
    ApplyClass, CheckClasses, CheckedClasses, Class, ClassChange, ClassChanges, ClassList, CloseClass,
    Decided, ListClasses, ListedClass, SetClasses,
};
pub use count::{Count, CountLive};
pub use covers::{Covers, Selected, SelectedOther};
pub use decision::Decision;
pub use erasures::{CancelErasure, ForgetRequest, RequestErasure};
pub use feed::{AcknowledgeFeed, Acknowledged, Feed, FeedEntry, ReadFeed};
pub use folder::{Folder, GetFolder};
pub use holds::{Hold, HoldList, Lift, LiftHold, LiftedHold, ListHolds, PlaceHold, PlacedHold};
pub use limits::{GetLimits, Limits, LimitsInForce, SetLimits};
pub use objects::{
    ENDED_KEYS_MAX, FOUND_OBJECTS_MAX, FindObject, FoundObject, KeyHistories, KeyHistory, LiveObject,
    LookUpEnded,
};
pub use page::Limit;
pub use pauses::{Pause, Paused};
pub use plan::{GetPlan, PLAN_OBJECTS_MAX, Plan, PlannedGroup, PlannedObject};
pub use receipts::{GetPolicy, GetReceipt, Policy, Receipt};
pub use register::{NewObject, REGISTER_OBJECTS_MAX, Register, RegisteredObject, RegisteredObjects};
pub use requests::{
    AcceptedRequest, ListRequestObjects, ListRequests, Request, RequestList, RequestObject, RequestObjectList,
};
pub use sources::{EnableSource, ListSources, RescanSource, Rescanning, SourceList};
pub use status::{ClassStatus, Failure, GetStatus, GetTime, OldestErasure, Status, Time};
pub use upkeep::{CheckData, CheckReport, Done, Publish, Reclaim};
pub use which::Which;

use crate::dry_run;
use crate::sources::Sources;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sexton::{Engine, Error, ErrorKind, Result};
use std::path::Path;
use std::time::Duration;
use utoipa::ToSchema;

/// Operation of the API: its request. The fields of the request are the parameters.
///
/// The request of a [`Method::Get`] is the query of the URL, so its fields are texts, numbers, or lists of them. The
/// request of a [`Method::Post`] is the body. No path has parameters: keys may have any bytes.
pub trait Operation: Clone + Serialize + DeserializeOwned + ToSchema + Send + Sync + 'static {
    /// Answer to the request.
    type Answer: Serialize + DeserializeOwned + ToSchema;
    /// Unique name, as in `hold_place`.
    const NAME: &'static str;
    /// Path of the URL, as in `/v1/holds/place`.
    const PATH: &'static str;
    /// HTTP method.
    const METHOD: Method;
    /// Sockets that offer the operation.
    const ACCESS: Access;
    /// Purpose, in one sentence of the imperative.
    const SUMMARY: &'static str;

    /// Runs the operation, and returns the answer as JSON in the form of [`Answer`](Operation::Answer).
    ///
    /// # Errors
    /// Those of the engine.
    fn run(self, context: &Context<'_>) -> Result<Value>;

    /// Runs the operation, and returns the text of that JSON. An operation with long answers writes it without building a tree of
    /// values.
    ///
    /// # Errors
    /// Those of the engine.
    fn run_to_text(self, context: &Context<'_>) -> Result<String> {
        self.run(context).map(|answer| answer.to_string())
    }

    /// Returns `true` if running the request twice leaves what running it once leaves, and answers alike. Other requests
    /// run once only if they have an `Idempotency-Key`.
    fn is_repeatable(&self, _engine: &Engine) -> bool {
        false
    }

    /// Returns the longest time for which a service runs the operation again while [`is_worth_waiting`] says so.
    ///
    /// [`is_worth_waiting`]: Operation::is_worth_waiting
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns `true` if a later answer may have what this one lacks.
    fn is_worth_waiting(_answer: &Value) -> bool {
        false
    }
}

/// HTTP method of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads; the request is the query.
    Get,
    /// Changes, or reads what a query cannot name; the request is the body.
    Post,
}

/// Sockets that offer an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Both sockets: hosts register and read their own answers.
    Host,
    /// The control socket only.
    Control,
}

/// Surroundings of a running operation.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Engine to act on.
    pub engine: &'a Engine,
    /// Sources of the service that runs the operation; `None` if the command runs it itself.
    pub sources: Option<&'a Sources>,
    /// Data folder of the service that runs the operation; `None` if the command runs it itself.
    pub folder: Option<&'a Path>,
    /// User of the peer as the kernel authenticated it; `None` if the command runs the operation itself.
    pub peer: Option<u32>,
    /// Conditions of the host itself that need an operator, one message each, for the status.
    pub needs: &'a [String],
}

/// Visitor of all operations.
pub trait Visitor {
    /// Visits an operation.
    fn operation<O: Operation>(&mut self);
}

/// Calls `visitor` for each operation, in the order of the documentation.
pub fn visit(visitor: &mut impl Visitor) {
    visitor.operation::<GetStatus>();
    visitor.operation::<GetTime>();
    visitor.operation::<GetFolder>();
    visitor.operation::<Register>();
    visitor.operation::<FindObject>();
    visitor.operation::<LookUpEnded>();
    visitor.operation::<StartObject>();
    visitor.operation::<ReplaceContent>();
    visitor.operation::<RescheduleObject>();
    visitor.operation::<ReleaseObject>();
    visitor.operation::<CountLive>();
    visitor.operation::<GetPlan>();
    visitor.operation::<GetReceipt>();
    visitor.operation::<GetPolicy>();
    visitor.operation::<ListClasses>();
    visitor.operation::<CheckClasses>();
    visitor.operation::<SetClasses>();
    visitor.operation::<ApplyClass>();
    visitor.operation::<CloseClass>();
    visitor.operation::<ListHolds>();
    visitor.operation::<PlaceHold>();
    visitor.operation::<LiftHold>();
    visitor.operation::<RequestErasure>();
    visitor.operation::<CancelErasure>();
    visitor.operation::<ForgetRequest>();
    visitor.operation::<ListRequests>();
    visitor.operation::<ListRequestObjects>();
    visitor.operation::<ReadFeed>();
    visitor.operation::<AcknowledgeFeed>();
    visitor.operation::<ListAlarms>();
    visitor.operation::<ResumeAlarm>();
    visitor.operation::<Pause>();
    visitor.operation::<GetLimits>();
    visitor.operation::<SetLimits>();
    visitor.operation::<CheckData>();
    visitor.operation::<Reclaim>();
    visitor.operation::<Publish>();
    visitor.operation::<BackUp>();
    visitor.operation::<ListSources>();
    visitor.operation::<EnableSource>();
    visitor.operation::<RescanSource>();
}

/// Returns an answer as JSON.
fn to_json(answer: impl Serialize) -> Result<Value> {
    serde_json::to_value(answer).map_err(no_json)
}

/// Returns an answer as the text of its JSON.
fn to_text(answer: &impl Serialize) -> Result<String> {
    serde_json::to_string(answer).map_err(no_json)
}

fn no_json(error: serde_json::Error) -> Error {
    Error::with_source(ErrorKind::Internal, "the answer has no JSON", error)
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}
