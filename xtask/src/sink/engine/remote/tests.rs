use super::*;

#[test]
fn addresses_are_read() {
    for (text, shown, destination, port) in [
        ("ssh://box", "docker on box", "box", None),
        ("ssh://box/", "docker on box", "box", None),
        ("ssh://box/docker", "docker on box", "box", None),
        ("ssh://me@box.lan:2222/podman", "podman on me@box.lan:2222", "me@box.lan", Some(2222)),
        ("ssh://a_b/containerd", "containerd on a_b", "a_b", None),
        ("ssh://[fe80::1%eth0]:22", "docker on [fe80::1%eth0]:22", "fe80::1%eth0", Some(22)),
        ("ssh://me@[::1]", "docker on me@[::1]", "me@::1", None),
    ] {
        let remote = Remote::parse(text).unwrap();
        assert_eq!(remote.to_string(), shown, "{text}");
        assert_eq!((remote.host.destination().as_str(), remote.host.port), (destination, port));
    }
}

#[test]
fn what_ssh_or_a_shell_could_take_for_something_else_is_refused() {
    for text in [
        "ssh://",
        "ssh:///docker",
        "ssh://@box",
        "ssh://-oProxyCommand=x",
        "ssh://-box/podman",
        "ssh://-me@box",
        "ssh://me:secret@box",
        "ssh://me;id@box",
        "ssh://box;id",
        "ssh://box$(id)",
        "ssh://bo x",
        "ssh://box\n",
        "ssh://box:",
        "ssh://box:0",
        "ssh://box:65536",
        "ssh://box:22:22",
        "ssh://box:ssh",
        "ssh://box/kind",
        "ssh://box/docker/",
        "ssh://box/../podman",
        "ssh://::1",
        "ssh://[box]",
        "ssh://[-::1]",
        "ssh://[::1",
        "ssh://[::1]x",
        "ssh://b\u{f6}x",
        "docker",
    ] {
        let error = Remote::parse(text).expect_err(text).to_string();
        assert!(!error.contains("secret") && !error.contains("id"), "{text}: {error}");
    }
}

/// Whatever is typed: what ssh gets is no option, and no shell sees more than a word in it.
#[test]
fn no_address_is_an_option() {
    arbtest::arbtest(|u| {
        let text: String = u.arbitrary()?;
        if let Ok(remote) = Remote::parse(&format!("ssh://{text}")) {
            let destination = remote.host.destination();
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-+:%@".contains(c);
            assert!(destination.chars().all(plain) && !destination.starts_with('-'), "{text}");
        }
        Ok(())
    });
}
