//! Links that a terminal opens.
//! <https://gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda>

/// Whether the terminal, as the environment describes it, is known to show links. One that is not
/// may print their codes.
pub fn are_shown(var: impl Fn(&str) -> Option<String>) -> bool {
    let var = |name: &str| var(name).unwrap_or_default();
    let (term, program) = (var("TERM"), var("TERM_PROGRAM"));
    if term == "dumb" {
        return false;
    }
    let forced = var("FORCE_HYPERLINK");
    if !forced.is_empty() {
        return forced != "0";
    }
    let vte = var("VTE_VERSION").parse::<u32>().unwrap_or(0);
    // Multiplexers pass links on to a terminal that may not know them.
    let within = ["TMUX", "STY"].iter().any(|name| !var(name).is_empty());
    let terms = ["xterm-kitty", "xterm-ghostty", "alacritty", "foot", "wezterm", "contour"];
    let programs = ["iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper"];
    !within
        && (vte >= 5000
            || !var("WT_SESSION").is_empty()
            || terms.contains(&&*term)
            || programs.contains(&&*program))
}

/// The text with each of its web addresses as a link. The text has no control characters.
pub fn linked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("https://").into_iter().chain(rest.find("http://")).min() {
        let address = &rest[at..];
        let end = address.find(|c: char| c.is_whitespace() || "\"'`<>,;()".contains(c));
        let (address, after) = address.split_at(end.unwrap_or(address.len()));
        out += &rest[..at];
        out += &format!("\u{1b}]8;;{address}\u{1b}\\{address}\u{1b}]8;;\u{1b}\\");
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_shown_where_a_terminal_is_known_to() {
        for (vars, shown) in [
            (&[][..], false),
            (&[("TERM", "xterm-256color")][..], false),
            (&[("TERM", "xterm-kitty")][..], true),
            (&[("TERM", "xterm-kitty"), ("TMUX", "/tmp/x")][..], false),
            (&[("TERM", "xterm-256color"), ("VTE_VERSION", "7600")][..], true),
            (&[("VTE_VERSION", "4000")][..], false),
            (&[("TERM_PROGRAM", "Apple_Terminal")][..], false),
            (&[("TERM_PROGRAM", "iTerm.app")][..], true),
            (&[("TERM_PROGRAM", "iTerm.app"), ("FORCE_HYPERLINK", "0")][..], false),
            (&[("FORCE_HYPERLINK", "1")][..], true),
            (&[("FORCE_HYPERLINK", "1"), ("TERM", "dumb")][..], false),
        ] {
            let var = |name: &str| {
                vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(are_shown(var), shown, "{vars:?}");
        }
    }

    #[test]
    fn addresses_become_links_and_no_other_text_changes() {
        let text = "at https://x.org/a (see http://y.org/b, and c)\nhttps://z.org";
        let link = |to: &str| format!("\u{1b}]8;;{to}\u{1b}\\{to}\u{1b}]8;;\u{1b}\\");
        let expected = format!(
            "at {} (see {}, and c)\n{}",
            link("https://x.org/a"),
            link("http://y.org/b"),
            link("https://z.org")
        );
        assert_eq!(linked(text), expected);
        assert_eq!(anstream::adapter::strip_str(&expected).to_string(), text);
        assert_eq!(linked("no address"), "no address");
    }
}
