//! What a selector of platforms must be.
//! <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/index/validation/validate.go>

use crate::krew::platform::{Expression, Platform, Text, is_value};
use crate::krew::sheet::Sheet;

const OPERATORS: [&str; 4] = ["In", "NotIn", "Exists", "DoesNotExist"];

/// Returns whether the selector can be asked what it selects.
pub fn check(sheet: &mut Sheet<'_>, platform: &Platform) -> bool {
    let Some(selector) = &platform.selector else {
        let fix = "say which platforms the entry is for, by `os` and `arch`";
        sheet.error("selector-missing", platform.at, "there is no selector", fix);
        return false;
    };
    let (labels, expressions) = (selector.labels.as_deref(), selector.expressions.as_deref());
    let broken = sheet.is_broken_by(|sheet| {
        if labels.is_none() && expressions.unwrap_or_default().is_empty() {
            let fix = "say which platforms the entry is for, by `os` and `arch`";
            sheet.error("selector-empty", selector.at, "the selector is empty", fix);
        } else {
            if labels.is_some_and(<[_]>::is_empty) {
                let fix = "leave it out, or name `os` or `arch`";
                sheet.error(
                    "selector-labels-empty",
                    selector.labels_at,
                    "matchLabels is empty",
                    fix,
                );
            }
            if expressions.is_some_and(<[_]>::is_empty) {
                let why = "matchExpressions is empty";
                let fix = "leave it out, or add an expression";
                sheet.error("selector-expressions-empty", selector.expressions_at, why, fix);
            }
        }
        for (name, value) in labels.unwrap_or_default() {
            key(sheet, name);
            label(sheet, value);
        }
        expressions.unwrap_or_default().iter().for_each(|it| expression(sheet, it));
    });
    !broken
}

fn key(sheet: &mut Sheet<'_>, key: &Text) {
    if !["os", "arch"].contains(&&*key.text) {
        let why = format!("platforms are selected by `os` and `arch`, and not by {:?}", key.text);
        sheet.error("selector-key", key.at, why, "write `os` or `arch`");
    }
}

fn label(sheet: &mut Sheet<'_>, value: &Text) {
    if !is_value(&value.text) {
        let why = format!("{:?} can be no value of a label, and so selects nothing", value.text);
        sheet.error(
            "selector-value",
            value.at,
            why,
            "write a name of Go's, such as linux or amd64",
        );
    }
}

fn expression(sheet: &mut Sheet<'_>, expression: &Expression) {
    let Expression { key: name, operator, values } = expression;
    key(sheet, name);
    values.iter().for_each(|value| label(sheet, value));
    match &*operator.text {
        "In" | "NotIn" if values.is_empty() => {
            let why = format!("{} has no values, and so selects nothing", operator.text);
            sheet.error("selector-values", operator.at, why, "add `values`");
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let why = format!("{} has values, and so selects nothing", operator.text);
            sheet.error("selector-values", operator.at, why, "leave `values` out");
        }
        known if OPERATORS.contains(&known) => {}
        other => {
            let why = format!("{other:?} is no operator, and so the selector selects nothing");
            let fix = format!("write one of {}", OPERATORS.join(", "));
            sheet.error("selector-operator", operator.at, why, fix);
        }
    }
}
