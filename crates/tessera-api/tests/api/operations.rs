//! Health, metrics and the pages for people.

use tessera_testkit::app::Reply;

use crate::common::{app, call};

fn open(path: &str) -> Reply {
    call(&app(), "GET", path).key("").send("")
}

#[test]
fn health_needs_no_key() {
    assert_eq!((open("/healthz").status.as_u16(), open("/healthz").body.as_str()), (200, "ok\n"));
    assert_eq!((open("/readyz").status.as_u16(), open("/readyz").body.as_str()), (200, "ready\n"));
    open("/metrics").problem(404, "no-metrics");
}

#[test]
fn the_pages_for_people_need_no_key() {
    let page = open("/docs");
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.body.contains("Tessera API"));
    let root = open("/");
    assert_eq!((root.status.as_u16(), root.header("location")), (307, Some("/docs")));
    assert_eq!(open("/openapi.json").header("content-type"), Some("application/json"));
}
