//! Whatever is typed under our tables is answered, and never with a panic.

use std::time::Duration;

use arbtest::arbitrary::{Result, Unstructured};

use crate::world::World;

/// Keys that mean something, and some that don't.
const KEYS: [&str; 14] = [
    "packages",
    "targets",
    "profile",
    "ship",
    "bins",
    "features",
    "default-features",
    "env",
    "archive",
    "files",
    "image",
    "\"\"",
    "\"a.b\"",
    "\"\\u0000é\"",
];

/// Texts with a meaning somewhere, or a hostile one.
const TEXTS: [&str; 14] = [
    "",
    "tool",
    "x86_64-unknown-linux-musl",
    "dist",
    "dev",
    "LICENSE",
    "../..",
    "/etc/passwd",
    "{{ version }}",
    "{{",
    "[",
    "**/**",
    "\\u0000",
    "-$(id);日本",
];

/// A value in TOML's inline form.
fn value(u: &mut Unstructured<'_>, depth: u32) -> Result<String> {
    Ok(match u.int_in_range(0..=if depth == 0 { 4 } else { 6 })? {
        0 => u.arbitrary::<bool>()?.to_string(),
        1 => u.arbitrary::<i64>()?.to_string(),
        2 => "1979-05-27T07:32:00Z".to_owned(),
        3 | 4 => format!("\"{}\"", u.choose(&TEXTS)?),
        5 => {
            let items = (0..u.int_in_range(0..=3)?).map(|_| value(u, depth - 1));
            format!("[{}]", items.collect::<Result<Vec<_>>>()?.join(", "))
        }
        _ => table(u, depth - 1)?,
    })
}

fn table(u: &mut Unstructured<'_>, depth: u32) -> Result<String> {
    let mut pairs = Vec::new();
    for key in KEYS {
        if u.ratio(1, 4)? {
            pairs.push(format!("{key} = {}", value(u, depth)?));
        }
    }
    Ok(format!("{{ {} }}", pairs.join(", ")))
}

#[test]
fn any_table_gets_an_answer_and_no_panic() {
    let world = World::quick("1.0.0");
    let property = |u: &mut Unstructured<'_>| {
        // Half of the tables are ours at the top, so that deeper code is reached too.
        let tables = [value(u, 3)?, value(u, 3)?];
        let tables = if u.arbitrary()? { [table(u, 2)?, table(u, 2)?] } else { tables };
        let [package, workspace] = tables;
        let more = format!(
            "metadata.dockless = {package}\n[workspace]\nmetadata.dockless = {workspace}\n"
        );
        world.package("", "tool", "1.0.0", &more);
        let run = world.run("release --dry-run --snapshot");
        let said = format!("{more}\n{}", run.stderr);
        assert!(!said.contains("panicked"), "{said}");
        match run.code {
            Some(0) => {}
            Some(1) => {
                assert!(run.stdout.is_empty(), "{said}");
                let errors = run.stderr.matches("error: ").count();
                assert!(errors > 0 && run.stderr.matches("  help: ").count() >= errors, "{said}");
            }
            code => panic!("{code:?}: {said}"),
        }
        Ok(())
    };
    arbtest::arbtest(property).budget(Duration::from_secs(4));
}
