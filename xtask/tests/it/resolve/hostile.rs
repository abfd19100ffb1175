//! Manifests that are wrong, odd or large: each ends in a clear error that names its place, or
//! is passed on whole.

use super::*;
use crate::world::running::{ended, within};

/// What is in `-f` is refused, with its file and line, before anything is begun.
#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    let world = workspace(&["tool"]);
    let deep = |open: &str, close: &str| {
        format!("a:\n  b: {}{}\n", open.repeat(20_000), close.repeat(20_000))
    };
    let nested: String = (0..3000).map(|at| format!("{}a:\n", " ".repeat(at))).collect();
    let good = pod("a", "dockless://tool");
    let cases: [(&str, String, &str); 14] = [
        ("tabs", good.replace("  containers", "\tcontainers"), "6"),
        ("an unclosed quote", format!("{good}    env: \"open\n"), "9"),
        ("an unclosed bracket", format!("{good}    args: [a, b\n"), "10"),
        ("an unknown anchor", format!("{good}    tty: *nobody\n"), "9"),
        ("brackets that are deep", deep("[", "]"), "2"),
        ("maps that are deep", deep("{a: ", "}"), "2"),
        ("lines that are deep", nested, ""),
        ("a template's branch", format!("{{{{- if .Values.on }}}}\n{good}{{{{- end }}}}\n"), "1"),
        ("a template's value", good.replace("dockless://tool", "{{ .Values.image }}"), "8"),
        ("a number as an image", good.replace("dockless://tool", "12"), "8"),
        ("a truth as an image", good.replace("dockless://tool", "yes"), "8"),
        ("a control character", good.replace("main", "ma\u{7}in"), "7"),
        ("a key that is there twice", format!("{good}    image: dockless://tool\n"), "9"),
        ("a second document that is wrong", format!("{good}---\na: [\n"), ""),
    ];
    for (what, text, line) in cases {
        world.file("bad.yaml", &text);
        let run = ended(&mut world.tool(["resolve", "-f", "bad.yaml"]));
        assert_eq!((run.code, &*run.stdout), (Some(1), ""), "{what}: {}", run.stderr);
        let place = format!("bad.yaml:{line}");
        assert!(run.stderr.contains(&place), "{what}: no {place} in {}", run.stderr);
        assert!(run.stderr.len() < 3000, "{what}: {} bytes are said", run.stderr.len());
        run.never_says("panicked").never_says("Compiling").says("error:");
        let controls = run.stderr.chars().any(|c| c.is_control() && c != '\n');
        assert!(!controls, "{what}: {:?}", run.stderr);
    }
}

/// A file in another encoding, or none.
#[test]
fn what_is_no_text_is_refused() {
    let world = workspace(&["tool"]);
    let good = pod("a", "dockless://tool");
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: [(&str, Vec<u8>); 5] = [
        ("a program", std::fs::read("/bin/sh").unwrap()),
        ("UTF-16", [&[0xff, 0xfe][..], &utf16].concat()),
        ("Latin-1", good.replace("main", "m\u{e9}in").chars().map(|c| c as u8).collect()),
        ("a NUL", good.replace("main", "ma\0in").into_bytes()),
        ("gzip", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0]),
    ];
    for (what, bytes) in cases {
        std::fs::write(world.path("bad.yaml"), bytes).unwrap();
        let run = ended(&mut world.tool(["resolve", "-f", "bad.yaml"]));
        assert_eq!((run.code, &*run.stdout), (Some(1), ""), "{what}: {}", run.stderr);
        run.says("bad.yaml").never_says("panicked").never_says("Compiling");
    }
}

/// All that is wrong is said at once, each with its place and the nearest name.
#[test]
fn unknown_packages_are_named_with_the_nearest() {
    let world = workspace(&["frontend", "backend"]);
    world.file(
        "a.yaml",
        &format!("{}---\n{}", pod("a", "dockless://fronted"), pod("b", "dockless://backend")),
    );
    world.file("b.yaml", &pod("c", "dockless://backend/backent"));
    world.file("c.yaml", &pod("d", "dockless://serde"));
    let run = world.run("resolve -f a.yaml -f b.yaml -f c.yaml");
    refused(&run, "a.yaml:8:").says("fronted").says("frontend");
    run.says("b.yaml:8:").says("backent").says("c.yaml:8:").says("serde").never_says("a.yaml:17");
    run.never_says("Compiling");
    // From stdin there is no file to name.
    let piped = fed(&mut world.tool(["resolve", "-f", "-"]), pod("a", "dockless://fronted"));
    refused(&piped, ":8:").says("frontend");
    // A package that makes no image is none.
    world.package("library", "library", "1.0.0", "");
    std::fs::rename(world.path("library/src/main.rs"), world.path("library/src/lib.rs")).unwrap();
    let root = world.read("Cargo.toml").replace("\"backend\"", "\"backend\", \"library\"");
    world.file("Cargo.toml", &root).lock();
    let library = fed(&mut world.tool(["resolve", "-f", "-"]), pod("a", "dockless://library"));
    refused(&library, ":8:").says("library");
}

