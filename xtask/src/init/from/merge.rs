//! Joins what several files say.

use super::{Foreign, Setting, Value};

/// The settings that all files together ask for, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    pub settings: Vec<Setting>,
    /// Where two files say different things of one setting.
    pub notes: Vec<String>,
}

/// Targets are those of all files. Of any other setting the first file counts.
pub fn merge(found: &[Foreign]) -> Merged {
    let mut merged = Merged::default();
    for setting in found.iter().flat_map(|it| &it.settings) {
        let is_it = |it: &&mut Setting| it.package == setting.package && it.key == setting.key;
        let Some(known) = merged.settings.iter_mut().find(is_it) else {
            merged.settings.push(setting.clone());
            continue;
        };
        if known.value == setting.value {
            continue;
        }
        if known.key == ["targets"]
            && let (Value::List(all), Value::List(more)) = (&mut known.value, &setting.value)
        {
            let new: Vec<Value> = more.iter().filter(|it| !all.contains(it)).cloned().collect();
            if !new.is_empty() {
                all.extend(new);
                known.why = format!("{}, {}", known.why, setting.why.trim_start_matches("from "));
            }
            continue;
        }
        let (key, from) = (setting.key.join("."), setting.why.trim_start_matches("from "));
        let kept = known.why.trim_start_matches("from ");
        merged
            .notes
            .push(format!("{from}: `{key}` differs from that of {kept}, which is taken over"));
    }
    merged
}
