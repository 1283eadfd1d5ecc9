//! Checks JSON against the schemas in `docs/schemas`, for the keywords that they use. Another keyword fails the test.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Keywords without a meaning for the check.
const NOTES: [&str; 4] = ["$schema", "title", "description", "$defs"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas")
}

/// Returns the names of all schemas, each with its schema.
pub(crate) fn all() -> BTreeMap<String, Value> {
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_slice(&fs::read(&path).unwrap()).unwrap())
    };
    fs::read_dir(folder()).unwrap().map(read).collect()
}

/// Returns the schema of a command line: `sexton hold place …` has `hold-place`, `sexton plan …` has `plan`.
pub(crate) fn name(words: &[String]) -> String {
    let two = words.iter().take(2).map(String::as_str).collect::<Vec<_>>().join("-");
    if folder().join(format!("{two}.json")).exists() { two } else { words[0].clone() }
}

/// Asserts that the value fits the schema of this name.
pub(crate) fn assert_fits(name: &str, value: &Value) {
    let schemas = all();
    let schema = schemas.get(name).unwrap_or_else(|| panic!("docs/schemas has no {name}.json"));
    if let Err(why) = check(&schemas, schema, value, "") {
        panic!("docs/schemas/{name}.json: {why}: {value:#}");
    }
}

type Checked = Result<(), String>;

fn check(schemas: &BTreeMap<String, Value>, schema: &Value, value: &Value, at: &str) -> Checked {
    let schema = schema.as_object().unwrap_or_else(|| panic!("a schema is an object: {schema}"));
    for (keyword, rule) in schema {
        match keyword.as_str() {
            "$ref" => check(schemas, resolve(schemas, rule.as_str().unwrap()), value, at)?,
            "type" => check_type(rule, value, at)?,
            "const" if rule != value => return Err(format!("{at} is {value}, not {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => {
                return Err(format!("{at} is {value}, none of {rule}"));
            }
            "minimum" if value.as_f64().is_some_and(|n| n < rule.as_f64().unwrap()) => {
                return Err(format!("{at} is {value}, below {rule}"));
            }
            "anyOf" => {
                let rules = rule.as_array().unwrap();
                let whys: Vec<String> =
                    rules.iter().filter_map(|rule| check(schemas, rule, value, at).err()).collect();
                if whys.len() == rules.len() {
                    return Err(whys.join("; or "));
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(schemas, rule, item, &format!("{at}[{index}]"))?;
                }
            }
            "required" => {
                let missing =
                    |name: &&Value| value.is_object() && value.get(name.as_str().unwrap()).is_none();
                if let Some(name) = rule.as_array().unwrap().iter().find(missing) {
                    return Err(format!("{at} has no {name}"));
                }
            }
            "properties" => {
                for (name, rule) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        check(schemas, rule, value, &format!("{at}.{name}"))?;
                    }
                }
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object);
                let others = value.as_object().into_iter().flatten();
                for (name, value) in
                    others.filter(|(name, _)| known.is_none_or(|known| !known.contains_key(*name)))
                {
                    match rule {
                        Value::Bool(true) => {}
                        Value::Bool(false) => {
                            return Err(format!("{at} has {name:?}, which is not described"));
                        }
                        rule => check(schemas, rule, value, &format!("{at}.{name}"))?,
                    }
                }
            }
            "const" | "enum" | "minimum" => {}
            keyword => assert!(NOTES.contains(&keyword), "unknown keyword {keyword:?}"),
        }
    }
    Ok(())
}

fn resolve<'s>(schemas: &'s BTreeMap<String, Value>, reference: &str) -> &'s Value {
    let (file, name) = reference.split_once(".json#/$defs/").unwrap();
    &schemas[file]["$defs"][name]
}

fn check_type(rule: &Value, value: &Value, at: &str) -> Checked {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = |wanted: &Value| wanted == found || wanted == "number" && found == "integer";
    match rule {
        Value::Array(wanted) if wanted.iter().any(fits) => Ok(()),
        wanted if fits(wanted) => Ok(()),
        wanted => Err(format!("{at} is {found}, not {wanted}")),
    }
}

#[test]
fn checker_accepts_and_refuses() {
    let schema = serde_json::json!({
        "type": "object",
        "properties": { "n": { "type": ["integer", "null"], "minimum": 0 }, "of": { "enum": ["a", "b"] } },
        "required": ["n"],
        "additionalProperties": { "type": "array", "items": { "const": 1 } },
    });
    let fits =
        |text: &str| check(&BTreeMap::new(), &schema, &serde_json::from_str(text).unwrap(), "").is_ok();
    assert!(fits(r#"{"n":0}"#) && fits(r#"{"n":null,"of":"a","x":[1,1]}"#));
    for wrong in [
        "[]",
        "{}",
        r#"{"n":-1}"#,
        r#"{"n":"1"}"#,
        r#"{"n":1,"of":"c"}"#,
        r#"{"n":1,"x":[2]}"#,
        r#"{"n":1.5}"#,
    ] {
        assert!(!fits(wrong), "{wrong}");
    }
}
