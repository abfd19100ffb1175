use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::dsse::{Envelope, pae};
use super::statement::{SUBJECTS, Subject};
use super::*;
use crate::digest::Digest;
use crate::secret::Secret;
use samples::*;

mod samples;

fn plain(text: &str) -> PrivateKey {
    match KeyText::parse(text).unwrap() {
        KeyText::Plain(key) => *key,
        KeyText::Encrypted(_) => panic!("it is encrypted"),
    }
}

fn public(text: &str) -> PublicKey {
    PublicKey::parse(text).unwrap()
}

#[test]
fn keys_are_read_in_each_form() {
    let expected = public(PUBLIC);
    for text in [SEC1, PKCS8, &PKCS8.replace('\n', "\r\n"), &format!("a comment\n{PKCS8}\n")] {
        let key = plain(text);
        assert_eq!(key.public(), &expected);
        assert!(expected.verifies(b"abc", &key.sign(b"abc").unwrap()));
        assert_eq!(format!("{key:?}"), "PrivateKey(…)");
    }
    assert_ne!(plain(SEC1_WITH_CURVE).public(), &expected);
    assert_eq!(expected.pem(), PUBLIC);
    assert_eq!(public(&expected.pem()), expected);
    let key = KeyText::parse(COSIGN_KEY).unwrap().open(|| Ok(Secret::new(PASSWORD))).unwrap();
    assert_eq!(key.public(), &public(COSIGN_PUB));
    let old = COSIGN_KEY.replace("SIGSTORE", "COSIGN");
    assert!(matches!(KeyText::parse(&old).unwrap(), KeyText::Encrypted(_)));
}

#[test]
fn a_new_key_opens_with_its_password_alone() {
    for password in ["", "p ", "päss"] {
        let new = new_key(&Secret::new(password)).unwrap();
        let open = |password: &str| {
            let key = KeyText::parse(new.private.expose()).unwrap();
            key.open(|| Ok(Secret::new(password)))
        };
        assert_eq!(open(password).unwrap().public(), &new.public);
        let wrong = open("p").unwrap_err();
        assert!(format!("{wrong:#}").contains("the password does not decrypt it"), "{wrong:#}");
    }
}

#[test]
fn what_is_no_key_of_ours_is_refused_with_its_reason() {
    let cut = SEC1.replace("-----END EC PRIVATE KEY-----\n", "");
    let twice = format!("{SEC1}{SEC1}");
    let other_label = PKCS8.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let no_public = "-----BEGIN EC PRIVATE KEY-----\n\
        MDECAQEEIDiWUZG12IpxpEp9xv2ByiIBGXbTFCpb+l471jQh9hAqoAoGCCqGSM49\nAwEH\n\
        -----END EC PRIVATE KEY-----\n";
    for (text, why) in [
        ("", "it has 0 keys"),
        ("hello", "it has 0 keys"),
        (&*cut, "its PEM is malformed"),
        (&*twice, "it has 2 keys"),
        (PUBLIC, "it is a public key"),
        (&*other_label, "encrypted in openssl's way"),
        (K256, "another curve than P-256"),
        (K256_PKCS8, "another curve than P-256"),
        (P384, "another curve than P-256"),
        (ED25519, "another algorithm"),
        (no_public, "does not hold its public key"),
    ] {
        let error = format!("{:#}", KeyText::parse(text).map(drop).unwrap_err());
        assert!(error.contains(why), "{text}: {error}");
    }
    for (text, why) in [
        ("", "it has 0 keys"),
        (PKCS8, "it is a private key"),
        (COSIGN_KEY, "it is a private key"),
        (P384_PUBLIC, "another curve than P-256"),
        (K256_PUBLIC, "another curve than P-256"),
        (ED25519_PUBLIC, "another algorithm"),
    ] {
        let error = format!("{:#}", PublicKey::parse(text).unwrap_err());
        assert!(error.contains(why), "{text}: {error}");
    }
}

