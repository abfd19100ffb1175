//! The tools by which each target's C is compiled and its programs are linked.

use serde::Serialize;

use super::{Request, Selected};
use crate::project::{NativeCrate, Project};
use crate::target::Target;

/// What stands beside rustc while it builds for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tools {
    /// Nothing: rustc links with its own linker and its own libc.
    Rustc,
    /// The C compiler of this machine, which is the target's own.
    Host,
    /// What the user's configuration names for the target.
    Users,
    /// zig or clang compiles C; rustc's own linker links, or the user's.
    Cross,
    /// zig compiles C and links.
    Zig,
}

/// Why a target cannot be built for, and what would help.
#[derive(Debug)]
pub struct Obstacle {
    pub why: String,
    pub fix: String,
}

/// Crates that look for a library of the system, and for nothing else, unless
/// a feature makes them bring it along; and the variables that name the library
/// where somebody has built it for the target.
const BUNDLING: [(&str, &str, &[&str]); 5] = [
    ("openssl-sys", "vendored", &["OPENSSL_DIR", "OPENSSL_LIB_DIR"]),
    ("libsqlite3-sys", "bundled", &["SQLITE3_LIB_DIR"]),
    ("pq-sys", "bundled", &["PQ_LIB_DIR"]),
    ("mysqlclient-sys", "bundled", &["MYSQLCLIENT_LIB_DIR"]),
    ("libdbus-sys", "vendored", &[]),
];

const INSTALL_ZIG: &str =
    "run `cargo dockless setup --zig`, or put zig on PATH (https://ziglang.org/download)";

/// Chooses for one target that rustc knows.
pub fn choose(
    selected: &Selected<'_>,
    target: &Target,
    project: &Project,
    request: &Request,
) -> Result<Tools, Obstacle> {
    if request.build.elsewhere {
        return Ok(Tools::Rustc);
    }
    let graph = project.graphs.get(&selected.wanted(target));
    let native: &[NativeCrate] = graph.map_or(&[], |graph| &graph.native);
    let own = is_own(target, project);
    if !own && let Some(obstacle) = system_library(native, target, selected, project) {
        return Err(obstacle);
    }
    let c: Vec<&NativeCrate> = native.iter().filter(|krate| krate.compiles_c()).collect();
    let c_named = c.is_empty() || names_compiler(selected, target, project);
    let zig = project.cross.zig.is_some();
    let clang = project.cross.clang.as_ref();
    let clang = clang.is_some_and(|clang| clang.headers(target.arch()).is_some());
    let on_windows = project.rustc.host.contains("-windows-");
    if target.is_musl() {
        return if c.is_empty() || own {
            Ok(Tools::Rustc)
        } else if c_named {
            Ok(Tools::Users)
        } else if on_windows {
            Err(unsupported())
        } else if zig || clang {
            Ok(Tools::Cross)
        } else {
            Err(no_zig(&c, "a C compiler for the target is needed by", project))
        };
    }
    let linker = project.linkers.contains_key(target.triple());
    if linker && c_named {
        Ok(Tools::Users)
    } else if own {
        Ok(Tools::Host)
    } else if !(target.is_darwin() || target.is_windows_gnu() || target.is_gnu_linux()) {
        Err(foreign(target))
    } else if on_windows {
        Err(unsupported())
    } else if zig && linker {
        Ok(Tools::Cross)
    } else if zig {
        Ok(Tools::Zig)
    } else if linker {
        Err(no_zig(&c, "a C compiler for the target is needed by", project))
    } else {
        Err(no_zig(&c, "this machine has no linker for it", project))
    }
}

/// Whether the C compiler of this machine makes programs for the target.
fn is_own(target: &Target, project: &Project) -> bool {
    let host = &*project.rustc.host;
    // Apple's compiler makes programs for both processors, Microsoft's for all.
    let both = |end: &str| host.ends_with(end) && target.triple().ends_with(end);
    (target.triple() == host && target.glibc().is_none())
        || both("-apple-darwin")
        || both("-windows-msvc")
}

