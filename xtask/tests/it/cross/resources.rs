//! Icons, manifests and versions in programs for Windows, by the calls of the crates that
//! make them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use object::LittleEndian as LE;
use object::read::pe::{PeFile64, ResourceNameOrId};

use super::has_library;
use crate::world::{World, judge, names, run};

const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// Calls what embed-resource 3.0.12 does for the program `one`, what winresource 0.1.34 does for
/// `two`, and what others do for a library of C.
/// <https://docs.rs/crate/embed-resource/3.0.12/source/src/lib.rs>
/// <https://docs.rs/crate/winresource/0.1.34/source/lib.rs>
const BUILD: &str = r#"use std::{env, process::Command};
fn run(program: &str, args: &[&str]) {
    let prefix = env::var("TARGET").unwrap().split('-').next().unwrap().to_owned();
    let program = format!("{prefix}-w64-mingw32-{program}");
    let status = Command::new(&program).args(args).status();
    assert!(status.as_ref().is_ok_and(|it| it.success()), "{program} {args:?}: {status:?}");
}
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    let folder = env::var("CARGO_MANIFEST_DIR").unwrap();
    let one = format!("{out}/app.lib");
    let args = ["--input", "rc/app.rc", "--output", &one, "--include-dir", &out];
    let more = ["--output-format=coff", "-D", "TOLD=\"by a macro\"", "-I", "include"];
    run("windres", &[&args[..], &more].concat());
    println!("cargo:rustc-link-arg-bin=one={one}");
    let (script, two) = (format!("{out}/resource.rc"), format!("{out}/two_res.o"));
    let icon = format!("{folder}/rc/app.ico");
    std::fs::write(&script, include_str!("rc/generated.rc").replace("ICON_PATH", &icon)).unwrap();
    run("windres", &[&format!("-I{folder}"), "--target", "pe-x86-64", &script, &two]);
    run("ar", &["rsc", &format!("{out}/libtwo_res.a"), &two]);
    println!("cargo:rustc-link-arg-bin=two={two}");
    run("windres", &["--version"]);
    // winres 0.1.12 starts it by its plain name.
    let plain = format!("{out}/plain.o");
    let args = ["-Iinclude", "-DTOLD=\"by a macro\"", "rc/app.rc", &plain];
    assert!(Command::new("windres").args(args).status().unwrap().success());
    assert!(std::fs::read(&plain).unwrap() == std::fs::read(&one).unwrap());
}
"#;

/// What people write: a header of Windows, one of their own, a macro from outside.
const APP: &str = r#"#include <windows.h>
#include "version.h"
1 VERSIONINFO
FILEVERSION VERSION
BEGIN
  BLOCK "StringFileInfo"
  BEGIN
    BLOCK "040904b0"
    BEGIN
      VALUE "FileDescription", TOLD
    END
  END
END
#ifndef _WIN32
#error "this is not preprocessed for Windows"
#endif
1 ICON "app.ico"
CREATEPROCESS_MANIFEST_RESOURCE_ID RT_MANIFEST "app.manifest"
"#;

/// What winresource writes.
const GENERATED: &str = r#"#pragma code_page(65001)
1 VERSIONINFO
FILEVERSION 1, 2, 3, 0
FILEOS 0x40004
{
BLOCK "StringFileInfo"
{
BLOCK "000004b0"
{
VALUE "FileDescription", "größer als zuvor"
}
}
BLOCK "VarFileInfo" {
VALUE "Translation", 0x0, 0x04b0
}
}
1 ICON "ICON_PATH"
1 24
{
" <assembly xmlns=""urn:schemas-microsoft-com:asm.v1"" manifestVersion=""1.0""> "
" <description>größer</description></assembly> "
}
"#;

const MANIFEST: &str =
    "<assembly xmlns=\"urn:schemas-microsoft-com:asm.v1\" manifestVersion=\"1.0\"/>";

/// An icon of one blue pixel.
fn icon() -> Vec<u8> {
    let mut bytes = vec![0, 0, 1, 0, 1, 0, 1, 1, 0, 0, 1, 0, 32, 0, 48, 0, 0, 0, 22, 0, 0, 0];
    bytes.extend([40, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 32, 0, 0, 0, 0, 0, 8, 0, 0, 0]);
    bytes.extend([0; 16]);
    bytes.extend([255, 0, 0, 255, 0, 0, 0, 0]);
    bytes
}

fn project(folder: &str) -> World {
    let world = World::named(folder);
    let bins = "[[bin]]\nname = \"one\"\npath = \"src/main.rs\"\n\
                [[bin]]\nname = \"two\"\npath = \"src/main.rs\"\n";
    world.package("", "tool", "1.0.0", bins);
    world.file("build.rs", BUILD).file("LICENSE", "free\n");
    world.file("rc/app.rc", APP).file("rc/generated.rc", GENERATED);
    world.file("rc/app.manifest", MANIFEST).file("include/version.h", "#define VERSION 1,2,3,4\n");
    fs::write(world.path("rc/app.ico"), icon()).unwrap();
    world.lock().commit();
    world
}

