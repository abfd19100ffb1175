use super::*;

#[test]
fn addresses_are_compared_without_what_may_differ() {
    for (one, other, same) in [
        ("git+https://example.com/a/b.git?rev=1#abc", "https://example.com/a/b", true),
        ("git+https://user@example.com/a/b/", "https://example.com/A/B", true),
        ("registry+https://example.com/index", "https://example.com/index", true),
        ("sparse+https://example.com/index/", "https://example.com/other", false),
        ("git+ssh://git@example.com/a/b", "https://example.com/a/bc", false),
    ] {
        assert_eq!(address(one) == address(other), same, "{one} {other}");
    }
}

#[test]
fn lines_are_hashed_with_one_kind_of_ends() {
    for text in ["a\nb\n", "a\r\nb\r\n", "a\nb", "a\r\r\nb"] {
        assert_eq!(lines(text), "a\nb\n", "{text:?}");
    }
    assert_eq!(lines(""), "");
    assert_eq!(lines("\n\n"), "\n\n");
}
