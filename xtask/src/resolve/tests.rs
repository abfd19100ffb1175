use std::path::Path;

use super::find::Reference;
use super::reference::{self, Malformed};
use super::*;
use crate::finding::Finding;

mod random;

const IMAGE: &str = "ghcr.io/acme/app@sha256:\
                     5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

fn read_all(text: &str) -> Result<Manifest, Vec<Finding>> {
    read(Path::new("a.yaml"), text.to_owned(), None, &mut |_| {})
}

fn manifest(text: &str) -> Manifest {
    read_all(text).unwrap_or_else(|found| panic!("{found:?}: {text:?}"))
}

/// The references of a text, with line and column.
fn references(text: &str) -> Vec<(String, usize, usize)> {
    let read = manifest(text);
    let of = |it: &Reference| (it.named.to_string(), it.node.line, it.node.column);
    read.references.iter().map(of).collect()
}

/// The text with the image in place of each reference.
fn resolved(texts: &[&str]) -> String {
    let manifests: Vec<Manifest> = texts.iter().map(|text| manifest(text)).collect();
    let image = |named: &Named| Some(IMAGE.replace("app", &named.to_string().replace('/', "-")));
    write(&manifests, &image).unwrap_or_else(|found| panic!("{found:?}: {texts:?}"))
}

#[test]
fn a_reference_names_a_package_and_maybe_a_binary() {
    let named = |package: &str, bin: Option<&str>| {
        Some(Named { package: package.to_owned(), bin: bin.map(str::to_owned) })
    };
    for (text, expected) in [
        ("dockless://app", named("app", None)),
        ("dockless://my_app-2", named("my_app-2", None)),
        ("dockless://app/web", named("app", Some("web"))),
        ("dockless://\u{fc}ber", named("\u{fc}ber", None)),
    ] {
        let parsed = reference::parse(text).expect(text);
        assert_eq!(parsed.ok(), expected, "{text}");
    }
    for text in ["", "app", "dockless:/app", "dockless//app", "Dockless://app", "ko://app"] {
        assert_eq!(reference::parse(text), None, "{text}");
    }
    for (text, words) in [
        ("dockless://", "names no package"),
        ("dockless:///web", "names no package"),
        ("dockless://app/", "not the names"),
        ("dockless://app/web/x", "not the names"),
        ("dockless://app x", "not the names"),
        ("dockless://app:1.0", "neither a tag nor a digest"),
        ("dockless://app@sha256:00", "neither a tag nor a digest"),
        ("docker.io/dockless://app", "more before it"),
        (" dockless://app", "more before it"),
        ("dockless://{{ .Values.app }}", "template"),
    ] {
        let Some(Err(Malformed { why, .. })) = reference::parse(text) else { panic!("{text}") };
        assert!(why.contains(words), "{text}: {why}");
    }
}