/// Whether the user names a C compiler for the target, here, in cargo's
/// configuration or in the package's own variables.
fn names_compiler(selected: &Selected<'_>, target: &Target, project: &Project) -> bool {
    target.spellings("CC").iter().any(|name| sets(selected, name, project))
}

fn sets(selected: &Selected<'_>, variable: &str, project: &Project) -> bool {
    project.sets(variable) || selected.config.env.contains_key(variable)
}

fn no_zig(c: &[&NativeCrate], what: &str, project: &Project) -> Obstacle {
    let named: Vec<String> = c
        .iter()
        .map(|krate| format!("{} {} (by {})", krate.name, krate.version, krate.builders.join(", ")))
        .collect();
    let mut why = match (named.is_empty(), what.ends_with(" by")) {
        (false, true) => format!("{what} {}", named.join(", ")),
        (false, false) => format!("{what}, nor a C compiler, which {} need", named.join(", ")),
        _ => what.to_owned(),
    };
    for fault in &project.cross.faults {
        why.push_str("; ");
        why.push_str(fault);
    }
    Obstacle { why, fix: INSTALL_ZIG.to_owned() }
}

/// The stand-ins for compilers are Unix scripts.
fn unsupported() -> Obstacle {
    let why = "zig and clang are used on Linux and macOS only, and it takes one of them".to_owned();
    Obstacle { why, fix: "build it on Linux, macOS or in WSL".to_owned() }
}

fn foreign(target: &Target) -> Obstacle {
    let (why, fix) = if target.triple().ends_with("-msvc") {
        let fix = format!("name {}-pc-windows-gnu, or build on Windows", target.arch());
        ("its linker and libraries are Microsoft's and run on Windows alone", fix)
    } else {
        let fix =
            "name a linker for it in .cargo/config.toml, or a target of Linux, macOS or Windows";
        ("no linker for it is known", fix.to_owned())
    };
    Obstacle { why: why.to_owned(), fix }
}

/// A crate that links a library of the system, of which there is none for the
/// target. That a crate could look for one is no proof: many do nothing in most
/// builds, or bring the library along when they find none.
fn system_library(
    native: &[NativeCrate],
    target: &Target,
    selected: &Selected<'_>,
    project: &Project,
) -> Option<Obstacle> {
    let pkg_config = ["PKG_CONFIG_ALLOW_CROSS", "PKG_CONFIG"].iter().any(|name| {
        sets(selected, name, project)
            || target.spellings(name).iter().any(|name| sets(selected, name, project))
    });
    if pkg_config {
        // Whoever sets these has libraries for the target; the linked program is checked.
        return None;
    }
    let prefix = target.underscored().to_uppercase();
    let given = |name: &&str| {
        sets(selected, name, project) || sets(selected, &format!("{prefix}_{name}"), project)
    };
    let missing = native.iter().filter_map(|krate| {
        let (_, feature, variables) = BUNDLING.iter().find(|(name, ..)| *name == krate.name)?;
        // Such as `bundled-sqlcipher`.
        let dashed = format!("{feature}-");
        let bundles = krate.features.iter().any(|on| on == feature || on.starts_with(&dashed));
        (!bundles && !variables.iter().any(given)).then_some((krate, feature))
    });
    let missing: Vec<_> = missing.collect();
    let (first, _) = missing.first()?;
    let library = |krate: &NativeCrate| krate.links.clone().unwrap_or_else(|| krate.name.clone());
    let each = |text: &dyn Fn(&NativeCrate, &str) -> String| {
        let texts: Vec<String> = missing.iter().map(|(krate, on)| text(krate, on)).collect();
        texts.join(", ")
    };
    let links =
        each(&|krate, _| format!("{} {} links {}", krate.name, krate.version, library(krate)));
    let features = each(&|krate, feature| {
        format!("the feature `{feature}` of {}, which builds {} along", krate.name, library(krate))
    });
    Some(Obstacle {
        why: format!("{links} of the system, and there is none for the target"),
        fix: format!(
            "turn on {features}; `cargo tree --package {} --target {} --invert {}` shows who wants it",
            selected.package.name,
            target.triple(),
            first.name
        ),
    })
}