/// Nothing is derived from a password before the costs are known.
#[test]
fn hostile_encrypted_keys_are_refused() {
    let blocks = pem::blocks(COSIGN_KEY).unwrap();
    let good: Value = serde_json::from_slice(&blocks[0].bytes).unwrap();
    let with = |path: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(path).unwrap() = value;
        let text = pem::write(blocks[0].label, changed.to_string().as_bytes());
        format!("{:#}", KeyText::parse(&text).map(drop).unwrap_err())
    };
    for (path, value, why) in [
        ("/kdf/params/N", json!(1 << 30), "its costs are N = 1073741824"),
        ("/kdf/params/N", json!(65535), "its costs are N = 65535"),
        ("/kdf/params/N", json!(0), "its costs are N = 0"),
        ("/kdf/params/N", json!(-1), "parse the encrypted key"),
        ("/kdf/params/N", json!(1u64 << 40), "parse the encrypted key"),
        ("/kdf/params/r", json!(1 << 20), "r = 1048576"),
        ("/kdf/params/p", json!(1 << 20), "p = 1048576"),
        ("/kdf/name", json!("none"), "encrypted in another way"),
        ("/cipher/name", json!("none"), "encrypted in another way"),
        ("/cipher/nonce", json!("AAAA"), "its nonce has not 24 bytes"),
        ("/kdf/salt", json!("*"), "its salt is no base64"),
        ("/kdf/salt", json!(STANDARD.encode([0; 1000])), "its salt has 1000 bytes"),
        ("/ciphertext", json!("AAAA"), "its ciphertext has 3 bytes"),
        ("/ciphertext", json!(STANDARD.encode([0; 9000])), "its ciphertext has 9000 bytes"),
    ] {
        let error = with(path, value);
        assert!(error.contains(why), "{path}: {error}");
    }
    let mut changed = good.clone();
    let text = STANDARD.decode(good["ciphertext"].as_str().unwrap()).unwrap();
    for at in [0, 15, 16, text.len() - 1] {
        let mut flipped = text.clone();
        flipped[at] ^= 1;
        changed["ciphertext"] = json!(STANDARD.encode(flipped));
        let text = pem::write(blocks[0].label, changed.to_string().as_bytes());
        let opened = KeyText::parse(&text).unwrap().open(|| Ok(Secret::new(PASSWORD)));
        assert!(opened.is_err(), "byte {at}");
    }
}

#[test]
fn a_high_s_is_lawful_and_trailing_bytes_are_not() {
    let key = public(PUBLIC);
    for signature in [HIGH_S, LOW_S] {
        let signature = STANDARD.decode(signature).unwrap();
        assert!(key.verifies(b"abc", &signature));
        assert!(!key.verifies(b"abd", &signature));
        assert!(!public(COSIGN_PUB).verifies(b"abc", &signature));
        assert!(!key.verifies(b"abc", &[&signature[..], &[0]].concat()));
        assert!(!key.verifies(b"abc", &signature[..signature.len() - 1]));
        // The two numbers without DER.
        assert!(!key.verifies(b"abc", &signature[4..]));
        for at in 0..signature.len() {
            let mut flipped = signature.clone();
            flipped[at] ^= 1;
            assert!(!key.verifies(b"abc", &flipped), "byte {at}");
        }
    }
    assert!(!key.verifies(b"abc", b""));
}