#[test]
fn references_are_found_where_images_are_named() {
    let pod = "apiVersion: v1\nkind: Pod\nspec:\n  initContainers:\n  - image: dockless://a\n  \
               containers:\n  - name: x\n    image: \"dockless://b/c\" # d\n  \
               ephemeralContainers: [{image: 'dockless://d'}]\n";
    let job = "kind: CronJob\nspec: {jobTemplate: {spec: {template: {spec: {containers: \
               [{image: dockless://a}]}}}}}\n";
    type Places = &'static [(&'static str, usize, usize)];
    let table: [(&str, Places); 14] = [
        (pod, &[("a", 5, 12), ("b/c", 8, 12), ("d", 9, 33)]),
        (job, &[("a", 2, 68)]),
        // In kinds of others, and in lists of images.
        ("kind: Own\nspec:\n  app: {image: dockless://a}\n", &[("a", 3, 16)]),
        ("image:\n- dockless://a\n- dockless://b\n", &[("a", 2, 3), ("b", 3, 3)]),
        ("image: {repository: dockless://a, pullPolicy: Always}\n", &[("a", 1, 21)]),
        // Elsewhere, where a whole text is one.
        ("args: [--x, dockless://a]\n", &[("a", 1, 13)]),
        ("data: {a: 'dockless://a', b: ' dockless://b'}\n", &[("a", 1, 11)]),
        ("image: >-\n  dockless://a\n", &[("a", 1, 8)]),
        ("image: |\n  dockless://a\n", &[("a", 1, 8)]),
        ("a: |\n  dockless://a\n", &[]),
        // An aliased one once, where it is written.
        ("x: &i dockless://a\ny: {image: *i}\nz: {image: *i}\n", &[("a", 1, 7)]),
        ("x: &i |\n  dockless://a\ny: {image: *i}\nz: {image: *i}\n", &[("a", 1, 7)]),
        ("x: &c\n  image: dockless://a\ny: {<<: *c, name: b}\n", &[("a", 2, 10)]),
        ("image: !!str dockless://a\n", &[("a", 1, 14)]),
    ];
    for (text, expected) in table {
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, line, column)| ((*name).to_owned(), *line, *column))
            .collect();
        assert_eq!(references(text), expected, "{text}");
    }
}

#[test]
fn a_reference_within_a_text_is_left_alone_and_told() {
    for (text, places) in [
        ("data:\n  pod.yaml: |\n    image: dockless://a\n", vec![(2, 13)]),
        ("args: [--image=dockless://a]\n", vec![(1, 8)]),
        ("dockless://a: b\n", vec![(1, 1)]),
        ("a: dockless://a:1\n", vec![(1, 4)]),
        ("# dockless://a\na: b # dockless://a\n", vec![]),
    ] {
        let read = manifest(text);
        assert_eq!(read.left_alone, places, "{text}");
        assert!(read.references.is_empty(), "{text}");
        assert_eq!(resolved(&[text]), text);
    }
}

#[test]
fn what_is_no_image_is_an_error_with_its_line() {
    let pod = |image: &str| {
        format!("apiVersion: apps/v1\nkind: Deployment\nspec:\n  containers:\n  - image: {image}\n")
    };
    let cases: Vec<(String, &str, (usize, usize), &str)> = vec![
        (pod("dockless://a:1"), "reference", (5, 12), "neither a tag nor a digest"),
        (pod("dockless://"), "reference", (5, 12), "names no package"),
        (pod("x/dockless://a"), "reference", (5, 12), "more before it"),
        (pod("12"), "image-type", (5, 12), "the image 12 is no text"),
        (pod("true"), "image-type", (5, 12), "the image true is no text"),
        (pod("{repository: a}"), "image-type", (5, 12), "is a map"),
        (pod("[a]"), "image-type", (5, 12), "is a list"),
        ("x: &i dockless://a:1\ny: {image: *i}\n".into(), "reference", (2, 12), "neither a tag"),
        (
            "image: {repository: dockless://a, tag: v1}\n".into(),
            "reference-tag",
            (1, 21),
            "follow the digest",
        ),
        (pod("{{ .Values.image }}"), "manifest-template", (5, 12), "template of a chart"),
        ("{{- if .x }}\na: b\n{{- end }}\n".into(), "manifest-template", (1, 1), "template"),
        ("a: b\nc: {{ .x }}:{{ .y }}\n".into(), "manifest-template", (2, 4), "template"),
        (pod("dockless://{{ .Values.app }}"), "reference", (5, 12), "it is a template"),
        ("a: b\na: c\n".into(), "manifest", (2, 1), "a second time"),
        ("a: b\n---\nc: d\n---\ne: f\ne: g\n".into(), "manifest", (6, 1), "a second time"),
        ("a:\n\tb: c\n".into(), "manifest", (2, 2), "tab"),
        ("a: b\n---\n\u{0}\u{1}\n".into(), "manifest", (3, 1), "U+0000"),
        ("{\"a\": 1, \"a\": 2}".into(), "manifest", (1, 10), "a second time"),
        ("{\"a\": 1}\n{\"b\": \n".into(), "manifest", (3, 1), "no value of JSON"),
        ("%YAML 1.1\n---\na: b\n".into(), "manifest", (1, 1), "directive"),
        ("x: &a [*a]\n".into(), "manifest", (1, 8), ""),
        (format!("a: {}{}", "[".repeat(201), "]".repeat(201)), "manifest", (1, 203), "deeper than"),
    ];
    for (text, rule, at, words) in cases {
        let found = read_all(&text).expect_err(&text);
        let [finding] = &found[..] else { panic!("{text}: {found:?}") };
        assert_eq!(finding.rule, rule, "{text}: {finding:?}");
        assert_eq!(finding.place.at, Some(at), "{text}: {finding:?}");
        assert!(finding.why.contains(words), "{text}: {finding:?}");
        if rule == "manifest-template" {
            assert!(finding.fix.contains("helm template"), "{finding:?}");
        }
    }
}

