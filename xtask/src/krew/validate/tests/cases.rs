//! Manifests that are right, and those that break one rule each. The tests of commands
//! give the same table to krew's own programs.

/// A manifest that is right in every way. Line numbers below are its own.
pub const GOOD: &str = "\
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: foo
spec:
  version: v1.2.3
  homepage: https://github.com/acme/foo
  shortDescription: Shows what foo is
  description: |
    Shows what foo is, and what it is not.
  platforms:
  - selector:
      matchLabels:
        os: linux
        arch: amd64
    uri: https://github.com/acme/foo/releases/download/v1.2.3/foo-linux.tar.gz
    sha256: LINUX
    files:
    - from: foo
      to: .
    - from: LICENSE
      to: .
    bin: foo
  - selector:
      matchLabels:
        os: windows
        arch: amd64
    uri: https://github.com/acme/foo/releases/download/v1.2.3/foo-windows.zip
    sha256: WINDOWS
    bin: foo.exe
";

/// Where [`GOOD`] says that its archives are.
pub const SERVED: &str = "github.com/acme/foo/releases/download/v1.2.3";

/// The archives' names.
pub const LINUX: &str = "foo-linux.tar.gz";
pub const WINDOWS: &str = "foo-windows.zip";

/// What is found: rules and their lines, in the order of lines.
pub type Found = &'static [(&'static str, usize)];

/// What is changed in [`GOOD`], where it stands first, into what; and what is then found.
pub type Case = (&'static str, &'static str, Found);

