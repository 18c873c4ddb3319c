//! The API described to people and machines, with the pages embedded in the binary.

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use rust_embed::RustEmbed;

use crate::Problem;

/// The API browser, where it was built (`make web`); a plain page stands in for it elsewhere.
#[derive(RustEmbed)]
#[folder = "assets/"]
struct Assets;

pub(crate) async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(crate::openapi::document())
}

pub(crate) async fn root() -> Redirect {
    Redirect::temporary("/docs")
}

const BROWSER: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
<title>Tessera API</title></head><body><div id=\"app\"></div><script src=\"/docs/browser.js\"></script>\
<script>Scalar.createApiReference('#app',{url:'/openapi.json',telemetry:false,showDeveloperTools:'never',mcp:{disabled:true},authentication:{preferredSecurityScheme:'key'},agent:{disabled:true},withDefaultFonts:false,hideClientButton:true})</script></body></html>";

pub(crate) async fn page() -> Html<String> {
    if Assets::get("browser.js.gz").is_some() {
        return Html(BROWSER.to_owned());
    }
    let mut list = String::new();
    for (path, item) in crate::openapi::document().paths.paths {
        let operations = [("GET", item.get), ("POST", item.post), ("PUT", item.put), ("PATCH", item.patch)];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                let summary = operation.summary.unwrap_or_default();
                list +=
                    &format!("<tr><td><code>{method}</code></td><td><code>{path}</code></td><td>{summary}</td></tr>");
            }
        }
    }
    Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Tessera API</title><style>body{{font:16px/1.5 system-ui;max-width:72rem;margin:2rem auto;padding:0 1rem}}td{{padding:.25rem .75rem .25rem 0;vertical-align:top}}</style></head>\
         <body><h1>Tessera API</h1><p>The browsable reference is not part of this build; <code>make web</code> builds it. \
         The description itself is <a href=\"/openapi.json\">/openapi.json</a>.</p><table>{list}</table></body></html>"
    ))
}

pub(crate) async fn asset(Path(file): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = Assets::get(&format!("{file}.gz")) else {
        return Problem::new(StatusCode::NOT_FOUND, "not-found", "there is no such file").into_response();
    };
    let tag = format!("\"{}\"", tessera_core::id::base32(&asset.metadata.sha256_hash()[..16]));
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known == Some(tag.as_str()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let kind = if file.ends_with(".css") { "text/css" } else { "text/javascript" };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_ENCODING, "gzip".to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, tag),
    ];
    (headers, asset.data.into_owned()).into_response()
}