#[test]
fn all_faults_of_a_file_are_found_at_once() {
    let text = "image: dockless://a:1\n---\nimage: dockless://b@c\n---\na: b\na: c\n";
    let found = read_all(text).expect_err("it has faults");
    let lines: Vec<_> = found.iter().filter_map(|it| it.place.at).map(|(line, _)| line).collect();
    assert_eq!(lines, [1, 3, 6]);
}

/// What is an image elsewhere need not be a text.
#[test]
fn fields_of_other_programs_are_left_alone() {
    for text in [
        "image: {repository: nginx, tag: 1}\n",
        "image: 12\n",
        "spec: {containers: [{image: 12}]}\n",
        "apiVersion: own.io/v1\nkind: Own\nspec: {containers: [{image: {name: a}}]}\n",
        "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: }, {image: null}]}\n",
        "apiVersion: v1\nkind: Pod\nspec: {containers: {image: 1}}\n",
        "annotations: {summary: \"{{ $labels.instance }} is down\"}\n",
        "a: |\n  {{ template }}\n",
        "{a: {b: c}}\n",
        "",
        "# nothing\n",
        "---\n---\n",
    ] {
        assert_eq!(references(text), [], "{text}");
        assert_eq!(resolved(&[text]), text);
    }
}

#[test]
fn only_the_references_change() {
    // `$` stands for the reference before, and for the image after.
    for text in [
        "image: $\n",
        "image: $",
        "image:   $   # here\n",
        "image: '$'\n",
        "image: \"$\" # \"\n",
        "image: >-\n  $\n",
        "image: |-  # here\n    $\n",
        "image: |\n  $\nb: c\n",
        "image:\n  $\n",
        "image: &a $\nb: {image: *a}\n",
        "image: !!str '$'\n",
        "image: &a !!str |-\n  $\n\nb: *a\n",
        "{image: $, name: x}\n",
        "[{image: $},\n {\"image\": \"$\"}]\n",
        "\u{feff}a: b\r\nimage: $\r\n",
        "a: b\rimage: $\rc: d\r",
        "a: \u{e9}\u{1f600}\nimage: $ # \u{e9}\n---\n# \u{e9}\nimage: $\n",
        "--- # a\nimage: $\n...\n---\nimage: '$'\n--- {image: $}\n",
        "# a\n---\n# b\n---\nimage: $\n---\n",
        "{\"image\": \"$\"}\n{\"image\": \"$\"}{\"a\":\"\\ud83d\\ude00\\/\"}\n",
        "{\n\t\"image\": \"$\",\n\t\"x\": [1, -2.5e3, true, null]\n}\n",
        "? image\n: $\n",
        "- &a\n  image: $\n- *a\n",
        "a: |\n  dockless://app is here\nimage: $\n",
        "a: {b: \"x\\/y\"}\nimage: $\n",
    ] {
        let (before, after) = (text.replace('$', "dockless://app"), text.replace('$', IMAGE));
        assert_eq!(resolved(&[&before]), after, "{text:?}");
        let again = manifest(&after);
        assert!(again.references.is_empty(), "{after:?}");
    }
}