/// The first resource of each type in a program, by the type's number.
/// <https://learn.microsoft.com/en-us/windows/win32/menurc/resource-types>
fn resources(program: &[u8]) -> BTreeMap<u16, Vec<u8>> {
    let file = PeFile64::parse(program).unwrap();
    let (data, sections) = (file.data(), file.section_table());
    let directory = file.data_directories().resource_directory(data, &sections).unwrap();
    let directory = directory.expect("the program has resources");
    let mut found = BTreeMap::new();
    for of_type in directory.root().unwrap().entries {
        let ResourceNameOrId::Id(kind) = of_type.name_or_id() else { panic!("a type by name") };
        let names = of_type.data(directory).unwrap().table().unwrap();
        let languages = names.entries[0].data(directory).unwrap().table().unwrap();
        let entry = languages.entries[0].data(directory).unwrap().data().unwrap();
        let (at, size) = (entry.offset_to_data.get(LE), entry.size.get(LE) as usize);
        let bytes = &sections.pe_data_at(data, at).unwrap()[..size];
        found.insert(kind, bytes.to_vec());
    }
    found
}

fn utf_16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn programs_for_windows_have_their_icon_manifest_and_version() {
    let [icon_type, group, version, manifest] = [3, 14, 16, 24];
    let worlds = ["a", "a longer folder's name"].map(project);
    if judge("zig").is_none() || !has_library(&worlds[0], WINDOWS) {
        return;
    }
    let made = worlds.each_ref().map(|world| {
        let args = ["release", "--snapshot", "--skip", "image", "--target", WINDOWS];
        run(&mut world.tool(args)).ends_with(0);
        let zip = format!("tool-v1.0.0-dev.1.g{}-{WINDOWS}.zip", world.sha());
        let to = world.outside("unzipped");
        let python = ["-m", "zipfile", "-e"];
        run(world.with("python3", python).arg(world.dist().join(zip)).arg(&to)).ends_with(0);
        assert_eq!(names(&to), ["LICENSE", "one.exe", "two.exe"]);
        ["one.exe", "two.exe"].map(|name| fs::read(to.join(name)).unwrap())
    });
    assert!(made[0] == made[1], "two folders make other bytes");
    for world in &worlds {
        let folder = world.root().to_str().unwrap();
        assert!(!made[0].iter().any(|bytes| holds(bytes, folder.as_bytes())), "{folder} shows");
    }
    let [one, two] = made[0].each_ref().map(|bytes| resources(bytes));
    for found in [&one, &two] {
        assert_eq!(
            found.keys().copied().collect::<Vec<_>>(),
            [icon_type, group, version, manifest]
        );
        assert_eq!(found[&icon_type], icon()[22..]);
    }
    assert_eq!(one[&manifest], MANIFEST.as_bytes());
    assert!(holds(&one[&version], &utf_16("by a macro\0")));
    assert!(holds(&one[&version], &[2, 0, 1, 0, 4, 0, 3, 0]), "1.2.3.4 as two numbers");
    let text = String::from_utf8(two[&manifest].clone()).expect("the script says UTF-8");
    assert!(text.contains("<description>größer</description>"), "{text}");
    assert!(holds(&two[&version], &utf_16("größer als zuvor\0")));
}

/// What a build script asks for and zig cannot make ends with a reason, and cmake finds the
/// same compiler.
#[test]
fn a_resource_that_cannot_be_made_is_an_error() {
    let world = project("a");
    if judge("zig").is_none() || !has_library(&world, WINDOWS) {
        return;
    }
    world.file("rc/app.rc", "1 ICON \"absent.ico\"\n");
    let args = ["release", "--snapshot", "--skip", "image", "--target", WINDOWS];
    let failed = run(&mut world.tool(args));
    failed
        .ends_with(1)
        .no_result()
        .says("absent.ico")
        .says("the build script of tool 1.0.0 failed");
    let stand_ins = world.path("target/dockless");
    let folder = names(&stand_ins).into_iter().map(|name| stand_ins.join(name));
    let folder = folder.into_iter().find(|it| it.join("complete").is_file()).unwrap();
    let cmake = fs::read_to_string(folder.join(format!("{WINDOWS}.cmake"))).unwrap();
    let windres = folder.join("x86_64-w64-mingw32-windres");
    assert!(cmake.contains(&format!("set(CMAKE_RC_COMPILER [==[{}]==])", windres.display())));
    let version = run(&mut world.with(Path::new(&windres), ["-V", "/?"]));
    assert!(version.ends_with(0).line().starts_with("GNU windres"), "{}", version.stdout);
}
