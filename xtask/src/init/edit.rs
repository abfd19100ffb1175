//! Changes of TOML files that keep all that people wrote in them: order, comments, line ends, and
//! the form of the tables.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use toml_edit::{DocumentMut, InlineTable, Item, Table, Value};

use super::diff;
use crate::finding::failure;

/// A TOML file that is edited.
pub struct Toml {
    path: PathBuf,
    before: String,
    document: DocumentMut,
}

/// What became of a setting.
#[derive(Debug, PartialEq, Eq)]
pub enum Set {
    Added,
    /// It was there with this value.
    Same,
    /// It is there with another value, which stays.
    Kept(String),
}

/// What some editors on Windows begin a file with.
const MARK: char = '\u{feff}';

impl Toml {
    /// `text` is empty for a new file. `path` is for messages.
    pub fn parse(path: &Path, text: &str) -> Result<Toml> {
        let lines = text.strip_prefix(MARK).unwrap_or(text).replace("\r\n", "\n");
        let document = lines.parse().with_context(|| format!("read {}", path.display()))?;
        Ok(Toml { path: path.to_owned(), before: text.to_owned(), document })
    }

    /// The text with all changes; the very same bytes where there are none.
    pub fn finish(self) -> Result<String> {
        let text = self.document.to_string();
        let parsed = text.parse::<DocumentMut>();
        parsed.map_err(anyhow::Error::new).with_context(|| {
            failure(
                format!(
                    "edit {}: its tables have a form that cannot be added to",
                    self.path.display()
                ),
                "write each table of it under a header of its own, and run this again",
            )
        })?;
        let text = diff::keep_line_ends(&self.before, &text);
        let mark = self.before.starts_with(MARK).then_some(MARK);
        Ok(mark.into_iter().chain(text.chars()).collect())
    }

    /// Whether there is something under this path of keys.
    pub fn has(&self, path: &[&str]) -> bool {
        self.get(path).is_some()
    }

    fn get(&self, path: &[&str]) -> Option<&Item> {
        path.iter().try_fold(self.document.as_item(), |item, key| item.get(key))
    }

    /// A string under this path of keys.
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        self.get(path)?.as_str()
    }

    /// Sets a value that is not there yet, with a comment above it.
    pub fn set(&mut self, path: &[&str], mut value: Value, comment: &str) -> Result<Set> {
        if let Some(there) = self.get(path) {
            let kept = there.clone().into_value().ok();
            return Ok(match kept {
                Some(kept) if equal(&kept, &value) => Set::Same,
                _ => Set::Kept(there.to_string().trim().to_owned()),
            });
        }
        let (key, tables) = path.split_last().context("a setting has a key")?;
        let mut at = self.document.as_item_mut();
        for name in tables {
            at = child(at, name).with_context(|| format!("edit {}", self.path.display()))?;
        }
        if let Item::Value(Value::InlineTable(table)) = at {
            hand_over_space(table, &mut value);
            table.insert(*key, value);
            return Ok(Set::Added);
        }
        let table =
            at.as_table_mut().with_context(|| format!("{} is a table", tables.join(".")))?;
        table.insert(key, Item::Value(value));
        let lines = comment.lines().map(|line| format!("# {line}\n"));
        if let Some(mut key) = table.key_mut(key) {
            key.leaf_decor_mut().set_prefix(lines.collect::<String>());
        }
        Ok(Set::Added)
    }

    /// Adds what `more` has and this file has not, comments included.
    pub fn lay_under(&mut self, more: &str) -> Result<()> {
        let more: DocumentMut = more.parse().context("read what is to be added")?;
        lay(self.document.as_item_mut(), more.as_table())
            .with_context(|| format!("edit {}", self.path.display()))
    }

    /// Makes a folder a member of the workspace, which is made where there is none.
    pub fn add_member(&mut self, member: &str) -> Result<()> {
        let path = ["workspace", "members"];
        if !self.has(&path) {
            let members = Value::from_iter([member]);
            self.set(&path, members, "")?;
            return Ok(());
        }
        let at = self.document.as_item_mut();
        let members = child(at, "workspace")?.get_mut("members").and_then(Item::as_array_mut);
        let members = members.ok_or_else(|| {
            failure(
                format!("edit {}: `workspace.members` is not a list", self.path.display()),
                "write it as a list of folders",
            )
        })?;
        let covers = |pattern: &str| {
            pattern.trim_start_matches("./").trim_end_matches('/') == member
                || glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(member))
        };
        if !members.iter().filter_map(Value::as_str).any(covers) {
            push(members, member);
        }
        Ok(())
    }
}