/// A name of an image that is no plain text gets quotes.
#[test]
fn an_image_is_quoted_where_it_must_be() {
    let image = |_: &Named| Some("[::1]:5000/app@sha256:00".to_owned());
    for (before, after) in [
        ("image: dockless://app\n", Ok("image: \"[::1]:5000/app@sha256:00\"\n")),
        ("image: 'dockless://app'\n", Ok("image: '[::1]:5000/app@sha256:00'\n")),
        ("[dockless://app\n]\n", Err((1, 2))),
    ] {
        let written = write(&[manifest(before)], &image);
        let written = written.map_err(|found| found[0].place.at);
        assert_eq!(written, after.map(str::to_owned).map_err(Some), "{before}");
    }
}

#[test]
fn files_are_joined_by_lines_that_separate_documents() {
    for (texts, joined) in [
        (&["a: b\n", "c: d\n"][..], "a: b\n---\nc: d\n"),
        (&["a: b", "c: d"], "a: b\n---\nc: d"),
        (&["---\na: b\n", "---\nc: d\n"], "---\na: b\n---\nc: d\n"),
        (&["a: b\n---\n", "c: d\n"], "a: b\n---\nc: d\n"),
        (&["\u{feff}a: b\r\n", "\u{feff}c: d\r\n"], "\u{feff}a: b\r\n---\nc: d\r\n"),
        (&["a: b\n", "--- # x\nc: d\n"], "a: b\n--- # x\nc: d\n"),
        (&["# a\n", "b: c\n"], "# a\n---\nb: c\n"),
        (&["", "b: c\n"], "b: c\n"),
        // In YAML no value may follow a value.
        (&["{\"a\": 1}\n{\"b\": 2}\n", "c: d\n"], "---\n{\"a\": 1}\n---\n{\"b\": 2}\n---\nc: d\n"),
        // kubectl reads what begins with JSON as JSON alone.
        (&["{\"a\": 1}\n", "{\"b\": 2}\n"], "---\n{\"a\": 1}\n---\n{\"b\": 2}\n"),
        (&["a: b\n", "{\"b\": 2}\n"], "a: b\n---\n{\"b\": 2}\n"),
        (&["{\"a\": 1}\n{\"b\": 2}\n"], "{\"a\": 1}\n{\"b\": 2}\n"),
    ] {
        assert_eq!(resolved(texts), joined, "{texts:?}");
    }
}

fn selected(text: &str, labels: &str) -> String {
    let selector: Selector = labels.parse().unwrap();
    let read = read(Path::new("a.yaml"), text.to_owned(), Some(&selector), &mut |_| {});
    let read = read.unwrap_or_else(|found| panic!("{found:?}"));
    write(&[read], &|_| Some(IMAGE.to_owned())).unwrap()
}

