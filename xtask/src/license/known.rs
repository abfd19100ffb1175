//! The standard texts of common licences, and the phrases by which texts are recognised.

use std::collections::BTreeSet;

use memchr::memmem;

/// A licence or exception of SPDX's list.
struct Known {
    name: &'static str,
    text: &'static str,
    /// Words that each text of it has, in the form that [`words`] makes.
    phrases: &'static [&'static str],
    /// Words that only a similar licence has.
    others: &'static [&'static str],
}

macro_rules! known {
    ($name:literal, $phrases:expr, $others:expr) => {
        Known {
            name: $name,
            text: include_str!(concat!("../../templates/licenses/", $name, ".txt")),
            phrases: &$phrases,
            others: &$others,
        }
    };
}

const SOURCE: &str = "redistributions of source code must retain the";
const BINARY: &str = "redistributions in binary form must reproduce the";
const ENDORSE: &str = "endorse or promote products derived from";
const ADVERTISING: &str = "all advertising materials mentioning features";
const ILLINOIS: &str = "deal with the software without restriction";
const ANY_PERSON: &str =
    "permission is hereby granted free of charge to any person obtaining a copy";
const NOTICE: &str = "copyright notice and this permission notice";
const ANY_PURPOSE: &str = "software for any purpose with or without fee is hereby granted";
const ALTERED: &str = "altered source versions must be plainly marked as such";

/// Sorted by name.
const KNOWN: [Known; 22] = [
    known!("0BSD", [ANY_PURPOSE], ["is hereby granted provided that"]),
    known!(
        "Apache-2.0",
        ["apache license version 2 0", "conditions for use reproduction and distribution"],
        []
    ),
    known!("BSD-1-Clause", [SOURCE], [BINARY, ALTERED]),
    known!("BSD-2-Clause", [SOURCE, BINARY], [ENDORSE, ADVERTISING, ILLINOIS]),
    known!("BSD-3-Clause", [SOURCE, BINARY, ENDORSE], [ADVERTISING, ILLINOIS]),
    known!("BSL-1.0", ["all derivative works of the software unless such copies"], []),
    known!("BlueOak-1.0.0", ["blue oak model license"], []),
    known!("CC0-1.0", ["cc0 1 0 universal", "affirmer"], []),
    known!("CDLA-Permissive-2.0", ["data license agreement permissive version 2 0"], []),
    known!("ISC", ["is hereby granted provided that the above copyright notice and this"], []),
    known!("LLVM-exception", ["llvm exceptions to the apache 2 0 license"], []),
    known!("MIT", [ANY_PERSON, NOTICE, "provided as is without warranty"], [ILLINOIS]),
    known!(
        "MIT-0",
        [ANY_PERSON, "permit persons to whom the software is furnished to do so the software"],
        [NOTICE]
    ),
    known!("MPL-2.0", ["mozilla public license version 2 0", "covered software"], []),
    known!("NCSA", [SOURCE, ILLINOIS], []),
    known!("OpenSSL", [SOURCE, "for use in the openssl toolkit"], []),
    known!("Unicode-3.0", ["unicode license v3", ANY_PERSON], []),
    known!("Unicode-DFS-2016", ["unicode inc license agreement data files and software"], []),
    known!("Unlicense", ["free and unencumbered software released into the public domain"], []),
    known!("X11", [ANY_PERSON, "except as contained in this notice the name of the x"], []),
    known!("Zlib", [ALTERED, "this notice may not be removed or altered"], []),
    known!("bzip2-1.0.6", [ALTERED, ENDORSE], []),
];

/// The standard text of a licence or exception.
pub fn standard(name: &str) -> Option<&'static str> {
    let at = KNOWN.binary_search_by(|known| known.name.cmp(name)).ok()?;
    Some(KNOWN[at].text)
}

/// The licences and exceptions whose texts are in this one.
pub fn recognised(text: &str) -> BTreeSet<&'static str> {
    let words = words(text);
    let has = |phrase: &&str| memmem::find(words.as_bytes(), phrase.as_bytes()).is_some();
    let of = KNOWN.iter();
    let of = of.filter(|it| it.phrases.iter().all(has) && !it.others.iter().any(has));
    of.map(|known| known.name).collect()
}

/// The words in lower case, with one space between them: copies differ in line breaks, quotes and
/// the marks of comments.
fn words(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.chars() {
        if !c.is_alphanumeric() {
            gap = true;
            continue;
        }
        if gap && !words.is_empty() {
            words.push(' ');
        }
        gap = false;
        words.extend(c.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_standard_text_is_recognised_as_itself() {
        for known in &KNOWN {
            let mut expected = BTreeSet::from([known.name]);
            // X11 is MIT's text with one more sentence.
            expected.extend((known.name == "X11").then_some("MIT"));
            assert_eq!(recognised(known.text), expected, "{}", known.name);
            assert_eq!(standard(known.name), Some(known.text));
            let id = spdx::license_id(known.name).map(|id| id.name);
            let exception = spdx::exception_id(known.name).map(|id| id.name);
            assert_eq!(id.or(exception), Some(known.name));
        }
        assert!(KNOWN.is_sorted_by_key(|known| known.name));
        assert_eq!(standard("GPL-3.0-only"), None);
    }

    /// The short notice in a source file is not the licence.
    #[test]
    fn other_texts_are_not_recognised() {
        for text in [
            "",
            "Licensed under the Apache License, Version 2.0 (the \"License\").",
            "This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0.",
            "MIT or Apache-2.0, at your option",
        ] {
            assert_eq!(recognised(text), BTreeSet::new(), "{text}");
        }
    }

    #[test]
    fn a_file_can_have_several_texts_in_comments_and_broken_lines() {
        let mit = standard("MIT").unwrap().replace('\n', "\r\n * ").to_uppercase();
        let both = format!("/* {mit} */\n\n{}", standard("Apache-2.0").unwrap());
        assert_eq!(recognised(&both), BTreeSet::from(["MIT", "Apache-2.0"]));
    }
}
