//! Replaces `{{ name }}` in configured texts, and nothing more.

use anyhow::{Result, bail};

/// Replaces each `{{ name }}` with the value of that name. An unknown name, or a `{{` that is
/// not closed, is an error.
pub fn render<V: AsRef<str>>(template: &str, values: &[(&str, V)]) -> Result<String> {
    let known = || values.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else {
            bail!("{template:?} has a {{{{ that is not closed");
        };
        let Some((_, value)) = values.iter().find(|(known, _)| *known == name.trim()) else {
            bail!("{template:?} names {:?}; known are {}", name.trim(), known());
        };
        text.push_str(before);
        text.push_str(value.as_ref());
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

/// The same for workflows: `${{ … }}` is GitHub's, and stays.
pub fn render_workflow(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut parts = template.split("${{");
    let mut text = render(parts.next().unwrap_or_default(), values)?;
    for part in parts {
        let Some((expression, rest)) = part.split_once("}}") else {
            bail!("a ${{{{ is not closed");
        };
        text.push_str(&format!("${{{{{expression}}}}}"));
        text.push_str(&render(rest, values)?);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_and_nothing_else() {
        let values = [("version", "1.2.3"), ("name", "{{ version }}")];
        for (template, expected) in [
            ("", Ok("")),
            ("v{{ version }}-{{version}}", Ok("v1.2.3-1.2.3")),
            ("{{ name }}", Ok("{{ version }}")),
            ("a } b { c }}", Ok("a } b { c }}")),
            ("{{ verson }}", Err(r#""{{ verson }}" names "verson"; known are version, name"#)),
            ("{{ version", Err(r#""{{ version" has a {{ that is not closed"#)),
        ] {
            let rendered = render(template, &values).map_err(|error| error.to_string());
            assert_eq!(rendered, expected.map(str::to_owned).map_err(str::to_owned));
        }
    }
}
