//! The fuzz target's properties, on what is almost a manifest.

use std::time::Duration;

use arbtest::arbitrary::Unstructured;

/// Pieces of manifests, odd ones among them.
const PIECES: [&str; 64] = [
    "dockless://tool",
    "dockless://tool",
    "dockless://a/b",
    "dockless://",
    "image: ",
    "image: ",
    "image:\n",
    "- ",
    "- name: a\n",
    "\n",
    "\n",
    "\n",
    "  ",
    "    ",
    " ",
    "\t",
    "\r\n",
    "\r",
    ": ",
    ":",
    "? ",
    "---\n",
    "--- ",
    "...\n",
    "&a ",
    "*a",
    "!!str ",
    "!t ",
    "<<: *a\n",
    "|\n",
    "|-\n",
    "|+\n",
    ">\n",
    ">-\n",
    "|2\n",
    "'",
    "\"",
    "\\",
    "\\/",
    "{",
    "}",
    "[",
    "]",
    ", ",
    ",",
    "#",
    " # it's\n",
    "a",
    "a: b\n",
    "\u{feff}",
    "\u{e9}",
    "\u{1f980}",
    "{{ x }}",
    "{\"image\": \"dockless://tool\"}",
    "{image: dockless://tool}",
    "containers:\n",
    "apiVersion: v1\n",
    "kind: List\n",
    "items:\n",
    "metadata: {labels: {a: b}}\n",
    "metadata:\n  labels:\n    a: b\n",
    "data:\n  x: |\n    image: dockless://tool\n",
    "tag: v1\n",
    "null",
];

#[test]
fn whatever_is_read_is_written_with_images_alone_changed() {
    let mut resolved = 0;
    arbtest::arbtest(|u: &mut Unstructured<'_>| {
        let count = u.int_in_range(0..=24)?;
        let pieces = (0..count).map(|_| u.choose(&PIECES).copied());
        let mut text = pieces.collect::<Result<Vec<_>, _>>()?.concat().into_bytes();
        text.push(u.arbitrary()?);
        resolved += usize::from(text.windows(11).any(|it| it == b"dockless://"));
        crate::fuzzing::resolve(&text);
        Ok(())
    })
    .budget(Duration::from_secs(1));
    assert!(resolved > 0, "no text had a reference");
}
