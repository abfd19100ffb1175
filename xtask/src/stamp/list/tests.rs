use super::*;

fn krate(name: &str, dependencies: &[usize]) -> Listed {
    Listed {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        source: CRATES_IO.to_owned(),
        kind: Kind::Runtime,
        dependencies: dependencies.to_vec(),
        root: false,
    }
}

fn root(name: &str, dependencies: &[usize]) -> Listed {
    Listed { source: "local".to_owned(), root: true, ..krate(name, dependencies) }
}

/// The fuzz target's properties, on what is almost a list.
#[test]
fn any_list_is_read_or_refused() {
    let word = ["a", "1.0.0", "build", "\\u0000", "", "crates.io"];
    arbtest::arbtest(|random| {
        let all = random.int_in_range(0..=6_usize)?;
        let mut packages = Vec::new();
        for at in 0..all {
            let mut numbers = Vec::new();
            while numbers.len() < 4 && random.ratio(2, 3)? {
                // Most lists have no cycle.
                let most = if random.ratio(1, 20)? { all + 1 } else { at.max(1) - 1 };
                numbers.push(random.int_in_range(0..=most)?.to_string());
            }
            let dependencies = numbers.join(",");
            let (name, version) = (random.choose(&word)?, random.choose(&word)?);
            let kind = if random.ratio(1, 3)? { ",\"kind\":\"build\"" } else { "" };
            let root = if at + 1 == all || random.ratio(1, 20)? { ",\"root\":true" } else { "" };
            packages.push(format!(
                "{{\"name\":\"{name}\",\"version\":\"{version}\",\"source\":\"git\"{kind}{root},\
                 \"dependencies\":[{dependencies}]}}"
            ));
        }
        let mut bytes =
            format!("{{\"packages\":[{}],\"format\":1}}", packages.join(",")).into_bytes();
        if random.ratio(1, 4)? {
            let at = random.int_in_range(0..=bytes.len() - 1)?;
            bytes[at] = random.arbitrary()?;
        }
        // As JSON, and as a section.
        crate::fuzzing::stamp(&[&bytes[..], &[2]].concat());
        let mut section = packed(&String::from_utf8_lossy(&bytes));
        if random.ratio(1, 4)? {
            let at = random.int_in_range(0..=section.len() - 1)?;
            section[at] = random.arbitrary()?;
        }
        section.push(1);
        crate::fuzzing::stamp(&section);
        Ok(())
    })
    .budget_ms(200);
}

fn packed(json: &str) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(json.as_bytes()).unwrap();
    packed.finish().unwrap()
}

fn unpacked(section: &[u8]) -> String {
    let mut text = String::new();
    ZlibDecoder::new(section).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_list_is_written_as_cargo_auditable_writes_it() {
    let build = Listed { kind: Kind::Build, ..krate("cc", &[]) };
    let list = List::new(vec![root("tool", &[2, 1, 1]), build, krate("adler2", &[])]).unwrap();
    let section = list.pack().unwrap();
    assert_eq!(
        unpacked(&section),
        "{\"packages\":[{\"name\":\"adler2\",\"version\":\"1.0.0\",\"source\":\"crates.io\"},\
         {\"name\":\"cc\",\"version\":\"1.0.0\",\"source\":\"crates.io\",\"kind\":\"build\"},\
         {\"name\":\"tool\",\"version\":\"1.0.0\",\"source\":\"local\",\"dependencies\":[0,1],\
         \"root\":true}],\"format\":1}"
    );
    assert_eq!(List::unpack(&section).unwrap(), list);
    assert_eq!(list.through(), [Some(2), Some(2), None]);
    assert_eq!(list.runtime().collect::<Vec<_>>(), [("adler2", "1.0.0"), ("tool", "1.0.0")]);
    // The order of the crates does not matter.
    let other = List::new(vec![
        krate("adler2", &[]),
        root("tool", &[0, 2]),
        Listed { kind: Kind::Build, ..krate("cc", &[]) },
    ]);
    assert_eq!(other.unwrap().pack().unwrap(), section);
}

#[test]
fn what_others_write_is_read() {
    for json in [
        // Unknown fields, kinds of sources, and no format.
        r#"{"packages":[{"name":"a","version":"1.0.0","source":"sparse","root":true,"x":[1]}],"y":{}}"#,
        r#"{"format":7,"packages":[{"root":true,"source":"git","version":"1","name":"a","kind":"runtime"}]}"#,
    ] {
        let list = List::unpack(&packed(json)).unwrap();
        assert_eq!(list.root().unwrap().name, "a", "{json}");
    }
    // PE files pad their sections.
    let mut padded =
        packed(r#"{"packages":[{"name":"a","version":"1","source":"b","root":true}]}"#);
    padded.resize(512, 0);
    assert_eq!(List::unpack(&padded).unwrap().packages.len(), 1);
}

#[test]
fn a_bad_list_is_refused() {
    let one = |more: &str| {
        format!(r#"{{"packages":[{{"name":"a","version":"1","source":"local"{more}}}]}}"#)
    };
    let two = |first: &str, second: &str| {
        format!(
            r#"{{"packages":[{{"name":"a","version":"1","source":"local","root":true,"dependencies":[{first}]}},
               {{"name":"b","version":"1","source":"git","dependencies":[{second}]}}]}}"#
        )
    };
    for (json, expected) in [
        (one(""), "it has 0 roots, and one package is built into a program"),
        (two("", "").replace("\"git\"", "\"git\",\"root\":true"), "it has 2 roots"),
        (two("2", ""), "\"a\" depends on number 2 of 2"),
        (two("-1", ""), "read it: invalid value: integer `-1`"),
        (two("1", "1"), "1 of its crates depend on each other in a cycle"),
        (two("1", "0"), "2 of its crates depend on each other in a cycle"),
        (one(",\"root\":1"), "read it: invalid type"),
        ("{}".to_owned(), "read it: missing field `packages`"),
        (format!("{{\"x\":{}", "[".repeat(100_000)), "read it: EOF while parsing a list"),
        (String::new(), "read it: EOF"),
        (" ".repeat((8 << 20) + 1), "it unpacks to more than 8388608 bytes"),
    ] {
        let error = format!("{:#}", List::unpack(&packed(&json)).unwrap_err());
        assert!(error.starts_with(expected), "{error}\n{}", &json[..json.len().min(200)]);
    }
    let good = packed(&one(",\"root\":true"));
    for end in 0..good.len() {
        let error = format!("{:#}", List::unpack(&good[..end]).unwrap_err());
        assert!(error.starts_with("unpack it: "), "{error}");
    }
    let error = List::unpack(&[&good[..], &good].concat()).unwrap_err().to_string();
    assert_eq!(error, format!("{} more bytes follow it", good.len()));
    assert!(List::unpack(b"").is_err());
}
