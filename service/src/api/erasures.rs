//! Erasures, which people request before the ceiling.

use super::requests::{accepted, changed, find};
use super::{AcceptedRequest, Access, Context, Covers, Decision, Method, Operation, dry_run, invalid};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sexton::class::Calendar;
use sexton::decision::{AT_ONCE, Request, RequestKind, RequestState};
use sexton::{Engine, Erasure, Error, ErrorKind, Result, Span, Timestamp};
use std::time::Duration;
use utoipa::ToSchema;

/// Request of `erase_request`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestErasure {
    /// Objects to erase: those of a subject, or keys.
    pub on: Covers,
    /// Instant at which the request was received, Unix milliseconds; now if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_ms: Option<i64>,
    /// Span from then in which it is to be answered, in UTC, such as `30d` or `15wd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// Holidays for a span in working days, one `YYYY-MM-DD` per line. A plus sign marks a weekend day that is a working
    /// day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holidays: Option<String>,
    /// Time in which it can be cancelled, and nothing is erased, milliseconds.
    #[serde(default)]
    pub cancellable_ms: u64,
    /// `true` to erase at once: it cannot be cancelled, and is to be answered within a second.
    #[serde(default)]
    pub immediate: bool,
    /// Author and reason.
    pub decision: Decision,
    /// `true` to validate and report, and to change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Request of `erase_cancel`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelErasure {
    /// Number of the request.
    pub number: u32,
    /// `true` to validate and report, and to change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Request of `erase_forget`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgetRequest {
    /// Number of the request, which is finished or cancelled.
    pub number: u32,
    /// `true` to validate and report, and to change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

impl RequestErasure {
    fn erasure(&self, context: &Context<'_>) -> Result<Erasure> {
        if self.immediate && (self.within.is_some() || self.cancellable_ms > 0) {
            return Err(invalid("an immediate erasure has neither a span to answer nor one to cancel"));
        }
        if self.holidays.is_some() && self.within.is_none() {
            return Err(invalid("holidays are given without the span that they are for; give within too"));
        }
        let now = context.engine.now();
        let received = self.received_ms.map_or(now, Timestamp::from_unix_ms);
        let within = match &self.within {
            _ if self.immediate => Some(AT_ONCE),
            None => None,
            Some(text) => Some(text.parse::<Span>().map_err(|e| invalid(format!("within {text:?}: {e}")))?),
        };
        let calendar = match &self.holidays {
            None => Calendar::default(),
            Some(text) => Calendar::parse(text).map_err(|e| invalid(format!("the holidays: {e}")))?,
        };
        let mut erasure = Erasure::new(self.on.selector()?, received, self.decision.attribution(context))
            .calendar(calendar)
            .cancellable(Duration::from_millis(self.cancellable_ms));
        erasure.within = within;
        Ok(erasure)
    }
}

impl Operation for RequestErasure {
    type Answer = AcceptedRequest;
    const NAME: &'static str = "erase_request";
    const PATH: &'static str = "/v1/erasures/request";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Request an erasure, before the ceiling";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let erasure = self.erasure(context)?;
        dry_run::check_if(self.dry_run, context.engine)?;
        let request = if self.dry_run {
            dry_run::for_erasure(context.engine, &erasure.selector)?.erase(erasure)?
        } else {
            context.engine.erase(erasure)?
        };
        Ok(accepted(&request, self.dry_run))
    }
}

impl Operation for CancelErasure {
    type Answer = AcceptedRequest;
    const NAME: &'static str = "erase_cancel";
    const PATH: &'static str = "/v1/erasures/cancel";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Cancel an erasure that can still be cancelled";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        dry_run::check_if(self.dry_run, context.engine)?;
        // The engine checks again. This check gives the dry run the same message.
        let found = cancellable(find(context, self.number)?, context.engine.now())?;
        let request = if self.dry_run { found } else { context.engine.cancel_erasure(self.number)? };
        Ok(changed(&request, self.dry_run))
    }

    fn is_repeatable(&self, _: &Engine) -> bool {
        true
    }
}

impl Operation for ForgetRequest {
    type Answer = AcceptedRequest;
    const NAME: &'static str = "erase_forget";
    const PATH: &'static str = "/v1/erasures/forget";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Forget a finished or cancelled request, its subject and its objects";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        dry_run::check_if(self.dry_run, context.engine)?;
        let request = find(context, self.number)?;
        // The engine checks again. This check gives the dry run the same message.
        if request.is_open() {
            return Err(invalid(format!(
                "request {0} is still open; once it is finished or cancelled, `sexton erase forget` forgets it",
                self.number
            )));
        }
        if !self.dry_run {
            context.engine.forget_request(self.number)?;
        }
        Ok(changed(&request, self.dry_run))
    }

    fn is_repeatable(&self, _: &Engine) -> bool {
        true
    }
}

/// Returns the request, if it is cancelled or can still be.
fn cancellable(request: Request, now: Timestamp) -> Result<Request> {
    let number = request.number;
    if request.kind != RequestKind::Erase {
        return Err(invalid(format!("request {number} is no erasure; only those can be cancelled")));
    }
    let too_late = |why: String| Err(Error::new(ErrorKind::TooLate, why));
    match request.state {
        RequestState::Waiting if now < request.ready => Ok(request),
        RequestState::Cancelled => Ok(request),
        _ if request.ready == request.received => {
            too_late(format!("erasure {number} is final: it could never be cancelled"))
        }
        _ => {
            let until = request.ready;
            too_late(format!("erasure {number} is final: it could be cancelled until {until}"))
        }
    }
}