#[test]
fn a_selector_keeps_documents_as_they_are() {
    let of = |name: &str, labels: &str| {
        format!("# {name}\nmetadata: {{labels: {{{labels}}}}} # x\nimage: dockless://{name}\n")
    };
    let text = format!("{}---\n{}---\n# c\n---\na: b\n", of("a", "app: a"), of("b", "app: b"));
    let resolved =
        |name: &str, labels: &str| of(name, labels).replace(&format!("dockless://{name}"), IMAGE);
    assert_eq!(selected(&text, "app=a"), resolved("a", "app: a"));
    assert_eq!(selected(&text, "app=b"), format!("---\n{}", resolved("b", "app: b")));
    assert_eq!(selected(&text, "!app"), "---\na: b\n");
    assert_eq!(selected(&text, "app=x"), "");
    let json = "{\"metadata\": {\"labels\": {\"a\": \"b\"}}} {\"c\": 1}\n{\"d\": 2}\n";
    assert_eq!(selected(json, "a"), "{\"metadata\": {\"labels\": {\"a\": \"b\"}}}");
    assert_eq!(selected(json, "!a"), "{\"c\": 1}\n{\"d\": 2}");
    let list = "apiVersion: v1\nkind: List\nitems:\n- a: |\n    b\n  image: dockless://a\n\
                - metadata: {labels: {x: y}}\n";
    assert_eq!(selected(list, "!x"), format!("  a: |\n    b\n  image: {IMAGE}"));
    let aliased = "apiVersion: v1\nkind: List\nitems:\n- a: &b c\n- d: *b\n";
    let selector: Selector = "!x".parse().unwrap();
    let found = read(Path::new("a.yaml"), aliased.to_owned(), Some(&selector), &mut |_| {});
    assert_eq!(found.expect_err("it has an alias")[0].place.at, Some((5, 6)));
}

#[test]
fn selectors_mean_what_they_mean_to_kubectl() {
    let labels = |text: &str| {
        let text = format!("metadata: {{labels: {{{text}}}}}\n");
        let mut documents = Vec::new();
        read(Path::new("a"), text, None, &mut |document| documents.push(document)).unwrap();
        documents.remove(0).node
    };
    for (selector, object, selects) in [
        ("a=b", "a: b", true),
        ("a==b", "a: b", true),
        ("a = b", "a: 'b'", true),
        ("a=b", "a: c", false),
        ("a=b", "", false),
        ("a=", "a: ''", true),
        ("a!=b", "a: b", false),
        ("a!=b", "a: c", true),
        ("a!=b", "", true),
        ("a in (b, c)", "a: c", true),
        ("a in (b,c)", "a: d", false),
        ("a in (b)", "", false),
        ("a notin (b,c)", "a: b", false),
        ("a notin (b,c)", "a: d", true),
        ("a notin (b)", "", true),
        ("a", "a: b", true),
        ("a", "", false),
        ("!a", "", true),
        ("! a", "a: b", false),
        ("a=b,c!=d", "a: b, c: e", true),
        ("a=b,c", "a: b", false),
        ("a in (b,c),d", "a: b, d: e", true),
        ("app.kubernetes.io/name=x", "app.kubernetes.io/name: x", true),
        ("a=1", "a: \"1\"", true),
    ] {
        let parsed: Selector = selector.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(parsed.selects(&labels(object)), selects, "{selector} {object}");
    }
    for selector in
        ["", ",", "a=b,", "=b", "a in b", "a in (b", "a (b)", "a=b c", "a in (b))", "a>1"]
    {
        let error = selector.parse::<Selector>().expect_err(selector).to_string();
        assert!(error.contains("KEY=VALUE"), "{selector}: {error}");
    }
}

#[test]
fn documents_that_no_cluster_takes_are_known() {
    for (text, objects, kustomizations) in [
        ("apiVersion: v1\nkind: Pod\n---\na: b\n", 1, 0),
        ("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n", 0, 1),
        ("a: b\n", 0, 0),
    ] {
        let read = manifest(text);
        assert_eq!((read.objects, read.kustomizations.len()), (objects, kustomizations), "{text}");
    }
}

#[test]
fn many_documents_keep_their_lines() {
    const COUNT: usize = 5_000;
    let one = "metadata:\n  name: \u{e9}\nimage: dockless://app\n---\n";
    let read = manifest(&one.repeat(COUNT));
    let lines: Vec<usize> = read.references.iter().map(|it| it.node.line).collect();
    assert_eq!(lines, (0..COUNT).map(|at| at * 4 + 3).collect::<Vec<_>>());
    // The last line begins one that is empty.
    assert_eq!(read.pieces.len(), COUNT + 1);
}
