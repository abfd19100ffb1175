use super::*;

fn edited(before: &str, edit: impl FnOnce(&mut Toml)) -> String {
    let mut toml = Toml::parse(Path::new("Cargo.toml"), before).unwrap();
    edit(&mut toml);
    let after = toml.finish().unwrap();
    // What was parsed from the result is what the tables are now.
    Toml::parse(Path::new("Cargo.toml"), &after).unwrap();
    after
}

#[test]
fn a_member_is_added_as_the_others_are_written() {
    for (before, after) in [
        ("", "[workspace]\nmembers = [\"xtask\"]\n"),
        (
            "[package]\nname = \"a\" # it\n",
            "[package]\nname = \"a\" # it\n\n[workspace]\nmembers = [\"xtask\"]\n",
        ),
        ("[workspace]\nmembers = []\n", "[workspace]\nmembers = [\"xtask\"]\n"),
        ("[workspace]\nmembers=['a','b']\n", "[workspace]\nmembers=['a','b', \"xtask\"]\n"),
        ("[workspace]\nmembers = [ \"a\" ]\n", "[workspace]\nmembers = [ \"a\", \"xtask\" ]\n"),
        (
            "[workspace]\nmembers = [\n  \"a\",\n  \"b\",\n]\n",
            "[workspace]\nmembers = [\n  \"a\",\n  \"b\",\n  \"xtask\",\n]\n",
        ),
        (
            "[workspace]\nmembers = [\n  \"a\",\n  \"b\"\n]\n",
            "[workspace]\nmembers = [\n  \"a\",\n  \"b\",\n  \"xtask\"\n]\n",
        ),
        (
            "[workspace]\nmembers = [\n  \"a\", # one\n  # two\n  \"b\", # three\n]\n",
            "[workspace]\nmembers = [\n  \"a\", # one\n  # two\n  \"b\", # three\n  \"xtask\",\n]\n",
        ),
        ("workspace.members = [\"a\"]\n", "workspace.members = [\"a\", \"xtask\"]\n"),
        ("workspace = { members = [\"a\"] }\n", "workspace = { members = [\"a\", \"xtask\"] }\n"),
        (
            "workspace = { resolver = \"2\" }\n",
            "workspace = { resolver = \"2\", members = [\"xtask\"] }\n",
        ),
        ("[workspace]\nmembers = [\"x*\"]\n", "[workspace]\nmembers = [\"x*\"]\n"),
        ("[workspace]\nmembers = [\"./xtask/\"]\n", "[workspace]\nmembers = [\"./xtask/\"]\n"),
        ("[workspace]\r\nmembers = [\"a\"]\r\n", "[workspace]\r\nmembers = [\"a\", \"xtask\"]\r\n"),
        ("\u{feff}[workspace]\n", "\u{feff}[workspace]\nmembers = [\"xtask\"]\n"),
    ] {
        assert_eq!(edited(before, |it| it.add_member("xtask").unwrap()), after, "{before:?}");
        assert_eq!(edited(after, |it| it.add_member("xtask").unwrap()), after, "{before:?}, again");
    }
}

#[test]
fn a_setting_is_added_in_the_form_that_its_table_has() {
    let path = ["workspace", "metadata", "dockless", "github", "ship"];
    for (before, after) in [
        (
            "[workspace]\nmembers = [\"a\"]\n",
            "[workspace]\nmembers = [\"a\"]\n\n[workspace.metadata.dockless.github]\n# why\nship = false\n",
        ),
        (
            "[workspace.metadata.dockless]\ntag = \"v1\" # t\n\n[profile.dev]\ndebug = 0\n",
            "[workspace.metadata.dockless]\ntag = \"v1\" # t\n\n[workspace.metadata.dockless.github]\n\
             # why\nship = false\n\n[profile.dev]\ndebug = 0\n",
        ),
        (
            "[workspace]\nmetadata.dockless.tag = \"v1\"\n",
            "[workspace]\nmetadata.dockless.tag = \"v1\"\n# why\nmetadata.dockless.github.ship = false\n",
        ),
        (
            "[workspace]\nmetadata = { dockless = { tag = \"v1\" } }\n",
            "[workspace]\nmetadata = { dockless = { tag = \"v1\", github = { ship = false } } }\n",
        ),
        (
            "[workspace.metadata]\ndockless = {}\n",
            "[workspace.metadata]\ndockless = { github = { ship = false } }\n",
        ),
        (
            "[workspace.metadata.dockless]\ngithub.changelog = \"C\"\n",
            "[workspace.metadata.dockless]\ngithub.changelog = \"C\"\n# why\ngithub.ship = false\n",
        ),
    ] {
        let set = |toml: &mut Toml| {
            assert_eq!(toml.set(&path, Value::from(false), "why").unwrap(), Set::Added);
        };
        assert_eq!(edited(before, set), after, "{before:?}");
        let again = |toml: &mut Toml| {
            assert_eq!(toml.set(&path, Value::from(false), "why").unwrap(), Set::Same);
            assert_eq!(toml.set(&path, Value::from(true), "").unwrap(), Set::Kept("false".into()));
        };
        assert_eq!(edited(after, again), after, "{before:?}, again");
    }
    let mut wrong = Toml::parse(Path::new("Cargo.toml"), "[workspace]\nmetadata = 1\n").unwrap();
    let error = wrong.set(&path, Value::from(false), "").unwrap_err();
    assert!(format!("{error:#}").contains("`metadata` is not a table"), "{error:#}");
}