/// Each breaks one rule, but where one follows from another.
pub const CASES: &[Case] = &[
    ("", "", &[]),
    // As krew reads YAML.
    ("v1alpha2\n", "v1alpha2\r\n", &[]),
    ("apiVersion", "\u{feff}apiVersion", &[]),
    ("apiVersion", "# a comment\n---\napiVersion", &[]),
    ("kind: Plugin", "\"kind\": 'Plugin'", &[]),
    ("bin: foo.exe\n", "bin: foo.exe\n---\nkind: Other\n", &[("yaml-documents", 32)]),
    ("name: foo", "name: foo\n  labels: {a: 1}", &[("metadata-field", 5)]),
    ("name: foo", "name: foo\n  labels: [a]", &[("metadata-field", 5), ("type", 5)]),
    ("name: foo", "name: foo\n  generation: x", &[("metadata-field", 5), ("type", 5)]),
    ("name: foo", "name: foo\n  creationTimestamp: null", &[("metadata-field", 5)]),
    ("name: foo", "name: foo\n  creationTimestamp: now", &[("metadata-field", 5), ("type", 5)]),
    ("name: foo", "name: foo\n  colour: red", &[("unknown-field", 5)]),
    ("name: foo", "name: foo\n  ~: red", &[("yaml-key", 5)]),
    ("name: foo", "name: foo\n  colour: .inf", &[("unknown-field", 5), ("yaml-number", 5)]),
    ("homepage:", "docs: x\n  homepage:", &[("unknown-field", 7)]),
    ("homepage:", "Homepage:", &[("field-case", 7)]),
    ("    bin: foo\n", "    bin: foo\n    BIN: foo\n", &[("field-case", 24), ("field-twice", 24)]),
    ("version: v1.2.3", "version: [v1.2.3]", &[("type", 6), ("version-missing", 6)]),
    ("shortDescription: Shows what foo is", "shortDescription: 1.0", &[("yaml-type", 8)]),
    ("shortDescription: Shows what foo is", "shortDescription: 'yes'", &[]),
    ("arch: amd64", "arch: 386", &[]),
    ("os: linux", "os: on", &[("platform-unused", 13), ("yaml-type", 14)]),
    ("kind: Plugin", "kind: Plugin\nkind: Plugin", &[("yaml", 3)]),
    ("kind: Plugin", "kind: &a Plugin", &[("yaml", 2)]),
    ("name: foo", "name: *a", &[("yaml", 4)]),
    ("kind: Plugin", "kind: !!str Plugin", &[("yaml", 2)]),
    ("metadata:\n  name", "metadata:\n\tname", &[("yaml", 4)]),
    ("kind: Plugin", "kind: \"Plugin", &[("yaml", 2)]),
    // The manifest.
    ("v1alpha2", "v1alpha1", &[("api-version", 1)]),
    ("apiVersion:", "version:", &[("unknown-field", 1), ("api-version", 1)]),
    ("kind: Plugin", "kind: plugin", &[("kind", 2)]),
    ("kind: Plugin\n", "", &[("kind", 1)]),
    ("name: foo", "name: ''", &[("file-name", 4), ("name-missing", 4)]),
    ("name: foo", "name: bar", &[("file-name", 4)]),
    ("name: foo", "name: foo.bar", &[("file-name", 4), ("name-characters", 4)]),
    ("version: v1.2.3", "version: ''", &[("version-missing", 6)]),
    ("version: v1.2.3", "version: 1.2.3", &[("version-prefix", 6)]),
    ("version: v1.2.3", "version: 1.2", &[("version-prefix", 6)]),
    ("version: v1.2.3", "version: v1.2", &[("version-form", 6)]),
    ("version: v1.2.3", "version: v1.2.3.4", &[("version-form", 6)]),
    ("version: v1.2.3", "version: v1.02.3", &[("version-form", 6)]),
    ("version: v1.2.3", "version: v1.2.3-01", &[("version-form", 6)]),
    ("version: v1.2.3", "version: v1.2.3-", &[("version-form", 6)]),
    ("version: v1.2.3", "version: v1.2.3-a..b", &[("version-form", 6)]),
    ("version: v1.2.3", "version: v1.2.3rc1", &[("version-form", 6)]),
    ("version: v1.2.3", "version: v1.2.x", &[("version-form", 6)]),
    ("version: v1.2.3", "version: V1.2.3", &[("version-prefix", 6)]),
    ("version: v1.2.3", "version: v99999999999999999999.0.0", &[("version-form", 6)]),
    ("version: v1.2.3", "version: \"v1.2.3 \"", &[("version-space", 6)]),
    ("version: v1.2.3", "version: \"v1.2.3\\n\"", &[("version-form", 6)]),
    ("version: v1.2.3", "version: v1.2.3-rc.1+build.5", &[]),
    ("version: v1.2.3", "version: v1.2.3-0a", &[]),
    ("homepage: https://github.com/acme/foo\n", "homepage:\n", &[("homepage-missing", 7)]),
    ("homepage: https:", "homepage: ftp:", &[("homepage-form", 7)]),
    ("  shortDescription: Shows what foo is\n", "", &[("short-description-missing", 6)]),
    ("Shows what foo is\n", "\"a\\nb\"\n", &[("short-description-lines", 8)]),
    ("Shows what foo is\n", "\"a\\rb\"\n", &[("short-description-lines", 8)]),
    (
        "Shows what foo is\n",
        "Shows what foo is, and what it is not, in many words\n",
        &[("short-description-long", 8)],
    ),
    ("|\n    Shows what foo is, and what it is not.", "''", &[("description-missing", 9)]),
    // The platforms.
    ("platforms:", "platforms: []\n  others:", &[("platforms-missing", 11), ("unknown-field", 12)]),
    (
        "platforms:",
        "platforms: {}\n  others:",
        &[("type", 11), ("platforms-missing", 11), ("unknown-field", 12)],
    ),
    ("arch: amd64\n    uri", "arch: s390x\n    uri", &[("platform-unused", 13)]),
    ("os: linux", "os: freebsd", &[("platform-unused", 13)]),
    ("os: linux", "os: Linux", &[("platform-unused", 13)]),
    ("os: windows", "os: linux", &[("platforms-overlap", 25), ("bin-not-executable", 30)]),
    ("        os: windows\n", "", &[("platforms-overlap", 25), ("bin-not-executable", 29)]),
    (
        "  - selector:\n      matchLabels:\n        os: linux\n        arch: amd64\n    uri",
        "  - uri",
        &[("selector-missing", 12)],
    ),
    (
        "selector:\n      matchLabels:\n        os: linux\n        arch: amd64\n",
        "selector: {}\n",
        &[("selector-empty", 12)],
    ),
    (
        "selector:\n      matchLabels:\n        os: linux\n        arch: amd64\n",
        "selector:\n",
        &[("selector-missing", 12)],
    ),
    (
        "matchLabels:\n        os: linux\n        arch: amd64\n",
        "matchLabels: {}\n",
        &[("selector-labels-empty", 13)],
    ),
    (
        "matchLabels:\n        os: linux\n        arch: amd64\n",
        "matchLabels:\n",
        &[("selector-empty", 13)],
    ),
    (
        "matchLabels:\n",
        "matchExpressions: []\n      matchLabels:\n",
        &[("selector-expressions-empty", 13)],
    ),
    ("        os: linux\n", "        os: linux\n        cpu: fast\n", &[("selector-key", 15)]),
    ("        os: linux\n", "        OS: linux\n", &[("selector-key", 14)]),
    ("os: linux", "os: -linux", &[("selector-value", 14)]),
    (
        "matchLabels:\n        os: linux\n        arch: amd64\n",
        "matchExpressions:\n      - {key: os, operator: In, values: [linux, darwin]}\n      - {key: arch, operator: NotIn, values: [arm]}\n",
        &[],
    ),
    (
        "matchLabels:\n        os: linux\n        arch: amd64\n",
        "matchExpressions:\n      - {key: os, operator: in, values: [linux]}\n",
        &[("selector-operator", 14)],
    ),
    (
        "matchLabels:\n        os: linux\n        arch: amd64\n",
        "matchExpressions:\n      - {key: os, operator: In}\n",
        &[("selector-values", 14)],
    ),
    (
        "matchLabels:\n        os: linux\n        arch: amd64\n",
        "matchExpressions:\n      - {key: os, operator: DoesNotExist, values: [a]}\n",
        &[("selector-values", 14)],
    ),
    (
        "matchLabels:\n        os: linux\n        arch: amd64\n",
        "matchExpressions:\n      - {key: os, operator: DoesNotExist}\n",
        &[("platform-unused", 13)],
    ),
    (
        "        arch: amd64\n    uri",
        "        arch: amd64\n      matchExpressions:\n      - {key: os, operator: NotIn, values: [windows]}\n    uri",
        &[],
    ),
    (
        "uri: https://github.com/acme/foo/releases/download/v1.2.3/foo-linux.tar.gz",
        "uri: ''",
        &[("uri-missing", 16)],
    ),
    (
        "uri: https://github.com/acme/foo/releases/download/v1.2.3/foo-linux.tar.gz\n",
        "URL: x\n",
        &[("uri-missing", 12), ("unknown-field", 16)],
    ),
    ("uri: https:", "uri: ftp:", &[("uri-form", 16)]),
    ("uri: https://github.com", "uri: https://", &[("uri-form", 16)]),
    ("foo-linux.tar.gz", "%zz/foo-linux.tar.gz", &[("uri-form", 16)]),
    ("foo-linux.tar.gz", "foo-linux.tar.gz?a=%zz#c", &[]),
    ("foo-windows.zip", "foo-linux.tar.gz", &[("sha256-differs", 29), ("archive-sha256", 29)]),
    ("    sha256: LINUX\n", "", &[("sha256-missing", 12)]),
    ("sha256: LINUX", "sha256: ''", &[("sha256-missing", 17)]),
    ("LINUX", "abc", &[("sha256-form", 17)]),
    ("LINUX", "sha256:LINUX", &[("sha256-form", 17)]),
    (
        "LINUX",
        "ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789",
        &[("sha256-form", 17)],
    ),
    (
        "LINUX",
        "0000000000000000000000000000000000000000000000000000000000000000",
        &[("yaml-type", 17), ("sha256-form", 17)],
    ),
    (
        "LINUX",
        "\"0000000000000000000000000000000000000000000000000000000000000000\"",
        &[("archive-sha256", 17)],
    ),
    ("    bin: foo\n", "", &[("bin-unset", 12)]),
    ("    bin: foo\n", "    bin: ''\n", &[("bin-unset", 23)]),
    ("    bin: foo\n", "    bin: ../foo\n", &[("bin-outside", 23)]),
    ("    bin: foo\n", "    bin: /foo\n", &[]),
    ("    bin: foo\n", "    bin: ./a/../foo\n", &[]),
    // The files.
    (
        "    files:\n    - from: foo\n      to: .\n    - from: LICENSE\n      to: .\n",
        "    files: []\n",
        &[("files-empty", 18)],
    ),
    (
        "    files:\n    - from: foo\n      to: .\n    - from: LICENSE\n      to: .\n",
        "    files:\n",
        &[],
    ),
    (
        "    files:\n    - from: foo\n      to: .\n    - from: LICENSE\n      to: .\n",
        "    files: foo\n",
        &[("type", 18)],
    ),
    (
        "    - from: foo\n      to: .\n",
        "    -\n",
        &[("files-from-unset", 19), ("files-to-unset", 19)],
    ),
    ("    - from: foo\n", "    - from: ''\n", &[("files-from-unset", 19)]),
    ("from: foo\n      to: .", "from: foo", &[("files-to-unset", 19)]),
    ("from: foo\n      to: .", "from: foo\n      to: ./", &[("files-to-clean", 20)]),
    ("from: foo\n      to: .", "from: foo\n      to: ./foo", &[("files-to-clean", 20)]),
    ("from: foo\n      to: .", "from: foo\n      to: bin/", &[("files-to-clean", 20)]),
    ("from: foo\n      to: .", "from: foo\n      to: a/../b", &[("files-to-clean", 20)]),
    ("from: foo\n      to: .", "from: foo\n      to: ..", &[("files-to-outside", 20)]),
    ("from: foo\n      to: .", "from: foo\n      to: ../foo", &[("files-to-outside", 20)]),
    ("from: foo\n      to: .", "from: foo\n      to: ..foo", &[("files-to-outside", 20)]),
    ("from: foo\n", "from: ../foo\n", &[("files-from-outside", 19)]),
    ("from: foo\n", "from: 'fo['\n", &[("files-pattern", 19)]),
    ("from: foo\n", "from: /foo\n", &[]),
    ("from: foo\n", "from: '[^a]oo'\n", &[]),
    ("from: foo\n", "from: '[!a]oo'\n", &[("files-no-match", 19)]),
    ("from: foo\n", "from: '{foo,bar}'\n", &[("files-no-match", 19)]),
    ("from: foo\n", "from: '**'\n", &[("files-no-match", 21)]),
    ("from: foo\n", "from: bar\n", &[("files-no-match", 19)]),
    ("from: foo\n", "from: foo/bar\n", &[("files-no-match", 19)]),
    ("from: LICENSE\n", "from: foo\n", &[("files-no-match", 21)]),
    ("    - from: LICENSE\n      to: .\n", "", &[("license-missing", 19)]),
    ("from: LICENSE\n      to: .", "from: LICENSE\n      to: copying.TXT", &[]),
    (
        "from: LICENSE\n      to: .",
        "from: LICENSE\n      to: LICENSE-MIT",
        &[("license-missing", 19)],
    ),
    ("from: LICENSE\n      to: .", "from: LICENSE\n      to: docs/licenses.md", &[]),
    ("from: foo\n      to: .", "from: foo\n      to: bin", &[("bin-missing", 23)]),
    ("from: foo\n      to: .", "from: foo\n      to: /", &[("files-in-the-way", 21)]),
    ("from: foo\n      to: .", "from: fo*\n      to: bin", &[("bin-missing", 23)]),
    ("    bin: foo\n", "    bin: LICENSE\n", &[("bin-not-executable", 23)]),
    ("    bin: foo\n", "    bin: .\n", &[("bin-not-a-file", 23)]),
    ("    bin: foo\n", "    bin: foo/bar\n", &[("bin-missing", 23)]),
    ("    bin: foo\n", "    bin: Foo\n", &[("bin-missing", 23)]),
];

