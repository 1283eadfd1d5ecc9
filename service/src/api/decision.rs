//! Attribution of a decision in requests.

use super::Context;
use serde::{Deserialize, Serialize};
use sexton::Attribution;
use utoipa::ToSchema;

/// Author of a decision, and the reason for it. Both are kept with the decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Person who decides: 1 to 1,000 bytes.
    pub author: String,
    /// Reason, for later readers: 1 to 1,000 bytes.
    pub reason: String,
}

impl Decision {
    /// Returns the attribution that the engine keeps: with the user of the peer, as the kernel authenticated it.
    pub(super) fn attribution(&self, context: &Context<'_>) -> Attribution {
        Attribution::new(&self.author, &self.reason).uid(context.peer)
    }
}
