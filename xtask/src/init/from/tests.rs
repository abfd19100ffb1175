use super::merge::Merged;
use super::*;

/// A workspace with these files, of which the packages have binaries of their names. A package
/// lies in the folder of its name, or at the root if it is the only one.
struct World {
    dir: tempfile::TempDir,
    members: Vec<Member>,
}

impl World {
    fn of(packages: &[&str], files: &[(&str, &str)]) -> World {
        let dir = tempfile::tempdir().unwrap();
        let root = crate::files::resolve(dir.path()).unwrap();
        for (file, text) in files {
            crate::files::write(&root.join(file), text.as_bytes()).unwrap();
        }
        let folder = |name: &str| if packages.len() == 1 { root.clone() } else { root.join(name) };
        let member = |name: &&str| Member {
            name: (*name).to_owned(),
            manifest: folder(name).join("Cargo.toml"),
            bins: vec![(*name).to_owned()],
        };
        World { members: packages.iter().map(member).collect(), dir }
    }

    fn read(&self) -> Vec<Foreign> {
        let root = crate::files::resolve(self.dir.path()).unwrap();
        let boundary = Boundary::new(&root, &[]).unwrap();
        read(&root, &boundary, &self.members).unwrap()
    }

    /// The settings as lines, which are all real keys, and the notes.
    fn said(&self) -> (Vec<String>, Vec<String>) {
        let found = self.read();
        let broken: Vec<_> = found.iter().filter_map(|it| it.broken.as_ref()).collect();
        assert!(broken.is_empty(), "{broken:?}");
        let Merged { settings, notes } = merge(&found);
        settings.iter().for_each(check);
        let notes = found.into_iter().flat_map(|it| it.notes).chain(notes).collect();
        (settings.iter().map(line).collect(), notes)
    }
}

fn line(setting: &Setting) -> String {
    let package = setting.package.as_ref().map_or(String::new(), |name| format!("{name}: "));
    format!("{package}{} = {}", setting.key.join("."), shown(&setting.value))
}

