use super::*;

/// The settings of a file as lines, and its notes.
fn said_of(kind: Kind, file: &str, text: &str, members: &[Member]) -> (Vec<String>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let root = crate::files::resolve(dir.path()).unwrap();
    crate::files::write(&root.join(file), text.as_bytes()).unwrap();
    let boundary = Boundary::new(&root, &[]).unwrap();
    let found = read(&root, &boundary, members).unwrap();
    let of_kind: Vec<&Foreign> = found.iter().filter(|it| it.kind == kind).collect();
    let [foreign] = &of_kind[..] else { panic!("{found:?}") };
    let line = |it: &Setting| {
        let package = it.package.as_ref().map_or(String::new(), |name| format!("{name}: "));
        format!("{package}{} = {}", it.key.join("."), shown(&it.value))
    };
    assert_eq!(foreign.broken, None);
    (foreign.settings.iter().map(line).collect(), foreign.notes.clone())
}

/// A value as TOML.
fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Bool(it) => it.to_string(),
        Value::Integer(it) => it.to_string(),
        Value::List(items) => {
            format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", "))
        }
        Value::Table(entries) => {
            let entry = |(key, value): &(String, Value)| format!("{key:?} = {}", shown(value));
            format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

#[test]
fn targets_of_cross_are_taken_over_and_its_images_are_noted() {
    let text = "[build.env]\npassthrough = [\"TOKEN\", \"A=b\"]\n\n\
                [target.aarch64-unknown-linux-musl]\nimage = \"ghcr.io/acme/cross:1\"\n\n\
                [target.armv7-unknown-linux-musleabihf]\npre-build = [\"apt-get update\"]\n";
    let (settings, notes) = said_of(Kind::Cross, "Cross.toml", text, &[]);
    assert_eq!(
        settings,
        [r#"targets = ["aarch64-unknown-linux-musl", "armv7-unknown-linux-musleabihf"]"#]
    );
    let starts = [
        "Cross.toml:2: builds see TOKEN",
        "Cross.toml:2: `A=b` is not taken over",
        "Cross.toml:5: `image` is not taken over",
        "Cross.toml:8: `pre-build` is not taken over",
    ];
    assert_eq!(notes.len(), starts.len(), "{notes:?}");
    for (note, start) in notes.iter().zip(starts) {
        assert!(note.starts_with(start), "{note}");
    }
}