/// Names of plugins, by which their files are called too, and what is found of them in
/// line 4.
pub const NAMES: &[(&str, &[&str])] = &[
    ("foo", &[]),
    ("a-b", &[]),
    ("a.b", &["name-characters"]),
    ("ä", &["name-characters"]),
    ("a b", &["name-characters"]),
    ("con", &["name-windows"]),
    ("Lpt1", &["name-windows", "name-case"]),
    ("com0", &[]),
    ("Foo", &["name-case"]),
    ("a_b", &["name-underscore"]),
    ("-a", &["name-dash"]),
    ("kube-foo", &["name-prefix"]),
    ("kubectl-foo", &["name-prefix"]),
    ("view-svc", &["name-acronym"]),
    ("podsvc", &[]),
    // Texts of YAML 1.1 that are none.
    ("true", &[]),
    ("yes", &["yaml-type", "file-name"]),
    ("0x10", &["yaml-type", "file-name"]),
    ("null", &["file-name", "name-missing"]),
];

/// Where krew takes what is refused here, or refuses what is taken, and why that is right.
/// A case is known by its first error.
pub const KNOWN: &[(&str, &str)] = &[
    ("yaml", "readers differ on keys that stand twice, aliases and tags: krew takes the last key"),
    ("field-twice", "Go's JSON takes one of two spellings, and says that which is undefined"),
    ("bin-outside", "krew returns early without an error, and nothing is linked"),
    ("bin-not-executable", "krew links what nobody can start"),
    ("bin-not-a-file", "krew links a folder"),
    ("bin-missing", "krew takes ENOTDIR for a file that is there, and links a path below a file"),
    ("bin-link", "krew links a text file that holds where a link of a zip led"),
    ("archive-folder-mode", "krew stops there for everyone but root, who runs this"),
];
