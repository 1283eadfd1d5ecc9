//! Data folder of a service.

use super::{Access, Context, Method, Operation, invalid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sexton::Result;
use std::os::unix::ffi::OsStrExt;
use utoipa::ToSchema;

/// Request of `folder`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GetFolder {}

/// Answer of `folder`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// Absolute path of the data folder without symbolic links, for people.
    pub folder: String,
    /// Bytes of the path, hexadecimal.
    pub folder_hex: String,
}

impl Operation for GetFolder {
    type Answer = Folder;
    const NAME: &'static str = "folder";
    const PATH: &'static str = "/v1/folder";
    const METHOD: Method = Method::Get;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Return the path of the data folder";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let folder = context.folder.ok_or_else(|| invalid("only a running service tells its data folder"))?;
        Ok(json!({
            "folder": folder.to_string_lossy(),
            "folder_hex": hex::encode(folder.as_os_str().as_bytes()),
        }))
    }
}
