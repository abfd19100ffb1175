//! The rules for selectors of platforms.
//! <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/index/validation/validate.go>

use crate::krew::platform::{Expression, Platform, Text, is_value};
use crate::krew::report::Report;

const OPERATORS: [&str; 4] = ["In", "NotIn", "Exists", "DoesNotExist"];

/// Whether the selector is valid, so that it is known what it selects.
pub fn check(report: &mut Report<'_>, platform: &Platform) -> bool {
    let Some(selector) = &platform.selector else {
        let fix = "say which platforms the entry is for, by `os` and `arch`";
        report.error("selector-missing", platform.at, "there is no selector", fix);
        return false;
    };
    let labels = selector.labels.as_deref();
    let expressions = selector.expressions.as_deref();
    let broken = report.is_broken_by(|report| {
        if labels.is_none() && expressions.unwrap_or_default().is_empty() {
            let fix = "say which platforms the entry is for, by `os` and `arch`";
            report.error("selector-empty", selector.at, "the selector is empty", fix);
        } else {
            if labels.is_some_and(<[_]>::is_empty) {
                let fix = "leave it out, or name `os` or `arch`";
                report.error(
                    "selector-labels-empty",
                    selector.labels_at,
                    "matchLabels is empty",
                    fix,
                );
            }
            if expressions.is_some_and(<[_]>::is_empty) {
                let why = "matchExpressions is empty";
                let fix = "leave it out, or add an expression";
                report.error("selector-expressions-empty", selector.expressions_at, why, fix);
            }
        }
        for (name, value) in labels.unwrap_or_default() {
            key(report, name);
            label(report, value);
        }
        expressions.unwrap_or_default().iter().for_each(|it| expression(report, it));
    });
    !broken
}

fn key(report: &mut Report<'_>, key: &Text) {
    if !["os", "arch"].contains(&&*key.text) {
        let why = format!("platforms are selected by `os` and `arch`, not by {:?}", key.text);
        report.error("selector-key", key.at, why, "write `os` or `arch`");
    }
}

fn label(report: &mut Report<'_>, value: &Text) {
    if !is_value(&value.text) {
        let why = format!("{:?} cannot be a label's value, so it selects nothing", value.text);
        let fix = "write one of Go's names, such as linux or amd64";
        report.error("selector-value", value.at, why, fix);
    }
}

fn expression(report: &mut Report<'_>, expression: &Expression) {
    let Expression { key: name, operator, values } = expression;
    key(report, name);
    values.iter().for_each(|value| label(report, value));
    match &*operator.text {
        "In" | "NotIn" if values.is_empty() => {
            let why = format!("{} has no values, so it selects nothing", operator.text);
            report.error("selector-values", operator.at, why, "add `values`");
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let why = format!("{} has values, so it selects nothing", operator.text);
            report.error("selector-values", operator.at, why, "leave `values` out");
        }
        known if OPERATORS.contains(&known) => {}
        other => {
            let why = format!("{other:?} is not an operator, so the selector selects nothing");
            let fix = format!("write one of {}", OPERATORS.join(", "));
            report.error("selector-operator", operator.at, why, fix);
        }
    }
}
