//! Renders Dockerfile.tmpl: a Dockerfile that builds the same image with BuildKit or buildah.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use crate::compile::folder_of;
use crate::config::Base;
use crate::finding::failure;
use crate::oci;
use crate::plan::{BuildPlan, ImagePlan, Plan};
use crate::project::{Project, rustc};
use crate::target::{Platform, Target};
use crate::template;
use crate::toolchain;

mod quote;

use quote::{exec_form, pairs, quoted, shell_quoted, volumes, word};

/// The text in the first line that marks a Dockerfile as this tool's own.
pub const MARK: &str = "rendered by `dockless dockerfile`";

/// The folder of musl's empty libraries in the template.
const LIBRARIES: &str = "/target/dockless/musl";

/// The build's variables that are arguments of the Dockerfile.
const ARGUMENTS: [(&str, &str); 5] = [
    ("version", "DOCKLESS_VERSION"),
    ("commit", "DOCKLESS_COMMIT"),
    ("date", "DOCKLESS_DATE"),
    ("describe", "DOCKLESS_DESCRIBE"),
    ("epoch", "SOURCE_DATE_EPOCH"),
];

/// The texts for one image.
pub struct Dockerfile {
    pub text: String,
    /// The text of Dockerfile.dockerignore: the files that a build does not need.
    pub ignore: String,
}

/// Renders the Dockerfile of an image. `folder` is the folder of its files, relative to the
/// workspace's root, which is the build context.
pub fn render(
    image: &ImagePlan,
    plan: &Plan,
    project: &Project,
    folder: &str,
) -> Result<Dockerfile> {
    let context = || format!("write the Dockerfile of {}", image.package);
    let build = plan.builds.iter().find(|build| build.package == image.package);
    let build = build.with_context(context)?;
    let flags = flags(image, project).with_context(context)?;
    let release = rustc::release(&project.root, &project.env)?;
    let text = text(image, build, &flags, &release, folder).with_context(context)?;
    Ok(Dockerfile { text, ignore: ignore(folder, project) })
}

/// rustc's flags for each platform that the build stage can compile for.
fn flags<'a>(
    image: &'a ImagePlan,
    project: &Project,
) -> Result<Vec<(&'a Platform, &'a Target, Vec<String>)>> {
    let platforms = image.platforms.iter().filter(|it| it.target.is_musl());
    let flags = platforms.map(|it| {
        let flags = toolchain::flags::elsewhere(&it.target, LIBRARIES, project)?;
        Ok((&it.platform, &it.target, flags))
    });
    flags.collect()
}

/// Renders the text, from values only.
fn text(
    image: &ImagePlan,
    build: &BuildPlan,
    flags: &[(&Platform, &Target, Vec<String>)],
    rustc: &str,
    folder: &str,
) -> Result<String> {
    let base = match &image.base {
        Base::Builtin | Base::Scratch => "scratch".to_owned(),
        Base::Named(reference) => reference.to_string(),
        Base::Stored(stored) => {
            return Err(failure(
                format!("a Dockerfile cannot name the base {stored}"),
                "push it to a registry and name it there, or use the builtin base",
            ));
        }
    };
    let value = |name: &str| build.env.get(name).map_or("", String::as_str);
    let mut values: Vec<(&str, String)> = Vec::new();
    for (name, variable) in ARGUMENTS {
        values.push((name, quoted(value(variable))?));
    }
    let targets: Result<Vec<String>> =
        flags.iter().map(|(platform, target, flags)| case(platform, target, flags)).collect();
    let programs = build.bins.iter().map(|bin| {
        let dir = folder_of(&build.profile);
        Ok(format!("\"/target/$target/{dir}/\"{}", shell_quoted(bin)?))
    });
    values.extend([
        ("name", image.name.clone()),
        ("folder", folder.to_owned()),
        ("rust_image", rust_image(rustc)),
        ("targets", targets?.join("\n")),
        ("cargo", cargo(build)?),
        ("programs", programs.collect::<Result<Vec<_>>>()?.join(" ")),
        ("base", base),
        ("bin_dir", format!("{}/", image.bin_dir.trim_end_matches('/'))),
        ("config", config(image, build)?),
    ]);
    template::render(include_str!("../Dockerfile.tmpl"), &values)
}

/// Rust's official image of the release. <https://hub.docker.com/_/rust>
fn rust_image(release: &str) -> String {
    match release.split_once('-') {
        None => format!("docker.io/library/rust:{release}-slim"),
        Some(_) => "docker.io/rustlang/rust:nightly-slim".to_owned(),
    }
}

