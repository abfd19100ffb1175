//! GitHub's expressions, as far as workflows here use them.
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions>

use serde_json::Value;

/// The value of an expression without its braces. What no context has panics, because GitHub would
/// silently take it for empty.
pub fn value(text: &str, contexts: &Value) -> Value {
    let mut parser = Parser { rest: text, contexts };
    let value = parser.or();
    assert_eq!(parser.rest.trim(), "", "{text:?} ends there");
    value
}

/// The text with what is between the braces put in.
pub fn text(text: &str, contexts: &Value) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        let (expression, after) = after.split_once("}}").unwrap();
        out.push_str(before);
        out.push_str(&shown(&value(expression, contexts)));
        rest = after;
    }
    out + rest
}

/// The value of a field of a workflow, which is one expression or a text with some.
pub fn field(field: &Value, contexts: &Value) -> Value {
    match field {
        Value::String(whole) => {
            let inner = whole.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}"));
            match inner.filter(|inner| !inner.contains("}}")) {
                Some(expression) => value(expression, contexts),
                None => text(whole, contexts).into(),
            }
        }
        other => other.clone(),
    }
}

/// Whether a value counts as true.
pub fn holds(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// A value as a text.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        other => panic!("{other} is put into a text"),
    }
}

struct Parser<'a> {
    rest: &'a str,
    contexts: &'a Value,
}

impl Parser<'_> {
    /// Whether this comes next; it is read then.
    fn eat(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        let found = self.rest.strip_prefix(token);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn or(&mut self) -> Value {
        let mut left = self.and();
        while self.eat("||") {
            let right = self.and();
            left = if holds(&left) { left } else { right };
        }
        left
    }

    fn and(&mut self) -> Value {
        let mut left = self.equal();
        while self.eat("&&") {
            let right = self.equal();
            left = if holds(&left) { right } else { left };
        }
        left
    }

    fn equal(&mut self) -> Value {
        let left = self.operand();
        let (is, not) = (self.eat("=="), self.rest.trim_start().starts_with("!="));
        if !is && !not {
            return left;
        }
        if not {
            assert!(self.eat("!="));
        }
        let right = self.operand();
        // Texts are compared without case, and nothing is an empty text.
        let same = match (&left, &right) {
            (Value::String(_) | Value::Null, Value::String(_) | Value::Null) => {
                shown(&left).eq_ignore_ascii_case(&shown(&right))
            }
            _ => left == right,
        };
        Value::Bool(same == is)
    }

    fn operand(&mut self) -> Value {
        if self.eat("(") {
            let value = self.or();
            assert!(self.eat(")"));
            return value;
        }
        if self.eat("'") {
            let (text, rest) = self.rest.split_once('\'').unwrap();
            self.rest = rest;
            return text.into();
        }
        let word = self.word();
        if let Ok(number) = word.parse::<u64>() {
            return number.into();
        }
        if self.eat("(") {
            return self.call(&word);
        }
        match &*word {
            "true" => true.into(),
            "false" => false.into(),
            _ => self.path(&word),
        }
    }

    fn call(&mut self, name: &str) -> Value {
        let mut args = vec![self.or()];
        while self.eat(",") {
            args.push(self.or());
        }
        assert!(self.eat(")"));
        match (name, &args[..]) {
            ("fromJSON", [text]) => serde_json::from_str(&shown(text)).unwrap(),
            ("toJSON", [value]) => serde_json::to_string_pretty(value).unwrap().into(),
            ("startsWith", [text, start]) => {
                let [text, start] = [text, start].map(|it| shown(it).to_ascii_lowercase());
                text.starts_with(&start).into()
            }
            other => panic!("nobody knows {other:?}"),
        }
    }

    fn word(&mut self) -> String {
        self.rest = self.rest.trim_start();
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let end = self.rest.find(|c| !part(c)).unwrap_or(self.rest.len());
        assert!(end > 0, "a name was expected at {:?}", self.rest);
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    fn path(&mut self, first: &str) -> Value {
        let mut names = vec![first.to_owned()];
        loop {
            if self.eat(".") {
                names.push(self.word());
            } else if self.eat("[") {
                let name = self.or();
                assert!(self.eat("]"));
                names.push(shown(&name));
            } else {
                break;
            }
        }
        let found = names.iter().try_fold(self.contexts, |within, name| within.get(name));
        // A step sets its outputs while it runs.
        let may_lack = names[0] == "steps" && self.contexts["steps"].get(&names[1]).is_some();
        match found {
            Some(value) => value.clone(),
            None if may_lack => Value::Null,
            None => panic!("nobody knows {}", names.join(".")),
        }
    }
}

#[test]
fn expressions_are_what_github_says() {
    let contexts = serde_json::json!({
        "matrix": { "os": "macos", "zig": false, "n": 2 },
        "needs": { "tool": { "outputs": { "macos": "abc", "linux": "" } } },
        "steps": { "build": { "outputs": {} } },
    });
    for (expression, expected) in [
        ("matrix.os == 'MacOS'", "true"),
        ("matrix.n == 2 && matrix.os || 'none'", "macos"),
        ("matrix.zig && 'zig' || 'none'", "none"),
        ("needs.tool.outputs[matrix.os]", "abc"),
        ("needs.tool.outputs.linux != ''", "false"),
        ("steps.build.outputs.shard", ""),
        ("steps.build.outputs.shard == ''", "true"),
        ("startsWith(matrix.os, 'mac') && (matrix.n != 3)", "true"),
        ("fromJSON('[1]') && 'list'", "list"),
    ] {
        assert_eq!(shown(&value(expression, &contexts)), expected, "{expression}");
    }
    assert_eq!(text("a ${{ matrix.os }}-${{ matrix.n }}", &contexts), "a macos-2");
}
