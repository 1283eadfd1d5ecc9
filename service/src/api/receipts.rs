//! Receipts, and the trust policy to verify them with.

use super::bytes::{Bytes, hex_or_base64, text_or_base64};
use super::which::registration;
use super::{Access, Context, Method, Operation, invalid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sexton::report::KeyHistory;
use sexton::{Engine, Error, ErrorKind, Opener, RegistrationId, Result};
use utoipa::ToSchema;

/// Request of `receipt`: a key, a key with an id, or an id with a ticket.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GetReceipt {
    /// Key of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Key of the object, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_base64: Option<Bytes>,
    /// Registration that ended. Without it, the last end of the key that its class remembers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Ticket of the registration, hexadecimal, if its class has `openings = "ticket"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_hex: Option<String>,
    /// Ticket of the registration, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_base64: Option<Bytes>,
}

/// Answer of `receipt`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Registration that ended.
    pub id: String,
    /// Text of the receipt, for a file that `sexton verify` reads.
    pub receipt: String,
    /// Text of the trust policy that accepts the log.
    pub policy: String,
}

/// Request of `policy`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GetPolicy {}

/// Answer of `policy`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Text of the trust policy that accepts the log and asks for no witnesses.
    pub policy: String,
    /// Public key of the log.
    pub log_key: String,
}

impl Operation for GetReceipt {
    type Answer = Receipt;
    const NAME: &'static str = "receipt";
    const PATH: &'static str = "/v1/receipts/get";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Host;
    const SUMMARY: &'static str = "Make the receipt of an object that ended";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let key = text_or_base64("key", self.key.as_deref(), self.key_base64.as_ref())?;
        let ticket = hex_or_base64("ticket", self.ticket_hex.as_deref(), self.ticket_base64.as_ref())?;
        let id = self.id.as_deref().map(registration).transpose()?;
        let (id, opener) = match (id, key, ticket.as_deref()) {
            (Some(id), Some(key), None) => (id, Opener::Key(key)),
            (Some(id), None, Some(ticket)) => (id, Opener::Ticket(ticket)),
            (None, Some(key), None) => (last_end(context.engine, key)?, Opener::Key(key)),
            (_, Some(_), Some(_)) => return Err(invalid("both a key and a ticket are given; give one")),
            (None, None, Some(_)) => {
                return Err(invalid("a ticket is given without its id; give the id too"));
            }
            (_, None, None) => return Err(invalid("no object is named; give its key, or id and ticket")),
        };
        let receipt = context.engine.receipt(id, opener)?;
        Ok(json!({ "id": id.to_string(), "receipt": receipt, "policy": context.engine.policy() }))
    }

    fn is_repeatable(&self, _: &Engine) -> bool {
        true
    }
}

/// Returns the last registration of a key that is on record. The receipt of a live one is refused later, with its date.
fn last_end(engine: &Engine, key: &[u8]) -> Result<RegistrationId> {
    match engine.ended(key)? {
        KeyHistory::Ended(ended) => Ok(ended.id),
        KeyHistory::Live(id) => Ok(id),
        _ => Err(Error::new(
            ErrorKind::NotFound,
            "the end of this key is not remembered; give the id that its registration returned",
        )),
    }
}

impl Operation for GetPolicy {
    type Answer = Policy;
    const NAME: &'static str = "policy";
    const PATH: &'static str = "/v1/policy";
    const METHOD: Method = Method::Get;
    const ACCESS: Access = Access::Host;
    const SUMMARY: &'static str = "Return the trust policy that receipts are verified with";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let log_key = context.engine.log_key().to_string();
        Ok(json!({ "policy": context.engine.policy(), "log_key": log_key }))
    }
}