/// A case of the shell script, which sets the target and its flags.
fn case(platform: &Platform, target: &Target, flags: &[String]) -> Result<String> {
    let suffix = platform.suffix();
    let pattern = match &*suffix {
        // BuildKit omits the variant, buildah names it.
        "arm64" => format!("{os}/arm64 | {os}/arm64v8", os = platform.os),
        _ => format!("{}/{suffix}", platform.os),
    };
    let flags: Vec<String> = flags.iter().map(|flag| shell_quoted(flag)).collect::<Result<_>>()?;
    Ok(format!(
        "      {pattern}) \\\n        target={}; \\\n        set -- {} ;; \\",
        target.triple(),
        flags.join(" ")
    ))
}

/// The command line of cargo, with the configured variables.
fn cargo(build: &BuildPlan) -> Result<String> {
    let ours = |name: &str| ARGUMENTS.iter().any(|(_, variable)| *variable == name);
    let mut words = Vec::new();
    for (name, value) in build.env.iter().filter(|(name, _)| !ours(name)) {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        ensure!(
            name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()),
            "a shell cannot set the variable {name:?} of `env`"
        );
        words.push(format!("{name}={}", shell_quoted(value)?));
    }
    words.push("cargo build --locked".to_owned());
    // Settings of this machine do not apply in a container.
    let elsewhere = |arg: &&String| {
        !["--locked", "--offline"].contains(&arg.as_str()) && !arg.starts_with("--jobs=")
    };
    for arg in build.args.iter().filter(elsewhere) {
        words.push(if arg.starts_with("--") && !arg.contains('=') {
            arg.clone()
        } else {
            shell_quoted(arg)?
        });
    }
    Ok(words.join(" "))
}

/// The instructions for the image's config and labels.
fn config(image: &ImagePlan, build: &BuildPlan) -> Result<String> {
    let config = &image.config;
    // Another base's own variables are unknown here, and stay.
    let foreign = matches!(image.base, Base::Named(_));
    let defaults = config.default_env.iter().filter(|_| !foreign);
    let env: BTreeMap<&String, &String> = defaults.chain(&config.env).collect();
    let env: Result<Vec<(String, String)>> =
        env.into_iter().map(|(name, value)| Ok((name.clone(), quoted(value)?))).collect();
    let mut labels: BTreeMap<String, String> = config.labels.clone();
    if image.base == Base::Builtin {
        labels.extend(oci::builtin_labels());
    }
    let labels: Result<Vec<(String, String)>> = labels
        .iter()
        .map(|(name, value)| Ok((quoted(name)?, label(name, value, build)?)))
        .collect();
    let mut lines = vec![pairs("ENV", &env?), pairs("LABEL", &labels?)];
    lines.extend(config.ports.iter().map(|port| format!("EXPOSE {port}\n")));
    if !config.volumes.is_empty() {
        lines.push(format!("VOLUME {}\n", volumes(&config.volumes)?));
    }
    if let Some(workdir) = &config.workdir {
        lines.push(format!("WORKDIR {}\n", word(workdir)?));
    }
    lines.extend(config.stop_signal.iter().map(|signal| format!("STOPSIGNAL {signal}\n")));
    lines.push(format!("USER {}\n", config.user));
    lines.push(format!("ENTRYPOINT {}\n", exec_form(&config.entrypoint)));
    if !config.cmd.is_empty() {
        lines.push(format!("CMD {}\n", exec_form(&config.cmd)));
    }
    Ok(lines.concat().trim_end().to_owned())
}

/// A label's value. Values of the version become the build's arguments.
fn label(name: &str, value: &str, build: &BuildPlan) -> Result<String> {
    let told = [("version", "VERSION"), ("revision", "COMMIT"), ("created", "DATE")];
    for (label, argument) in told {
        let same = build.env.get(&format!("DOCKLESS_{argument}")).is_some_and(|own| own == value);
        if same && name == format!("org.opencontainers.image.{label}") {
            return Ok(format!("\"${{{argument}}}\""));
        }
    }
    quoted(value)
}

/// The files of the workspace that a build does not need: all of dist/ except the folder.
fn ignore(folder: &str, project: &Project) -> String {
    let target = project.target_dir.strip_prefix(&project.root).ok();
    let target = target.and_then(|path| path.to_str()).filter(|path| !path.is_empty());
    let mut lines: Vec<String> = [".git"].into_iter().chain(target).map(str::to_owned).collect();
    match folder.strip_prefix("dist/") {
        None => lines.push("dist".to_owned()),
        Some(below) => {
            let mut above = "dist".to_owned();
            for part in below.split('/') {
                lines.push(format!("{above}/*"));
                above = format!("{above}/{part}");
                lines.push(format!("!{above}"));
            }
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests;
