//! What container engines and Dockerfile builders accept in an image's settings. Our image and
//! that of its Dockerfile are the same, so a setting must be valid for both.

use super::image_files;

/// The names of signals that engines know, without `SIG`.
/// <https://github.com/moby/sys/blob/main/signal/signal_linux.go>
const SIGNALS: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

/// Whether engines know the signal, by name or by number.
pub fn is_signal(text: &str) -> bool {
    let number = |text: &str| {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        text.parse::<u8>().ok().filter(|_| plain)
    };
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let within = |start: &str, most: u8| {
        name.strip_prefix(start).and_then(number).is_some_and(|it| it <= most)
    };
    SIGNALS.contains(&name)
        || within("RTMIN+", 15)
        || within("RTMAX-", 14)
        || number(text).is_some_and(|it| it <= 64)
}

/// A folder of an image: an absolute path without a trailing slash.
pub fn folder(text: &str) -> anyhow::Result<String> {
    let place = image_files::place(text)?;
    anyhow::ensure!(!place.chars().any(char::is_control), "{text:?} is not a plain path");
    Ok(format!("/{place}"))
}

/// The folder of an image's binaries. `COPY` does not quote it.
pub fn bin_dir(text: &str) -> anyhow::Result<String> {
    let folder = folder(text)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    anyhow::ensure!(folder.chars().all(plain), "{text:?} is not a plain path");
    Ok(folder)
}

/// A folder that a volume can be mounted on: engines refuse the root, and runc all below /proc.
/// <https://github.com/opencontainers/runc/blob/main/libcontainer/rootfs_linux.go> (checkProcMount)
pub fn volume(text: &str) -> anyhow::Result<String> {
    let folder = folder(text)?;
    anyhow::ensure!(folder != "/", "{text:?} is the root itself, which cannot be a volume");
    let proc = folder == "/proc" || folder.starts_with("/proc/");
    anyhow::ensure!(!proc, "{text:?} belongs to the kernel and cannot be a volume");
    Ok(folder)
}

/// Whether a variable of a container can have this name: `ENV` does not quote it.
pub fn is_variable(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    !name.is_empty() && !name.starts_with('-') && name.chars().all(plain)
}

/// Why a label or an annotation cannot have this name; `None` where it can.
/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md#rules>
pub fn unfit_label(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() {
        Some("it is empty")
    } else if name.contains('=') {
        Some("it holds an equals sign, at which a Dockerfile ends a name")
    } else if name.chars().any(char::is_control) {
        Some("it holds a control character")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_those_of_engines() {
        for text in [
            "SIGTERM",
            "TERM",
            "SIGINT",
            "SIGRTMIN",
            "SIGRTMIN+3",
            "RTMIN+15",
            "SIGRTMAX-1",
            "RTMAX-14",
            "1",
            "9",
            "64",
        ] {
            assert!(is_signal(text), "{text}");
        }
        for text in [
            "",
            "SIG",
            "SIGSIGTERM",
            "sigterm",
            "SIGTERN",
            "SIG9",
            "0",
            "65",
            "-1",
            "+9",
            "09",
            "RTMIN+0",
            "RTMIN+16",
            "RTMAX-15",
            "RTMAX+1",
            "RTMIN-1",
            "RTMIN+",
            " TERM",
            "TERM ",
            "SIG TERM",
            "256",
        ] {
            assert!(!is_signal(text), "{text:?}");
        }
    }

    #[test]
    fn volumes_are_where_engines_mount() {
        for (text, folder) in [("/data", "/data"), ("//a//b/", "/a/b"), ("/my data", "/my data")] {
            assert_eq!(volume(text).unwrap(), folder);
        }
        for text in [
            "",
            "/",
            "//",
            "data",
            "./data",
            "../data",
            "/a/../b",
            "/a/./b",
            "/..",
            "/proc",
            "/proc/1",
            "/proc/",
            "/a\nb",
            "/a\0b",
            "/a\u{1b}b",
            "~/data",
            "C:\\data",
            " /data",
        ] {
            assert!(volume(text).is_err(), "{text:?}");
        }
        assert_eq!(folder("/").unwrap(), "/");
    }

    #[test]
    fn names_are_those_that_builders_read_back() {
        for name in ["A", "_a1", "spring.datasource", "MY-VAR", "1A"] {
            assert!(is_variable(name), "{name}");
        }
        for name in
            ["", "=", "A=B", "A B", "A\n", "A\0", "-A", "--from", "$A", "\"A\"", "#A", "A'", "Ä"]
        {
            assert!(!is_variable(name), "{name:?}");
        }
        for name in ["a", "com.acme.team", "two words", "a\"b$c\\", "ü"] {
            assert_eq!(unfit_label(name), None, "{name}");
        }
        for name in ["", " ", "=", "a=b", "a=", "a\nb", "a\0", "a\u{1b}"] {
            assert!(unfit_label(name).is_some(), "{name:?}");
        }
    }
}
