//! An entry of `platforms` in a manifest, as krew reads it.
//! <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/pkg/index/types.go>

use crate::plan::PLATFORMS;

/// Line and column in the manifest, both from 1.
pub type At = (usize, usize);

/// A text and its place. An absent text is empty, and has the place of its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub text: String,
    pub at: At,
}

impl Text {
    /// A text that its parent, which is at `at`, does not have.
    pub fn absent(at: At) -> Text {
        Text { text: String::new(), at }
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// An entry of `platforms`: an archive, and the platforms that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    pub at: At,
    pub uri: Text,
    pub sha256: Text,
    pub bin: Text,
    /// `None` installs all files.
    pub files: Option<Vec<FileOperation>>,
    pub files_at: At,
    pub selector: Option<Selector>,
}

/// An item of `files`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOperation {
    pub from: Text,
    pub to: Text,
}

/// Which platforms an entry is for: those that all of its labels and expressions match.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    pub at: At,
    pub labels: Option<Vec<(Text, Text)>>,
    pub labels_at: At,
    pub expressions: Option<Vec<Expression>>,
    pub expressions_at: At,
}

/// An item of `matchExpressions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    pub key: Text,
    pub operator: Text,
    pub values: Vec<Text>,
}

/// An operating system and an architecture, with Go's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    pub os: &'static str,
    pub arch: &'static str,
}

/// In characters: the longest value of a label.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>
const LONGEST_VALUE: usize = 63;

/// All platforms that krew knows.
pub fn pairs() -> impl Iterator<Item = Pair> {
    PLATFORMS.into_iter().map(|(os, arch)| Pair { os, arch })
}

impl Platform {
    /// The platforms that this entry is for.
    pub fn pairs(&self) -> impl Iterator<Item = Pair> {
        let matches = |pair: &Pair| self.selector.as_ref().is_some_and(|it| it.matches(*pair));
        pairs().filter(matches)
    }
}

impl Selector {
    /// Whether it selects a pair. A selector that Kubernetes refuses selects none, and neither
    /// does an empty one, which krew refuses first.
    /// <https://github.com/kubernetes/apimachinery/blob/v0.34.1/pkg/apis/meta/v1/helpers.go>
    fn matches(&self, pair: Pair) -> bool {
        let value = |key: &Text| match &*key.text {
            "os" => Some(pair.os),
            "arch" => Some(pair.arch),
            _ => None,
        };
        let labels = self.labels.iter().flatten();
        let expressions = || self.expressions.iter().flatten();
        labels.clone().count() + expressions().count() > 0
            && labels.clone().all(|(_, value)| is_value(&value.text))
            && expressions().all(Expression::is_valid)
            && labels.clone().all(|(key, text)| value(key) == Some(&text.text))
            && expressions().all(|it| {
                let listed = value(&it.key).is_some_and(|value| it.has(value));
                match &*it.operator.text {
                    "In" => listed,
                    "NotIn" => !listed,
                    "Exists" => value(&it.key).is_some(),
                    _ => value(&it.key).is_none(),
                }
            })
    }
}

impl Expression {
    fn has(&self, value: &str) -> bool {
        self.values.iter().any(|one| one.text == value)
    }

    /// Whether Kubernetes accepts it.
    fn is_valid(&self) -> bool {
        let count = match &*self.operator.text {
            "In" | "NotIn" => !self.values.is_empty(),
            "Exists" | "DoesNotExist" => self.values.is_empty(),
            _ => false,
        };
        count && self.values.iter().all(|value| is_value(&value.text))
    }
}

/// Whether a text can be a label's value.
pub fn is_value(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let ends = |text: &[u8]| match text {
        [] => true,
        [one] => one.is_ascii_alphanumeric(),
        [first, .., last] => first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric(),
    };
    text.len() <= LONGEST_VALUE && text.bytes().all(inner) && ends(text.as_bytes())
}
