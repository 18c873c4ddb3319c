//! What `docs/program.md` shows is a document, and what a document may say stands there.

use tessera_core::program::{Kind, Node, check_document, json_schema, read_tree};

const GUIDE: &str = include_str!("../../../../docs/program.md");

/// What the guide's examples of single sections speak of: each is laid over this.
const AROUND: &str = r#"
program: copper-cup
name: Copper Cup
timezone: Asia/Ho_Chi_Minh
currency: VND
currencies:
  bean: { name: bean, expires: never }
tiers:
  cup: { measure: spend, levels: [ { id: paper, at: 0 }, { id: steel, at: 500000 }, { id: copper, at: 2000000 } ] }
benefits:
  early-access: { name: Early access }
  free-size-up: { name: Free size-up }
events: { visit: {}, review: {} }
campaigns:
  everyday: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 10000 } } ] }
  come-back: { trigger: purchase, earning: bonus, rules: [ { award: { currency: bean, amount: 5 } } ] }
  double-tuesday: { trigger: purchase, earning: bonus, rules: [ { award: { currency: bean, amount: 5 } } ] }
  staff-day: { trigger: purchase, earning: bonus, rules: [ { award: { currency: bean, amount: 5 } } ] }
  welcome: { trigger: enrol, rules: [ { award: { currency: bean, amount: 50 } } ] }
causes: { mangroves: { name: Mangroves } }
"#;

/// The blocks of the guide that are marked as YAML, each with the line of its mark.
fn examples() -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for (line, text) in (1..).zip(GUIDE.lines()) {
        match text.trim() {
            "```yaml" => {
                inside = true;
                found.push((line, String::new()));
            }
            "```" => inside = false,
            _ if inside => {
                let (_, example) = found.last_mut().unwrap();
                example.push_str(text);
                example.push('\n');
            }
            _ => {}
        }
    }
    found
}

fn entry<'a>(node: &'a mut Node, name: &str) -> Option<&'a mut Node> {
    let Kind::Map(entries) = &mut node.kind else { return None };
    entries.iter_mut().find(|(key, _)| key.text == name).map(|(_, value)| value)
}

/// Sections of the example come to those of the document; of what both name, the example's holds.
fn lay_over(document: &mut Node, example: Node, depth: u8) {
    let Kind::Map(entries) = example.kind else { panic!("an example is a map") };
    for (key, value) in entries {
        match entry(document, &key.text) {
            Some(known) if depth > 0 && matches!(known.kind, Kind::Map(_)) => lay_over(known, value, depth - 1),
            Some(known) => *known = value,
            None => {
                let Kind::Map(sections) = &mut document.kind else { panic!("a document is a map") };
                sections.push((key, value));
            }
        }
    }
}

#[test]
fn every_example_of_the_guide_is_a_correct_document() {
    let examples = examples();
    assert!(examples.len() > 30, "{}", examples.len());
    let mut wrong = Vec::new();
    for (line, text) in examples {
        let example = read_tree(&text).unwrap_or_else(|problem| panic!("docs/program.md:{line}: {problem}"));
        let document = match example.get("program") {
            Some(_) => example,
            None => {
                let mut document = read_tree(AROUND).unwrap();
                lay_over(&mut document, example, 1);
                document
            }
        };
        if let Err(problems) = check_document(document) {
            wrong.extend(problems.into_iter().map(|problem| format!("docs/program.md:{line}: {problem}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_section_of_a_document_stands_in_the_guide() {
    let schema = json_schema();
    let sections = schema["properties"].as_object().unwrap();
    let is_told = |name: &str| GUIDE.contains(&format!("`{name}`")) || GUIDE.contains(&format!("\n{name}:"));
    let missing: Vec<&String> = sections.keys().filter(|name| !is_told(name)).collect();
    assert!(missing.is_empty(), "docs/program.md says nothing of {missing:?}");
}
