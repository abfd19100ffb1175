//! Arguments of cargo in the files of other tools.

use super::{Member, Sheet, Value};

/// The package that arguments name.
pub fn package(flags: &[&str]) -> Option<String> {
    words(flags).iter().find_map(|(name, value)| match &**name {
        "-p" | "--package" => value.clone(),
        _ => None,
    })
}

/// Arguments with their values, whether `--name=value`, `--name value` or one text.
fn words(flags: &[&str]) -> Vec<(String, Option<String>)> {
    let takes = |name: &str| {
        let all = ["-p", "--package", "--bin", "-F", "--features", "--profile", "--target"];
        all.contains(&name)
    };
    let mut found = Vec::new();
    let mut words = flags.iter().flat_map(|it| it.split_whitespace());
    while let Some(word) = words.next() {
        match word.split_once('=') {
            Some((name, value)) => found.push((name.to_owned(), Some(value.to_owned()))),
            None if takes(word) => found.push((word.to_owned(), words.next().map(str::to_owned))),
            None => found.push((word.to_owned(), None)),
        }
    }
    found
}

/// Takes over the arguments of a build of one package.
pub fn take(flags: &[&str], member: &Member, line: usize, sheet: &mut Sheet<'_>) {
    let (mut bins, mut features) = (Vec::new(), Vec::new());
    for (name, value) in words(flags) {
        match (&*name, value) {
            ("-p" | "--package" | "--release" | "-r" | "--locked" | "--target", _) => {}
            ("--bin", Some(bin)) if member.bins.contains(&bin) => bins.push(bin),
            ("-F" | "--features", Some(list)) => {
                features.extend(list.split(',').filter(|it| !it.is_empty()).map(str::to_owned));
            }
            ("--no-default-features", _) => {
                let key = ["default-features"];
                sheet.once(Some(&member.name), &key, Value::Bool(false), line);
            }
            ("--profile", Some(profile)) => {
                sheet.once(None, &["profile"], Value::text(profile), line);
            }
            (name, _) => sheet.note(line, format!("{name} is not taken over: it has no setting")),
        }
    }
    let mut list = |key: &str, values: Vec<String>| {
        if !values.is_empty() {
            sheet.once(Some(&member.name), &[key], Value::texts(values), line);
        }
    };
    list("bins", bins);
    list("features", features);
}
