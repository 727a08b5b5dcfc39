//! The reference of the API, as `docs/api.md` has it: made from the OpenAPI document.

use std::fmt::Write as _;

use serde_json::Value;

use super::Server;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md");
const HEAD: &str = "# API

<!-- made from /openapi.json: UPDATE_DOCS=1 cargo xtask test -p omnitrace-server reference -->

What `omnitrace serve` answers; how it is used is told in [Serving](serving.md). The same as OpenAPI 3.1, for
programs, is at `/openapi.json`. Problems are `application/problem+json`: their `detail` says what to do.
";

#[tokio::test]
async fn the_reference_is_up_to_date() {
    let server = Server::full().await;
    let document = server.json("/openapi.json");
    let page = page(&document);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PATH, &page).unwrap();
    }
    let stored = std::fs::read_to_string(PATH).unwrap_or_default();
    assert_eq!(
        stored, page,
        "run UPDATE_DOCS=1 cargo xtask test -p omnitrace-server reference"
    );
}

fn page(document: &Value) -> String {
    let mut page = HEAD.to_owned();
    for (path, methods) in entries(&document["paths"]) {
        for (method, route) in entries(methods) {
            self::route(path, method, route, &mut page);
        }
    }
    page.push_str("\n## Types\n");
    for (name, schema) in entries(&document["components"]["schemas"]) {
        self::schema(name, schema, &mut page);
    }
    page
}

fn route(path: &str, method: &str, route: &Value, page: &mut String) {
    let summary = text(&route["summary"]);
    writeln!(page, "\n## {} {path}\n\n{summary}", method.to_uppercase()).unwrap();
    let description = text(&route["description"]);
    if !description.is_empty() {
        writeln!(page, "\n{description}").unwrap();
    }
    let parameters = route["parameters"].as_array();
    if let Some(parameters) = parameters {
        page.push_str("\n| parameter | in | type | what |\n|---|---|---|---|\n");
        for parameter in parameters {
            writeln!(
                page,
                "| `{}` | {} | {} | {} |",
                text(&parameter["name"]),
                text(&parameter["in"]),
                kind(&parameter["schema"]),
                cell(&parameter["description"])
            )
            .unwrap();
        }
    }
    page.push_str("\n| status | what | content |\n|---|---|---|\n");
    for (status, response) in entries(&route["responses"]) {
        let contents = entries(&response["content"])
            .map(|(media, content)| match content.get("schema") {
                Some(schema) if media != "text/plain" => format!("{} (`{media}`)", kind(schema)),
                _ => format!("`{media}`"),
            })
            .collect::<Vec<_>>();
        let what = cell(&response["description"]);
        writeln!(page, "| {status} | {what} | {} |", contents.join(", ")).unwrap();
    }
}

fn schema(name: &str, schema: &Value, page: &mut String) {
    writeln!(page, "\n### {name}").unwrap();
    let description = text(&schema["description"]);
    if !description.is_empty() {
        writeln!(page, "\n{description}").unwrap();
    }
    if schema.get("properties").is_none() {
        writeln!(page, "\n{}", kind(schema)).unwrap();
        return;
    }
    page.push_str("\n| field | type | what |\n|---|---|---|\n");
    let required: Vec<_> = (schema["required"].as_array().into_iter().flatten())
        .map(text)
        .collect();
    for (field, of) in entries(&schema["properties"]) {
        let optional = match required.contains(&field) || nullable(of) {
            true => "",
            false => ", or absent",
        };
        let what = cell(&of["description"]);
        writeln!(page, "| `{field}` | {}{optional} | {what} |", kind(of)).unwrap();
    }
}

/// What a value is, in words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap_or_default();
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> = values.iter().map(|v| format!("`{}`", text(v))).collect();
        return values.join(", ");
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        if let Some(all) = schema[several].as_array() {
            return all.iter().map(kind).collect::<Vec<_>>().join(" or ");
        }
    }
    let of_one = |name: &str| match name {
        "array" => format!("list of {}", kind(&schema["items"])),
        "object" => match schema.get("additionalProperties") {
            Some(values) => format!("object of {}", kind(values)),
            None => "object".to_owned(),
        },
        name => name.to_owned(),
    };
    match &schema["type"] {
        Value::String(name) => of_one(name),
        Value::Array(names) => {
            let names: Vec<_> = names.iter().map(|name| of_one(text(name))).collect();
            names.join(" or ")
        }
        _ => "any JSON".to_owned(),
    }
}

fn nullable(schema: &Value) -> bool {
    kind(schema).ends_with("null") || kind(schema).starts_with("null")
}

fn entries(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
    (object.as_object().into_iter().flatten()).map(|(name, value)| (name.as_str(), value))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn cell(value: &Value) -> String {
    text(value).replace('|', "\\|").replace('\n', " ")
}