#[test]
fn a_bundle_of_cosigns_is_read_and_ours_reads_like_it() {
    let bundle = Bundle::parse(COSIGN_BUNDLE.as_bytes()).unwrap();
    bundle.verify_file(b"abc", &public(COSIGN_PUB)).unwrap();
    for (bytes, key, why) in [
        (b"abd", COSIGN_PUB, "and the file is sha256:"),
        (b"abc", PUBLIC, "the signature is not by the key sha256:"),
    ] {
        let error = bundle.verify_file(bytes, &public(key)).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let shape = |text: &[u8]| {
        let mut value: Value = serde_json::from_slice(text).unwrap();
        let hint = value["verificationMaterial"]["publicKey"]["hint"].take();
        assert_eq!(STANDARD.decode(hint.as_str().unwrap()).unwrap().len(), 32);
        value["messageSignature"]["signature"].take();
        value
    };
    let key = plain(SEC1);
    let own = sign_file(b"abc", &key).unwrap();
    assert_eq!(shape(&own), shape(COSIGN_BUNDLE.as_bytes()));
    Bundle::parse(&own).unwrap().verify_file(b"abc", key.public()).unwrap();
    assert_ne!(sign_file(b"abc", &key).unwrap(), own, "a random number is part of each");
}

/// The pointer to what is changed in a good bundle, its new value, and why it is refused.
#[test]
fn bundles_that_cosign_refuses_are_refused() {
    let file: Value = serde_json::from_str(COSIGN_BUNDLE).unwrap();
    let key = plain(SEC1);
    let digest = Digest::of(b"image");
    let signed = sign_statement(&Statement::signature(&digest), &key).unwrap();
    Bundle::parse(&signed).unwrap().verify_about(&digest, SIGNATURE, key.public()).unwrap();
    let signed: Value = serde_json::from_slice(&signed).unwrap();
    let signature = signed["dsseEnvelope"]["signatures"][0].clone();
    let keyed = json!({ "sig": signature["sig"], "keyid": "a" });
    let v1 = "application/vnd.dev.sigstore.bundle+json;version=0.1";
    for (of, path, value, why) in [
        (&file, "/mediaType", json!(v1), "the bundle is of the type"),
        (&file, "/mediaType", json!(1), "parse the bundle"),
        (&file, "/messageSignature/messageDigest/algorithm", json!("SHA2_384"), "SHA2_384"),
        (&file, "/messageSignature/messageDigest/digest", json!("AAAA"), "no SHA-256"),
        (&file, "/messageSignature/messageDigest", json!(null), "parse the bundle"),
        (&file, "/messageSignature/signature", json!("*"), "its signature is no base64"),
        (&file, "/messageSignature", json!(null), "the bundle has no content"),
        (&file, "/verificationMaterial", json!({}), "the bundle names no key"),
        (&file, "/verificationMaterial", json!({ "certificate": {} }), "with a certificate"),
        (&file, "/verificationMaterial", json!({ "x": 1 }), "unknown field"),
        (&signed, "/dsseEnvelope/payloadType", json!("text/plain"), "of the type \"text/plain\""),
        (&signed, "/dsseEnvelope/payload", json!("*"), "its payload is no base64"),
        (&signed, "/dsseEnvelope/signatures", json!([]), "it has 0 signatures"),
        (&signed, "/dsseEnvelope/signatures", json!([signature, signature]), "it has 2 signatures"),
        (&signed, "/dsseEnvelope/signatures/0", keyed, "its signature has a keyid"),
    ] {
        let mut changed = of.clone();
        *changed.pointer_mut(path).unwrap() = value.clone();
        let error = format!("{:#}", Bundle::parse(changed.to_string().as_bytes()).unwrap_err());
        assert!(error.contains(why), "{path} = {value}: {error}");
    }
    let both = {
        let mut both = file.clone();
        both["dsseEnvelope"] = signed["dsseEnvelope"].clone();
        both
    };
    let unknown = {
        let mut unknown = file.clone();
        unknown["more"] = json!(1);
        unknown
    };
    for (bundle, why) in [(both, "two contents"), (unknown, "unknown field")] {
        let error = format!("{:#}", Bundle::parse(bundle.to_string().as_bytes()).unwrap_err());
        assert!(error.contains(why), "{error}");
    }
    // What proves nothing about a key may be there.
    let mut logged = file;
    logged["verificationMaterial"]["tlogEntries"] = json!([{ "logIndex": "1" }]);
    logged["verificationMaterial"]["timestampVerificationData"] = json!({});
    logged["verificationMaterial"]["publicKey"] = json!({ "hint": "wrong" });
    let logged = Bundle::parse(logged.to_string().as_bytes()).unwrap();
    logged.verify_file(b"abc", &public(COSIGN_PUB)).unwrap();
    let huge = vec![b' '; 100 << 20];
    let error = Bundle::parse(&huge).unwrap_err().to_string();
    assert!(error.contains("the bundle has more than"), "{error}");
}

#[test]
fn a_statement_proves_its_own_subject_and_predicate() {
    let key = plain(SEC1);
    let digest = |at: usize| Digest::of(&at.to_le_bytes());
    let statement = |count: usize, predicate: &str| {
        let subjects = (0..count).map(|at| Subject::new(Some(format!("f{at}")), &digest(at)));
        let statement = Statement::new(subjects.collect(), predicate, json!({}));
        Bundle::parse(&sign_statement(&statement, &key).unwrap()).unwrap()
    };
    let verify = |bundle: &Bundle, at: usize| {
        let verified = bundle.verify_about(&digest(at), SIGNATURE, key.public());
        verified.map_err(|error| format!("{error:#}"))
    };
    let most = statement(SUBJECTS, SIGNATURE);
    for at in 0..SUBJECTS {
        verify(&most, at).unwrap();
    }
    assert!(verify(&most, SUBJECTS).unwrap_err().contains("its statement is not about sha256:"));
    for (bundle, why) in [
        (statement(SUBJECTS + 1, SIGNATURE), "it has 1025 subjects"),
        (statement(10_000, SIGNATURE), "it has 10000 subjects"),
        (statement(0, SIGNATURE), "has no subject"),
        (statement(1, "https://spdx.dev/Document"), "of the type \"https://spdx.dev/Document\""),
    ] {
        let error = verify(&bundle, 0).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    let other = most.verify_about(&digest(0), SIGNATURE, &public(COSIGN_PUB)).unwrap_err();
    assert!(other.to_string().contains("not by the key"), "{other}");
    let file = most.verify_file(&0usize.to_le_bytes(), key.public());
    file.unwrap();
    // Of two kinds of JSON only a statement is one.
    for (payload, why) in [
        (json!({ "_type": "x", "subject": [{}], "predicateType": "y" }), "of the type \"x\""),
        (json!([]), "parse the statement"),
        (json!({ "predicateType": SIGNATURE }), "parse the statement"),
    ] {
        let envelope = Envelope::sign(payload.to_string().into_bytes(), &key).unwrap();
        let error = verify(&Bundle::Statement(envelope), 0).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn types_and_payloads_are_kept_apart() {
    assert_eq!(
        pae("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
    arbtest::arbtest(|u| {
        let (a, b): ((String, Vec<u8>), (String, Vec<u8>)) = (u.arbitrary()?, u.arbitrary()?);
        assert_eq!(pae(&a.0, &a.1) == pae(&b.0, &b.1), a == b);
        Ok(())
    });
}

#[test]
fn a_signature_by_tag_is_of_its_image() {
    let key = plain(SEC1);
    let (digest, other) = (Digest::of(b"a"), Digest::of(b"b"));
    let (document, signature) = simple_signing("r.test/a", &digest, &key).unwrap();
    let text = String::from_utf8(document.clone()).unwrap();
    assert_eq!(
        text,
        format!(
            "{{\"critical\":{{\"identity\":{{\"docker-reference\":\"r.test/a\"}},\"image\":\
         {{\"docker-manifest-digest\":\"{digest}\"}},\"type\":\"cosign container image \
         signature\"}},\"optional\":null}}"
        )
    );
    verify_simple(&document, &signature, &digest, key.public()).unwrap();
    let other_type = text.replace("container image", "other");
    let of_other = STANDARD.encode(key.sign(other_type.as_bytes()).unwrap());
    for (document, signature, digest, why) in [
        (text.as_bytes(), &signature, &other, "it signs sha256:"),
        (&text.as_bytes()[1..], &signature, &digest, "not by the key"),
        (text.as_bytes(), &"*".to_owned(), &digest, "no base64"),
        (other_type.as_bytes(), &of_other, &digest, "not a cosign container image signature"),
    ] {
        let error = verify_simple(document, signature, digest, key.public()).unwrap_err();
        assert!(format!("{error:#}").contains(why), "{error:#}");
    }
}

/// Whatever one byte of a good bundle becomes: it is refused, or it still says the same.
#[test]
fn a_changed_bundle_proves_nothing_else() {
    let key = public(COSIGN_PUB);
    arbtest::arbtest(|u| {
        let mut bytes = COSIGN_BUNDLE.as_bytes().to_vec();
        let at = u.choose_index(bytes.len())?;
        bytes[at] = u.arbitrary()?;
        if let Ok(bundle) = Bundle::parse(&bytes)
            && bundle.verify_file(b"abc", &key).is_ok()
        {
            assert!(bundle.verify_file(b"abd", &key).is_err());
            // Only the hint may differ.
            let text = String::from_utf8(bytes).unwrap();
            let (head, tail) = COSIGN_BUNDLE.split_at(COSIGN_BUNDLE.find("}}").unwrap());
            assert!(text.ends_with(tail) && text.len() == head.len() + tail.len(), "{text}");
        }
        Ok(())
    });
}

#[test]
fn any_text_is_read_or_refused() {
    arbtest::arbtest(|u| {
        let bytes: Vec<u8> = u.arbitrary()?;
        crate::fuzzing::sign(&bytes);
        Ok(())
    });
    for text in [COSIGN_KEY, COSIGN_PUB, COSIGN_BUNDLE, SEC1, PKCS8, PUBLIC] {
        crate::fuzzing::sign(text.as_bytes());
    }
}
