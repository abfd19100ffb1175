use super::*;

/// Whatever the braces, each text that comes of them stands for itself alone.
#[test]
fn braces_come_to_an_end() {
    arbtest::arbtest(|u| {
        let pieces = ["{", "}", ",", "a", "/", "*", "ü"];
        let count = u.int_in_range(0..=24)?;
        let text: Vec<&str> =
            (0..count).map(|_| u.choose(&pieces).copied()).collect::<Result<_, _>>()?;
        for text in alternatives(&text.concat()).unwrap_or_default() {
            assert_eq!(alternatives(&text).unwrap(), [&*text]);
        }
        Ok(())
    });
}

#[test]
fn braces_stand_for_texts() {
    for (text, expected) in [
        ("a", &["a"][..]),
        ("{a,b}", &["a", "b"]),
        ("x/{a,b}.{md,txt}", &["x/a.md", "x/a.txt", "x/b.md", "x/b.txt"]),
        ("{a,{b,c}}", &["a", "b", "c"]),
        ("{a,}x", &["ax", "x"]),
        // As in shells, what has no comma or no end is text.
        ("{a}", &["{a}"]),
        ("{}", &["{}"]),
        ("{a,b", &["{a,b"]),
        ("a,b}", &["a,b}"]),
        ("{x{a,b}", &["{xa", "{xb"]),
        ("ü{ä,ö}", &["üä", "üö"]),
    ] {
        assert_eq!(alternatives(text).unwrap(), expected, "{text}");
    }
    let many = "{a,b}".repeat(11);
    assert!(alternatives(&many).unwrap_err().root_cause().to_string().contains("more than 1000"));
}