#[test]
fn what_is_laid_under_changes_nothing_that_is_there() {
    let more = "# all\n[profile.dev.package]\nsha2.opt-level = 3\ntar.opt-level = 3\n";
    for (before, after) in [
        (
            "[workspace]\n",
            "[workspace]\n\n# all\n[profile.dev.package]\nsha2.opt-level = 3\ntar.opt-level = 3\n",
        ),
        (
            "[workspace]\n\n[profile.dev.package.sha2]\nopt-level = 1\n",
            "[workspace]\n\n[profile.dev.package]\ntar.opt-level = 3\n\n\
             [profile.dev.package.sha2]\nopt-level = 1\n",
        ),
        (
            "[profile.dev]\ndebug = 0\n",
            "[profile.dev]\ndebug = 0\n\n# all\n[profile.dev.package]\nsha2.opt-level = 3\ntar.opt-level = 3\n",
        ),
        (
            "[profile.dev]\npackage = { sha2 = { opt-level = 1 } }\n",
            "[profile.dev]\npackage = { sha2 = { opt-level = 1 }, tar = { opt-level = 3 } }\n",
        ),
    ] {
        assert_eq!(edited(before, |it| it.lay_under(more).unwrap()), after, "{before:?}");
        assert_eq!(edited(after, |it| it.lay_under(more).unwrap()), after, "{before:?}, again");
    }
}

/// Whatever a manifest looks like, what was in it stays in it, and a second edit changes nothing.
#[test]
fn nothing_that_people_wrote_is_lost() {
    const PARTS: [&str; 10] = [
        "# a comment\n",
        "[package] # a\nname = \"a\"\n",
        "[dependencies]\nserde = { version = \"1\", features = [\"derive\"] } # b\n",
        "[workspace]\nmembers = [\n    \"a\", # c\n    # d\n]\n",
        "[workspace.package]\nedition = '2021'\n",
        "[workspace.metadata.other]\nx = 1 # e\n",
        "[profile.dev.package.\"*\"]\nopt-level = 2\n",
        "[[bin]]\nname = \"b\"\n",
        "\n\n",
        "[lints]\nworkspace = true\n",
    ];
    arbtest::arbtest(|u| {
        let mut parts = PARTS.to_vec();
        let mut before = String::new();
        for _ in 0..u.choose_index(PARTS.len())? {
            before.push_str(parts.remove(u.choose_index(parts.len())?));
        }
        let windows: bool = u.arbitrary()?;
        if windows {
            before = before.replace('\n', "\r\n");
        }
        let edit = |toml: &mut Toml| {
            toml.add_member("xtask").unwrap();
            toml.lay_under("[profile.dev.package]\nsha2.opt-level = 3\n").unwrap();
            toml.set(&["workspace", "metadata", "dockless", "tag"], "v".into(), "why").unwrap();
        };
        let after = edited(&before, edit);
        // Each line is there, as often as before, but for the list that got a member.
        let mut rest: Vec<&str> = after.lines().collect();
        for line in before.lines() {
            let at = rest.iter().position(|it| *it == line);
            rest.remove(at.unwrap_or_else(|| panic!("{line:?} is lost:\n{before}\n---\n{after}")));
        }
        assert_eq!(after.contains("\r\n"), windows && !before.is_empty());
        assert_eq!(edited(&after, edit), after);
        Ok(())
    });
}