/// A value as TOML.
fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Bool(it) => it.to_string(),
        Value::List(items) => {
            format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", "))
        }
        Value::Table(entries) => {
            let entry = |(key, value): &(String, Value)| format!("{key:?} = {}", shown(value));
            format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

/// That a setting is one of those in `default.toml`, and has its type.
fn check(setting: &Setting) {
    let defaults: toml::Table = toml::from_str(crate::config::DEFAULT).unwrap();
    let scope = if setting.package.is_some() { "package" } else { "workspace" };
    let mut default = &defaults[scope]["metadata"]["dockless"];
    for key in &setting.key {
        default = default.get(key).unwrap_or_else(|| panic!("{setting:?} is no setting"));
    }
    let typed: toml::Table = toml::from_str(&format!("x = {}", shown(&setting.value))).unwrap();
    assert!(default.same_type(&typed["x"]), "{setting:?}");
}

#[track_caller]
fn assert_starts(notes: &[String], starts: &[&str]) {
    assert_eq!(notes.len(), starts.len(), "{notes:#?}");
    for (note, start) in notes.iter().zip(starts) {
        assert!(note.starts_with(start), "{note}\n{start}");
    }
}

#[test]
fn targets_of_cross_are_taken_over_and_its_images_are_noted() {
    let text = "[build.env]\npassthrough = [\"TOKEN\", \"A=b\"]\n\n\
                [target.aarch64-unknown-linux-musl]\nimage = \"ghcr.io/acme/cross:1\"\n\n\
                [target.armv7-unknown-linux-musleabihf]\npre-build = [\"apt-get update\"]\n";
    let (settings, notes) = World::of(&["tool"], &[("Cross.toml", text)]).said();
    assert_eq!(
        settings,
        [r#"targets = ["aarch64-unknown-linux-musl", "armv7-unknown-linux-musleabihf"]"#]
    );
    assert_starts(
        &notes,
        &[
            "Cross.toml:2: builds see TOKEN",
            "Cross.toml:2: `A=b` is not taken over",
            "Cross.toml:5: `image` is not taken over",
            "Cross.toml:8: `pre-build` is not taken over",
        ],
    );
}

const RUST_RELEASER: &str = r#"version: 2
project_name: tool
before:
  hooks: [cargo fetch]
builds:
  - builder: rust
    binary: tool
    targets: [x86_64-unknown-linux-musl, aarch64-apple-darwin, x86_64-apple-darwin]
    flags: [--release, "--features=json,yaml", -p tool, --no-default-features]
    env: ["APP_VERSION={{ .Version }}", "WHO={{ .Env.USER }}"]
universal_binaries:
  - replace: true
archives:
  - formats: [tar.gz]
    name_template: "{{ .ProjectName }}_{{ .Os }}"
    format_overrides: [{ goos: windows, formats: [zip] }]
    files: [LICENSE, docs/*.md, gone.txt]
checksum: { algorithm: sha512 }
release:
  github: { owner: acme, name: tool }
  draft: true
dockers:
  - image_templates: ["ghcr.io/acme/tool:{{ .Tag }}-amd64", "ghcr.io/acme/tool:latest-amd64"]
    goarch: amd64
    build_flag_templates: ["--pull", "--label=com.acme.team=core"]
  - image_templates: ["ghcr.io/acme/tool:{{ .Tag }}-arm64"]
docker_manifests:
  - name_template: "ghcr.io/acme/tool:{{ .Tag }}"
krews:
  - name: view-it
    short_description: Shows it
    url_template: "https://dl.test/{{ .Tag }}/{{ .ArtifactName }}"
    repository: { owner: acme, name: index }
"#;

#[test]
fn a_file_of_goreleaser_for_rust_becomes_settings() {
    let files = [(".goreleaser.yaml", RUST_RELEASER), ("LICENSE", "MIT"), ("docs/a.md", "a")];
    let (settings, notes) = World::of(&["tool"], &files).said();
    assert_eq!(
        settings,
        [
            r#"tool: default-features = false"#,
            r#"tool: features = ["json", "yaml"]"#,
            r#"tool: env = { "APP_VERSION" = "{{ version }}" }"#,
            r#"targets = ["x86_64-unknown-linux-musl", "universal2-apple-darwin"]"#,
            r#"tool: archive.files = ["LICENSE", "docs/*.md"]"#,
            r#"github.repository = "acme/tool""#,
            r#"tool: image.repositories = ["ghcr.io/acme/tool"]"#,
            r#"tool: image.tags = ["v{{ version }}", "latest"]"#,
            r#"tool: image.labels = { "com.acme.team" = "core" }"#,
            r#"tool: krew.name = "view-it""#,
            r#"tool: krew.short-description = "Shows it""#,
            r#"tool: krew.uri = "https://dl.test/{{ tag }}/{{ archive }}""#,
            r#"index.repository = "acme/index""#,
        ]
    );
    assert_starts(
        &notes,
        &[
            ".goreleaser.yaml:3: `before` is not taken over",
            ".goreleaser.yaml:10: the variable WHO is not taken over",
            ".goreleaser.yaml:15: `name_template` is not taken over",
            ".goreleaser.yaml:17: \"gone.txt\" is not taken over: nothing has that name",
            ".goreleaser.yaml:18: `checksum.algorithm` is not taken over",
            ".goreleaser.yaml:21: `release.draft` is not taken over",
        ],
    );
}

#[test]
fn a_file_of_goreleaser_for_go_becomes_targets() {
    let text = "builds:\n  - main: ./cmd/tool\n    goos: [linux, darwin, freebsd]\n    \
                goarch: [amd64, arm64, arm]\n    goarm: ['7']\n    \
                ignore: [{ goos: darwin, goarch: amd64 }]\n    ldflags: [-s]\n\
                kos:\n  - repositories: [ghcr.io/acme/tool]\n    tags: ['{{.Version}}', latest]\n    \
                base_image: gcr.io/distroless/static:nonroot\n    platforms: [linux/amd64, linux/mips]\n\
                brews: []\nbogus: 1\n";
    let (settings, notes) = World::of(&["tool"], &[(".goreleaser.yml", text)]).said();
    assert_eq!(
        settings,
        [
            r#"targets = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl", "armv7-unknown-linux-musleabihf", "aarch64-apple-darwin"]"#,
            r#"tool: image.repositories = ["ghcr.io/acme/tool"]"#,
            r#"tool: image.tags = ["{{ version }}", "latest"]"#,
        ]
    );
    assert_starts(
        &notes,
        &[
            ".goreleaser.yml:2: `main` is not taken over: it is Go's",
            ".goreleaser.yml:3: freebsd/amd64 is not taken over",
            ".goreleaser.yml:3: freebsd/arm64 is not taken over",
            ".goreleaser.yml:3: freebsd/arm is not taken over",
            ".goreleaser.yml:7: `ldflags` is not taken over: it is Go's",
            ".goreleaser.yml:11: gcr.io/distroless/static:nonroot is the base `builtin`",
            ".goreleaser.yml:12: the image for linux/amd64 is made where",
            ".goreleaser.yml:12: the platform linux/mips is not taken over",
            ".goreleaser.yml:13: `brews` is not taken over: such packages are not made",
            ".goreleaser.yml:14: `bogus` is not taken over: it has no setting here",
        ],
    );
}

#[test]
fn builds_of_several_packages_keep_their_targets() {
    let text = "builds:\n  - id: a\n    dir: a\n    targets: [x86_64-unknown-linux-musl]\n  \
                - id: b\n    binary: b\n    targets: [linux_arm64_v8.0]\n\
                archives:\n  - ids: [b]\n    files: [b/notes.txt]\n";
    let files = [(".goreleaser.yaml", text), ("b/notes.txt", "")];
    let (settings, notes) = World::of(&["a", "b"], &files).said();
    assert_eq!(
        settings,
        [
            r#"a: targets = ["x86_64-unknown-linux-musl"]"#,
            r#"b: targets = ["aarch64-unknown-linux-musl"]"#,
            r#"b: archive.files = ["b/notes.txt"]"#,
        ]
    );
    assert_eq!(notes, [""; 0]);
}

#[test]
fn settings_of_cargo_dist_are_taken_over_from_each_place() {
    let of_file = "[workspace]\nmembers = [\"cargo:.\", \"npm:web\"]\n[dist]\n\
                   cargo-dist-version = \"0.31.0\"\nci = \"github\"\ninstallers = [\"shell\"]\n\
                   targets = [\"x86_64-unknown-linux-gnu\", \"aarch64-apple-darwin\"]\n\
                   include = [\"extra/\"]\nunix-archive = \".tar.gz\"\ntag-namespace = \"cli\"\n\
                   github-releases-repo = \"acme/tool\"\npr-run-mode = \"plan\"\n\
                   [dist.min-glibc-version]\n\"*\" = \"2.28\"\n";
    let of_package = "[package]\nname = \"a\"\n[package.metadata.dist]\ndist = false\n\
                      features = [\"all\"]\ncargo-auditable = true\n";
    let files = [
        ("dist-workspace.toml", of_file),
        ("a/Cargo.toml", of_package),
        ("extra/x", ""),
        ("README.md", ""),
    ];
    let (settings, notes) = World::of(&["a", "b"], &files).said();
    assert_eq!(
        settings,
        [
            r#"github.repository = "acme/tool""#,
            r#"a: archive.files = ["README*", "extra/*"]"#,
            r#"b: archive.files = ["README*", "extra/*"]"#,
            r#"tag = "cli-v{{ version }}""#,
            r#"targets = ["x86_64-unknown-linux-gnu.2.28", "aarch64-apple-darwin"]"#,
            r#"a: ship = false"#,
            r#"a: features = ["all"]"#,
        ]
    );
    assert_starts(
        &notes,
        &[
            "dist-workspace.toml:2: npm:web is not taken over",
            "dist-workspace.toml:5: `ci = github` is not taken over",
            "dist-workspace.toml:6: `installers = shell` is not taken over",
            "dist-workspace.toml:7: programs for -linux-gnu need a glibc",
            "dist-workspace.toml:8: archives are flat",
            "dist-workspace.toml:12: `pr-run-mode = plan` is not taken over",
        ],
    );
}

#[test]
fn bases_and_platforms_of_ko_are_taken_over() {
    let text = "defaultBaseImage: cgr.dev/chainguard/static\ndefaultPlatforms: [linux/arm64]\n\
                baseImageOverrides:\n  github.com/acme/x/cmd/b: gcr.io/distroless/static\n\
                defaultEnv: [A=b]\n";
    let (settings, notes) = World::of(&["a"], &[(".ko.yaml", text)]).said();
    assert_eq!(
        settings,
        [
            r#"a: image.base = "cgr.dev/chainguard/static""#,
            r#"targets = ["aarch64-unknown-linux-musl"]"#,
        ]
    );
    assert_starts(
        &notes,
        &[
            ".ko.yaml:1: the base cgr.dev/chainguard/static stays; pin it",
            ".ko.yaml:4: the base of b is not taken over",
            ".ko.yaml:5: `defaultEnv` is not taken over",
        ],
    );
}

#[test]
fn the_last_stage_of_a_dockerfile_becomes_an_image() {
    let text = r#"# syntax=docker/dockerfile:1
ARG BASE=scratch
FROM rust:1 AS build
WORKDIR /src
COPY . .
RUN cargo build --release && cp target/release/tool /server

FROM node:20 AS web
RUN npm run build

FROM ${BASE} AS final
ARG PORT=8080
ENV RUST_LOG=info PORT=$PORT \
    # a comment
    NAME="a b"
WORKDIR /srv
COPY --from=build /server /usr/local/bin/server
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/migrations /srv/migrations
COPY --from=web /dist ./public
COPY --chown=app:app --chmod=0640 etc/*.toml etc/
COPY assets ./assets
RUN useradd -u 1234 app
USER app
EXPOSE $PORT 9000-9001/UDP
VOLUME ["/data"]
LABEL com.acme.team=core org.opencontainers.image.source=x
STOPSIGNAL SIGINT
HEALTHCHECK CMD server --health
ENTRYPOINT ["/usr/local/bin/server", "serve"]
CMD ["--verbose"]
"#;
    let files =
        [("Dockerfile", text), ("migrations/1.sql", ""), ("etc/a.toml", ""), ("assets/x", "")];
    let (settings, notes) = World::of(&["tool"], &files).said();
    assert_eq!(
        settings,
        [
            r#"tool: image.user = "1234""#,
            r#"tool: image.entrypoint = ["/usr/local/bin/tool", "serve"]"#,
            r#"tool: image.cmd = ["--verbose"]"#,
            r#"tool: image.env = { "RUST_LOG" = "info", "PORT" = "8080", "NAME" = "a b" }"#,
            r#"tool: image.labels = { "com.acme.team" = "core" }"#,
            r#"tool: image.ports = ["8080/tcp", "9000-9001/udp"]"#,
            r#"tool: image.volumes = ["/data"]"#,
            r#"tool: image.stop-signal = "SIGINT""#,
            r#"tool: image.workdir = "/srv""#,
            r#"tool: image.files = [{ "from" = "migrations", "to" = "/srv/migrations" }, { "from" = "etc/*.toml", "to" = "/srv/etc/", "mode" = "0640", "owner" = "1234:1234" }, { "from" = "assets", "to" = "/srv/assets" }]"#,
        ]
    );
    assert_starts(
        &notes,
        &[
            "Dockerfile:18: /etc/ssl/certs/ca-certificates.crt is in the base `builtin`",
            "Dockerfile:20: /dist, copied to /srv/public, is not taken over: the stage web makes it",
            "Dockerfile:23: RUN useradd -u 1234 app is not taken over",
            "Dockerfile:27: LABEL org.opencontainers.image.source",
            "Dockerfile:29: HEALTHCHECK CMD server --health is not taken over",
            "Dockerfile:30: the program is /usr/local/bin/tool in the image",
        ],
    );
}

/// Text -> settings. Each says what the image would be in Docker too.
#[test]
fn bases_users_and_programs_of_dockerfiles() {
    for (text, expected) in [
        (
            "FROM scratch\nCOPY target/tool /tool\nENTRYPOINT [\"/tool\"]\n",
            &[r#"tool: image.base = "scratch""#, r#"tool: image.user = "0""#][..],
        ),
        (
            "FROM rust AS b\nFROM scratch\nCOPY --from=b /x/tool /app/\nUSER 1\nENTRYPOINT [\"/app/tool\"]\n",
            &[
                r#"tool: image.base = "scratch""#,
                r#"tool: image.user = "1""#,
                r#"tool: image.bin-dir = "/app""#,
            ][..],
        ),
        (
            "FROM rust AS b\nFROM a\nCOPY --from=b /x/tool /\nUSER 1\nENTRYPOINT [\"/tool\", \"-v\"]\n",
            &[
                r#"tool: image.base = "a""#,
                r#"tool: image.user = "1""#,
                r#"tool: image.bin-dir = "/""#,
                r#"tool: image.entrypoint = ["/tool", "-v"]"#,
            ][..],
        ),
        (
            "FROM gcr.io/distroless/static:nonroot\nCMD [\"tool\", \"-v\"]\n",
            &[r#"tool: image.cmd = ["-v"]"#][..],
        ),
        (
            "FROM gcr.io/distroless/static\nUSER nobody:nobody\nENTRYPOINT exec /tool -v\n",
            &[
                r#"tool: image.user = "65534:65534""#,
                r#"tool: image.entrypoint = ["/usr/local/bin/tool", "-v"]"#,
            ][..],
        ),
        (
            "FROM alpine:3 AS base\nEXPOSE 80\nENV A=1\nFROM base\nENV A=2\nUSER 65532\n",
            &[
                r#"tool: image.base = "alpine:3""#,
                r#"tool: image.env = { "A" = "2" }"#,
                r#"tool: image.ports = ["80/tcp"]"#,
            ][..],
        ),
        (
            "FROM a AS a\nENTRYPOINT [\"tini\", \"--\", \"tool\"]\nCMD [\"x\"]\nFROM a\nUSER 65532\nENTRYPOINT [\"tool\", \"y\"]\n",
            &[
                r#"tool: image.base = "a""#,
                r#"tool: image.entrypoint = ["/usr/local/bin/tool", "y"]"#,
            ][..],
        ),
    ] {
        let (settings, _) = World::of(&["tool"], &[("Dockerfile", text)]).said();
        assert_eq!(settings, expected, "{text}");
    }
    // The package is that of the folder, or of the program.
    let of = "FROM scratch\nUSER 65532\nEXPOSE 1\nENTRYPOINT [\"/b\"]\n";
    let (settings, _) = World::of(&["a", "b"], &[("Dockerfile", of)]).said();
    assert_eq!(settings, ["b: image.base = \"scratch\"", "b: image.ports = [\"1/tcp\"]"]);
    let of = "FROM scratch\nUSER 65532\n";
    let (settings, _) = World::of(&["a", "b"], &[("a/Dockerfile", of)]).said();
    assert_eq!(settings, ["a: image.base = \"scratch\""]);
    let (settings, notes) = World::of(&["a", "b"], &[("Dockerfile", of)]).said();
    assert_eq!(settings, [""; 0]);
    assert_starts(&notes, &["Dockerfile:1: it says no package"]);
}

#[test]
fn files_of_debian_packages_go_into_archives_and_binstall_is_judged() {
    let text = "[package]\nname = \"tool\"\n[package.metadata.deb]\nlicense-file = [\"LICENSE\", \"2\"]\n\
                depends = \"$auto\"\nassets = [[\"target/release/tool\", \"usr/bin/\", \"755\"], \
                [\"tool.1\", \"usr/share/man/man1/\", \"644\"], { source = \"gone\", dest = \"x\" }]\n\
                [package.metadata.binstall]\n\
                pkg-url = \"{ repo }/releases/download/v{ version }/{ name }-{ target }.tgz\"\n\
                pkg-fmt = \"tgz\"\nbin-dir = \"{ bin }{ binary-ext }\"\n";
    let files = [("Cargo.toml", text), ("LICENSE", ""), ("tool.1", "")];
    let (settings, notes) = World::of(&["tool"], &files).said();
    assert_eq!(settings, [r#"tool: archive.files = ["LICEN[SC]E*", "tool.1"]"#]);
    assert_starts(
        &notes,
        &[
            "Cargo.toml:3: packages for Debian are not made",
            "Cargo.toml:5: `depends` is not taken over",
            "Cargo.toml:6: \"gone\" is not taken over",
            "Cargo.toml:6: archives are flat",
            "Cargo.toml:8: `pkg-url` does not name our archives",
        ],
    );
}

#[test]
fn a_broken_file_is_a_finding_and_the_others_are_read() {
    for (file, text, at) in [
        (".goreleaser.yaml", "builds:\n  - id: a\n bad\n", (3, 2)),
        (".ko.yaml", "a: 1\na: 2\n", (2, 1)),
        ("dist-workspace.toml", "[dist]\nci = \n", (2, 6)),
        ("Dockerfile", "FROM a\nCOPPY b c\n", (2, 1)),
    ] {
        let cross = ("Cross.toml", "[target.x86_64-unknown-linux-musl]\n");
        let found = World::of(&["tool"], &[(file, text), cross]).read();
        let [broken, whole] = &found[..] else { panic!("{found:?}") };
        let finding = broken.broken.as_ref().unwrap();
        assert_eq!((finding.rule, finding.place.at), ("init-from", Some(at)), "{finding:?}");
        assert!(whole.broken.is_none() && whole.settings.len() == 1, "{whole:?}");
    }
}

#[test]
fn targets_are_joined_and_of_other_settings_the_first_counts() {
    let files = [
        (".ko.yaml", "defaultPlatforms: [linux/amd64]\ndefaultBaseImage: a/b\n"),
        ("Dockerfile", "FROM c/d\nUSER 65532\n"),
        ("Cross.toml", "[target.aarch64-unknown-linux-musl]\n"),
    ];
    let (settings, notes) = World::of(&["tool"], &files).said();
    assert_eq!(
        settings,
        [
            r#"targets = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"]"#,
            r#"tool: image.base = "a/b""#,
        ]
    );
    let last = notes.last().unwrap();
    assert_eq!(
        last,
        "Dockerfile:1: `image.base` differs from that of .ko.yaml:2, which is taken over"
    );
}

/// Whatever a file holds, it is read or refused with a place, and each setting is a real one.
#[test]
fn any_text_is_read() {
    let pieces = [
        "builds:",
        "\n",
        "  ",
        "- ",
        "targets: ",
        "[",
        "]",
        "{",
        "}",
        "a",
        ": ",
        "linux_arm",
        "x86_64-unknown-linux-musl",
        "archives:",
        "files: ",
        "kos:",
        "{{ .Version }}",
        "krews:",
        "dockers:",
        "image_templates: ",
        "a/b:c",
        "&x ",
        "*x",
        "<<: ",
        "[dist]",
        " = ",
        "\"",
        "targets",
        "FROM ",
        "COPY ",
        "ENTRYPOINT ",
        "$A",
        "USER ",
        "EXPOSE ",
        "80",
        "\\",
        "#",
        "é",
        "[target.",
        "assets",
        "pkg-url",
        "<<EOF",
    ];
    let kinds = [
        Kind::GoReleaser,
        Kind::CargoDist,
        Kind::Ko,
        Kind::Dockerfile,
        Kind::Cross,
        Kind::Deb,
        Kind::Binstall,
    ];
    arbtest::arbtest(|u| {
        let kind = *u.choose(&kinds)?;
        let mut text = String::new();
        while !u.is_empty() && text.len() < 300 {
            text.push_str(u.choose(&pieces)?);
        }
        crate::fuzzing::init_from_text(kind, &text);
        read_text(kind, &text).settings.iter().for_each(check);
        Ok(())
    });
}