/// Line ends, marks and styles that are seldom seen are kept.
#[test]
fn odd_files_are_passed_on_to_the_byte() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["tool"]);
    let good = |image: &str| pod("a", image);
    type Make<'a> = &'a dyn Fn(&str) -> String;
    let cases: [(&str, Make<'_>); 13] = [
        ("CRLF", &|image| good(image).replace('\n', "\r\n")),
        ("a byte order mark", &|image| format!("\u{feff}{}", good(image))),
        ("both", &|image| format!("\u{feff}{}", good(image).replace('\n', "\r\n"))),
        ("no last line break", &|image| good(image).trim_end().to_owned()),
        ("spaces at ends of lines", &|image| good(image).replace('\n', "  \n")),
        ("tabs before comments", &|image| good(image).replace("main", "main\t# tab")),
        ("empty documents", &|image| format!("---\n---\n{}---\n# none\n---\n", good(image))),
        ("ends of documents", &|image| {
            format!("---\n{}...\n---\n{}...\n", good(image), good(image))
        }),
        ("comments behind `---`", &|image| format!("--- # first\n{}", good(image))),
        ("a quoted template", &|image| {
            format!("{}    tty: \"{{{{ .Values.tty }}}}\"\n", good(image))
        }),
        ("letters of all the world", &|image| {
            format!("# \u{65e5}\u{672c} \u{1f980}\n{}", good(image))
        }),
        ("two spaces more", &|image| good(image).replace("image: ", "image:    ")),
        ("a line of its own", &|image| good(image).replace("image: ", "image:\n        ")),
    ];
    for (what, make) in cases {
        std::fs::write(world.path("odd.yaml"), make("dockless://tool")).unwrap();
        let resolved = resolve(&world, registry, "resolve-odd", "-f odd.yaml");
        assert_eq!(resolved.code, Some(0), "{what}: {}", resolved.stderr);
        let reference = references(&resolved.stdout)[0].to_owned();
        let (made, out) = (make(&reference), &resolved.stdout);
        // An output ends with a line break.
        assert!(*out == made || *out == format!("{made}\n"), "{what}: {out:?} and not {made:?}");
    }
}

/// Several values of JSON in one file, as kubectl takes them: all are read.
#[test]
fn lines_of_json_are_all_read() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["tool"]);
    let lines = |image: &str| {
        let pod = |name: &str| format!(r#"{{"kind":"{name}","spec":{{"image":"{image}"}}}}"#);
        format!("{}\n{}\n{}\n", pod("a"), pod("b"), pod("c"))
    };
    world.file("pods.json", &lines("dockless://tool"));
    let resolved = resolve(&world, registry, "resolve-lines", "-f pods.json");
    match resolved.code {
        Some(0) => {
            let named = references(&resolved.stdout);
            assert_eq!(named.len(), 3, "{}", resolved.stdout);
            assert_eq!(resolved.stdout, lines(named[0]));
        }
        _ => drop(refused(&resolved, "pods.json:2")),
    }
}

/// In KiB of address space, that of the threads' stacks included.
const SPACE: u64 = 1_500_000;

/// So many documents in one file, of which each names an image.
#[test]
fn fifty_thousand_documents_take_bounded_memory() {
    const COUNT: usize = 50_000;
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["tool"]);
    world.file("pod.yaml", &pod("a", "dockless://tool"));
    let one = resolve(&world, registry, "resolve-many", "-f pod.yaml");
    let reference = reference(&one.ends_with(0).stdout);
    let documents = |image: &str| {
        let pods =
            (0..COUNT).map(|at| format!("kind: Pod\nname: n{at}\nspec: {{image: {image}}}\n"));
        pods.collect::<Vec<_>>().join("---\n")
    };
    world.file("many.yaml", &documents("dockless://tool"));
    let command = resolving(&world, &registry.host, "resolve-many", "-f many.yaml");
    let many = run(&mut within(&command, SPACE));
    assert_eq!(many.ends_with(0).stdout.len(), documents(reference).len());
    assert!(many.stdout == documents(reference), "the images alone differ");
    // By a pipe too, and without any image.
    let mut tool = within(&world.tool(["resolve", "-f", "-"]), SPACE);
    let none = fed(&mut tool, documents("nginx"));
    assert!(none.ends_with(0).stdout == documents("nginx"), "nothing differs");
    // That many mistakes are not all said.
    world.file("many.yaml", &documents("dockless://nobody"));
    let wrong = run(&mut within(&world.tool(["resolve", "-f", "many.yaml"]), SPACE));
    refused(&wrong, "many.yaml:3:");
    assert!(wrong.stderr.len() < 1 << 20, "{} bytes are said", wrong.stderr.len());
}

/// Aliases of aliases stand for more than a machine has; nobody writes them out.
#[test]
fn aliases_are_not_multiplied() {
    let world = workspace(&["tool"]);
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for at in 1..30 {
        let aliases = vec![format!("*a{}", at - 1); 10].join(", ");
        text += &format!("a{at}: &a{at} [{aliases}]\n");
    }
    text += "image: *a29\n";
    world.file("laughs.yaml", &text);
    let mut tool = within(&world.tool(["resolve", "-f", "laughs.yaml"]), SPACE);
    let run = ended(&mut tool);
    match run.code {
        Some(0) => assert_eq!(run.stdout, text),
        _ => drop(refused(&run, "laughs.yaml:")),
    }
}

/// One long line, and one text of many lines, are read in a time that grows with their length.
#[test]
fn long_texts_take_their_time_and_no_more() {
    let world = workspace(&["tool"]);
    let long = "x".repeat(900_000);
    for (what, text) in [
        ("a line", format!("a: {long}\nimage: nginx\n")),
        ("quotes", format!("a: \"{}\"\n", "\\n\u{e9}".repeat(150_000))),
        ("a block", format!("a: |\n{}image: nginx\n", "  line\n".repeat(100_000))),
        ("comments", "# comment \u{e9}\n".repeat(60_000)),
        ("lists", format!("a:\n{}", "- image: nginx\n".repeat(40_000))),
    ] {
        world.file("long.yaml", &text);
        let run = ended(&mut world.tool(["resolve", "-f", "long.yaml"]));
        assert_eq!(run.code, Some(0), "{what}: {}", run.stderr);
        assert!(run.stdout.trim_end() == text.trim_end(), "{what}");
    }
}
