//! C3, C4, C9: a cart is quoted through the engine's own door, and bought as it was told.

use std::path::Path;

use tessera_engine::scenario::run_file;

#[test]
fn c3_the_guides_story_of_a_cart_comes_true() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/guide/best-for-a-cart.yaml");
    let report = run_file(&file, None);
    assert!(report.passed(), "{:#?}", report.complaints());
}