/// Adds an element as the ones before it are written.
fn push(list: &mut toml_edit::Array, element: &str) {
    let mut value = Value::from(element);
    let text = |raw: Option<&toml_edit::RawString>| {
        raw.and_then(toml_edit::RawString::as_str).unwrap_or_default().to_owned()
    };
    if let Some(last) = list.len().checked_sub(1).and_then(|last| list.get_mut(last)) {
        let (prefix, suffix) = (text(last.decor().prefix()), text(last.decor().suffix()));
        last.decor_mut().set_suffix("");
        let indent = prefix.rsplit_once('\n').map(|(_, indent)| format!("\n{indent}"));
        value.decor_mut().set_prefix(indent.unwrap_or_else(|| " ".to_owned()));
        value.decor_mut().set_suffix(suffix);
    }
    let trailing = text(Some(list.trailing()));
    // A comment behind the last element stays behind that element.
    if let Some((comments, end)) = trailing.rsplit_once('\n').filter(|(it, _)| it.contains('#')) {
        let prefix = text(value.decor().prefix());
        let prefix = prefix.strip_prefix('\n').unwrap_or("    ").to_owned();
        value.decor_mut().set_prefix(format!("{comments}\n{prefix}"));
        let end = format!("\n{end}");
        list.set_trailing(end);
        list.set_trailing_comma(true);
    }
    list.push_formatted(value);
}

/// The table of this name, made where it is missing, in the form of the table that it is in.
fn child<'a>(parent: &'a mut Item, name: &str) -> Result<&'a mut Item> {
    let mut made = match parent {
        Item::Value(Value::InlineTable(_)) => Value::InlineTable(InlineTable::new()).into(),
        Item::Table(table) => {
            let mut made = Table::new();
            made.set_implicit(true);
            made.set_dotted(table.is_dotted());
            Item::Table(made)
        }
        _ => anyhow::bail!(not_a_table(name)),
    };
    if let (Item::Value(Value::InlineTable(table)), Item::Value(made)) = (&mut *parent, &mut made)
        && !table.contains_key(name)
    {
        hand_over_space(table, made);
    }
    let table = parent.as_table_like_mut().with_context(|| not_a_table(name))?;
    let child = table.entry(name).or_insert(made);
    if child.is_table_like() { Ok(child) } else { Err(anyhow::Error::msg(not_a_table(name))) }
}

fn not_a_table(name: &str) -> String {
    format!("`{name}` is not a table")
}

/// Gives the space before the closing brace to the value that becomes the last one.
fn hand_over_space(table: &mut InlineTable, value: &mut Value) {
    if let Some((_, last)) = table.iter_mut().last() {
        let suffix = last.decor().suffix().and_then(toml_edit::RawString::as_str);
        let suffix = suffix.unwrap_or(" ").to_owned();
        last.decor_mut().set_suffix("");
        *value = std::mem::replace(value, Value::from(false)).decorated(" ", suffix);
    }
}

/// Lays the entries of a table under those that are there.
fn lay(at: &mut Item, more: &Table) -> Result<()> {
    for (key, item) in more {
        let table = at.as_table_like().with_context(|| not_a_table(key))?;
        match item {
            Item::Table(more) if at.is_table() && !table.contains_key(key) => {
                let mut made = more.clone();
                unplaced(&mut made);
                let table = at.as_table_mut().with_context(|| not_a_table(key))?;
                table.insert(key, Item::Table(made));
            }
            Item::Table(more) => lay(child(at, key)?, more)?,
            Item::Value(value) if !table.contains_key(key) => {
                let mut value = value.clone();
                value.decor_mut().clear();
                if let Item::Value(Value::InlineTable(table)) = at {
                    hand_over_space(table, &mut value);
                    table.insert(key, value);
                } else if let Some(table) = at.as_table_mut() {
                    table.insert(key, Item::Value(value));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Lets a table and those in it follow the table that they are in, whatever their place was, each
/// after an empty line.
fn unplaced(table: &mut Table) {
    table.set_position(None);
    let prefix = table.decor().prefix().and_then(toml_edit::RawString::as_str);
    let prefix = format!("\n{}", prefix.unwrap_or_default().trim_start_matches('\n'));
    table.decor_mut().set_prefix(prefix);
    for (_, item) in table.iter_mut() {
        if let Item::Table(table) = item {
            unplaced(table);
        }
    }
}

/// Whether two values are the same, however they are written.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.value() == b.value(),
        (Value::Integer(a), Value::Integer(b)) => a.value() == b.value(),
        (Value::Boolean(a), Value::Boolean(b)) => a.value() == b.value(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::InlineTable(a), Value::InlineTable(b)) => {
            let same = |(key, a): (&str, &Value)| b.get(key).is_some_and(|b| equal(a, b));
            a.len() == b.len() && a.iter().all(same)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
